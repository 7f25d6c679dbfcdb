# hybridge plan: online
# Run in Exchange Online PowerShell (Connect-ExchangeOnline), as Organization Management.
# Run after the scripts whose names come before this one's.
# Of the live state it reads only the lists that it adds to: make a new plan when it is old.
param(
    # appId of entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001, as 00-entra.ps1 prints it
    [Parameter(Mandatory = $true)]
    [string] $Application5_appId,
    # appId of entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002, as 00-entra.ps1 prints it
    [Parameter(Mandatory = $true)]
    [string] $Application12_appId
)

$ErrorActionPreference = 'Stop'

# 1 of 5: update OrganizationConfig "contoso.onmicrosoft.com"
# Why: Exchange Online lets only listed applications use EWS, and none at all from 2027-04-01 on
# Risk: with EwsEnabled true and a list, Exchange Online refuses EWS to every application that is not on the list; the list takes up to 24 hours to take effect, the switch about one
# Needs entra/AppRoleAssignment/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001:full_access_as_app of 00-entra.ps1
# Needs entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app of 00-entra.ps1
# Needs entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001 of 00-entra.ps1
# Needs entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 of 00-entra.ps1
# what others add until this runs stays
$live1of = @{
    RetrieveEwsOperationAccessPolicy = $true
}
$live1 = Get-OrganizationConfig @live1of
if (-not $live1.PSObject.Properties['EwsAllowedAppIDs']) { throw 'The list is not shown. Written without what is on it, it would lose what others put there.' }
$live1EwsAllowedAppIDs = @(([string] $live1.EwsAllowedAppIDs) -split ',' | Where-Object { $_ })
$change1 = @{
    EwsAllowedAppIDs = (@($live1EwsAllowedAppIDs + @(@($Application5_appId, $Application12_appId) | Where-Object { $live1EwsAllowedAppIDs -notcontains $_ })) -join ',')
    EwsEnabled = $true
}
Set-OrganizationConfig @change1

# 2 of 5: create OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001"
# Why: it says what the tenant and contoso may ask of each other
# Risk: lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings
$change2 = @{
    Name = 'O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001'
    DeliveryReportEnabled = $true
    DomainNames = @('contoso.com')
    Enabled = $true
    FreeBusyAccessEnabled = $true
    FreeBusyAccessLevel = 'LimitedDetails'
    MailTipsAccessEnabled = $true
    MailTipsAccessLevel = 'All'
    PhotosEnabled = $true
    TargetOwaURL = 'https://mail.contoso.com/owa'
}
New-OrganizationRelationship @change2

# 3 of 5: create IntraOrganizationConnector "HybridIOC - aaaaaaaa-0000-0000-0000-000000000001"
# Why: lookups from the tenant go to contoso with OAuth
# Risk: an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does
# Needs entra/ServicePrincipalName/00000002-0000-0ff1-ce00-000000000000 of 00-entra.ps1
# Needs onprem/contoso/AuthServer/acs of 10-onprem-contoso.ps1
# Needs onprem/contoso/AuthServer/evosts of 10-onprem-contoso.ps1
# Needs onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000 of 10-onprem-contoso.ps1
$change3 = @{
    Name = 'HybridIOC - aaaaaaaa-0000-0000-0000-000000000001'
    DiscoveryEndpoint = 'https://autodiscover.contoso.com/autodiscover/autodiscover.svc'
    Enabled = $true
    TargetAddressDomains = @('contoso.com')
}
New-IntraOrganizationConnector @change3

# 4 of 5: create OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002"
# Why: it says what the tenant and fabrikam may ask of each other
# Risk: lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings
$change4 = @{
    Name = 'O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002'
    DeliveryReportEnabled = $true
    DomainNames = @('fabrikam.example', 'o''neil.example')
    Enabled = $true
    FreeBusyAccessEnabled = $true
    FreeBusyAccessLevel = 'LimitedDetails'
    MailTipsAccessEnabled = $true
    MailTipsAccessLevel = 'All'
    PhotosEnabled = $true
    TargetOwaURL = 'https://mail.fabrikam.example/owa'
}
New-OrganizationRelationship @change4

# 5 of 5: create IntraOrganizationConnector "HybridIOC - bbbbbbbb-0000-0000-0000-000000000002"
# Why: lookups from the tenant go to fabrikam with OAuth
# Risk: an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does
# Needs entra/ServicePrincipalName/00000002-0000-0ff1-ce00-000000000000 of 00-entra.ps1
# Needs onprem/fabrikam/AuthServer/acs of 10-onprem-fabrikam.ps1
# Needs onprem/fabrikam/AuthServer/evosts of 10-onprem-fabrikam.ps1
# Needs onprem/fabrikam/PartnerApplication/00000002-0000-0ff1-ce00-000000000000 of 10-onprem-fabrikam.ps1
$change5 = @{
    Name = 'HybridIOC - bbbbbbbb-0000-0000-0000-000000000002'
    DiscoveryEndpoint = 'https://autodiscover.fabrikam.example/autodiscover/autodiscover.svc'
    Enabled = $true
    TargetAddressDomains = @('fabrikam.example', 'o''neil.example')
}
New-IntraOrganizationConnector @change5

exit 0
