#Requires -Version 5.1
#Requires -Modules Microsoft.Graph.Authentication

<#
.SYNOPSIS
Undoes the changes of a hybridge plan in Entra: step 1 of the plan.

.DESCRIPTION
Run with Microsoft Graph PowerShell, as Application Administrator and Privileged Role Administrator.
Use a session of its own: this module and Exchange Online PowerShell fail in one process.
Connect with: Connect-MgGraph -TenantId 11111111-2222-3333-4444-555555555555 -Environment Global -Scopes Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All
Without a browser: add -UseDeviceCode.
As an application that has these permissions: Connect-MgGraph -TenantId 11111111-2222-3333-4444-555555555555 -Environment Global -ClientId ID -CertificateThumbprint THUMBPRINT

The script first makes sure that it runs in the right place. It undoes what 01-entra.ps1 did, last change first, by what stands in
hybridge-result.json in the folder above. It sets back only what is as 01-entra.ps1 left it. What has changed since, and what another change
rests on, is left as it is and named (exit code 1).

.EXAMPLE
.\01-entra.ps1 -WhatIf

Shows what would be changed. Nothing is changed.

.EXAMPLE
.\01-entra.ps1

Asks before each change.

.EXAMPLE
.\01-entra.ps1 -Confirm:$false

Makes the changes without asking.

.NOTES
hybridge plan sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
)

$ErrorActionPreference = 'Stop'
$PlanDigest = 'sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675'
$ScriptName = '01-entra.ps1'
$ResultFile = Join-Path -Path (Split-Path -Path $PSScriptRoot -Parent) -ChildPath 'hybridge-result.json'
$PlaceName = 'entra'
$PlaceId = '11111111-2222-3333-4444-555555555555'
$IdentityProperty = 'id'
$NameProperty = 'displayName'
$Patience = 300
$RanElsewhere = $false
# The properties of each kind that a rollback needs, and how they are compared.
$Kinds = @{
    'AppRoleAssignment' = @{ 'appId' = 'Guid'; 'appRoleId' = 'Guid'; 'id' = 'Guid'; 'principalId' = 'Guid'; 'resourceId' = 'Guid' }
    'Application' = @{ 'appId' = 'Guid'; 'displayName' = 'Text'; 'id' = 'Guid'; 'requiredResourceAccess' = 'AccessList'; 'signInAudience' = 'Text' }
    'KeyCredential' = @{ 'appId' = 'Guid'; 'id' = 'Guid'; 'keyCredentials' = 'KeyList' }
    'ServicePrincipal' = @{ 'accountEnabled' = 'Boolean'; 'appId' = 'Guid'; 'id' = 'Guid' }
    'ServicePrincipalName' = @{ 'appId' = 'Guid'; 'id' = 'Guid'; 'servicePrincipalNames' = 'PrincipalNameList' }
}

# ---- Where this runs

