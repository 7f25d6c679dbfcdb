# Stops unless this session is signed in to the tenant that the plan is about, with the permissions that are used.
function Assert-Place([string] $Tenant, [string] $Environment, [string[]] $Scopes) {
    $context = Get-MgContext
    if ($null -eq $context) {
        throw 'Nobody is signed in to Microsoft Graph. Connect as the help of this script says. Nothing was changed.'
    }
    if ([string] (Read-Property $context 'TenantId') -ne $Tenant) {
        throw ('This session is signed in to the tenant {0}. The script is for {1}. Nothing was changed.' -f (Read-Property $context 'TenantId'), $Tenant)
    }
    if ([string] (Read-Property $context 'Environment') -ne $Environment) {
        throw ('This session is signed in to the cloud {0}. The script is for {1}. Nothing was changed.' -f (Read-Property $context 'Environment'), $Environment)
    }
    $given = @(Read-Property $context 'Scopes')
    $missing = @($Scopes | Where-Object { $given -notcontains $_ })
    if ($missing.Count -gt 0) {
        throw ('The sign-in lacks the permission {0}. Connect as the help of this script says. Nothing was changed.' -f ($missing -join ', '))
    }
}

# Whether Microsoft Graph refused because it does not know something yet that was just made.
function Test-NotYet($Failure) {
    $text = [string] $Failure
    $status = Read-Property (Read-Property (Read-Property $Failure 'Exception') 'Response') 'StatusCode'
    if ($null -ne $status -and [int] $status -eq 404) {
        return $true
    }
    return $text -match 'NotFound|404|Request_ResourceNotFound|NoBackingApplicationObject|backing application|does not reference a valid application object|Not a valid reference update'
}

# The objects at an address. What was just made is asked for by its id: lists lag behind.
function Read-Graph([string] $Uri, [string] $ById) {
    $ask = @{
        Method = 'GET'
        Uri = $Uri
        ErrorAction = 'Stop'
    }
    if ($ById -and $Change.Made) {
        $ask['Uri'] = '{0}?$select={1}' -f $Change.Made, $ById
    }
    try {
        $answer = Invoke-MgGraphRequest @ask
    } catch {
        if (Test-NotYet $_) {
            return
        }
        throw
    }
    if ($null -ne (Read-Property $answer 'id')) {
        return $answer
    }
    Read-Property $answer 'value'
}

# A write. Microsoft Graph may not know yet what the one before it made.
function Send-Graph([string] $Method, [string] $Uri, $Body) {
    $call = @{
        Method = $Method
        Uri = $Uri
        ErrorAction = 'Stop'
    }
    if ($null -ne $Body) {
        $call['Body'] = ConvertTo-Json -InputObject $Body -Depth 10
        $call['ContentType'] = 'application/json; charset=utf-8'
    }
    $until = (Get-Date).AddSeconds($Run.Patience)
    while ($true) {
        try {
            $answer = Invoke-MgGraphRequest @call
            break
        } catch {
            if ($Method -eq 'DELETE' -or -not (Test-NotYet $_) -or (Get-Date) -ge $until) {
                throw
            }
            Start-Sleep -Seconds 2
        }
    }
    if ($Method -eq 'POST') {
        $Change.Made = $Uri + '/' + [string] (Read-Property $answer 'id')
    }
}
