# hybridge plan: entra
# Run in PowerShell 7 with Microsoft Graph PowerShell, signed in with:
#   Connect-MgGraph -Scopes Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All
# Run this script first: the others ask for what it prints.
# Of the live state it reads only the lists that it adds to: make a new plan when it is old.

$ErrorActionPreference = 'Stop'

# 1 of 9: update ServicePrincipalName "Office 365 Exchange Online"
# Why: Exchange Online gets tokens for the servers of these names
# Risk: Graph takes the list whole; the names that are there, Microsoft's own among them, are sent again
# what others add until this runs stays
$live1of = @{
    Method = 'GET'
    Uri = ('/v1.0/servicePrincipals/' + 'eeeeeeee-0000-0000-0000-000000000005')
}
$live1 = Invoke-MgGraphRequest @live1of
if ($null -eq $live1.servicePrincipalNames) { throw 'The list is not shown. Written without what is on it, it would lose what others put there.' }
$live1servicePrincipalNames = @($live1.servicePrincipalNames | Where-Object { $_ })
$change1Body = @{
    servicePrincipalNames = @($live1servicePrincipalNames + @(@('https://autodiscover.contoso.com/', 'https://mail.contoso.com/', 'https://autodiscover.fabrikam.example/', 'https://mail.fabrikam.example/') | Where-Object { $live1servicePrincipalNames -notcontains $_ }))
}
$change1 = @{
    Method = 'PATCH'
    Uri = ('/v1.0/servicePrincipals/' + 'eeeeeeee-0000-0000-0000-000000000005')
    Body = (ConvertTo-Json -InputObject $change1Body -Depth 10)
    ContentType = 'application/json'
}
$null = Invoke-MgGraphRequest @change1

# 2 of 9: create Application "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"
# Why: Exchange in contoso is this application to the tenant
# Risk: with the permission for EWS (full_access_as_app) the application may open every mailbox of the tenant once it is consented to, with those for Graph read all calendars and mailbox settings; guard the auth certificate's key
$change2Body = @{
    displayName = 'ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001'
    requiredResourceAccess = @(@{ 'resourceAccess' = @(@{ 'id' = 'dc890d15-9560-4a4c-9b7f-a736ec74ec40'; 'type' = 'Role' }); 'resourceAppId' = '00000002-0000-0ff1-ce00-000000000000' })
    signInAudience = 'AzureADMyOrg'
}
$change2 = @{
    Method = 'POST'
    Uri = ('/v1.0/applications')
    Body = (ConvertTo-Json -InputObject $change2Body -Depth 10)
    ContentType = 'application/json'
}
$change2Result = Invoke-MgGraphRequest @change2

# 3 of 9: create KeyCredential "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"
# Why: with this key Exchange in contoso proves that it is the application
# Risk: Graph takes the list whole: keys that are there and still valid are sent again, and keys that have ended go for good
$change3Body = @{
    keyCredentials = @(@{ 'displayName' = 'CN=Microsoft Exchange Server Auth Certificate DAD8ACE6'; 'key' = 'Y29udG9zbyBhdXRoIGNlcnRpZmljYXRl'; 'keyId' = 'dad8ace6-a0eb-829c-aa4b-2549649a9343'; 'type' = 'AsymmetricX509Cert'; 'usage' = 'Verify' }, @{ 'displayName' = 'CN=Microsoft Exchange Server Auth Certificate 3BAF415D'; 'key' = 'Y29udG9zbyBuZXh0'; 'keyId' = '3baf415d-68af-8c72-865f-da61bd0347b3'; 'type' = 'AsymmetricX509Cert'; 'usage' = 'Verify' })
}
$change3 = @{
    Method = 'PATCH'
    Uri = ('/v1.0/applications/' + $change2Result.id)
    Body = (ConvertTo-Json -InputObject $change3Body -Depth 10)
    ContentType = 'application/json'
}
$null = Invoke-MgGraphRequest @change3

# 4 of 9: create ServicePrincipal "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001"
# Why: the application signs in as it
# Risk: disabled, the application gets no tokens
$change4Body = @{
    accountEnabled = $true
    appId = $change2Result.appId
}
$change4 = @{
    Method = 'POST'
    Uri = ('/v1.0/servicePrincipals')
    Body = (ConvertTo-Json -InputObject $change4Body -Depth 10)
    ContentType = 'application/json'
}
$change4Result = Invoke-MgGraphRequest @change4

