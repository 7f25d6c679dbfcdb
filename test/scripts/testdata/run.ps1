#requires -Version 7.4
# Runs the scripts of a plan against strict stand-ins for the cmdlets and for Microsoft Graph, many times in one process, and
# writes what was called as JSON lines. scripts_test.go compares.
#
# -As says what the cmdlets are: global functions, functions of a module (as Exchange Online PowerShell makes them), or proxies
# of implicit remoting (as in the Exchange Management Shell).
param(
    [Parameter(Mandatory)] [string] $WorldFile,    # JSON: scripts, places with their objects, tenant
    [Parameter(Mandatory)] [string] $Folder,     # of the scripts; it is copied
    [Parameter(Mandatory)] [string] $Out,
    [Parameter(Mandatory)] [string] $Catalogue,
    [Parameter(Mandatory)] [string] $StandIns,   # stand_in.ps1
    [ValidateSet('Function', 'Module', 'Remote')] [string] $As = 'Function',
    [switch] $Refusals                           # each script again, stopped at each of its writes, and resumed
)
$PSStyle.OutputRendering = 'PlainText'
$world = Get-Content -LiteralPath $WorldFile -Raw | ConvertFrom-Json -AsHashtable
$scratch = (New-Item -ItemType Directory -Path (Join-Path ([System.IO.Path]::GetTempPath()) "scripts-$PID")).FullName
$record = Join-Path $scratch 'record.jsonl'
[System.IO.File]::WriteAllText($record, '')
[System.IO.File]::WriteAllText($Out, '')

# The modules that #Requires names.
foreach ($name in 'Microsoft.Graph.Authentication', 'ExchangeOnlineManagement') {
    $null = New-Item -ItemType Directory -Path (Join-Path $scratch $name)
    "@{ ModuleVersion = '9.0'; GUID = '$([guid]::NewGuid())' }" | Set-Content -LiteralPath (Join-Path $scratch $name "$name.psd1")
}
$env:PSModulePath = $scratch + [System.IO.Path]::PathSeparator + $env:PSModulePath
# What waits does not wait: the clock goes forward.
$global:Skew = 0.0
function global:Start-Sleep { param($Seconds, $Milliseconds) $global:Skew += [double] $Seconds }
function global:Get-Date {
    param([string] $Format)
    $now = [datetime]::Now.AddSeconds($global:Skew)
    if ($Format) { return $now.ToString($Format, [cultureinfo]::InvariantCulture) }
    $now
}

