#Requires -Version 5.1
#Requires -Modules ExchangeOnlineManagement

<#
.SYNOPSIS
Makes the changes of a hybridge plan in Exchange Online: step 2 of the plan.

.DESCRIPTION
Run in Exchange Online PowerShell, as Organization Management.
Use a session of its own: this module and Microsoft Graph PowerShell fail in one process.
Connect with: Connect-ExchangeOnline
A device code needs PowerShell 7: add -Device there.
As an application: Connect-ExchangeOnline -AppId ID -CertificateThumbprint THUMBPRINT -Organization NAME.onmicrosoft.com

The script first makes sure that it runs in the right place. For each change it looks, compares, asks, writes and looks again. What is as wanted
already is passed over, so it can be run again after a stop. It stops at the first refusal, and where something differs from what the plan saw.
What it did stands in hybridge-result.json beside it.

.PARAMETER RanElsewhere
The scripts before this one ran in another folder, and their hybridge-result.json is not here.

.PARAMETER Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId
appId of entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001, as 01-entra.ps1 prints it. It may be left out when hybridge-result.json has it.

.PARAMETER Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId
appId of entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002, as 01-entra.ps1 prints it. It may be left out when hybridge-result.json has it.

.EXAMPLE
.\02-online.ps1 -WhatIf

Shows what would be changed. Nothing is changed.

.EXAMPLE
.\02-online.ps1

Asks before each change.

.EXAMPLE
.\02-online.ps1 -Confirm:$false

Makes the changes without asking.

.NOTES
hybridge plan sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
    [ValidatePattern('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$')]
    [string] $Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId,

    [ValidatePattern('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$')]
    [string] $Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId,

    [switch] $RanElsewhere
)

$ErrorActionPreference = 'Stop'
$PlanDigest = 'sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675'
$ScriptName = '02-online.ps1'
$ResultFile = Join-Path -Path $PSScriptRoot -ChildPath 'hybridge-result.json'
$PlaceName = 'online'
$PlaceId = '11111111-2222-3333-4444-555555555555'
$IdentityProperty = 'Identity'
$NameProperty = 'Name'
$Patience = 60
# The properties of each kind that a rollback needs, and how they are compared.
$Kinds = @{
    'OrganizationConfig' = @{ 'EwsAllowedAppIDs' = 'GuidList'; 'EwsEnabled' = 'Boolean' }
    'OrganizationRelationship' = @{ 'ArchiveAccessEnabled' = 'Boolean'; 'DeliveryReportEnabled' = 'Boolean'; 'DomainNames' = 'DomainList'; 'Enabled' = 'Boolean'; 'FreeBusyAccessEnabled' = 'Boolean'; 'FreeBusyAccessLevel' = 'Level'; 'MailTipsAccessEnabled' = 'Boolean'; 'MailTipsAccessLevel' = 'Level'; 'MailboxMoveEnabled' = 'Boolean'; 'PhotosEnabled' = 'Boolean'; 'TargetApplicationUri' = 'Text'; 'TargetAutodiscoverEpr' = 'Url'; 'TargetOwaURL' = 'Url'; 'TargetSharingEpr' = 'Url' }
}

# ---- What this script did. Every change is a table in $Change while it is looked at.

$Run = @{
    Plan = $PlanDigest
    Script = $ScriptName
    Ids = @{}
    Done = @()
    Passed = @()
    Open = @()
    File = $ResultFile
    Place = $PlaceName
    PlaceId = $PlaceId
    Identity = $IdentityProperty
    Name = $NameProperty
    Kinds = $Kinds
    Patience = $Patience
    Elsewhere = $RanElsewhere
}
$Change = @{
    Id = ''
    Open = $false
}

function Write-Line([string] $Text) {
    Write-Information -MessageData $Text -InformationAction Continue
}

# The value of a property of an object or a table; nothing when there is none.
function Read-Property($Object, [string] $Name) {
    if ($null -eq $Object) {
        return
    }
    if ($Object -is [System.Collections.IDictionary]) {
        if ($Object.Contains($Name)) {
            return $Object[$Name]
        }
        return
    }
    $property = $Object.PSObject.Properties[$Name]
    if ($null -ne $property) {
        return $property.Value
    }
}

