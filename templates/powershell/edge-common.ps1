
function Write-EdgeLine([string] $Text) {
    Write-Information -MessageData $Text -InformationAction Continue
}

# Stops unless this is the Exchange Management Shell of the Edge server.
function Assert-EdgeServer([string] $Name) {
    $missing = @('Get-ExchangeServer', 'Get-ReceiveConnector', 'Set-ReceiveConnector', 'Get-ExchangeCertificate' | Where-Object {
        -not (Get-Command -Name $_ -ErrorAction SilentlyContinue)
    })
    if ($missing.Count -gt 0) {
        throw ('This is no Exchange Management Shell. Missing: {0}. Nothing was changed.' -f ($missing -join ', '))
    }
    $short = ($Name -split '\.')[0]
    $here = @(Get-ExchangeServer -ErrorAction Stop | Where-Object { [string] $_.ServerRole -match 'Edge' })
    if (@($here | Where-Object { [string] $_.Name -eq $short }).Count -ne 1 -or [string] $env:COMPUTERNAME -ne $short) {
        throw ('This is not the Edge server {0}. Nothing was changed.' -f $Name)
    }
}

# The connector that takes mail from everywhere.
function Get-EdgeConnector {
    $found = @(Get-ReceiveConnector -ErrorAction Stop | Where-Object {
        $_.Enabled -and
        @($_.Bindings | Where-Object { [string] $_ -match ':25$' }).Count -gt 0 -and
        @($_.RemoteIPRanges | Where-Object { [string] $_ -eq '0.0.0.0-255.255.255.255' }).Count -gt 0
    })
    if ($found.Count -ne 1) {
        throw ('{0} receive connectors take mail from everywhere on port 25: {1}. There must be one. Nothing was changed.' -f $found.Count, (@($found | ForEach-Object { $_.Identity }) -join ', '))
    }
    return $found[0]
}

function Get-EdgeState($Connector) {
    return [ordered]@{
        TlsCertificateName = [string] $Connector.TlsCertificateName
        TlsDomainCapabilities = @($Connector.TlsDomainCapabilities | ForEach-Object { [string] $_ } | Where-Object { $_ })
    }
}

function Test-EdgeState($Live, $Want) {
    $have = @($Live.TlsDomainCapabilities)
    $wanted = @($Want.TlsDomainCapabilities)
    return ($Live.TlsCertificateName -eq $Want.TlsCertificateName -and $have.Count -eq $wanted.Count -and
        @($wanted | Where-Object { $have -notcontains $_ }).Count -eq 0)
}

function Write-EdgeState($Connector, $Want) {
    $set = @{
        Identity = [string] $Connector.Identity
        TlsCertificateName = $null
        TlsDomainCapabilities = $null
        Confirm = $false
        ErrorAction = 'Stop'
    }
    if ($Want.TlsCertificateName) {
        $set.TlsCertificateName = $Want.TlsCertificateName
    }
    if (@($Want.TlsDomainCapabilities).Count -gt 0) {
        $set.TlsDomainCapabilities = @($Want.TlsDomainCapabilities)
    }
    Set-ReceiveConnector @set
}

function Read-EdgeResult {
    if (Test-Path -LiteralPath $ResultFile) {
        return ConvertFrom-Json -InputObject (Get-Content -LiteralPath $ResultFile -Raw -Encoding UTF8)
    }
}

# What was there before is on the disk before the write.
function Save-EdgeResult([string] $Status, $Connector, $Before, $After) {
    $result = [ordered]@{
        apiVersion = 'hybridge/v1'
        kind = 'EdgeResult'
        plan = $Plan
        server = $Server
        connector = [string] $Connector.Identity
        status = $Status
        before = $Before
        after = $After
        time = (Get-Date -Format 'yyyy-MM-ddTHH:mm:ssK')
    }
    [System.IO.File]::WriteAllText($ResultFile, (ConvertTo-Json -InputObject $result -Depth 8))
}