# ---- Exchange, at the far end when cmdlets are remote
$setup = {
    param($StandIns, $Catalogue, $record, $names, $realm)
    $env:STANDIN_REALM = $realm
    $global:Sides = @{}
    foreach ($side in 'onprem', 'online') {
        . $StandIns -Catalogue $Catalogue -Cmdlet $names -Record $record -Where $side
        $global:Sides[$side] = @{ Lists = $global:StandIn.Lists; Properties = $global:StandIn.Properties; Functions = @{} }
        foreach ($name in $names) {
            if (Test-Path -LiteralPath "function:$name") {
                $global:Sides[$side].Functions[$name] = (Get-Item -LiteralPath "function:$name").ScriptBlock
                Remove-Item -LiteralPath "function:$name"
            }
        }
    }
    $global:Stores = @{}
    $global:Refuse = 0
    $global:Writes = 0
    Set-Item -LiteralPath function:global:Invoke-StandInReal -Value (Get-Item -LiteralPath function:Invoke-StandIn).ScriptBlock
    # Exchange refuses with an error that does not terminate.
    function global:Invoke-StandIn {
        param([string] $Name, [System.Collections.IDictionary] $Bound, [string] $Set)
        if ($Name -notlike 'Get-*' -or $Name -eq 'Get-ExchangeDiagnosticInfo') {
            $global:Writes++
            if ($global:Writes -eq $global:Refuse) {
                Write-Error -Message "the stand-in refuses $Name" -Category InvalidOperation
                return
            }
        }
        if ($Name -like 'New-*') {
            foreach ($object in (Get-StandInStore ($Name -split '-', 2)[1])) {
                if ("$($object.Name)" -eq "$($Bound['Name'])") {
                    Write-Error -Message "${Name}: an object '$($Bound['Name'])' exists already" -Category ResourceExists
                    return
                }
            }
        }
        # A certificate goes by its thumbprint and not by an identity.
        $others = @()
        if ($Name -eq 'Remove-ExchangeCertificate') {
            $others = @((Get-StandInStore 'ExchangeCertificate') | Where-Object { $_.Thumbprint -ne $Bound['Thumbprint'] })
        }
        Invoke-StandInReal $Name $Bound $Set
        foreach ($one in $others) { (Get-StandInStore 'ExchangeCertificate').Add($one) }
        if ($Name -in 'New-ExchangeCertificate', 'Import-ExchangeCertificate') {
            $store = Get-StandInStore 'ExchangeCertificate'
            if ($Name -like 'New-*') {
                $store.RemoveAt($store.Count - 1)
                $request = [System.Security.Cryptography.X509Certificates.CertificateRequest]::new($Bound['SubjectName'],
                    [System.Security.Cryptography.RSA]::Create(2048), 'SHA256', [System.Security.Cryptography.RSASignaturePadding]::Pkcs1)
                $made = $request.CreateSelfSigned([datetimeoffset]::UtcNow.AddHours(-1), [datetimeoffset]::UtcNow.AddYears(5))
            } else {
                $made = [System.Security.Cryptography.X509Certificates.X509Certificate2]::new([byte[]] $Bound['FileData'], [securestring] $Bound['Password'])
            }
            $object = [pscustomobject]@{ Thumbprint = $made.Thumbprint; Subject = $made.Subject; NotAfter = $made.NotAfter; RawData = $made.RawData }
            Add-StandInProperty $object 'ExchangeCertificate'
            $store.Add($object)
        }
        if ($Name -eq 'Set-AuthConfig') {
            foreach ($object in (Get-StandInStore 'AuthConfig')) {
                $now = @{ Current = $object.CurrentCertificateThumbprint; Next = $object.NextCertificateThumbprint; Previous = $object.PreviousCertificateThumbprint }
                if ($Bound['NewCertificateThumbprint']) { $now.Next = $Bound['NewCertificateThumbprint'] }
                if ($Bound['PublishCertificate']) { $now.Previous, $now.Current, $now.Next = $now.Current, $now.Next, '' }
                if ($Bound['CertificateThumbprint']) { $now.Previous, $now.Current = $now.Current, $Bound['CertificateThumbprint'] }
                if ($Bound['ClearPreviousCertificate']) { $now.Previous = '' }
                if ($Bound['NewCertificateEffectiveDate']) { Add-Member -InputObject $object -NotePropertyName NextCertificateEffectiveDate -NotePropertyValue $Bound['NewCertificateEffectiveDate'] -Force }
                foreach ($which in $now.Keys) { Add-Member -InputObject $object -NotePropertyName "$($which)CertificateThumbprint" -NotePropertyValue $now[$which] -Force }
            }
        }
        # The stand-ins make objects with New- alone.
        if ($Name -like 'Add-*') {
            $noun = ($Name -split '-', 2)[1]
            $given = [ordered]@{ Identity = [guid]::NewGuid().ToString() }
            foreach ($key in $Bound.Keys | Where-Object { $_ -ne 'Confirm' }) { $given[$key] = $Bound[$key] }
            $object = [pscustomobject] $given
            Add-StandInProperty $object $noun
            (Get-StandInStore $noun).Add($object)
        }
    }
    # A place's objects. Text: as JSON; nothing: the ones of before.
    function global:Set-Store($Place, $Text) {
        if ($Text) {
            $store = @{}
            $given = $Text | ConvertFrom-Json -AsHashtable
            foreach ($noun in $given.Keys) {
                $store[$noun] = [System.Collections.Generic.List[object]]::new()
                foreach ($one in $given[$noun]) {
                    $object = [pscustomobject] $one
                    Add-StandInProperty $object $noun
                    $store[$noun].Add($object)
                }
            }
            $global:Stores[$Place] = $store
        }
        $global:StandIn.Store = $global:Stores[$Place]
    }
    function global:Copy-Store($Place, $Copy) {
        if ($null -eq $Copy) {
            return [System.Management.Automation.PSSerializer]::Serialize($global:Stores[$Place], 6)
        }
        $store = @{}
        $kept = [System.Management.Automation.PSSerializer]::Deserialize($Copy)
        foreach ($noun in $kept.Keys) {
            $store[$noun] = [System.Collections.Generic.List[object]]::new()
            foreach ($one in $kept[$noun]) { $store[$noun].Add($one) }
        }
        $global:Stores[$Place] = $store
    }
    function global:Enter-Side($Side) {
        $global:StandIn.Lists, $global:StandIn.Properties = $global:Sides[$Side].Lists, $global:Sides[$Side].Properties
        foreach ($one in $global:Sides.Values) { foreach ($name in $one.Functions.Keys) { Remove-Item -LiteralPath "function:$name" -ErrorAction Ignore } }
        foreach ($name in $global:Sides[$Side].Functions.Keys) { Set-Item -LiteralPath "function:global:$name" -Value $global:Sides[$Side].Functions[$name] }
    }
    function global:Set-Refusal($Number) { $global:Refuse, $global:Writes = $Number, 0 }
}
$known = @{}
foreach ($name in (Get-Content -LiteralPath $Catalogue -Raw | ConvertFrom-Json -AsHashtable).Keys) { $known[$name] = $true }
$names = @(foreach ($file in Get-ChildItem -LiteralPath $Folder -Filter *.ps1 -Recurse) {
    [regex]::Matches((Get-Content -LiteralPath $file.FullName -Raw), '\b[A-Z][a-z]+-[A-Za-z]+\b').Value | Where-Object { $known.ContainsKey($_) }
}) | Sort-Object -Unique
$session = $null
if ($As -eq 'Remote') {
    $ssh = Join-Path $scratch 'ssh'
    [System.IO.File]::WriteAllText($ssh, "#!/bin/sh`nexec '$([System.Environment]::ProcessPath)' -s -NoLogo -NoProfile`n")
    [System.IO.File]::SetUnixFileMode($ssh, 'UserRead, UserWrite, UserExecute')
    $env:PATH = $scratch + [System.IO.Path]::PathSeparator + $env:PATH
    $session = New-PSSession -HostName exchange
}
function Invoke-There([scriptblock] $Block, [object[]] $With) {
    if ($session) { Invoke-Command -Session $session -ScriptBlock $Block -ArgumentList $With } else { & $Block @With }
}
Invoke-There $setup @($StandIns, $Catalogue, $record, $names, $world.tenant)