# The result file that the scripts of one plan share, as nested tables.
function Read-Result {
    $result = [ordered]@{
        apiVersion = 'hybridge/v1'
        kind = 'ScriptResult'
        plan = $Run.Plan
        places = [ordered]@{}
        ids = [ordered]@{}
        changes = [ordered]@{}
    }
    if (-not (Test-Path -LiteralPath $Run.File)) {
        return $result
    }
    $kept = ConvertFrom-Json -InputObject (Get-Content -LiteralPath $Run.File -Raw -Encoding UTF8)
    if ((Read-Property $kept 'plan') -ne $Run.Plan) {
        throw ('{0} is of another plan. Take it away together with the scripts of that plan.' -f $Run.File)
    }
    foreach ($part in 'places', 'ids', 'changes') {
        $table = Read-Property $kept $part
        if ($null -ne $table) {
            foreach ($property in $table.PSObject.Properties) {
                $result[$part][$property.Name] = $property.Value
            }
        }
    }
    return $result
}

# Scripts of other places may run at the same time: one of them writes the result file.
function Open-Lock {
    $until = (Get-Date).AddSeconds(30)
    while ($true) {
        try {
            return New-Object -TypeName System.IO.FileStream -ArgumentList ($Run.File + '.lock'), 'OpenOrCreate', 'Write', 'None', 1, 'DeleteOnClose'
        } catch {
            if ($_.Exception.InnerException -isnot [System.IO.IOException] -or (Get-Date) -ge $until) {
                throw
            }
            Start-Sleep -Milliseconds 200
        }
    }
}

# Adds to the result file. The file is replaced as a whole.
function Save-Result([string] $Status, [string] $Text) {
    if ($WhatIfPreference) {
        return
    }
    $lock = Open-Lock
    try {
        $result = Read-Result
        $result.places[$Run.Place] = $Run.PlaceId
        foreach ($name in $Run.Ids.Keys) {
            $result.ids[$name] = $Run.Ids[$name]
        }
        if ($Change.Id) {
            $result.changes[$Change.Id] = [ordered]@{
                script = $Run.Script
                action = $Change.Action
                status = $Status
                text = $Text
                write = $Change.Write
                made = $Change.Made
                before = $Change.Before
                after = $Change.After
                time = (Get-Date -Format 'yyyy-MM-ddTHH:mm:ssK')
            }
        }
        $new = $Run.File + '.new'
        [System.IO.File]::WriteAllText($new, (ConvertTo-Json -InputObject $result -Depth 16))
        if (Test-Path -LiteralPath $Run.File) {
            [System.IO.File]::Replace($new, $Run.File, [NullString]::Value)
        } else {
            [System.IO.File]::Move($new, $Run.File)
        }
    } finally {
        $lock.Dispose()
    }
}

# A value that another script made: given, or in the result file. Guid says that it is an id.
function Read-Id([string] $Name, [string] $Given, [string] $From, [switch] $Guid) {
    $value = $Given
    if (-not $value) {
        $value = [string] (Read-Property (Read-Result).ids $Name)
    }
    if (-not $value) {
        if ($WhatIfPreference) {
            return ('(what {0} makes)' -f $From)
        }
        throw ('{0} is not known. Run {1} first, or give -{0} as that script prints it.' -f $Name, $From)
    }
    if ($Guid -and $value -notmatch '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$') {
        throw ('{0} is no GUID: {1}' -f $Name, $value)
    }
    return $value
}

# Whether a property is shown: Exchange leaves out what it does not show, and Microsoft Graph gives null.
function Test-Shown($Object, [string] $Name) {
    if ($Object -is [System.Collections.IDictionary]) {
        return $null -ne (Read-Property $Object $Name)
    }
    return $null -ne $Object.PSObject.Properties[$Name]
}

# A value as the result file keeps it. Windows PowerShell writes an array that a function returns as an object, and an ArrayList as
# a list.
function Get-Plain($Value) {
    if ($null -eq $Value -or $Value -is [bool] -or $Value -is [string] -or $Value -is [int] -or $Value -is [long]) {
        return $Value
    }
    if ($Value -is [datetime]) {
        return $Value.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss.FFFFFFFZ', [cultureinfo]::InvariantCulture)
    }
    # The bytes of a certificate; a function returns an array of objects.
    if ($Value -is [System.Collections.IList] -and $Value.Count -gt 0 -and $Value[0] -is [byte]) {
        return [System.Convert]::ToBase64String([byte[]] $Value)
    }
    if ($Value -is [System.Collections.IDictionary]) {
        $table = [ordered]@{}
        foreach ($name in @($Value.Keys | Sort-Object)) {
            $table[$name] = Get-Plain $Value[$name]
        }
        return $table
    }
    if ($Value -is [System.Collections.IEnumerable]) {
        $list = New-Object -TypeName System.Collections.ArrayList
        foreach ($one in $Value) {
            $null = $list.Add((Get-Plain $one))
        }
        return , $list
    }
    return [string] $Value
}

