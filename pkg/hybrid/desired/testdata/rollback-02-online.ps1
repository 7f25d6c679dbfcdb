#Requires -Version 5.1
#Requires -Modules ExchangeOnlineManagement

<#
.SYNOPSIS
Undoes the changes of a hybridge plan in Exchange Online: step 2 of the plan.

.DESCRIPTION
Run in Exchange Online PowerShell, as Organization Management.
Use a session of its own: this module and Microsoft Graph PowerShell fail in one process.
Connect with: Connect-ExchangeOnline
A device code needs PowerShell 7: add -Device there.
As an application: Connect-ExchangeOnline -AppId ID -CertificateThumbprint THUMBPRINT -Organization NAME.onmicrosoft.com

The script first makes sure that it runs in the right place. It undoes what 02-online.ps1 did, last change first, by what stands in
hybridge-result.json in the folder above. It sets back only what is as 02-online.ps1 left it. What has changed since, and what another change
rests on, is left as it is and named (exit code 1).

.EXAMPLE
.\02-online.ps1 -WhatIf

Shows what would be changed. Nothing is changed.

.EXAMPLE
.\02-online.ps1

Asks before each change.

.EXAMPLE
.\02-online.ps1 -Confirm:$false

Makes the changes without asking.

.NOTES
hybridge plan sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
)

$ErrorActionPreference = 'Stop'
$PlanDigest = 'sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675'
$ScriptName = '02-online.ps1'
$ResultFile = Join-Path -Path (Split-Path -Path $PSScriptRoot -Parent) -ChildPath 'hybridge-result.json'
$PlaceName = 'online'
$PlaceId = '11111111-2222-3333-4444-555555555555'
$IdentityProperty = 'Identity'
$NameProperty = 'Name'
$Patience = 60
$RanElsewhere = $false
# The properties of each kind that a rollback needs, and how they are compared.
$Kinds = @{
    'OrganizationConfig' = @{ 'EwsAllowedAppIDs' = 'GuidList'; 'EwsEnabled' = 'Boolean' }
    'OrganizationRelationship' = @{ 'ArchiveAccessEnabled' = 'Boolean'; 'DeliveryReportEnabled' = 'Boolean'; 'DomainNames' = 'DomainList'; 'Enabled' = 'Boolean'; 'FreeBusyAccessEnabled' = 'Boolean'; 'FreeBusyAccessLevel' = 'Level'; 'MailTipsAccessEnabled' = 'Boolean'; 'MailTipsAccessLevel' = 'Level'; 'MailboxMoveEnabled' = 'Boolean'; 'PhotosEnabled' = 'Boolean'; 'TargetApplicationUri' = 'Text'; 'TargetAutodiscoverEpr' = 'Url'; 'TargetOwaURL' = 'Url'; 'TargetSharingEpr' = 'Url' }
}

# ---- Where this runs

$used = @(
    @{ 'Name' = 'Get-OrganizationConfig'; 'Parameters' = @('RetrieveEwsOperationAccessPolicy') }
    @{ 'Name' = 'Get-OrganizationRelationship'; 'Parameters' = @() }
    @{ 'Name' = 'Remove-OrganizationRelationship'; 'Parameters' = @('Confirm', 'Identity') }
    @{ 'Name' = 'Set-OrganizationConfig'; 'Parameters' = @('EwsAllowedAppIDs', 'EwsEnabled') }
)
Assert-Place -Organization 'cccccccc-0000-0000-0000-000000000003' -Tenant '11111111-2222-3333-4444-555555555555' -Used $used

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

    # 1 of 3: undo create OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002"
    $checks1 = @(
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('fabrikam.example', 'o''neil.example'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Level'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://mail.fabrikam.example/owa'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'online/OrganizationRelationship/bbbbbbbb-0000-0000-0000-000000000002' -Kind 'OrganizationRelationship' -Action 'remove' -What 'create OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002"' -Needs @() -Checks $checks1 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Made $_ (Test-Shared -As DomainList -Want @('fabrikam.example', 'o''neil.example') -Live (Read-Property $_ 'DomainNames')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002" in Exchange Online', 'undo create with Remove-OrganizationRelationship')) {
            Enter-UndoWrite
            $undo1_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-OrganizationRelationship @undo1_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 2 of 3: undo create OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001"
    $checks2 = @(
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Level'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://mail.contoso.com/owa'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'online/OrganizationRelationship/aaaaaaaa-0000-0000-0000-000000000001' -Kind 'OrganizationRelationship' -Action 'remove' -What 'create OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001"' -Needs @() -Checks $checks2 -Permanent ''
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Made $_ (Test-Shared -As DomainList -Want @('contoso.com') -Live (Read-Property $_ 'DomainNames')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001" in Exchange Online', 'undo create with Remove-OrganizationRelationship')) {
            Enter-UndoWrite
            $undo2_1 = @{
                Identity = [string] (Read-Property $Change.Live 'Identity')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Remove-OrganizationRelationship @undo2_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 3 of 3: undo update OrganizationConfig "contoso.onmicrosoft.com"
    $checks3 = @(
        @{ Property = 'EwsAllowedAppIDs'; As = 'GuidList'; Want = @($Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'], $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId']); Before = @(); Joins = $true; Hides = $true }
        @{ Property = 'EwsEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'online/OrganizationConfig/ews' -Kind 'OrganizationConfig' -Action 'set' -What 'update OrganizationConfig "contoso.onmicrosoft.com"' -Needs @(@{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/fabrikam/AuthServerApplication/evosts'; 'Script' = '03-onprem-fabrikam.ps1' }) -Checks $checks3 -Permanent ''
    $look3 = @{
        RetrieveEwsOperationAccessPolicy = $true
        ErrorAction = 'Stop'
    }
    while ($Change.Open) {
        $live = @(Get-OrganizationConfig @look3 | Where-Object { (Test-Same -As Text -Want 'contoso.onmicrosoft.com' -Live (Read-Property $_ 'Identity')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationConfig "contoso.onmicrosoft.com" in Exchange Online', 'undo update with Set-OrganizationConfig')) {
            Enter-UndoWrite
            $undo3_1 = @{
                EwsAllowedAppIDs = (@(Split-List 'EwsAllowedAppIDs') -join ',')
                EwsEnabled = $null
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-OrganizationConfig @undo3_1
            Confirm-Undo
        }
    }
    Exit-Undo

} catch {
    Save-Result 'left' ([string] $_)
    Write-Line ('{0} done, {1} passed over; stopped at: {2}' -f $Run.Done.Count, $Run.Passed.Count, $Change.What)
    throw
}
Write-Summary 'Next: 01-entra.ps1 of this folder'

exit [int] ($Run.Open.Count -gt 0 -and -not $WhatIfPreference)