$script:module = $null
$script:at = ''
function Enter-Place([string] $Place) {
    foreach ($name in 'Get-ConnectionInformation', 'Get-MgContext', 'Invoke-MgGraphRequest') { Remove-Item -LiteralPath "function:$name" -ErrorAction Ignore }
    $side = if ($Place -eq 'entra') { '' } elseif ($Place -eq 'online') { 'online' } else { 'onprem' }
    if ($script:at -ne $side) {
        if ($script:module) { Remove-Module -ModuleInfo $script:module -Force; $script:module = $null }
        if ($side) {
            Invoke-There { param($s) Enter-Side $s } @($side)
            if ($As -eq 'Module') {
                # All that may write an error is the module's: a global function would see the script's preference.
                $own = 'ConvertTo-StandInValue', 'Test-StandInIdentity', 'Get-StandInStore', 'Save-StandInStore', 'Add-StandInProperty', 'Invoke-StandInReal', 'Invoke-StandIn'
                $exported = @($global:Sides[$side].Functions.Keys)
                $text = foreach ($n in $own + $exported) { "function $n {`n$((Get-Item -LiteralPath "function:$n").Definition)`n}" }
                foreach ($n in $exported) { Remove-Item -LiteralPath "function:$n" }
                $script:module = New-Module -Name tmpEXO_standin -ScriptBlock ([scriptblock]::Create(($text -join "`n") + "`nExport-ModuleMember -Function '$($exported -join "', '")'"))
                Import-Module -ModuleInfo $script:module -DisableNameChecking -Global
            } elseif ($As -eq 'Remote') {
                $exported = @(Invoke-There { param($s) @($global:Sides[$s].Functions.Keys) } @($side))
                $script:module = Import-PSSession -Session $session -CommandName $exported -AllowClobber -DisableNameChecking
                Import-Module -ModuleInfo $script:module -DisableNameChecking -Global
            }
        } elseif ($As -eq 'Function') {
            foreach ($one in $global:Sides.Values) { foreach ($name in $one.Functions.Keys) { Remove-Item -LiteralPath "function:$name" -ErrorAction Ignore } }
        }
        $script:at = $side
    }
    if ($Place -eq 'online') {
        function global:Get-ConnectionInformation { [pscustomobject]@{ State = 'Connected'; TenantID = $global:Tenant } }
    }
    if ($Place -eq 'entra') {
        function global:Get-MgContext { [pscustomobject]@{ TenantId = $global:Tenant; Environment = 'Global'; Scopes = $global:Scopes } }
        Set-Item -LiteralPath function:global:Invoke-MgGraphRequest -Value $graphRequest
        return
    }
    Invoke-There { param($p) Set-Store $p } @($Place)
}