# An object as the result file keeps it: what a rollback needs.
function Get-Image($Object) {
    if ($null -eq $Object) {
        return
    }
    $properties = [ordered]@{}
    foreach ($name in @($Change.Shows.Keys | Sort-Object)) {
        if (Test-Shown $Object $name) {
            $properties[$name] = Get-Plain (Read-Property $Object $name)
        }
    }
    return [ordered]@{
        identity = [string] (Read-Property $Object $Run.Identity)
        name = [string] (Read-Property $Object $Run.Name)
        properties = $properties
    }
}

# ---- Comparing, as hybridge compares

# The parts of a value that are compared, each as a text.
function Expand-Value([string] $As, $Value) {
    foreach ($one in @($Value)) {
        if ($null -eq $one -or '' -eq [string] $one) {
            continue
        }
        $text = ([string] $one) -replace '^\s+|\s+$'
        if ($As -eq 'Guid') {
            $text -replace '[{}]'
        } elseif ($As -eq 'GuidList') {
            $text -split '\s*,\s*' -replace '[{}]' | Where-Object { $_ }
        } elseif ($As -eq 'Url' -or $As -eq 'UrlOrNone') {
            $text -replace '^(https://[^/?]+):443(?=[/?]|$)', '$1' -replace '^(http://[^/?]+):80(?=[/?]|$)', '$1' -replace '/(?=\?|$)'
        } elseif ($As -eq 'DomainList') {
            $text -replace '^smtp:' -replace ';.*$' -replace '\.$'
        } elseif ($As -eq 'Account') {
            $text -replace '^.*[\\/]' -replace '@.*$'
        } elseif ($As -eq 'PrincipalNameList') {
            $text -replace '/$'
        } elseif ($As -eq 'KeySet') {
            [string] (Read-Property $one 'key')
        } elseif ($As -eq 'AccessList') {
            foreach ($access in @(Read-Property $one 'resourceAccess')) {
                '{0}/{1}/{2}' -f (Read-Property $one 'resourceAppId'), (Read-Property $access 'id'), (Read-Property $access 'type')
            }
        } else {
            $text
        }
    }
}

# What a key credential is known by: its id, and the hashes of its certificate.
function Get-KeyMark($Key) {
    [string] (Read-Property $Key 'keyId')
    $certificate = [string] (Read-Property $Key 'key')
    if ($certificate -match '^[A-Za-z0-9+/]+={0,2}$') {
        $bytes = [System.Convert]::FromBase64String($certificate)
        [System.BitConverter]::ToString([System.Security.Cryptography.SHA1]::Create().ComputeHash($bytes)) -replace '-'
        [System.BitConverter]::ToString([System.Security.Cryptography.SHA256]::Create().ComputeHash($bytes)) -replace '-'
    }
    $hash = [string] (Read-Property $Key 'customKeyIdentifier')
    if ($hash -match '^([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$') {
        $hash
    } elseif ($hash -match '^[A-Za-z0-9+/]+={0,2}$' -and $hash.Length % 4 -eq 0) {
        $bytes = [System.Convert]::FromBase64String($hash)
        [System.BitConverter]::ToString($bytes) -replace '-'
        [System.Text.Encoding]::ASCII.GetString($bytes)
    }
}

# Whether one of the keys is the same certificate.
function Test-Key($Key, $Among) {
    $marks = @(Get-KeyMark $Key | Where-Object { $_ })
    foreach ($one in @($Among | Where-Object { $null -ne $_ })) {
        foreach ($mark in @(Get-KeyMark $one | Where-Object { $_ })) {
            if ($marks -contains $mark) {
                return $true
            }
        }
    }
    return $false
}

