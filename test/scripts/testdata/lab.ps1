#requires -Version 7.4
# Runs one script of a plan against the lab, as an administrator would in the right session. Its own output ends with exit code
# and error as a line of JSON.
#
# On-premises, each cmdlet is a proxy in a module that runs a remote pipeline, as implicit remoting does. In Exchange Online, it
# is a function of a module that posts to the admin API, as Microsoft's module does. Microsoft Graph is asked over HTTP. The
# gateway of the test adds the token of the application and the lab's addresses.
param(
    [Parameter(Mandatory)] [string] $Script,
    [Parameter(Mandatory)] [string] $Place,
    [Parameter(Mandatory)] [string] $Catalogue,
    [string] $Gateway,
    [string] $Tenant,
    [switch] $Preview                            # with -WhatIf
)
$Arguments = if ($Preview) { @{ WhatIf = $true } } else { @{ Confirm = $false } }
$PSStyle.OutputRendering = 'PlainText'
$ErrorActionPreference = 'Stop'

# The modules that #Requires names.
$modules = (New-Item -ItemType Directory -Path (Join-Path ([System.IO.Path]::GetTempPath()) "modules-$PID")).FullName
foreach ($name in 'Microsoft.Graph.Authentication', 'ExchangeOnlineManagement') {
    $null = New-Item -ItemType Directory -Path (Join-Path $modules $name)
    "@{ ModuleVersion = '9.0'; GUID = '$([guid]::NewGuid())' }" | Set-Content -LiteralPath (Join-Path $modules $name "$name.psd1")
}
$env:PSModulePath = $modules + [System.IO.Path]::PathSeparator + $env:PSModulePath

# A function for each cmdlet that the script names, with the parameters of its side.
function New-CmdletModule([string] $Side, [string] $Body, [object[]] $With) {
    $all = Get-Content -LiteralPath $Catalogue -Raw | ConvertFrom-Json -AsHashtable
    $used = [regex]::Matches((Get-Content -LiteralPath $Script -Raw), '\b[A-Z][a-z]+-[A-Za-z]+\b').Value | Sort-Object -Unique
    $text = foreach ($name in $used | Where-Object { $_ -ne 'Get-ConnectionInformation' }) {
        if (-not $all.ContainsKey($name) -or $all[$name].where -notcontains $Side) { continue }
        $parameters = foreach ($p in $all[$name].parameters.Keys | Sort-Object) {
            $one = $all[$name].parameters[$p]
            if ($one.where -notcontains $Side -or $p -in 'Confirm', 'WhatIf', 'Debug', 'Verbose') { continue }
            $(if ($one.type -eq 'SwitchParameter') { '[switch] $' } else { '[object] $' }) + $p
        }
        "function $name {`n[CmdletBinding(SupportsShouldProcess = `$true)]`nparam($($parameters -join ', '))`n$Body`n}"
    }
    $head = 'param($With)'
    New-Module -Name "tmp_$Side" -ArgumentList (, $With) -ScriptBlock ([scriptblock]::Create("$head`n$($text -join "`n")`nExport-ModuleMember -Function *")) | Import-Module -Global -DisableNameChecking
}
$global:Gateway, $global:Tenant = $Gateway, $Tenant
$session = $null
if ($Place -eq 'entra') {
    function global:Get-MgContext {
        [pscustomobject]@{ TenantId = $global:Tenant; Environment = 'Global'; Scopes = 'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All' }
    }
    # As the module does: JSON becomes hashtables, and an HTTP status that is no success is thrown with its response.
    function global:Invoke-MgGraphRequest {
        [CmdletBinding()]
        param([string] $Method = 'GET', [uri] $Uri, [object] $Body, [string] $ContentType)
        $call = @{ Method = $Method; Uri = $global:Gateway + '/graph' + $Uri.OriginalString; UseBasicParsing = $true }
        if ($Body) { $call.Body = [System.Text.Encoding]::UTF8.GetBytes($Body); $call.ContentType = $ContentType }
        $answer = Invoke-WebRequest @call
        if ($answer.Content) {
            $text = $answer.Content
            if ($text -is [byte[]]) { $text = [System.Text.Encoding]::UTF8.GetString($text) }
            $text | ConvertFrom-Json -AsHashtable
        }
    }
} elseif ($Place -eq 'online') {
    function global:Get-ConnectionInformation { [pscustomobject]@{ State = 'Connected'; TenantID = $global:Tenant } }
    New-CmdletModule 'online' @'
    $given = @{}
    foreach ($name in $PSBoundParameters.Keys) {
        if ($name -in 'ErrorAction', 'Verbose') { continue }
        $value = $PSBoundParameters[$name]
        if ($value -is [switch]) { $value = [bool] $value }
        $given[$name] = $value
    }
    $call = @{
        Method = 'POST'; UseBasicParsing = $true; SkipHttpErrorCheck = $true; ContentType = 'application/json; charset=utf-8'
        Uri = '{0}/online/adminapi/beta/{1}/InvokeCommand' -f $With[0], $With[1]
        Headers = @{
            'X-CmdletName' = $MyInvocation.MyCommand.Name; 'X-ResponseFormat' = 'json'; Accept = 'application/json'
            'X-AnchorMailbox' = 'APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@' + $With[1]; 'X-SerializationLevel' = 'Partial'
            'Client-Request-Id' = [guid]::NewGuid().ToString(); 'Connection-Id' = $With[2]
            'X-ClientApplication' = 'ExoManagementModule'; 'X-ClientModuleVersion' = '3.9.2'
        }
        Body = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -Depth 12 -InputObject @{ CmdletInput = @{ CmdletName = $MyInvocation.MyCommand.Name; Parameters = $given } }))
    }
    try { $answer = Invoke-WebRequest @call } catch {
        Write-Error -Message ('{0}: {1}' -f $MyInvocation.MyCommand.Name, $_) -Category PermissionDenied # a 403 is not what it says it is
        return
    }
    $content = $answer.Content
    if ($content -is [byte[]]) { $content = [System.Text.Encoding]::UTF8.GetString($content) }
    if ($answer.StatusCode -ge 300) {
        Write-Error -Message ('{0}: {1} {2}' -f $MyInvocation.MyCommand.Name, $answer.StatusCode, $content) -Category InvalidOperation
        return
    }
    if ($content) { (ConvertFrom-Json $content).value }
'@ @($Gateway, $Tenant, [guid]::NewGuid().ToString())
} else {
    $session = New-PSSession -HostName exchange
    New-CmdletModule 'onprem' @'
    $pipeline = [powershell]::Create()
    $pipeline.Runspace = $With[0].Runspace
    $null = $pipeline.AddCommand($MyInvocation.MyCommand.Name)
    foreach ($name in $PSBoundParameters.Keys) {
        if ($name -notin 'ErrorAction', 'Verbose') { $null = $pipeline.AddParameter($name, $PSBoundParameters[$name]) }
    }
    $pipeline.Invoke()
    foreach ($record in $pipeline.Streams.Error) { Write-Error -ErrorRecord $record }
    $pipeline.Dispose()
'@ @($session)
}
$failure = ''
$global:LASTEXITCODE = 99
try {
    & $Script @Arguments *>&1 | ForEach-Object { "$_" }
} catch { $failure = "$_" }
if ($session) { Remove-PSSession -Session $session }
Remove-Item -LiteralPath $modules -Recurse -Force
ConvertTo-Json -Compress @{ exit = $global:LASTEXITCODE; error = $failure }