# 5 of 9: create AppRoleAssignment "ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001 full_access_as_app"
# Why: lookups from contoso need the permission
# Risk: tenant-wide: the application may use the permission on every mailbox
$change5Body = @{
    appRoleId = 'dc890d15-9560-4a4c-9b7f-a736ec74ec40'
    principalId = $change4Result.id
    resourceId = 'eeeeeeee-0000-0000-0000-000000000005'
}
$change5 = @{
    Method = 'POST'
    Uri = ('/v1.0/servicePrincipals/' + $change4Result.id + '/appRoleAssignments')
    Body = (ConvertTo-Json -InputObject $change5Body -Depth 10)
    ContentType = 'application/json'
}
$null = Invoke-MgGraphRequest @change5

# 6 of 9: create Application "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"
# Why: Exchange in fabrikam is this application to the tenant
# Risk: with the permission for EWS (full_access_as_app) the application may open every mailbox of the tenant once it is consented to, with those for Graph read all calendars and mailbox settings; guard the auth certificate's key
$change6Body = @{
    displayName = 'ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002'
    requiredResourceAccess = @(@{ 'resourceAccess' = @(@{ 'id' = 'dc890d15-9560-4a4c-9b7f-a736ec74ec40'; 'type' = 'Role' }); 'resourceAppId' = '00000002-0000-0ff1-ce00-000000000000' })
    signInAudience = 'AzureADMyOrg'
}
$change6 = @{
    Method = 'POST'
    Uri = ('/v1.0/applications')
    Body = (ConvertTo-Json -InputObject $change6Body -Depth 10)
    ContentType = 'application/json'
}
$change6Result = Invoke-MgGraphRequest @change6

# 7 of 9: create KeyCredential "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"
# Why: with this key Exchange in fabrikam proves that it is the application
# Risk: Graph takes the list whole: keys that are there and still valid are sent again, and keys that have ended go for good
$change7Body = @{
    keyCredentials = @(@{ 'displayName' = 'CN=Microsoft Exchange Server Auth Certificate 9E6B3CEB'; 'key' = 'ZmFicmlrYW0gYXV0aCBjZXJ0aWZpY2F0ZQ=='; 'keyId' = '9e6b3ceb-a2e5-8ec7-9184-1acc7baa0781'; 'type' = 'AsymmetricX509Cert'; 'usage' = 'Verify' })
}
$change7 = @{
    Method = 'PATCH'
    Uri = ('/v1.0/applications/' + $change6Result.id)
    Body = (ConvertTo-Json -InputObject $change7Body -Depth 10)
    ContentType = 'application/json'
}
$null = Invoke-MgGraphRequest @change7

# 8 of 9: create ServicePrincipal "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002"
# Why: the application signs in as it
# Risk: disabled, the application gets no tokens
$change8Body = @{
    accountEnabled = $true
    appId = $change6Result.appId
}
$change8 = @{
    Method = 'POST'
    Uri = ('/v1.0/servicePrincipals')
    Body = (ConvertTo-Json -InputObject $change8Body -Depth 10)
    ContentType = 'application/json'
}
$change8Result = Invoke-MgGraphRequest @change8

# 9 of 9: create AppRoleAssignment "ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 full_access_as_app"
# Why: lookups from fabrikam need the permission
# Risk: tenant-wide: the application may use the permission on every mailbox
$change9Body = @{
    appRoleId = 'dc890d15-9560-4a4c-9b7f-a736ec74ec40'
    principalId = $change8Result.id
    resourceId = 'eeeeeeee-0000-0000-0000-000000000005'
}
$change9 = @{
    Method = 'POST'
    Uri = ('/v1.0/servicePrincipals/' + $change8Result.id + '/appRoleAssignments')
    Body = (ConvertTo-Json -InputObject $change9Body -Depth 10)
    ContentType = 'application/json'
}
$null = Invoke-MgGraphRequest @change9

# What the other scripts ask for
Write-Output ('Application5_appId = ' + $change2Result.appId)
Write-Output ('Application12_appId = ' + $change6Result.appId)

exit 0