# Whether a live value is what is wanted.
function Test-Same([string] $As, $Want, $Live) {
    if ($As -eq 'KeyList') {
        foreach ($key in @($Want | Where-Object { $null -ne $_ })) {
            if (-not (Test-Key $key $Live)) {
                return $false
            }
        }
        return $true
    }
    if ($As -eq 'TakesOAuth') {
        return ((@($Live | ForEach-Object { [string] $_ }) -contains 'OAuth') -eq [bool] $Want)
    }
    $wanted = @(Expand-Value $As $Want)
    $have = @(Expand-Value $As $Live)
    if ($As -eq 'UnlessOff' -and $have.Count -eq 0 -and $Want) {
        return $true
    }
    if ($As -eq 'UrlOrNone' -and $have.Count -eq 0) {
        return $true
    }
    if ($As -eq 'SomeText') {
        return ($wanted.Count -eq 0 -or $have.Count -gt 0)
    }
    if ($As -eq 'Level' -and ($have -contains 'AvailabilityOnly' -or $have -contains 'Limited')) {
        return $true
    }
    if ($As -notlike '*List' -or $As -eq 'SettingList') {
        if ($have.Count -ne $wanted.Count -and $As -ne 'SettingList') {
            return $false
        }
        foreach ($one in $have) {
            if ($wanted -notcontains $one) {
                return $false
            }
        }
    }
    foreach ($one in $wanted) {
        if ($have -notcontains $one) {
            return $false
        }
    }
    return $true
}

# Whether two lists have an element in common.
function Test-Shared([string] $As, $Want, $Live) {
    $have = @(Expand-Value $As $Live)
    foreach ($one in @(Expand-Value $As $Want)) {
        if ($have -contains $one) {
            return $true
        }
    }
    return $false
}

# The live list and what it lacks: what others put there stays.
function Join-List([string] $As, $Live, $Add) {
    $there = @($Live | Where-Object { $null -ne $_ -and '' -ne [string] $_ })
    if ($As -eq 'KeyList') {
        $now = (Get-Date).ToUniversalTime()
        foreach ($key in $there) {
            $kept = @{}
            foreach ($name in 'customKeyIdentifier', 'displayName', 'endDateTime', 'key', 'keyId', 'startDateTime', 'type', 'usage') {
                $value = Read-Property $key $name
                if ($value -is [datetime]) {
                    $value = $value.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss.FFFFFFFZ', [cultureinfo]::InvariantCulture)
                }
                if ($null -ne $value) {
                    $kept[$name] = $value
                }
            }
            # Microsoft Graph refuses a list with a certificate that has ended.
            if (-not $kept.ContainsKey('endDateTime') -or ([datetime] $kept['endDateTime']).ToUniversalTime() -gt $now) {
                $kept
            }
        }
        foreach ($key in @($Add)) {
            if (-not (Test-Key $key $there)) {
                $key
            }
        }
        return
    }
    if ($As -eq 'AccessList') {
        $seen = @()
        foreach ($resource in $there) {
            $id = [string] (Read-Property $resource 'resourceAppId')
            $seen += $id
            $access = @(foreach ($one in @(Read-Property $resource 'resourceAccess')) {
                @{ id = [string] (Read-Property $one 'id'); type = [string] (Read-Property $one 'type') }
            })
            $have = @(Expand-Value $As $resource)
            foreach ($wanted in @($Add)) {
                if ((Read-Property $wanted 'resourceAppId') -eq $id) {
                    foreach ($one in @(Read-Property $wanted 'resourceAccess')) {
                        if ($have -notcontains ('{0}/{1}/{2}' -f $id, $one.id, $one.type)) {
                            $access += $one
                        }
                    }
                }
            }
            @{ resourceAppId = $id; resourceAccess = $access }
        }
        @($Add) | Where-Object { $seen -notcontains (Read-Property $_ 'resourceAppId') }
        return
    }
    if ($As -eq 'GuidList') {
        $there = @(Expand-Value $As $there)
    }
    $have = @(Expand-Value $As $there)
    foreach ($one in $there) {
        [string] $one
    }
    foreach ($one in @($Add)) {
        if ($have -notcontains @(Expand-Value $As $one)[0]) {
            $one
        }
    }
}

# ---- A change: look, compare, write, look again

