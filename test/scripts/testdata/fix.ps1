#requires -Version 7.4
# Runs the scripts of check --fix-script against a strict stand-in for the module ActiveDirectory, and writes the directory
# after each run as JSON. fix_test.go compares.
param(
    [Parameter(Mandatory)] [string] $Folder,     # of the scripts
    [Parameter(Mandatory)] [string] $Directory,  # JSON: the objects by distinguished name, each with its attributes as lists
    [Parameter(Mandatory)] [string] $Changed,    # JSON: the objects after others changed some
    [Parameter(Mandatory)] [string] $Out,
    [Parameter(Mandatory)] [string] $Forest
)
$PSStyle.OutputRendering = 'PlainText'
$scratch = (New-Item -ItemType Directory -Path (Join-Path ([System.IO.Path]::GetTempPath()) "fix-$PID")).FullName
$module = (New-Item -ItemType Directory -Path (Join-Path $scratch 'ActiveDirectory')).FullName
@'
$global:Calls = @()
function Open-Object($Identity, $Server) {
    if ($Server -cne 'dc1.contoso.example') { throw "no server $Server" }
    $object = $global:Objects[$Identity]
    if (-not $object) { throw "Cannot find an object with identity: '$Identity'" }
    $object
}
function Test-Attribute($Name) {
    if ($Name -cnotin 'userPrincipalName', 'proxyAddresses', 'mail', 'mailNickname', 'targetAddress', 'homeMDB') {
        throw "One or more properties are invalid: $Name"
    }
}
function Get-ADObject {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Identity, [string[]] $Properties, [string] $Server, [pscredential] $Credential)
    $found = Open-Object $Identity $Server
    $out = @{ DistinguishedName = $Identity }
    foreach ($p in $Properties) {
        Test-Attribute $p
        $out[$p] = [System.Collections.ArrayList]@($found[$p])   # as ADPropertyValueCollection: empty when there is none
    }
    $out
}
function Set-ADObject {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory)] [string] $Identity, [hashtable] $Add, [hashtable] $Remove, [hashtable] $Replace,
        [string[]] $Clear, [string] $Server, [pscredential] $Credential)
    $found = Open-Object $Identity $Server
    if (-not $PSCmdlet.ShouldProcess($Identity)) { return }
    $global:Calls += $Identity
    foreach ($change in $Remove, $Add, $Replace) {
        foreach ($p in $change.Keys) {
            Test-Attribute $p
            if (-not $change[$p]) { throw "$p has no value" }
        }
    }
    foreach ($p in $Remove.Keys) {
        foreach ($v in @($Remove[$p])) {
            if ($found[$p] -cnotcontains $v) { throw "The attribute cannot be removed because it does not exist: $v" }
            $found[$p] = @($found[$p] | Where-Object { $_ -cne $v })
        }
    }
    foreach ($p in $Add.Keys) {
        foreach ($v in @($Add[$p])) {
            if ($found[$p] -ccontains $v) { throw "The specified value already exists: $v" }
            if ($p -cne 'proxyAddresses' -and $found[$p].Count) { throw "Multiple values were specified for $p" }
            $found[$p] = @($found[$p]) + $v
        }
    }
    foreach ($p in $Replace.Keys) { $found[$p] = @($Replace[$p]) }
    foreach ($p in $Clear) {
        Test-Attribute $p
        if (-not $found[$p].Count) { throw "$p is not set" }
        $found[$p] = @()
    }
}
Export-ModuleMember -Function Get-ADObject, Set-ADObject
'@ | Set-Content -LiteralPath (Join-Path $module 'ActiveDirectory.psm1')
$env:PSModulePath = $scratch + [System.IO.Path]::PathSeparator + $env:PSModulePath
Import-Module ActiveDirectory

function Read-Directory($Path) { $global:Objects = Get-Content -LiteralPath $Path -Raw | ConvertFrom-Json -AsHashtable }
function Invoke-Fix($Step, $Script, [switch] $WhatIf) {
    $global:Calls = @()
    $warnings = @()
    $failed = ''
    try {
        & (Join-Path $Folder $Script) -Server dc1.contoso.example -Confirm:$false -WhatIf:$WhatIf -WarningVariable warnings `
            -WarningAction SilentlyContinue *> $null
    }
    catch { $failed = "$_" }
    [ordered]@{ step = $Step; calls = $global:Calls.Count; warnings = @($warnings | ForEach-Object { "$_" }); failed = $failed
        objects = $global:Objects } | ConvertTo-Json -Depth 5 -Compress | Add-Content -LiteralPath $Out
}
[System.IO.File]::WriteAllText($Out, '')
Read-Directory $Directory
Invoke-Fix 'what if' "fix-$Forest.ps1" -WhatIf
Invoke-Fix 'fix' "fix-$Forest.ps1"
Invoke-Fix 'fix again' "fix-$Forest.ps1"
Invoke-Fix 'undo' "undo-$Forest.ps1"
Invoke-Fix 'undo again' "undo-$Forest.ps1"
Read-Directory $Changed
Invoke-Fix 'after others' "fix-$Forest.ps1"
Remove-Item -LiteralPath $scratch -Recurse