# ---- Microsoft Graph. What was made shows late: in lists at the third look, by its id at the second.
$global:Tenant = $world.tenant
$global:Scopes = @('Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All')
$global:Graph = @{ Objects = [ordered]@{}; Number = 0; Refuse = 0; Writes = 0; Record = $record }
foreach ($one in $world.graph) { $one['#seen'] = 9; $global:Graph.Objects[$one.id] = $one }
$graphRequest = {
    [CmdletBinding()]
    param(
        [ValidateSet('GET', 'POST', 'PATCH', 'DELETE')] [string] $Method = 'GET',
        [Parameter(Mandatory)] [uri] $Uri,
        [object] $Body,
        [string] $ContentType
    )
    Set-StrictMode -Off
    $graph = $global:Graph
    $fail = {
        param($status, $text)
        $e = [System.Net.Http.HttpRequestException]::new("Response status code does not indicate success: $status. $text")
        $PSCmdlet.ThrowTerminatingError([System.Management.Automation.ErrorRecord]::new($e, 'stand-in', 'InvalidOperation', "$Method $Uri"))
    }
    $path, $query = $Uri.OriginalString -split '\?', 2
    if ($path -notmatch '^/v1\.0/(applications|servicePrincipals)(?:/([0-9a-f-]{36})(/appRoleAssignments)?(?:/([0-9A-Za-z_-]{36,}))?)?$') { . $fail '400 (BadRequest)' "no such address $path" }
    $collection, $id, $under, $item = $Matches[1], $Matches[2], $Matches[3], $Matches[4]
    if ($under) { $collection = "$id$under" }
    $object = if ($id -and -not $under) { $graph.Objects[$id] }
    $show = { param($o) $o['#seen']++; $copy = @{}; foreach ($k in $o.Keys) { if ($k[0] -ne '#') { $copy[$k] = $o[$k] } }; $copy }
    if ($Method -eq 'GET') {
        if ($id -and -not $under) {
            if ($null -eq $object -or $object['#'] -ne $collection) { . $fail '404 (NotFound)' 'Request_ResourceNotFound' }
            if ($object['#seen'] -lt 1) { $object['#seen']++; . $fail '404 (NotFound)' 'Request_ResourceNotFound' }
            return & $show $object
        }
        $filter = if ($query -match '(?:^|&)\$filter=([^&]*)') { [uri]::UnescapeDataString($Matches[1]) }
        if ($filter -and $filter -notmatch "^(\w+) eq '([^']*)'$") { . $fail '400 (BadRequest)' "filter $filter" }
        $by, $value = $Matches[1], $Matches[2]
        return @{ value = @(foreach ($o in $graph.Objects.Values) {
            if ($o['#'] -ne $collection -or ($filter -and "$($o[$by])" -ne $value)) { continue }
            if ($o['#seen'] -lt 2) { $o['#seen']++; continue }
            & $show $o
        }) }
    }
    $given = if ($Body) { $Body | ConvertFrom-Json -AsHashtable } else { @{} }
    if ($Body -and $ContentType -ne 'application/json; charset=utf-8') { . $fail '415' "content type $ContentType" }
    $graph.Writes++
    if ($graph.Writes -eq $graph.Refuse) { . $fail '403 (Forbidden)' "the stand-in refuses $Method $path" }
    foreach ($k in $given.Keys) { if ($null -eq $given[$k]) { . $fail '400 (BadRequest)' "$k is null" } }
    $answer = $null
    switch ($Method) {
        'POST' {
            if ($id -and -not $under) { . $fail '405' '' }
            if ($collection -eq 'servicePrincipals') {
                if (-not ($graph.Objects.Values | Where-Object { $_['#'] -eq 'applications' -and $_.appId -eq $given.appId })) { . $fail '400 (BadRequest)' 'NoBackingApplicationObject' }
                if ($graph.Objects.Values | Where-Object { $_['#'] -eq $collection -and $_.appId -eq $given.appId }) { . $fail '409 (Conflict)' 'it exists' }
            }
            $graph.Number++
            $answer = @{ id = '{0:x8}-0000-4000-8000-000000000001' -f $graph.Number; '#' = $collection; '#seen' = 0 }
            if ($collection -eq 'applications') { $answer.appId = '{0:x8}-0000-4000-8000-000000000002' -f $graph.Number; $answer.keyCredentials = @() }
            foreach ($k in $given.Keys) { $answer[$k] = $given[$k] }
            $graph.Objects[$answer.id] = $answer
        }
        'PATCH' {
            if ($null -eq $object) { . $fail '404 (NotFound)' 'Request_ResourceNotFound' }
            foreach ($k in $given.Keys) { $object[$k] = $given[$k] }
        }
        'DELETE' {
            $gone = if ($under) { $item } else { $id }
            if (-not $graph.Objects.Contains($gone)) { . $fail '404 (NotFound)' 'Request_ResourceNotFound' }
            $graph.Objects.Remove($gone)
        }
    }
    $line = [ordered]@{ graph = $Method; uri = $path; body = $given; made = @{ id = $answer.id; appId = $answer.appId } }
    [System.IO.File]::AppendAllText($graph.Record, ($line | ConvertTo-Json -Depth 20 -Compress) + "`n")
    if ($answer) { $copy = @{}; foreach ($k in $answer.Keys) { if ($k[0] -ne '#') { $copy[$k] = $answer[$k] } }; $copy }
}