# Begins a change. What it needs of this script must be done, and so must what it needs of others.
# Fresh says that this plan makes the object: where it is not found, it does not show yet. Own says that others may make one
# that looks the same: none is taken that these scripts have not made. Going says that the plan removes the object later: where it
# is gone, there is nothing to set.
function Enter-Change([string] $Id, [string] $Kind, [string] $Action, [string] $What, [string[]] $Needs, [object[]] $Checks, [switch] $Fresh, [switch] $Own, [switch] $Going) {
    $record = Read-Property (Read-Result).changes $Id
    $script:Change = @{
        Id = $Id
        Action = $Action
        What = $What
        Shows = $Run.Kinds[$Kind]
        Checks = $Checks
        Fresh = $Fresh
        Own = $Own
        Going = $Going
        Open = $true
        Written = $false
        Write = [string] (Read-Property $record 'write')
        Made = Read-Property $record 'made'
        Before = $null
        After = $null
        Live = $null
        Declined = $false
        Until = $null
    }
    Write-Line ('{0} {1}' -f $Action, $What)
    if ($Change.Write) {
        $Change.Before = Read-Property $record 'before'
        $Change.After = Read-Property $record 'after'
        # Made, and never seen since: to make it again would make it twice.
        $Change.Written = $Action -eq 'create' -and $Change.Write -eq 'accepted' -and $null -eq $Change.After
    }
    $waits = @($Needs | Where-Object { $Run.Open -contains $_ })
    if ($waits.Count -gt 0) {
        $Change.Open = $false
        $Change.Declined = $true
        Write-Line ('  not done: it needs {0}' -f ($waits -join ', '))
    }
}

# What other scripts must have done is in the result file, when they ran beside it.
function Assert-Need([object[]] $Needs) {
    $known = (Read-Result).changes
    foreach ($need in $Needs) {
        if ((Read-Property (Read-Property $known $need.Id) 'status') -in 'done', 'as wanted') {
            continue
        }
        $text = '{0} has not done {1}.' -f $need.Script, $need.Id
        if ($Run.Elsewhere -or $WhatIfPreference) {
            Write-Verbose $text
        } else {
            throw ('{0} Run it first. When it ran in another folder, copy hybridge-result.json here or add -RanElsewhere.' -f $text)
        }
    }
}

# Compares what is live with what is wanted. True: it is to be written now.
function Compare-Change([object[]] $Live) {
    $found = @($Live | Where-Object { $null -ne $_ })
    if ($found.Count -gt 1) {
        throw ('{0}: there are {1} of it. Remove all but one, then plan again.' -f $Change.What, $found.Count)
    }
    $object = $null
    if ($found.Count -eq 1) {
        $object = $found[0]
    }
    $Change.Live = $object
    $missing = @($Change.Checks | Where-Object { -not (Test-Same -As $_.As -Want $_.Want -Live (Read-Property $object $_.Property)) })
    $effective = $null -ne $object -and $missing.Count -eq 0
    if ($Change.Action -eq 'delete' -or ($Change.Going -and $null -eq $object)) {
        $effective = $null -eq $object
    }
    if ($null -ne $object -and $Change.Own -and -not $Change.Made) {
        throw ('{0} exists, and hybridge-result.json does not say that these scripts made it. Plan again.' -f $Change.What)
    }
    if ($effective) {
        $Change.Open = $false
        return $false
    }
    if ($Change.Written) {
        Wait-Change
        return $false
    }
    if ($null -eq $object -and $Change.Action -eq 'update') {
        if ($Change.Fresh) {
            Wait-Change
            return $false
        }
        throw ('{0} is gone. Plan again.' -f $Change.What)
    }
    if ($null -ne $object) {
        foreach ($check in $missing) {
            $value = Read-Property $object $check.Property
            if ($check.Hides -and -not (Test-Shown $object $check.Property)) {
                throw ('{0}: {1} is not shown. Written without what is on it, the list would lose what others put there.' -f $Change.What, $check.Property)
            }
            $planned = (Test-Same -As $check.As -Want $check.Before -Live $value) -and (Test-Same -As $check.As -Want $value -Live $check.Before)
            # A switch that is not shown is off.
            if ($null -eq $value -and $check.Before -is [bool]) {
                $planned = -not $check.Before
            }
            if (-not $check.Joins -and -not $planned) {
                throw ('{0}: {1} is {2} now, which the plan did not see. Plan again.' -f $Change.What, $check.Property, (@($value) -join ', '))
            }
        }
        if ($Change.Action -eq 'create') {
            throw ('{0} exists, and the plan did not see it. Plan again.' -f $Change.What)
        }
        # An earlier run that wrote it has seen what was there before.
        if (-not $Change.Write) {
            $Change.Before = Get-Image $object
        }
    }
    # Until the write is confirmed the change counts as declined.
    $Change.Open = $false
    $Change.Declined = $true
    return $true
}

