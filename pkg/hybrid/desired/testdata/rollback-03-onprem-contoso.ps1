#Requires -Version 5.1

<#
.SYNOPSIS
Undoes the changes of a hybridge plan in Exchange on-premises, contoso: step 3 of the plan.

.DESCRIPTION
Run in an Exchange Management Shell of forest contoso, as Organization Management.

The script first makes sure that it runs in the right place. It undoes what 03-onprem-contoso.ps1 did, last change first, by what stands in
hybridge-result.json in the folder above. It sets back only what is as 03-onprem-contoso.ps1 left it. What has changed since, and what another change
rests on, is left as it is and named (exit code 1).

.EXAMPLE
.\03-onprem-contoso.ps1 -WhatIf

Shows what would be changed. Nothing is changed.

.EXAMPLE
.\03-onprem-contoso.ps1

Asks before each change.

.EXAMPLE
.\03-onprem-contoso.ps1 -Confirm:$false

Makes the changes without asking.

.NOTES
hybridge plan sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
)

$ErrorActionPreference = 'Stop'
$PlanDigest = 'sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675'
$ScriptName = '03-onprem-contoso.ps1'
$ResultFile = Join-Path -Path (Split-Path -Path $PSScriptRoot -Parent) -ChildPath 'hybridge-result.json'
$PlaceName = 'onprem/contoso'
$PlaceId = 'aaaaaaaa-0000-0000-0000-000000000001'
$IdentityProperty = 'Identity'
$NameProperty = 'Name'
$Patience = 60
$RanElsewhere = $false
# The properties of each kind that a rollback needs, and how they are compared.
$Kinds = @{
    'AcceptedDomain' = @{ 'DomainName' = 'DomainList' }
    'AuthServer' = @{ 'AuthMetadataUrl' = 'Url'; 'DomainName' = 'DomainList'; 'Enabled' = 'Boolean'; 'Realm' = 'Guid'; 'Type' = 'Text' }
    'AuthServerApplication' = @{ 'ApplicationIdentifier' = 'Guid'; 'AuthMetadataUrl' = 'Url'; 'DomainName' = 'DomainList'; 'Identity' = 'Text'; 'Realm' = 'Guid'; 'Type' = 'Text' }
    'AvailabilityAddressSpace' = @{ 'AccessMethod' = 'Text'; 'Credentials' = 'Text'; 'ForestName' = 'Text'; 'ProxyUrl' = 'Url'; 'TargetAutodiscoverEpr' = 'UrlOrNone'; 'UseServiceAccount' = 'Boolean'; 'UserName' = 'Text' }
    'HybridConfiguration' = @{ 'Domains' = 'DomainList'; 'EdgeTransportServers' = 'SettingList'; 'Features' = 'DomainList'; 'OnPremisesSmartHost' = 'Text'; 'ReceivingTransportServers' = 'SettingList'; 'SendingTransportServers' = 'SettingList'; 'ServiceInstance' = 'Text'; 'TlsCertificateName' = 'Text' }
    'IntraOrganizationConnector' = @{ 'DiscoveryEndpoint' = 'Url'; 'Enabled' = 'Boolean'; 'TargetAddressDomains' = 'DomainList'; 'TargetSharingEpr' = 'Url' }
    'OrganizationRelationship' = @{ 'ArchiveAccessEnabled' = 'Boolean'; 'DeliveryReportEnabled' = 'Boolean'; 'DomainNames' = 'DomainList'; 'Enabled' = 'Boolean'; 'FreeBusyAccessEnabled' = 'Boolean'; 'FreeBusyAccessLevel' = 'Level'; 'MailTipsAccessEnabled' = 'Boolean'; 'MailTipsAccessLevel' = 'Level'; 'MailboxMoveEnabled' = 'Boolean'; 'PhotosEnabled' = 'Boolean'; 'TargetApplicationUri' = 'Text'; 'TargetAutodiscoverEpr' = 'Url'; 'TargetOwaURL' = 'Url'; 'TargetSharingEpr' = 'Url' }
    'PartnerApplication' = @{ 'ApplicationIdentifier' = 'Guid'; 'Enabled' = 'Boolean'; 'LinkedAccount' = 'SomeText'; 'Realm' = 'Text' }
    'RemoteDomain' = @{ 'DomainName' = 'DomainList' }
    'RemoteDomainDelivery' = @{ 'DomainName' = 'DomainList'; 'Identity' = 'Text'; 'TargetDeliveryDomain' = 'Boolean'; 'TrustedMailInboundEnabled' = 'Boolean' }
    'SettingOverride' = @{ 'ComponentName' = 'Text'; 'MaxVersion' = 'Text'; 'MinVersion' = 'Text'; 'Parameters' = 'SettingList'; 'Reason' = 'Text'; 'SectionName' = 'Text'; 'Server' = 'SettingList' }
}

