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
hybridge plan sha256:ffe48e1f7f31ba48e1864bcdbcf24aee81ffccf63f84974b21aaa233a80df3e4
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
)

$ErrorActionPreference = 'Stop'
$PlanDigest = 'sha256:ffe48e1f7f31ba48e1864bcdbcf24aee81ffccf63f84974b21aaa233a80df3e4'
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
    'AuthServer' = @{ 'AuthMetadataUrl' = 'Url'; 'DomainName' = 'DomainList'; 'Enabled' = 'Boolean'; 'Realm' = 'Guid'; 'Type' = 'Text' }
    'AuthServerApplication' = @{ 'ApplicationIdentifier' = 'Guid'; 'AuthMetadataUrl' = 'Url'; 'DomainName' = 'DomainList'; 'Identity' = 'Text'; 'Realm' = 'Guid'; 'Type' = 'Text' }
    'IntraOrganizationConnector' = @{ 'DiscoveryEndpoint' = 'Url'; 'Enabled' = 'Boolean'; 'TargetAddressDomains' = 'DomainList'; 'TargetSharingEpr' = 'Url' }
    'OrganizationRelationship' = @{ 'ArchiveAccessEnabled' = 'Boolean'; 'DeliveryReportEnabled' = 'Boolean'; 'DomainNames' = 'DomainList'; 'Enabled' = 'Boolean'; 'FreeBusyAccessEnabled' = 'Boolean'; 'FreeBusyAccessLevel' = 'Level'; 'MailTipsAccessEnabled' = 'Boolean'; 'MailTipsAccessLevel' = 'Text'; 'MailboxMoveEnabled' = 'Boolean'; 'PhotosEnabled' = 'Boolean'; 'TargetOwaURL' = 'Url'; 'TargetSharingEpr' = 'Url' }
    'PartnerApplication' = @{ 'ApplicationIdentifier' = 'Guid'; 'Enabled' = 'Boolean'; 'LinkedAccount' = 'SomeText'; 'Realm' = 'Text' }
    'SettingOverride' = @{ 'ComponentName' = 'Text'; 'MaxVersion' = 'Text'; 'MinVersion' = 'Text'; 'Parameters' = 'SettingList'; 'Reason' = 'Text'; 'SectionName' = 'Text'; 'Server' = 'SettingList' }
}

# ---- Where this runs