# The write comes next. What was there before is on the disk first.
function Enter-Write {
    if (-not $Change.Write) {
        $Change.Write = 'begun'
    }
    $Change.After = $null
    Save-Result 'begun' ''
}

# The write was accepted: it is looked for until it shows.
function Confirm-Write {
    $Change.Written = $true
    $Change.Write = 'accepted'
    $Change.Declined = $false
    $Change.Open = $true
    $Change.Until = $null
    Save-Result 'written' ''
}

function Wait-Change {
    $now = Get-Date
    if ($null -eq $Change.Until) {
        $Change.Until = $now.AddSeconds($Run.Patience)
    }
    if ($now -ge $Change.Until) {
        throw ('{0} is written and does not show after {1} seconds. Run this script again: it looks first.' -f $Change.What, $Run.Patience)
    }
    Write-Verbose ('{0} does not show yet' -f $Change.What)
    Start-Sleep -Seconds 2
}

# Ends a change. Keeps is the properties that later changes or other scripts ask for, by name.
function Exit-Change([hashtable] $Keeps, [string[]] $Prints) {
    if ($Change.Declined) {
        $Run.Open += $Change.Id
        Save-Result 'not done' ''
        return
    }
    foreach ($name in @($Keeps.Keys)) {
        $value = [string] (Get-Plain (Read-Property $Change.Live $Keeps[$name]))
        if ($value) {
            $Run.Ids[$name] = $value
            if ($Prints -contains $name) {
                Write-Output ('{0} = {1}' -f $name, $value)
            }
        }
    }
    if ($Change.Written) {
        $Run.Done += $Change.Id
        Write-Line '  done'
    } else {
        $Run.Passed += $Change.Id
        Write-Line '  is as wanted: passed over'
    }
    # What an earlier run made is kept: what others changed since must show.
    if ($Change.Written -or $null -eq $Change.After) {
        $Change.After = Get-Image $Change.Live
    }
    if (-not $Change.Write) {
        Save-Result 'as wanted' ''
        return
    }
    # Written now, or by an earlier run.
    $Change.Write = 'accepted'
    Save-Result 'done' ''
}

# What became of the changes, and what is next.
function Write-Summary([string] $Next) {
    Write-Line ''
    Write-Line ('{0} done, {1} passed over, {2} not done' -f $Run.Done.Count, $Run.Passed.Count, $Run.Open.Count)
    foreach ($id in $Run.Open) {
        Write-Line ('  not done: {0}' -f $id)
    }
    if ($Run.Open.Count -eq 0) {
        Write-Line $Next
    }
}

# Every cmdlet and parameter that is used must be there: Exchange shows those that the account may use.
function Assert-Right([object[]] $Used, [string] $Shell) {
    $missing = @(foreach ($one in $Used) {
        $found = @(Get-Command -Name $one.Name -ErrorAction SilentlyContinue)
        if ($found.Count -eq 0) {
            $one.Name
            continue
        }
        foreach ($parameter in $one.Parameters) {
            if (-not $found[0].Parameters.ContainsKey($parameter)) {
                '{0} -{1}' -f $one.Name, $parameter
            }
        }
    })
    if ($missing.Count -gt 0) {
        throw ('{0}. Missing: {1}. Use an account of the role group Organization Management.' -f $Shell, ($missing -join ', '))
    }
}

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

# ---- Where this runs

$used = @(
    @{ 'Name' = 'Get-OrganizationConfig'; 'Parameters' = @('RetrieveEwsOperationAccessPolicy') }
    @{ 'Name' = 'Get-OrganizationRelationship'; 'Parameters' = @() }
    @{ 'Name' = 'New-OrganizationRelationship'; 'Parameters' = @('DeliveryReportEnabled', 'DomainNames', 'Enabled', 'FreeBusyAccessEnabled', 'FreeBusyAccessLevel', 'MailTipsAccessEnabled', 'MailTipsAccessLevel', 'Name', 'PhotosEnabled', 'TargetOwaURL') }
    @{ 'Name' = 'Set-OrganizationConfig'; 'Parameters' = @('EwsAllowedAppIDs', 'EwsEnabled') }
)
Assert-Place -Organization 'cccccccc-0000-0000-0000-000000000003' -Tenant '11111111-2222-3333-4444-555555555555' -Used $used