# ---- Where this runs

$used = @(
    @{ 'Name' = 'Get-AcceptedDomain'; 'Parameters' = @() }
    @{ 'Name' = 'Get-AuthServer'; 'Parameters' = @() }
    @{ 'Name' = 'Get-AvailabilityAddressSpace'; 'Parameters' = @() }
    @{ 'Name' = 'Get-HybridConfiguration'; 'Parameters' = @() }
    @{ 'Name' = 'Get-IntraOrganizationConnector'; 'Parameters' = @() }
    @{ 'Name' = 'Get-OrganizationRelationship'; 'Parameters' = @() }
    @{ 'Name' = 'Get-PartnerApplication'; 'Parameters' = @() }
    @{ 'Name' = 'Get-RemoteDomain'; 'Parameters' = @() }
    @{ 'Name' = 'Get-SettingOverride'; 'Parameters' = @() }
    @{ 'Name' = 'Remove-AcceptedDomain'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-AuthServer'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-AvailabilityAddressSpace'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-HybridConfiguration'; 'Parameters' = @('Confirm') }
    @{ 'Name' = 'Remove-IntraOrganizationConnector'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-OrganizationRelationship'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-RemoteDomain'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-SettingOverride'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Set-AuthServer'; 'Parameters' = @('ApplicationIdentifier', 'DomainName', 'Identity') }
    @{ 'Name' = 'Set-PartnerApplication'; 'Parameters' = @('Enabled', 'Identity', 'LinkedAccount') }
    @{ 'Name' = 'Set-RemoteDomain'; 'Parameters' = @('Identity', 'TargetDeliveryDomain', 'TrustedMailInboundEnabled') }
)
Assert-Place -Organization 'aaaaaaaa-0000-0000-0000-000000000001' -Servers @{ 'EX1' = '15.2.1748.39' } -Used $used

$known = Read-Result
if ($known.changes.Count -eq 0) {
    throw ('{0} has no change that these scripts made. Nothing was changed.' -f $ResultFile)
}
if ($known.places.Contains($PlaceName) -and [string] $known.places[$PlaceName] -ne $PlaceId) {
    throw ('{0} is about {1}, and this script is for {2}. Nothing was changed.' -f $ResultFile, $known.places[$PlaceName], $PlaceId)
}
foreach ($name in @($known.ids.Keys)) {
    $Run.Ids[$name] = [string] $known.ids[$name]
}

# ---- The changes

try {

    # 1 of 14: undo create HybridConfiguration "Hybrid Configuration"
    $checks1 = @(
        @{ Property = 'Domains'; As = 'DomainList'; Want = @('contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Features'; As = 'DomainList'; Want = @('FreeBusy', 'MoveMailbox', 'Mailtips', 'MessageTracking', 'OwaRedirection', 'OnlineArchive', 'Photos'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/HybridConfiguration/record' -Kind 'HybridConfiguration' -Action 'remove' -What 'create HybridConfiguration "Hybrid Configuration"' -Needs @() -Checks $checks1 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-HybridConfiguration -ErrorAction Stop | Where-Object { Test-Made $_ ($true) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('HybridConfiguration "Hybrid Configuration" in Exchange on-premises, contoso', 'undo create with Remove-HybridConfiguration')) {
            Enter-UndoWrite
            $undo1_1 = @{
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-HybridConfiguration @undo1_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 2 of 14: undo create SettingOverride "EnableExchangeHybrid3PAppFeature"
    $checks2 = @(
        @{ Property = 'Parameters'; As = 'SettingList'; Want = @('Enabled=true'); Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId' -Kind 'SettingOverride' -Action 'remove' -What 'create SettingOverride "EnableExchangeHybrid3PAppFeature"' -Needs @(@{ 'Id' = 'onprem/contoso/HybridConfiguration/record'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks2 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-SettingOverride -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'Global' -Live (Read-Property $_ 'ComponentName')) -and (Test-Same -As Text -Want 'ExchangeOnpremAsThirdPartyAppId' -Live (Read-Property $_ 'SectionName')) -and (Test-Same -As SettingList -Want $null -Live (Read-Property $_ 'Server')) -and (Test-Same -As Text -Want $null -Live (Read-Property $_ 'MinVersion')) -and (Test-Same -As Text -Want $null -Live (Read-Property $_ 'MaxVersion'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('SettingOverride "EnableExchangeHybrid3PAppFeature" in Exchange on-premises, contoso', 'undo create with Remove-SettingOverride')) {
            Enter-UndoWrite
            $undo2_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-SettingOverride @undo2_1
            try {
                $then2_1_1 = @{
                    Argument = 'Refresh'
                    Component = 'VariantConfiguration'
                    Process = 'Microsoft.Exchange.Directory.TopologyService'
                    ErrorAction = 'Stop'
                }
                $null = Get-ExchangeDiagnosticInfo @then2_1_1
            } catch {
                Write-Warning 'Get-ExchangeDiagnosticInfo failed: Exchange takes the setting over by itself within the hour or when its services restart.'
            }
            Confirm-Undo
        }
    }
    Exit-Undo


    # 3 of 14: undo create AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"
    $checks3 = @(
        @{ Property = 'ApplicationIdentifier'; As = 'Guid'; Want = $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId']; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainName'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com', 'contoso.com'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AuthServerApplication/evosts' -Kind 'AuthServerApplication' -Action 'set' -What 'create AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks3 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'AzureAD' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml' -Live (Read-Property $_ 'AuthMetadataUrl'))))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Set-AuthServer')) {
            Enter-UndoWrite
            $undo3_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                ApplicationIdentifier = $null
                DomainName = @(Split-List 'DomainName')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-AuthServer @undo3_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 4 of 14: undo create AvailabilityAddressSpace "contoso.mail.onmicrosoft.com"
    $checks4 = @(
        @{ Property = 'AccessMethod'; As = 'Text'; Want = 'InternalProxy'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AvailabilityAddressSpace/contoso.mail.onmicrosoft.com' -Kind 'AvailabilityAddressSpace' -Action 'remove' -What 'create AvailabilityAddressSpace "contoso.mail.onmicrosoft.com"' -Needs @() -Checks $checks4 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AvailabilityAddressSpace -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'ForestName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AvailabilityAddressSpace "contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'undo create with Remove-AvailabilityAddressSpace')) {
            Enter-UndoWrite
            $undo4_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-AvailabilityAddressSpace @undo4_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 5 of 14: undo create IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"
    $checks5 = @(
        @{ Property = 'DiscoveryEndpoint'; As = 'Url'; Want = 'https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetAddressDomains'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com' -Kind 'IntraOrganizationConnector' -Action 'remove' -What 'create IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/HybridConfiguration/record'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks5 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-IntraOrganizationConnector -ErrorAction Stop | Where-Object { Test-Made $_ (Test-Shared -As DomainList -Want @('contoso.mail.onmicrosoft.com') -Live (Read-Property $_ 'TargetAddressDomains')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-IntraOrganizationConnector')) {
            Enter-UndoWrite
            $undo5_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-IntraOrganizationConnector @undo5_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 6 of 14: undo create OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"
    $checks6 = @(
        @{ Property = 'ArchiveAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Level'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailboxMoveEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://outlook.office.com/mail'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetSharingEpr'; As = 'Url'; Want = 'https://outlook.office365.com/EWS/Exchange.asmx'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com' -Kind 'OrganizationRelationship' -Action 'remove' -What 'create OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/HybridConfiguration/record'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks6 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Made $_ (Test-Shared -As DomainList -Want @('contoso.mail.onmicrosoft.com') -Live (Read-Property $_ 'DomainNames')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-OrganizationRelationship')) {
            Enter-UndoWrite
            $undo6_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-OrganizationRelationship @undo6_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 7 of 14: undo create RemoteDomainDelivery "Hybrid Domain - contoso.onmicrosoft.com"
    $checks7 = @(
        @{ Property = 'TrustedMailInboundEnabled'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/RemoteDomainDelivery/contoso.onmicrosoft.com' -Kind 'RemoteDomainDelivery' -Action 'set' -What 'create RemoteDomainDelivery "Hybrid Domain - contoso.onmicrosoft.com"' -Needs @(@{ 'Id' = 'onprem/contoso/HybridConfiguration/record'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks7 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As DomainList -Want 'contoso.onmicrosoft.com' -Live (Read-Property $_ 'DomainName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomainDelivery "Hybrid Domain - contoso.onmicrosoft.com" in Exchange on-premises, contoso', 'undo create with Set-RemoteDomain')) {
            Enter-UndoWrite
            $undo7_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                TrustedMailInboundEnabled = $false
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-RemoteDomain @undo7_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 8 of 14: undo create RemoteDomain "Hybrid Domain - contoso.onmicrosoft.com"
    $checks8 = @()
    Enter-Undo -Id 'onprem/contoso/RemoteDomain/contoso.onmicrosoft.com' -Kind 'RemoteDomain' -Action 'remove' -What 'create RemoteDomain "Hybrid Domain - contoso.onmicrosoft.com"' -Needs @(@{ 'Id' = 'onprem/contoso/RemoteDomainDelivery/contoso.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks8 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As DomainList -Want 'contoso.onmicrosoft.com' -Live (Read-Property $_ 'DomainName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomain "Hybrid Domain - contoso.onmicrosoft.com" in Exchange on-premises, contoso', 'undo create with Remove-RemoteDomain')) {
            Enter-UndoWrite
            $undo8_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-RemoteDomain @undo8_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 9 of 14: undo create RemoteDomainDelivery "Hybrid Domain - contoso.mail.onmicrosoft.com"
    $checks9 = @(
        @{ Property = 'TargetDeliveryDomain'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/RemoteDomainDelivery/contoso.mail.onmicrosoft.com' -Kind 'RemoteDomainDelivery' -Action 'set' -What 'create RemoteDomainDelivery "Hybrid Domain - contoso.mail.onmicrosoft.com"' -Needs @(@{ 'Id' = 'onprem/contoso/HybridConfiguration/record'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks9 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As DomainList -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'DomainName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomainDelivery "Hybrid Domain - contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'undo create with Set-RemoteDomain')) {
            Enter-UndoWrite
            $undo9_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                TargetDeliveryDomain = $false
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-RemoteDomain @undo9_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 10 of 14: undo create RemoteDomain "Hybrid Domain - contoso.mail.onmicrosoft.com"
    $checks10 = @()
    Enter-Undo -Id 'onprem/contoso/RemoteDomain/contoso.mail.onmicrosoft.com' -Kind 'RemoteDomain' -Action 'remove' -What 'create RemoteDomain "Hybrid Domain - contoso.mail.onmicrosoft.com"' -Needs @(@{ 'Id' = 'onprem/contoso/RemoteDomainDelivery/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks10 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As DomainList -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'DomainName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomain "Hybrid Domain - contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'undo create with Remove-RemoteDomain')) {
            Enter-UndoWrite
            $undo10_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-RemoteDomain @undo10_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 11 of 14: undo create AcceptedDomain "contoso.mail.onmicrosoft.com"
    $checks11 = @()
    Enter-Undo -Id 'onprem/contoso/AcceptedDomain/contoso.mail.onmicrosoft.com' -Kind 'AcceptedDomain' -Action 'remove' -What 'create AcceptedDomain "contoso.mail.onmicrosoft.com"' -Needs @(@{ 'Id' = 'onprem/contoso/HybridConfiguration/record'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks11 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AcceptedDomain -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As DomainList -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'DomainName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AcceptedDomain "contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'undo create with Remove-AcceptedDomain')) {
            Enter-UndoWrite
            $undo11_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-AcceptedDomain @undo11_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 12 of 14: undo update PartnerApplication "Exchange Online"
    $checks12 = @(
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
        @{ Property = 'LinkedAccount'; As = 'SomeText'; Want = 'contoso.com/Users/Exchange Online-ApplicationAccount'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000' -Kind 'PartnerApplication' -Action 'set' -What 'update PartnerApplication "Exchange Online"' -Needs @(@{ 'Id' = 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks12 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-PartnerApplication -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'Exchange Online' -Live (Read-Property $_ 'Identity')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('PartnerApplication "Exchange Online" in Exchange on-premises, contoso', 'undo update with Set-PartnerApplication')) {
            Enter-UndoWrite
            $undo12_1 = @{
                Identity = 'Exchange Online'
                Enabled = $false
                LinkedAccount = $null
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-PartnerApplication @undo12_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 13 of 14: undo create AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"
    $checks13 = @(
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AuthServer/evosts' -Kind 'AuthServer' -Action 'remove' -What 'create AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks13 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'AzureAD' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml' -Live (Read-Property $_ 'AuthMetadataUrl'))))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-AuthServer')) {
            Enter-UndoWrite
            $undo13_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-AuthServer @undo13_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 14 of 14: undo create AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"
    $checks14 = @(
        @{ Property = 'DomainName'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com', 'contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AuthServer/acs' -Kind 'AuthServer' -Action 'remove' -What 'create AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks14 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'MicrosoftACS' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://accounts.accesscontrol.windows.net/11111111-2222-3333-4444-555555555555/metadata/json/1' -Live (Read-Property $_ 'AuthMetadataUrl'))))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AuthServer "ACS - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-AuthServer')) {
            Enter-UndoWrite
            $undo14_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-AuthServer @undo14_1
            Confirm-Undo
        }
    }
    Exit-Undo

} catch {
    Save-Result 'left' ([string] $_)
    Write-Line ('{0} done, {1} passed over; stopped at: {2}' -f $Run.Done.Count, $Run.Passed.Count, $Change.What)
    throw
}
Write-Summary 'Next: 02-online.ps1 of this folder'

exit [int] ($Run.Open.Count -gt 0 -and -not $WhatIfPreference)