$used = @(
    @{ 'Name' = 'Get-AuthServer'; 'Parameters' = @() }
    @{ 'Name' = 'Get-IntraOrganizationConnector'; 'Parameters' = @() }
    @{ 'Name' = 'Get-OrganizationRelationship'; 'Parameters' = @() }
    @{ 'Name' = 'Get-PartnerApplication'; 'Parameters' = @() }
    @{ 'Name' = 'Get-SettingOverride'; 'Parameters' = @() }
    @{ 'Name' = 'Remove-AuthServer'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-IntraOrganizationConnector'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-OrganizationRelationship'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Remove-SettingOverride'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Set-AuthServer'; 'Parameters' = @('ApplicationIdentifier', 'DomainName', 'Identity') }
    @{ 'Name' = 'Set-PartnerApplication'; 'Parameters' = @('Enabled', 'Identity', 'LinkedAccount') }
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

    # 1 of 7: undo create SettingOverride "EnableExchangeHybrid3PAppFeature"
    $checks1 = @(
        @{ Property = 'Parameters'; As = 'SettingList'; Want = @('Enabled=true'); Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId' -Kind 'SettingOverride' -Action 'remove' -What 'create SettingOverride "EnableExchangeHybrid3PAppFeature"' -Needs @() -Checks $checks1 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-SettingOverride -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'Global' -Live (Read-Property $_ 'ComponentName')) -and (Test-Same -As Text -Want 'ExchangeOnpremAsThirdPartyAppId' -Live (Read-Property $_ 'SectionName')) -and (Test-Same -As SettingList -Want $null -Live (Read-Property $_ 'Server')) -and (Test-Same -As Text -Want $null -Live (Read-Property $_ 'MinVersion')) -and (Test-Same -As Text -Want $null -Live (Read-Property $_ 'MaxVersion'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('SettingOverride "EnableExchangeHybrid3PAppFeature" in Exchange on-premises, contoso', 'undo create with Remove-SettingOverride')) {
            Enter-UndoWrite
            $undo1_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-SettingOverride @undo1_1
            try {
                $then1_1_1 = @{
                    Argument = 'Refresh'
                    Component = 'VariantConfiguration'
                    Process = 'Microsoft.Exchange.Directory.TopologyService'
                    ErrorAction = 'Stop'
                }
                $null = Get-ExchangeDiagnosticInfo @then1_1_1
            } catch {
                Write-Warning 'Get-ExchangeDiagnosticInfo failed. Exchange takes the setting over by itself within the hour or when its services restart.'
            }
            Confirm-Undo
        }
    }
    Exit-Undo


    # 2 of 7: undo create AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"
    $checks2 = @(
        @{ Property = 'ApplicationIdentifier'; As = 'Guid'; Want = $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId']; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainName'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com', 'contoso.com'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AuthServerApplication/evosts' -Kind 'AuthServerApplication' -Action 'set' -What 'create AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks2 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'AzureAD' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml' -Live (Read-Property $_ 'AuthMetadataUrl'))))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Set-AuthServer')) {
            Enter-UndoWrite
            $undo2_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                ApplicationIdentifier = $null
                DomainName = @(Split-List 'DomainName')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-AuthServer @undo2_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 3 of 7: undo create IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"
    $checks3 = @(
        @{ Property = 'DiscoveryEndpoint'; As = 'Url'; Want = 'https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetAddressDomains'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com' -Kind 'IntraOrganizationConnector' -Action 'remove' -What 'create IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks3 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-IntraOrganizationConnector -ErrorAction Stop | Where-Object { Test-Made $_ (Test-Shared -As DomainList -Want @('contoso.mail.onmicrosoft.com') -Live (Read-Property $_ 'TargetAddressDomains')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-IntraOrganizationConnector')) {
            Enter-UndoWrite
            $undo3_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-IntraOrganizationConnector @undo3_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 4 of 7: undo create OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"
    $checks4 = @(
        @{ Property = 'ArchiveAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Text'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailboxMoveEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://outlook.office.com/mail'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetSharingEpr'; As = 'Url'; Want = 'https://outlook.office365.com/EWS/Exchange.asmx'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com' -Kind 'OrganizationRelationship' -Action 'remove' -What 'create OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks4 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Made $_ (Test-Shared -As DomainList -Want @('contoso.mail.onmicrosoft.com') -Live (Read-Property $_ 'DomainNames')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-OrganizationRelationship')) {
            Enter-UndoWrite
            $undo4_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-OrganizationRelationship @undo4_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 5 of 7: undo update PartnerApplication "Exchange Online"
    $checks5 = @(
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
        @{ Property = 'LinkedAccount'; As = 'SomeText'; Want = 'contoso.com/Users/Exchange Online-ApplicationAccount'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000' -Kind 'PartnerApplication' -Action 'set' -What 'update PartnerApplication "Exchange Online"' -Needs @(@{ 'Id' = 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks5 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-PartnerApplication -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'Exchange Online' -Live (Read-Property $_ 'Identity')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('PartnerApplication "Exchange Online" in Exchange on-premises, contoso', 'undo update with Set-PartnerApplication')) {
            Enter-UndoWrite
            $undo5_1 = @{
                Identity = 'Exchange Online'
                Enabled = $false
                LinkedAccount = $null
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-PartnerApplication @undo5_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 6 of 7: undo create AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"
    $checks6 = @(
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AuthServer/evosts' -Kind 'AuthServer' -Action 'remove' -What 'create AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks6 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'AzureAD' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml' -Live (Read-Property $_ 'AuthMetadataUrl'))))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-AuthServer')) {
            Enter-UndoWrite
            $undo6_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-AuthServer @undo6_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 7 of 7: undo create AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"
    $checks7 = @(
        @{ Property = 'DomainName'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com', 'contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'onprem/contoso/AuthServer/acs' -Kind 'AuthServer' -Action 'remove' -What 'create AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"' -Needs @(@{ 'Id' = 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks7 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'MicrosoftACS' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://accounts.accesscontrol.windows.net/11111111-2222-3333-4444-555555555555/metadata/json/1' -Live (Read-Property $_ 'AuthMetadataUrl'))))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AuthServer "ACS - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'undo create with Remove-AuthServer')) {
            Enter-UndoWrite
            $undo7_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-AuthServer @undo7_1
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