$needs = @(
    @{ Id = 'entra/AppRoleAssignment/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001:full_access_as_app'; Script = '01-entra.ps1' }
    @{ Id = 'entra/AppRoleAssignment/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002:full_access_as_app'; Script = '01-entra.ps1' }
    @{ Id = 'entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001'; Script = '01-entra.ps1' }
    @{ Id = 'entra/Application/ExchangeServerApp-bbbbbbbb-0000-0000-0000-000000000002'; Script = '01-entra.ps1' }
)
Assert-Need $needs

$Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'] = Read-Id -Name 'Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId' -Given $Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId -From '01-entra.ps1' -Guid
$Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId'] = Read-Id -Name 'Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId' -Given $Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId -From '01-entra.ps1' -Guid
Save-Result

# ---- The changes

try {

    # 1 of 3: update OrganizationConfig "contoso.onmicrosoft.com"
    # Why: Exchange Online lets only listed applications use EWS, and none at all from 2027-04-01 on
    # Risk: with EwsEnabled true and a list, Exchange Online refuses EWS to every application that is not on the list; the list takes up to 24 hours to take effect, the switch about one
    $checks1 = @(
        @{ Property = 'EwsAllowedAppIDs'; As = 'GuidList'; Want = @($Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'], $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId']); Before = @(); Joins = $true; Hides = $true }
        @{ Property = 'EwsEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'online/OrganizationConfig/ews' -Kind 'OrganizationConfig' -Action 'update' -What 'OrganizationConfig "contoso.onmicrosoft.com"' -Needs @() -Checks $checks1 -Fresh
    $look1 = @{
        RetrieveEwsOperationAccessPolicy = $true
        ErrorAction = 'Stop'
    }
    while ($Change.Open) {
        $live = @(Get-OrganizationConfig @look1 | Where-Object { (Test-Same -As Text -Want 'contoso.onmicrosoft.com' -Live (Read-Property $_ 'Identity')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationConfig "contoso.onmicrosoft.com" in Exchange Online', 'update with Set-OrganizationConfig')) {
            Enter-Write
            $change1 = @{
                EwsAllowedAppIDs = (@(Join-List -As 'GuidList' -Live (Read-Property $Change.Live 'EwsAllowedAppIDs') -Add @($Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'], $Run.Ids['Application_ExchangeServerApp_bbbbbbbb_0000_0000_0000_000000000002_appId'])) -join ',')
                EwsEnabled = $true
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-OrganizationConfig @change1
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 2 of 3: create OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001"
    # Why: it says what the tenant and contoso may ask of each other
    # Risk: lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings
    $checks2 = @(
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Level'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://mail.contoso.com/owa'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'online/OrganizationRelationship/aaaaaaaa-0000-0000-0000-000000000001' -Kind 'OrganizationRelationship' -Action 'create' -What 'OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001"' -Needs @() -Checks $checks2
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Shared -As DomainList -Want @('contoso.com') -Live (Read-Property $_ 'DomainNames') })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "O365 to On-premises - aaaaaaaa-0000-0000-0000-000000000001" in Exchange Online', 'create with New-OrganizationRelationship')) {
            Enter-Write
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
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-OrganizationRelationship @change2
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 3 of 3: create OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002"
    # Why: it says what the tenant and fabrikam may ask of each other
    # Risk: lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings
    $checks3 = @(
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('fabrikam.example', 'o''neil.example'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Level'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://mail.fabrikam.example/owa'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'online/OrganizationRelationship/bbbbbbbb-0000-0000-0000-000000000002' -Kind 'OrganizationRelationship' -Action 'create' -What 'OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002"' -Needs @() -Checks $checks3
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Shared -As DomainList -Want @('fabrikam.example', 'o''neil.example') -Live (Read-Property $_ 'DomainNames') })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "O365 to On-premises - bbbbbbbb-0000-0000-0000-000000000002" in Exchange Online', 'create with New-OrganizationRelationship')) {
            Enter-Write
            $change3 = @{
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
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-OrganizationRelationship @change3
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}

} catch {
    Save-Result 'refused' ([string] $_)
    Write-Line ('{0} done, {1} passed over; stopped at: {2}' -f $Run.Done.Count, $Run.Passed.Count, $Change.What)
    throw
}
Write-Summary 'Next: 03-onprem-contoso.ps1'

exit 0