# ---- Runs
$work = Join-Path $scratch 'work'
$null = New-Item -ItemType Directory -Path $work
Copy-Item -Path (Join-Path $Folder '*.ps1') -Destination $work
Copy-Item -LiteralPath (Join-Path $Folder 'rollback') -Destination $work -Recurse
$result = Join-Path $work 'hybridge-result.json'
foreach ($place in $world.places.Keys) { Invoke-There { param($p, $t) Set-Store $p $t } @($place, (ConvertTo-Json -Depth 12 -Compress -InputObject $world.places[$place])) }

function Save-World([string] $Place) {
    $kept = @{ Result = if (Test-Path -LiteralPath $result) { [System.IO.File]::ReadAllText($result) } }
    if ($Place -eq 'entra') {
        $kept.Graph = [System.Management.Automation.PSSerializer]::Serialize($global:Graph.Objects, 12)
        $kept.Number = $global:Graph.Number
    } else { $kept.Store = Invoke-There { param($p) Copy-Store $p } @($Place) }
    $kept
}
function Restore-World([string] $Place, [hashtable] $Kept) {
    if ($null -ne $Kept.Result) { [System.IO.File]::WriteAllText($result, $Kept.Result) } else { Remove-Item -LiteralPath $result -ErrorAction Ignore }
    if ($Place -eq 'entra') {
        $global:Graph.Objects = [ordered]@{}
        $all = [System.Management.Automation.PSSerializer]::Deserialize($Kept.Graph)
        foreach ($id in $all.Keys) { $global:Graph.Objects[$id] = $all[$id] }
        $global:Graph.Number = $Kept.Number
    } else { Invoke-There { param($p, $c) Copy-Store $p $c } @($Place, $Kept.Store) }
}
# Runs a script and writes what it did. Gives the number of its writes.
function Invoke-Case([string] $Case, [string] $File, [string] $Place, [hashtable] $Arguments, [int] $Refuse) {
    Enter-Place $Place
    Invoke-There { param($n) Set-Refusal $n } @($Refuse)
    $global:Graph.Refuse, $global:Graph.Writes = $Refuse, 0
    $before = [System.IO.File]::ReadAllText($record).Length
    $said = [System.Collections.Generic.List[string]]::new()
    $failure = ''
    $global:LASTEXITCODE = 99
    try {
        & { param($s, $a) Set-StrictMode -Version Latest; & $s @a } (Join-Path $work $File) $Arguments *>&1 | ForEach-Object { $said.Add("$_") }
    } catch { $failure = "$_" }
    $lines = [System.IO.File]::ReadAllText($record).Substring($before) -split "`n" | Where-Object { $_ }
    $calls = @(foreach ($l in $lines) { if ($l -notmatch '^\{"cmdlet":"Get-(?!ExchangeDiagnosticInfo)') { $l } })
    $ids = if (Test-Path -LiteralPath $result) { [System.IO.File]::ReadAllText($result) } else { '' }
    $line = [ordered]@{ case = $Case; script = $File; place = $Place; refuse = $Refuse; error = $failure; exit = $global:LASTEXITCODE; said = $said; calls = $calls; result = $ids }
    [System.IO.File]::AppendAllText($Out, ($line | ConvertTo-Json -Depth 6 -Compress) + "`n")
    $calls.Count
}
# The arguments of a script: the secrets that it asks for, and some.
function Get-Argument($Of, [hashtable] $More) {
    $all = $More.Clone()
    $number = 0
    foreach ($text in @($Of.secrets | Where-Object { $_ })) {
        $number++
        $all["Secret$number"] = ConvertTo-SecureString -String $text -AsPlainText -Force
    }
    $all
}
foreach ($s in $world.scripts) {
    $kept = Save-World $s.place
    $yes = Get-Argument $s @{ Confirm = $false }
    $null = Invoke-Case 'whatif' $s.file $s.place (Get-Argument $s @{ WhatIf = $true }) 0
    $null = Invoke-Case 'unknown argument' $s.file $s.place (Get-Argument $s @{ Confirm = $false; NoSuch = 1 }) 0
    if ($s.place -eq 'entra') {
        $global:Tenant = '99999999-0000-4000-8000-000000000009'
        $null = Invoke-Case 'wrong place' $s.file $s.place $yes 0
        $global:Tenant = $world.tenant
        $global:Scopes = @('Application.ReadWrite.All')
        $null = Invoke-Case 'wrong place' $s.file $s.place $yes 0
        $global:Scopes = @('Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All')
    } else {
        foreach ($other in $world.places.Keys | Where-Object { $_ -ne $s.place }) { $null = Invoke-Case 'wrong place' $s.file $other $yes 0 }
    }
    if ($null -ne $kept.Result) {
        Remove-Item -LiteralPath $result
        $null = Invoke-Case 'alone' $s.file $s.place $yes 0
    }
    Restore-World $s.place $kept
    $count = Invoke-Case 'run' $s.file $s.place $yes 0
    $after = Save-World $s.place
    for ($n = 1; $Refusals -and $n -le $count; $n++) {
        Restore-World $s.place $kept
        $null = Invoke-Case 'refused' $s.file $s.place $yes $n
        $null = Invoke-Case 'resumed' $s.file $s.place $yes 0
    }
    Restore-World $s.place $after
}
foreach ($s in $world.scripts) { $null = Invoke-Case 'again' $s.file $s.place (Get-Argument $s @{ Confirm = $false }) 0 }
$yes = @{ Confirm = $false }
# The rollback scripts, the last first.
foreach ($s in $world.undo) {
    $kept = Save-World $s.place
    $null = Invoke-Case 'whatif' $s.file $s.place @{ WhatIf = $true } 0
    $count = Invoke-Case 'undo' $s.file $s.place $yes 0
    $after = Save-World $s.place
    for ($n = 1; $Refusals -and $n -le $count; $n++) {
        Restore-World $s.place $kept
        $null = Invoke-Case 'refused' $s.file $s.place $yes $n
        $null = Invoke-Case 'resumed' $s.file $s.place $yes 0
    }
    Restore-World $s.place $after
    $null = Invoke-Case 'again' $s.file $s.place $yes 0
}
if ($session) { Remove-PSSession -Session $session }
Remove-Item -LiteralPath $scratch -Recurse -Force
