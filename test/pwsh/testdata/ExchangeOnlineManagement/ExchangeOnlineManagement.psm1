# A stand-in for Microsoft's module: its cmdlets ask the admin API of the lab, as those of the module ask the real one.
# LAB_ADMIN_API: where it is; LAB_CATALOGUES: the catalogue of cmdlets and its amendments; LAB_RECORD: a file for a line per connection.
$script:Token = $null

function Write-Record([string] $Text) {
    [System.IO.File]::AppendAllText($env:LAB_RECORD, "$PID $Text`n")
}

function Invoke-Lab([string] $Method, [string] $Path, [string] $Body, [string] $Name) {
    $given = @{
        Method = $Method; Uri = "https://$($env:LAB_ADMIN_API)$Path"; SkipCertificateCheck = $true; SkipHttpErrorCheck = $true
        Headers = @{
            Host = 'outlook.office365.com'; Authorization = "Bearer $($script:Token)"; 'X-CmdletName' = $Name; CommandName = '*'
            'X-AnchorMailbox' = $script:Anchor; 'Connection-Id' = $script:Connection; 'X-ResponseFormat' = 'json'
        }
    }
    if ($Body) {
        $given.Body = [System.Text.Encoding]::UTF8.GetBytes($Body)
        $given.ContentType = 'application/json; charset=utf-8'
    }
    Invoke-WebRequest @given
}

function ConvertTo-Sent($Value) {
    if ($null -eq $Value) { return $null }
    $plain = $Value  # not the value of an if, which would take lists apart
    if ($Value -is [psobject]) { $plain = $Value.psobject.BaseObject }
    if ($plain -is [switch]) { return $plain.IsPresent }
    if ($plain -is [byte[]]) { return @{ '@odata.type' = '#Exchange.ByteArrayType'; Data = [Convert]::ToBase64String($plain) } }
    if ($plain -is [System.Collections.IDictionary]) {
        $table = @{ '@odata.type' = '#Exchange.GenericHashTable' }
        foreach ($key in $plain.Keys) { $table[$key] = ConvertTo-Sent $plain[$key] }
        return $table
    }
    if ($plain -is [System.Collections.IEnumerable] -and $plain -isnot [string]) {
        return , @(foreach ($one in $plain) { ConvertTo-Sent $one })
    }
    return $plain
}

function Invoke-LabCmdlet([string] $Name, [System.Collections.IDictionary] $Bound, $Caller) {
    $parameters = @{}
    foreach ($key in $Bound.Keys) {
        if ($key -notin [System.Management.Automation.Cmdlet]::CommonParameters) { $parameters[$key] = ConvertTo-Sent $Bound[$key] }
    }
    $body = @{ CmdletInput = @{ CmdletName = $Name; Parameters = $parameters } } | ConvertTo-Json -Depth 10 -Compress
    $path = "/adminapi/beta/$($script:Tenant)/InvokeCommand"
    while ($path) {
        $answer = Invoke-Lab POST $path $body $Name
        if ($answer.StatusCode -ge 400) {
            $text = "$($answer.StatusCode)"
            try {
                $failed = ($answer.Content | ConvertFrom-Json).error
                $text = if ($failed.details) { $failed.details[0].message } else { $failed.message }
            } catch { }
            $reason = if ($text -match '^Ex[0-9A-F]+\|[\w.]*?(\w+)\|') { $Matches[1] } else { 'Exception' }
            $record = [System.Management.Automation.ErrorRecord]::new([System.Exception]::new($text), '[Server=LAB,RequestId=0]', 'NotSpecified', $null)
            $record.CategoryInfo.Reason = $reason
            $record.CategoryInfo.Activity = $Name
            $Caller.ThrowTerminatingError($record)
        }
        $path = $null
        if ($answer.Content) {
            $page = $answer.Content | ConvertFrom-Json -DateKind String -Depth 30 -AsHashtable:$false
            foreach ($warning in $page.'@adminapi.warnings') { Write-Warning $warning }
            foreach ($object in $page.value) {
                foreach ($property in @($object.psobject.Properties.Name -like '*@*')) { $object.psobject.Properties.Remove($property) }
                $object
            }
            if ($page.'@odata.nextLink') { $path = ([uri] $page.'@odata.nextLink').PathAndQuery }
        }
    }
}

function Connect-ExchangeOnline {
    [CmdletBinding()]
    param([string] $AccessToken, [string] $Organization, [string] $UserPrincipalName, [string] $ExchangeEnvironmentName,
        [bool] $ShowBanner = $true, [switch] $SkipLoadingFormatData)
    if ($ShowBanner) { [Console]::Error.WriteLine('This V3 EXO PowerShell module contains new cmdlets') }
    if (-not $AccessToken) { throw 'The stand-in takes access tokens alone.' }
    $claims = $AccessToken.Split('.')[1].Replace('-', '+').Replace('_', '/')
    $claims = [System.Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($claims.PadRight([Math]::Ceiling($claims.Length / 4) * 4, '='))) | ConvertFrom-Json
    $script:Token, $script:Tenant, $script:Connection = $AccessToken, $claims.tid, [guid]::NewGuid()
    $script:Anchor = "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@$($script:Tenant)"
    $answer = Invoke-Lab GET "/adminapi/v1.0/$($script:Tenant)/EXOModuleFile?Version=3.9.2" '' ''
    if ($answer.StatusCode -ge 400) { throw "UnAuthorized ($($answer.StatusCode))" }
    $names = @(($answer.Content | ConvertFrom-Json).value.exportedCmdlets) -join ',' -split ','
    $catalogues = foreach ($file in $env:LAB_CATALOGUES -split ':') { Get-Content -Raw -LiteralPath $file | ConvertFrom-Json -AsHashtable }
    foreach ($name in $names) {
        if (-not $catalogues[0][$name]) { continue }
        $parameters = @{}
        foreach ($known in $catalogues) {
            foreach ($key in $known[$name].parameters.Keys) {
                $p = $known[$name].parameters[$key]
                if ($p.where -contains 'online' -and $key -notin 'Confirm', 'WhatIf') {
                    $parameters[$key] = $(if ($p.type -eq 'SwitchParameter') { '[switch] ' } else { '' }) + "`${$key}"
                }
            }
        }
        $text = "[CmdletBinding(SupportsShouldProcess)]param($($parameters.Values -join ','))Invoke-LabCmdlet '$name' `$PSBoundParameters `$PSCmdlet"
        Set-Item -LiteralPath "function:global:$name" -Value $ExecutionContext.SessionState.Module.NewBoundScriptBlock([scriptblock]::Create($text))
    }
    Write-Record "connected $Organization$UserPrincipalName $ExchangeEnvironmentName"
}

function Disconnect-ExchangeOnline {
    [CmdletBinding(SupportsShouldProcess)]
    param()
    $script:Token = $null
    Write-Record 'disconnected'
}

function Get-ConnectionInformation { }
