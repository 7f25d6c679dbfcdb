# A stand-in for an Edge server: its cmdlets keep what they have in a file. Then it runs a script there.
param([string] $State, [string] $Script, [string[]] $More)

$env:COMPUTERNAME = 'EDGE1'
$StateFile = $State
function Read-State { ConvertFrom-Json -InputObject (Get-Content -LiteralPath $StateFile -Raw) -AsHashtable }
function Get-ExchangeServer {
    [CmdletBinding()] param()
    [pscustomobject] @{ Name = (Read-State).name; ServerRole = 'Edge' }
}
function Get-ExchangeCertificate {
    [CmdletBinding()] param()
    foreach ($one in (Read-State).certificates) {
        [pscustomobject] @{
            Issuer = $one.issuer; Subject = $one.subject; NotBefore = (Get-Date).AddDays(-1)
            NotAfter = (Get-Date).AddDays($one.days); Services = 'SMTP'
        }
    }
}
function Get-ReceiveConnector {
    [CmdletBinding()] param()
    foreach ($one in (Read-State).connectors) { [pscustomobject] $one }
}
function Set-ReceiveConnector {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([string] $Identity, $TlsCertificateName, $TlsDomainCapabilities)
    $all = Read-State
    if ($all.refuse) { throw 'Access is denied.' }
    $one = @($all.connectors | Where-Object { $_.Identity -eq $Identity })[0]
    $one.TlsCertificateName = $TlsCertificateName
    $one.TlsDomainCapabilities = @($TlsDomainCapabilities | Where-Object { $_ })
    $all.writes = 1 + [int] $all.writes
    ConvertTo-Json -InputObject $all -Depth 8 | Set-Content -LiteralPath $StateFile
}
$switches = @{}
foreach ($name in $More) {
    if ($name) { $switches[$name.TrimStart('-').Split(':')[0]] = -not $name.EndsWith('$false') }
}
try {
    & $Script @switches
    exit $LASTEXITCODE
} catch {
    Write-Output ('threw: ' + $_)
    exit 7
}