Assert-Place -Tenant '11111111-2222-3333-4444-555555555555' -Environment 'Global' -Scopes @('Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All')

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

    # 1 of 9: undo create AppRoleAssignment "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 full_access_as_app"
    $checks1 = @()
    Enter-Undo -Id 'entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app' -Kind 'AppRoleAssignment' -Action 'remove' -What 'create AppRoleAssignment "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 full_access_as_app"' -Needs @(@{ 'Id' = 'online/OrganizationConfig/ews'; 'Script' = '02-online.ps1' }, @{ 'Id' = 'onprem/fabrikam/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-fabrikam.ps1' }, @{ 'Id' = 'onprem/fabrikam/AuthServerApplication/evosts'; 'Script' = '03-onprem-fabrikam.ps1' }) -Checks $checks1 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/servicePrincipals/' + $Run.Ids['ServicePrincipal_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_id'] + '/appRoleAssignments') | Where-Object { Test-Made $_ ((Test-Same -As Guid -Want 'dc890d15-9560-4a4c-9b7f-a736ec74ec40' -Live (Read-Property $_ 'appRoleId')) -and (Test-Same -As Guid -Want $Run.Ids['ServicePrincipal_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_id'] -Live (Read-Property $_ 'principalId')) -and (Test-Same -As Guid -Want 'eeeeeeee-0000-0000-0000-000000000005' -Live (Read-Property $_ 'resourceId'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AppRoleAssignment "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 full_access_as_app" in Entra', 'undo create with DELETE /servicePrincipals/{id}/appRoleAssignments/{item}')) {
            Enter-UndoWrite
            Send-Graph -Method 'DELETE' -Uri ('/v1.0/servicePrincipals/' + $Run.Ids['ServicePrincipal_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_id'] + '/appRoleAssignments/' + [string] (Read-Property $Change.Live 'id'))
            Confirm-Undo
        }
    }
    Exit-Undo


    # 2 of 9: undo create ServicePrincipal "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"
    $checks2 = @(
        @{ Property = 'accountEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'entra/ServicePrincipal/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002' -Kind 'ServicePrincipal' -Action 'remove' -What 'create ServicePrincipal "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"' -Needs @(@{ 'Id' = 'entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app'; 'Script' = '01-entra.ps1' }) -Checks $checks2 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/servicePrincipals?$filter=appId%20eq%20''' + $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId'] + '''&$select=id,appId,displayName,accountEnabled') -ById 'id,appId,displayName,accountEnabled' | Where-Object { Test-Made $_ ((Test-Same -As Guid -Want $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId'] -Live (Read-Property $_ 'appId'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('ServicePrincipal "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002" in Entra', 'undo create with DELETE /servicePrincipals/{id}')) {
            Enter-UndoWrite
            Send-Graph -Method 'DELETE' -Uri ('/v1.0/servicePrincipals/' + [string] (Read-Property $Change.Live 'id'))
            Confirm-Undo
        }
    }
    Exit-Undo


    # 3 of 9: undo create KeyCredential "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"
    $checks3 = @(
        @{ Property = 'keyCredentials'; As = 'KeyList'; Want = @(@{ 'displayName' = 'CN=Microsoft Exchange Server Auth Certificate 9E6B3CEB'; 'key' = 'ZmFicmlrYW0gYXV0aCBjZXJ0aWZpY2F0ZQ=='; 'keyId' = '9e6b3ceb-a2e5-8ec7-9184-1acc7baa0781'; 'type' = 'AsymmetricX509Cert'; 'usage' = 'Verify' }); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'entra/KeyCredential/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002' -Kind 'KeyCredential' -Action 'set' -What 'create KeyCredential "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"' -Needs @(@{ 'Id' = 'onprem/fabrikam/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-fabrikam.ps1' }, @{ 'Id' = 'onprem/fabrikam/AuthServerApplication/evosts'; 'Script' = '03-onprem-fabrikam.ps1' }) -Checks $checks3 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/applications/' + $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_id'] + '?$select=id,appId,displayName,keyCredentials') | Where-Object { Test-Made $_ ((Test-Same -As Guid -Want $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_id'] -Live (Read-Property $_ 'id'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('KeyCredential "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002" in Entra', 'undo create with PATCH /applications/{id}')) {
            Enter-UndoWrite
            $undo3_1 = @{
                keyCredentials = @(Split-List 'keyCredentials')
            }
            Send-Graph -Method 'PATCH' -Uri ('/v1.0/applications/' + [string] (Read-Property $Change.Live 'id')) -Body $undo3_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 4 of 9: undo create Application "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"
    $checks4 = @(
        @{ Property = 'requiredResourceAccess'; As = 'AccessList'; Want = @(@{ 'resourceAccess' = @(@{ 'id' = 'dc890d15-9560-4a4c-9b7f-a736ec74ec40'; 'type' = 'Role' }); 'resourceAppId' = '00000002-0000-0ff1-ce00-000000000000' }); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002' -Kind 'Application' -Action 'remove' -What 'create Application "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"' -Needs @(@{ 'Id' = 'entra/KeyCredential/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002'; 'Script' = '01-entra.ps1' }, @{ 'Id' = 'entra/ServicePrincipal/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002'; 'Script' = '01-entra.ps1' }, @{ 'Id' = 'entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app'; 'Script' = '01-entra.ps1' }, @{ 'Id' = 'online/OrganizationConfig/ews'; 'Script' = '02-online.ps1' }, @{ 'Id' = 'onprem/fabrikam/AuthServerApplication/evosts'; 'Script' = '03-onprem-fabrikam.ps1' }) -Checks $checks4 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/applications?$filter=displayName%20eq%20''' + 'ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002' + '''&$select=id,appId,displayName,requiredResourceAccess,signInAudience') -ById 'id,appId,displayName,requiredResourceAccess,signInAudience' | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002' -Live (Read-Property $_ 'displayName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('Application "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002" in Entra', 'undo create with DELETE /applications/{id}')) {
            Enter-UndoWrite
            Send-Graph -Method 'DELETE' -Uri ('/v1.0/applications/' + [string] (Read-Property $Change.Live 'id'))
            Confirm-Undo
        }
    }
    Exit-Undo


    # 5 of 9: undo create AppRoleAssignment "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001 full_access_as_app"
    $checks5 = @()
    Enter-Undo -Id 'entra/AppRoleAssignment/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001:full_access_as_app' -Kind 'AppRoleAssignment' -Action 'remove' -What 'create AppRoleAssignment "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001 full_access_as_app"' -Needs @(@{ 'Id' = 'online/OrganizationConfig/ews'; 'Script' = '02-online.ps1' }, @{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks5 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/servicePrincipals/' + $Run.Ids['ServicePrincipal_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_id'] + '/appRoleAssignments') | Where-Object { Test-Made $_ ((Test-Same -As Guid -Want 'dc890d15-9560-4a4c-9b7f-a736ec74ec40' -Live (Read-Property $_ 'appRoleId')) -and (Test-Same -As Guid -Want $Run.Ids['ServicePrincipal_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_id'] -Live (Read-Property $_ 'principalId')) -and (Test-Same -As Guid -Want 'eeeeeeee-0000-0000-0000-000000000005' -Live (Read-Property $_ 'resourceId'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('AppRoleAssignment "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001 full_access_as_app" in Entra', 'undo create with DELETE /servicePrincipals/{id}/appRoleAssignments/{item}')) {
            Enter-UndoWrite
            Send-Graph -Method 'DELETE' -Uri ('/v1.0/servicePrincipals/' + $Run.Ids['ServicePrincipal_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_id'] + '/appRoleAssignments/' + [string] (Read-Property $Change.Live 'id'))
            Confirm-Undo
        }
    }
    Exit-Undo


    # 6 of 9: undo create ServicePrincipal "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"
    $checks6 = @(
        @{ Property = 'accountEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Undo -Id 'entra/ServicePrincipal/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001' -Kind 'ServicePrincipal' -Action 'remove' -What 'create ServicePrincipal "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"' -Needs @(@{ 'Id' = 'entra/AppRoleAssignment/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001:full_access_as_app'; 'Script' = '01-entra.ps1' }) -Checks $checks6 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/servicePrincipals?$filter=appId%20eq%20''' + $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'] + '''&$select=id,appId,displayName,accountEnabled') -ById 'id,appId,displayName,accountEnabled' | Where-Object { Test-Made $_ ((Test-Same -As Guid -Want $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'] -Live (Read-Property $_ 'appId'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('ServicePrincipal "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001" in Entra', 'undo create with DELETE /servicePrincipals/{id}')) {
            Enter-UndoWrite
            Send-Graph -Method 'DELETE' -Uri ('/v1.0/servicePrincipals/' + [string] (Read-Property $Change.Live 'id'))
            Confirm-Undo
        }
    }
    Exit-Undo


    # 7 of 9: undo create KeyCredential "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"
    $checks7 = @(
        @{ Property = 'keyCredentials'; As = 'KeyList'; Want = @(@{ 'displayName' = 'CN=Microsoft Exchange Server Auth Certificate DAD8ACE6'; 'key' = 'Y29udG9zbyBhdXRoIGNlcnRpZmljYXRl'; 'keyId' = 'dad8ace6-a0eb-829c-aa4b-2549649a9343'; 'type' = 'AsymmetricX509Cert'; 'usage' = 'Verify' }, @{ 'displayName' = 'CN=Microsoft Exchange Server Auth Certificate 3BAF415D'; 'key' = 'Y29udG9zbyBuZXh0'; 'keyId' = '3baf415d-68af-8c72-865f-da61bd0347b3'; 'type' = 'AsymmetricX509Cert'; 'usage' = 'Verify' }); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'entra/KeyCredential/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001' -Kind 'KeyCredential' -Action 'set' -What 'create KeyCredential "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"' -Needs @(@{ 'Id' = 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com'; 'Script' = '03-onprem-contoso.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks7 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/applications/' + $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_id'] + '?$select=id,appId,displayName,keyCredentials') | Where-Object { Test-Made $_ ((Test-Same -As Guid -Want $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_id'] -Live (Read-Property $_ 'id'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('KeyCredential "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001" in Entra', 'undo create with PATCH /applications/{id}')) {
            Enter-UndoWrite
            $undo7_1 = @{
                keyCredentials = @(Split-List 'keyCredentials')
            }
            Send-Graph -Method 'PATCH' -Uri ('/v1.0/applications/' + [string] (Read-Property $Change.Live 'id')) -Body $undo7_1
            Confirm-Undo
        }
    }
    Exit-Undo


    # 8 of 9: undo create Application "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"
    $checks8 = @(
        @{ Property = 'requiredResourceAccess'; As = 'AccessList'; Want = @(@{ 'resourceAccess' = @(@{ 'id' = 'dc890d15-9560-4a4c-9b7f-a736ec74ec40'; 'type' = 'Role' }); 'resourceAppId' = '00000002-0000-0ff1-ce00-000000000000' }); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Undo -Id 'entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001' -Kind 'Application' -Action 'remove' -What 'create Application "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"' -Needs @(@{ 'Id' = 'entra/KeyCredential/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '01-entra.ps1' }, @{ 'Id' = 'entra/ServicePrincipal/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '01-entra.ps1' }, @{ 'Id' = 'entra/AppRoleAssignment/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001:full_access_as_app'; 'Script' = '01-entra.ps1' }, @{ 'Id' = 'online/OrganizationConfig/ews'; 'Script' = '02-online.ps1' }, @{ 'Id' = 'onprem/contoso/AuthServerApplication/evosts'; 'Script' = '03-onprem-contoso.ps1' }) -Checks $checks8 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/applications?$filter=displayName%20eq%20''' + 'ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001' + '''&$select=id,appId,displayName,requiredResourceAccess,signInAudience') -ById 'id,appId,displayName,requiredResourceAccess,signInAudience' | Where-Object { Test-Made $_ ((Test-Same -As Text -Want 'ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001' -Live (Read-Property $_ 'displayName'))) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('Application "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001" in Entra', 'undo create with DELETE /applications/{id}')) {
            Enter-UndoWrite
            Send-Graph -Method 'DELETE' -Uri ('/v1.0/applications/' + [string] (Read-Property $Change.Live 'id'))
            Confirm-Undo
        }
    }
    Exit-Undo


    # 9 of 9: undo update ServicePrincipalName "Office 365 Exchange Online"
    $checks9 = @(
        @{ Property = 'servicePrincipalNames'; As = 'PrincipalNameList'; Want = @('https://autodiscover.contoso.com/', 'https://mail.contoso.com/', 'https://autodiscover.fabrikam.example/', 'https://mail.fabrikam.example/'); Before = @('00000002-0000-0ff1-ce00-000000000000', 'https://outlook.office365.com'); Joins = $true; Hides = $true }
    )
    Enter-Undo -Id 'entra/ServicePrincipalName/00000002-0000-0ff1-ce00-000000000000' -Kind 'ServicePrincipalName' -Action 'set' -What 'update ServicePrincipalName "Office 365 Exchange Online"' -Needs @(@{ 'Id' = 'online/IntraOrganizationConnector/aaaaaaaa-0000-0000-0000-000000000001'; 'Script' = '04-online.ps1' }, @{ 'Id' = 'online/IntraOrganizationConnector/bbbbbbbb-0000-0000-0000-000000000002'; 'Script' = '04-online.ps1' }) -Checks $checks9 -Permanent ''
    while ($Change.Open) {
        $live = @(Read-Graph -Uri ('/v1.0/servicePrincipals/' + 'eeeeeeee-0000-0000-0000-000000000005' + '?$select=id,appId,displayName,servicePrincipalNames') | Where-Object { (Test-Same -As Text -Want 'eeeeeeee-0000-0000-0000-000000000005' -Live (Read-Property $_ 'id')) })
        if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess('ServicePrincipalName "Office 365 Exchange Online" in Entra', 'undo update with PATCH /servicePrincipals/{id}')) {
            Enter-UndoWrite
            $undo9_1 = @{
                servicePrincipalNames = @(Split-List 'servicePrincipalNames')
            }
            Send-Graph -Method 'PATCH' -Uri ('/v1.0/servicePrincipals/' + 'eeeeeeee-0000-0000-0000-000000000005') -Body $undo9_1
            Confirm-Undo
        }
    }
    Exit-Undo

} catch {
    Save-Result 'left' ([string] $_)
    Write-Line ('{0} done, {1} passed over; stopped at: {2}' -f $Run.Done.Count, $Run.Passed.Count, $Change.What)
    throw
}
Write-Summary 'This was the last script. hybridge plan shows the changes of before.'

exit [int] ($Run.Open.Count -gt 0 -and -not $WhatIfPreference)
