# Stops unless this session is connected to the Exchange Online organization that the plan is about.
function Assert-Place([string] $Organization, [string] $Tenant, [object[]] $Used) {
    if (-not (Get-Command -Name Get-ConnectionInformation -ErrorAction SilentlyContinue)) {
        throw 'This is no Exchange Online PowerShell. Connect as the help of this script says. Nothing was changed.'
    }
    $tenants = @(Get-ConnectionInformation | Where-Object { $_.State -eq 'Connected' } | ForEach-Object { [string] $_.TenantID })
    if ($tenants -notcontains $Tenant -or @($tenants | Sort-Object -Unique).Count -ne 1) {
        throw ('This session is connected to the tenant [{0}]. The script is for {1}. Nothing was changed.' -f ($tenants -join ', '), $Tenant)
    }
    Assert-Right $Used 'This account may not make these changes in Exchange Online'
    $found = Get-OrganizationConfig -ErrorAction Stop
    if ($Organization -and (Expand-Value 'Guid' (Read-Property $found 'Guid')) -ne $Organization) {
        throw ('This is the organization {0}. The script is for {1}. Nothing was changed.' -f (Read-Property $found 'Guid'), $Organization)
    }
}
