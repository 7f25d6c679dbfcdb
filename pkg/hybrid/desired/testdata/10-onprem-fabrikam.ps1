# hybridge plan: onprem/fabrikam
# Run in an Exchange Management Shell of forest fabrikam, as Organization Management.
# Run after the scripts whose names come before this one's.
# Of the live state it reads only the lists that it adds to: make a new plan when it is old.
param(
    # appId of entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002, as 00-entra.ps1 prints it
    [Parameter(Mandatory = $true)]
    [string] $Application12_appId
)

$ErrorActionPreference = 'Stop'

# 1 of 7: create AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"
# Why: tokens that Exchange Online presents are checked against it
# Risk: a disabled or wrong auth server refuses every OAuth request of the tenant
$change1 = @{
    Name = 'ACS - cccccccc-0000-0000-0000-000000000003'
    AuthMetadataUrl = 'https://accounts.accesscontrol.windows.net/11111111-2222-3333-4444-555555555555/metadata/json/1'
    DomainName = @('contoso.mail.onmicrosoft.com', 'fabrikam.example', 'o''neil.example')
    Enabled = $true
}
New-AuthServer @change1

# 2 of 7: create AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"
# Why: Exchange asks it for tokens to the tenant
# Risk: a disabled or wrong auth server refuses every OAuth request of the tenant
$change2 = @{
    Name = 'EvoSts - cccccccc-0000-0000-0000-000000000003'
    AuthMetadataUrl = 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml'
    Enabled = $true
    Type = 'AzureAD'
}
$change2Result = New-AuthServer @change2

# 3 of 7: update PartnerApplication "Exchange Online"
# Why: it lets lookups from Exchange Online in
# Risk: disabled, it refuses every lookup from Exchange Online
$change3 = @{
    Identity = 'Exchange Online'
    Enabled = $true
}
Set-PartnerApplication @change3

# 4 of 7: create OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"
# Why: it says what fabrikam and the tenant may ask of each other
# Risk: lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings
$change4 = @{
    Name = 'On-premises to O365 - cccccccc-0000-0000-0000-000000000003'
    ArchiveAccessEnabled = $true
    DeliveryReportEnabled = $true
    DomainNames = @('contoso.mail.onmicrosoft.com')
    Enabled = $true
    FreeBusyAccessEnabled = $true
    FreeBusyAccessLevel = 'LimitedDetails'
    MailTipsAccessEnabled = $true
    MailTipsAccessLevel = 'All'
    MailboxMoveEnabled = $true
    PhotosEnabled = $true
    TargetOwaURL = 'https://outlook.office.com/mail'
    TargetSharingEpr = 'https://outlook.office365.com/EWS/Exchange.asmx'
}
New-OrganizationRelationship @change4

# 5 of 7: create IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"
# Why: lookups from fabrikam go to the tenant with OAuth
# Risk: an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does
# Needs entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app of 00-entra.ps1
# Needs entra/KeyCredential/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 of 00-entra.ps1
$change5 = @{
    Name = 'HybridIOC - cccccccc-0000-0000-0000-000000000003'
    DiscoveryEndpoint = 'https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc'
    Enabled = $true
    TargetAddressDomains = @('contoso.mail.onmicrosoft.com')
}
New-IntraOrganizationConnector @change5

# 6 of 7: create AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"
# Why: Exchange presents itself to the tenant as its own application
# Risk: every on-premises lookup to the tenant is made as this application from then on
# Needs entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app of 00-entra.ps1
# Needs entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 of 00-entra.ps1
# Needs entra/KeyCredential/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002 of 00-entra.ps1
# Needs online/OrganizationConfig/ews of 20-online.ps1
$change6 = @{
    Identity = $change2Result.Identity
    ApplicationIdentifier = $Application12_appId
    DomainName = @('contoso.mail.onmicrosoft.com', 'fabrikam.example', 'o''neil.example')
}
Set-AuthServer @change6

# 7 of 7: create SettingOverride "EnableExchangeHybrid3PAppFeature"
# Why: it makes Exchange use the dedicated application
# Risk: takes effect on every Exchange server of the organization, or on those that it names
$change7 = @{
    Name = 'EnableExchangeHybrid3PAppFeature'
    Component = 'Global'
    Parameters = @('Enabled=true')
    Reason = 'Exchange hybrid: lookups as the dedicated application'
    Section = 'ExchangeOnpremAsThirdPartyAppId'
}
New-SettingOverride @change7
# makes it known to the running services
$change7then1 = @{
    Argument = 'Refresh'
    Component = 'VariantConfiguration'
    Process = 'Microsoft.Exchange.Directory.TopologyService'
}
Get-ExchangeDiagnosticInfo @change7then1

exit 0
