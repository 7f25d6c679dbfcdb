#Requires -Version 5.1

<#
.SYNOPSIS
Makes the changes of a hybridge plan in Exchange on-premises, contoso: step 3 of the plan.

.DESCRIPTION
Run in an Exchange Management Shell of forest contoso, as Organization Management.

The script first makes sure that it runs in the right place. For each change it looks, compares, asks, writes and looks again. What is as wanted
already is passed over, so it can be run again after a stop. It stops at the first refusal, and where something differs from what the plan saw.
What it did stands in hybridge-result.json beside it.

.PARAMETER RanElsewhere
The scripts before this one ran in another folder, and their hybridge-result.json is not here.

.PARAMETER Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId
appId of entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001, as 01-entra.ps1 prints it. It may be left out when hybridge-result.json has it.

.EXAMPLE
.\03-onprem-contoso.ps1 -WhatIf

Shows what would be changed. Nothing is changed.

.EXAMPLE
.\03-onprem-contoso.ps1

Asks before each change.

.EXAMPLE
.\03-onprem-contoso.ps1 -Confirm:$false

Makes the changes without asking.

.NOTES
hybridge plan sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
    [ValidatePattern('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$')]
    [string] $Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId,

    [switch] $RanElsewhere
)

$ErrorActionPreference = 'Stop'
$PlanDigest = 'sha256:08a5e1458b15ce352e5d94835cf01aed9baec05ba8eea4725771a0af930d7675'
$ScriptName = '03-onprem-contoso.ps1'
$ResultFile = Join-Path -Path $PSScriptRoot -ChildPath 'hybridge-result.json'
$PlaceName = 'onprem/contoso'
$PlaceId = 'aaaaaaaa-0000-0000-0000-000000000001'
$IdentityProperty = 'Identity'
$NameProperty = 'Name'
$Patience = 60
# The properties of each kind that a rollback needs, and how they are compared.
$Kinds = @{
    'AcceptedDomain' = @{ 'DomainName' = 'DomainList' }
    'AuthServer' = @{ 'AuthMetadataUrl' = 'Url'; 'DomainName' = 'DomainList'; 'Enabled' = 'Boolean'; 'Realm' = 'Guid'; 'Type' = 'Text' }
    'AuthServerApplication' = @{ 'ApplicationIdentifier' = 'Guid'; 'AuthMetadataUrl' = 'Url'; 'DomainName' = 'DomainList'; 'Identity' = 'Text'; 'Realm' = 'Guid'; 'Type' = 'Text' }
    'AvailabilityAddressSpace' = @{ 'AccessMethod' = 'Text'; 'Credentials' = 'Text'; 'ForestName' = 'Text'; 'ProxyUrl' = 'Url'; 'TargetAutodiscoverEpr' = 'UrlOrNone'; 'UseServiceAccount' = 'Boolean'; 'UserName' = 'Text' }
    'HybridConfiguration' = @{ 'Domains' = 'DomainList'; 'EdgeTransportServers' = 'SettingList'; 'Features' = 'DomainList'; 'OnPremisesSmartHost' = 'Text'; 'ReceivingTransportServers' = 'SettingList'; 'SendingTransportServers' = 'SettingList'; 'ServiceInstance' = 'Text'; 'TlsCertificateName' = 'Text' }
    'IntraOrganizationConnector' = @{ 'DiscoveryEndpoint' = 'Url'; 'Enabled' = 'Boolean'; 'TargetAddressDomains' = 'DomainList'; 'TargetSharingEpr' = 'Url' }
    'OrganizationRelationship' = @{ 'ArchiveAccessEnabled' = 'Boolean'; 'DeliveryReportEnabled' = 'Boolean'; 'DomainNames' = 'DomainList'; 'Enabled' = 'Boolean'; 'FreeBusyAccessEnabled' = 'Boolean'; 'FreeBusyAccessLevel' = 'Level'; 'MailTipsAccessEnabled' = 'Boolean'; 'MailTipsAccessLevel' = 'Level'; 'MailboxMoveEnabled' = 'Boolean'; 'PhotosEnabled' = 'Boolean'; 'TargetApplicationUri' = 'Text'; 'TargetAutodiscoverEpr' = 'Url'; 'TargetOwaURL' = 'Url'; 'TargetSharingEpr' = 'Url' }
    'PartnerApplication' = @{ 'ApplicationIdentifier' = 'Guid'; 'Enabled' = 'Boolean'; 'LinkedAccount' = 'SomeText'; 'Realm' = 'Text' }
    'RemoteDomain' = @{ 'DomainName' = 'DomainList' }
    'RemoteDomainDelivery' = @{ 'DomainName' = 'DomainList'; 'Identity' = 'Text'; 'TargetDeliveryDomain' = 'Boolean'; 'TrustedMailInboundEnabled' = 'Boolean' }
    'SettingOverride' = @{ 'ComponentName' = 'Text'; 'MaxVersion' = 'Text'; 'MinVersion' = 'Text'; 'Parameters' = 'SettingList'; 'Reason' = 'Text'; 'SectionName' = 'Text'; 'Server' = 'SettingList' }
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

# Stops unless this is an Exchange Management Shell of the organization that the plan is about, with servers as the plan knows them.
function Assert-Place([string] $Organization, [hashtable] $Servers, [object[]] $Used) {
    Assert-Right $Used 'This is no Exchange Management Shell that may make these changes'
    $found = Get-OrganizationConfig -ErrorAction Stop
    if ((Expand-Value 'Guid' (Read-Property $found 'Guid')) -ne $Organization) {
        throw ('This is the organization {0} ({1}). The script is for {2}. Nothing was changed.' -f (Read-Property $found 'Name'), (Read-Property $found 'Guid'), $Organization)
    }
    foreach ($server in @(Get-ExchangeServer -ErrorAction Stop)) {
        if ([string] (Read-Property $server 'ServerRole') -notmatch 'Mailbox') {
            continue
        }
        $name = [string] (Read-Property $server 'Name')
        if (-not $Servers.ContainsKey($name)) {
            throw ('The plan does not know the Exchange server {0}. Plan again. Nothing was changed.' -f $name)
        }
        $version = [string] (Read-Property $server 'AdminDisplayVersion')
        if ($version -match '^Version (\d+\.\d+) \(Build (\d+\.\d+)\)$') {
            $build = [version] ($Matches[1] + '.' + $Matches[2])
            if ($build -lt [version] $Servers[$name]) {
                throw ('The Exchange server {0} has build {1}. The plan needs {2}. Nothing was changed.' -f $name, $build, $Servers[$name])
            }
        }
    }
}

# ---- Where this runs

$used = @(
    @{ 'Name' = 'Add-AvailabilityAddressSpace'; 'Parameters' = @('AccessMethod', 'ForestName', 'ProxyUrl', 'UseServiceAccount') }
    @{ 'Name' = 'Get-AcceptedDomain'; 'Parameters' = @() }
    @{ 'Name' = 'Get-AuthServer'; 'Parameters' = @() }
    @{ 'Name' = 'Get-AvailabilityAddressSpace'; 'Parameters' = @() }
    @{ 'Name' = 'Get-HybridConfiguration'; 'Parameters' = @() }
    @{ 'Name' = 'Get-IntraOrganizationConnector'; 'Parameters' = @() }
    @{ 'Name' = 'Get-OrganizationRelationship'; 'Parameters' = @() }
    @{ 'Name' = 'Get-PartnerApplication'; 'Parameters' = @() }
    @{ 'Name' = 'Get-RemoteDomain'; 'Parameters' = @() }
    @{ 'Name' = 'Get-SettingOverride'; 'Parameters' = @() }
    @{ 'Name' = 'New-AcceptedDomain'; 'Parameters' = @('DomainName', 'Name') }
    @{ 'Name' = 'New-AuthServer'; 'Parameters' = @('AuthMetadataUrl', 'DomainName', 'Enabled', 'Name', 'Type') }
    @{ 'Name' = 'New-HybridConfiguration'; 'Parameters' = @('Domains', 'Features') }
    @{ 'Name' = 'New-IntraOrganizationConnector'; 'Parameters' = @('DiscoveryEndpoint', 'Enabled', 'Name', 'TargetAddressDomains') }
    @{ 'Name' = 'New-OrganizationRelationship'; 'Parameters' = @('ArchiveAccessEnabled', 'DeliveryReportEnabled', 'DomainNames', 'Enabled', 'FreeBusyAccessEnabled', 'FreeBusyAccessLevel', 'MailTipsAccessEnabled', 'MailTipsAccessLevel', 'MailboxMoveEnabled', 'Name', 'PhotosEnabled', 'TargetOwaURL', 'TargetSharingEpr') }
    @{ 'Name' = 'New-RemoteDomain'; 'Parameters' = @('DomainName', 'Name') }
    @{ 'Name' = 'New-SettingOverride'; 'Parameters' = @('Component', 'Name', 'Parameters', 'Reason', 'Section') }
    @{ 'Name' = 'Set-AuthServer'; 'Parameters' = @('ApplicationIdentifier', 'DomainName', 'Identity') }
    @{ 'Name' = 'Set-PartnerApplication'; 'Parameters' = @('Enabled', 'Identity', 'LinkedAccount') }
    @{ 'Name' = 'Set-RemoteDomain'; 'Parameters' = @('Identity', 'TargetDeliveryDomain', 'TrustedMailInboundEnabled') }
)
Assert-Place -Organization 'aaaaaaaa-0000-0000-0000-000000000001' -Servers @{ 'EX1' = '15.2.1748.39' } -Used $used

$needs = @(
    @{ Id = 'entra/AppRoleAssignment/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001:full_access_as_app'; Script = '01-entra.ps1' }
    @{ Id = 'entra/KeyCredential/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001'; Script = '01-entra.ps1' }
    @{ Id = 'entra/Application/ExchangeServerApp-aaaaaaaa-0000-0000-0000-000000000001'; Script = '01-entra.ps1' }
    @{ Id = 'online/OrganizationConfig/ews'; Script = '02-online.ps1' }
)
Assert-Need $needs

$Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId'] = Read-Id -Name 'Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId' -Given $Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId -From '01-entra.ps1' -Guid
Save-Result

# ---- The changes

try {

    # 1 of 14: create AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"
    # Why: tokens that Exchange Online presents are checked against it
    # Risk: a disabled or wrong auth server refuses every OAuth request of the tenant
    $checks1 = @(
        @{ Property = 'DomainName'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com', 'contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/AuthServer/acs' -Kind 'AuthServer' -Action 'create' -What 'AuthServer "ACS - cccccccc-0000-0000-0000-000000000003"' -Needs @() -Checks $checks1
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'MicrosoftACS' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://accounts.accesscontrol.windows.net/11111111-2222-3333-4444-555555555555/metadata/json/1' -Live (Read-Property $_ 'AuthMetadataUrl')))) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('AuthServer "ACS - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'create with New-AuthServer')) {
            Enter-Write
            $change1 = @{
                Name = 'ACS - cccccccc-0000-0000-0000-000000000003'
                AuthMetadataUrl = 'https://accounts.accesscontrol.windows.net/11111111-2222-3333-4444-555555555555/metadata/json/1'
                DomainName = @('contoso.mail.onmicrosoft.com', 'contoso.com')
                Enabled = $true
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-AuthServer @change1
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 2 of 14: create AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"
    # Why: Exchange asks it for tokens to the tenant
    # Risk: a disabled or wrong auth server refuses every OAuth request of the tenant
    $checks2 = @(
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/AuthServer/evosts' -Kind 'AuthServer' -Action 'create' -What 'AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003"' -Needs @() -Checks $checks2
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'AzureAD' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml' -Live (Read-Property $_ 'AuthMetadataUrl')))) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('AuthServer "EvoSts - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'create with New-AuthServer')) {
            Enter-Write
            $change2 = @{
                Name = 'EvoSts - cccccccc-0000-0000-0000-000000000003'
                AuthMetadataUrl = 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml'
                Enabled = $true
                Type = 'AzureAD'
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-AuthServer @change2
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{ 'AuthServer_evosts_Identity' = 'Identity' }


    # 3 of 14: update PartnerApplication "Exchange Online"
    # Why: it lets lookups from Exchange Online in
    # Risk: disabled, it refuses every lookup from Exchange Online
    $checks3 = @(
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
        @{ Property = 'LinkedAccount'; As = 'SomeText'; Want = 'contoso.com/Users/Exchange Online-ApplicationAccount'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000' -Kind 'PartnerApplication' -Action 'update' -What 'PartnerApplication "Exchange Online"' -Needs @() -Checks $checks3
    while ($Change.Open) {
        $live = @(Get-PartnerApplication -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'Exchange Online' -Live (Read-Property $_ 'Identity')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('PartnerApplication "Exchange Online" in Exchange on-premises, contoso', 'update with Set-PartnerApplication')) {
            Enter-Write
            $change3 = @{
                Identity = 'Exchange Online'
                Enabled = $true
                LinkedAccount = 'contoso.com/Users/Exchange Online-ApplicationAccount'
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-PartnerApplication @change3
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 4 of 14: create AcceptedDomain "contoso.mail.onmicrosoft.com"
    # Why: mailboxes of contoso have an address in it, at which mail reaches them in the tenant
    # Risk: mail to the domain is routed by the recipients' target addresses
    $checks4 = @()
    Enter-Change -Id 'onprem/contoso/AcceptedDomain/contoso.mail.onmicrosoft.com' -Kind 'AcceptedDomain' -Action 'create' -What 'AcceptedDomain "contoso.mail.onmicrosoft.com"' -Needs @() -Checks $checks4
    while ($Change.Open) {
        $live = @(Get-AcceptedDomain -ErrorAction Stop | Where-Object { (Test-Same -As DomainList -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'DomainName')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('AcceptedDomain "contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'create with New-AcceptedDomain')) {
            Enter-Write
            $change4 = @{
                Name = 'contoso.mail.onmicrosoft.com'
                DomainName = 'contoso.mail.onmicrosoft.com'
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-AcceptedDomain @change4
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 5 of 14: create RemoteDomain "Hybrid Domain - contoso.mail.onmicrosoft.com"
    # Why: mailboxes that are moved or made in the tenant get their target address in it
    # Risk: formats and automatic replies of mail to the domain follow it
    $checks5 = @()
    Enter-Change -Id 'onprem/contoso/RemoteDomain/contoso.mail.onmicrosoft.com' -Kind 'RemoteDomain' -Action 'create' -What 'RemoteDomain "Hybrid Domain - contoso.mail.onmicrosoft.com"' -Needs @() -Checks $checks5
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { (Test-Same -As DomainList -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'DomainName')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomain "Hybrid Domain - contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'create with New-RemoteDomain')) {
            Enter-Write
            $change5 = @{
                Name = 'Hybrid Domain - contoso.mail.onmicrosoft.com'
                DomainName = 'contoso.mail.onmicrosoft.com'
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-RemoteDomain @change5
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{ 'RemoteDomain_contoso_mail_onmicrosoft_com_Identity' = 'Identity' }


    # 6 of 14: create RemoteDomainDelivery "Hybrid Domain - contoso.mail.onmicrosoft.com"
    # Why: mailboxes that are moved or made in the tenant get their target address in it
    # Risk: with another target delivery domain, mailboxes that are moved get another target address
    $checks6 = @(
        @{ Property = 'TargetDeliveryDomain'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/RemoteDomainDelivery/contoso.mail.onmicrosoft.com' -Kind 'RemoteDomainDelivery' -Action 'update' -What 'RemoteDomainDelivery "Hybrid Domain - contoso.mail.onmicrosoft.com"' -Needs @('onprem/contoso/RemoteDomain/contoso.mail.onmicrosoft.com') -Checks $checks6 -Fresh
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { (Test-Same -As DomainList -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'DomainName')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomainDelivery "Hybrid Domain - contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'create with Set-RemoteDomain')) {
            Enter-Write
            $change6 = @{
                Identity = $Run.Ids['RemoteDomain_contoso_mail_onmicrosoft_com_Identity']
                TargetDeliveryDomain = $true
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-RemoteDomain @change6
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 7 of 14: create RemoteDomain "Hybrid Domain - contoso.onmicrosoft.com"
    # Why: mail from the tenant's initial domain passes the filters
    # Risk: formats and automatic replies of mail to the domain follow it
    $checks7 = @()
    Enter-Change -Id 'onprem/contoso/RemoteDomain/contoso.onmicrosoft.com' -Kind 'RemoteDomain' -Action 'create' -What 'RemoteDomain "Hybrid Domain - contoso.onmicrosoft.com"' -Needs @() -Checks $checks7
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { (Test-Same -As DomainList -Want 'contoso.onmicrosoft.com' -Live (Read-Property $_ 'DomainName')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomain "Hybrid Domain - contoso.onmicrosoft.com" in Exchange on-premises, contoso', 'create with New-RemoteDomain')) {
            Enter-Write
            $change7 = @{
                Name = 'Hybrid Domain - contoso.onmicrosoft.com'
                DomainName = 'contoso.onmicrosoft.com'
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-RemoteDomain @change7
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{ 'RemoteDomain_contoso_onmicrosoft_com_Identity' = 'Identity' }


    # 8 of 14: create RemoteDomainDelivery "Hybrid Domain - contoso.onmicrosoft.com"
    # Why: mail from the tenant's initial domain passes the filters
    # Risk: with another target delivery domain, mailboxes that are moved get another target address
    $checks8 = @(
        @{ Property = 'TrustedMailInboundEnabled'; As = 'Boolean'; Want = $true; Before = $false; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/RemoteDomainDelivery/contoso.onmicrosoft.com' -Kind 'RemoteDomainDelivery' -Action 'update' -What 'RemoteDomainDelivery "Hybrid Domain - contoso.onmicrosoft.com"' -Needs @('onprem/contoso/RemoteDomain/contoso.onmicrosoft.com') -Checks $checks8 -Fresh
    while ($Change.Open) {
        $live = @(Get-RemoteDomain -ErrorAction Stop | Where-Object { (Test-Same -As DomainList -Want 'contoso.onmicrosoft.com' -Live (Read-Property $_ 'DomainName')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('RemoteDomainDelivery "Hybrid Domain - contoso.onmicrosoft.com" in Exchange on-premises, contoso', 'create with Set-RemoteDomain')) {
            Enter-Write
            $change8 = @{
                Identity = $Run.Ids['RemoteDomain_contoso_onmicrosoft_com_Identity']
                TrustedMailInboundEnabled = $true
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-RemoteDomain @change8
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 9 of 14: create OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"
    # Why: it says what contoso and the tenant may ask of each other
    # Risk: lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings
    $checks9 = @(
        @{ Property = 'ArchiveAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DeliveryReportEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainNames'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'FreeBusyAccessLevel'; As = 'Level'; Want = 'LimitedDetails'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailTipsAccessLevel'; As = 'Level'; Want = 'All'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'MailboxMoveEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'PhotosEnabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetOwaURL'; As = 'Url'; Want = 'https://outlook.office.com/mail'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetSharingEpr'; As = 'Url'; Want = 'https://outlook.office365.com/EWS/Exchange.asmx'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com' -Kind 'OrganizationRelationship' -Action 'create' -What 'OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003"' -Needs @('onprem/contoso/AuthServer/acs', 'onprem/contoso/AuthServer/evosts', 'onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000') -Checks $checks9
    while ($Change.Open) {
        $live = @(Get-OrganizationRelationship -ErrorAction Stop | Where-Object { Test-Shared -As DomainList -Want @('contoso.mail.onmicrosoft.com') -Live (Read-Property $_ 'DomainNames') })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('OrganizationRelationship "On-premises to O365 - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'create with New-OrganizationRelationship')) {
            Enter-Write
            $change9 = @{
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
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-OrganizationRelationship @change9
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 10 of 14: create IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"
    # Why: lookups from contoso go to the tenant with OAuth
    # Risk: an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does
    $checks10 = @(
        @{ Property = 'DiscoveryEndpoint'; As = 'Url'; Want = 'https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc'; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'Enabled'; As = 'Boolean'; Want = $true; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'TargetAddressDomains'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com' -Kind 'IntraOrganizationConnector' -Action 'create' -What 'IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003"' -Needs @('onprem/contoso/AuthServer/acs', 'onprem/contoso/AuthServer/evosts', 'onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000') -Checks $checks10
    while ($Change.Open) {
        $live = @(Get-IntraOrganizationConnector -ErrorAction Stop | Where-Object { Test-Shared -As DomainList -Want @('contoso.mail.onmicrosoft.com') -Live (Read-Property $_ 'TargetAddressDomains') })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('IntraOrganizationConnector "HybridIOC - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'create with New-IntraOrganizationConnector')) {
            Enter-Write
            $change10 = @{
                Name = 'HybridIOC - cccccccc-0000-0000-0000-000000000003'
                DiscoveryEndpoint = 'https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc'
                Enabled = $true
                TargetAddressDomains = @('contoso.mail.onmicrosoft.com')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-IntraOrganizationConnector @change10
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 11 of 14: create AvailabilityAddressSpace "contoso.mail.onmicrosoft.com"
    # Why: old servers of contoso ask a newer one for calendars of the tenant
    # Risk: lookups for this domain have no way between the removal and the creation of the address space
    $checks11 = @(
        @{ Property = 'AccessMethod'; As = 'Text'; Want = 'InternalProxy'; Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/AvailabilityAddressSpace/contoso.mail.onmicrosoft.com' -Kind 'AvailabilityAddressSpace' -Action 'create' -What 'AvailabilityAddressSpace "contoso.mail.onmicrosoft.com"' -Needs @() -Checks $checks11
    while ($Change.Open) {
        $live = @(Get-AvailabilityAddressSpace -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'contoso.mail.onmicrosoft.com' -Live (Read-Property $_ 'ForestName')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('AvailabilityAddressSpace "contoso.mail.onmicrosoft.com" in Exchange on-premises, contoso', 'create with Add-AvailabilityAddressSpace')) {
            Enter-Write
            $change11 = @{
                AccessMethod = 'InternalProxy'
                ForestName = 'contoso.mail.onmicrosoft.com'
                ProxyUrl = 'https://mail.contoso.com/EWS/Exchange.asmx'
                UseServiceAccount = $true
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Add-AvailabilityAddressSpace @change11
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 12 of 14: create AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"
    # Why: Exchange presents itself to the tenant as its own application
    # Risk: every on-premises lookup to the tenant is made as this application from then on
    $checks12 = @(
        @{ Property = 'ApplicationIdentifier'; As = 'Guid'; Want = $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId']; Before = $null; Joins = $false; Hides = $false }
        @{ Property = 'DomainName'; As = 'DomainList'; Want = @('contoso.mail.onmicrosoft.com', 'contoso.com'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/AuthServerApplication/evosts' -Kind 'AuthServerApplication' -Action 'update' -What 'AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003"' -Needs @('onprem/contoso/AuthServer/acs', 'onprem/contoso/AuthServer/evosts', 'onprem/contoso/PartnerApplication/00000002-0000-0ff1-ce00-000000000000') -Checks $checks12 -Fresh
    while ($Change.Open) {
        $live = @(Get-AuthServer -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'AzureAD' -Live (Read-Property $_ 'Type')) -and ((Test-Same -As Guid -Want '11111111-2222-3333-4444-555555555555' -Live (Read-Property $_ 'Realm')) -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) -and (Test-Same -As Url -Want 'https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml' -Live (Read-Property $_ 'AuthMetadataUrl')))) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('AuthServerApplication "EvoSts - cccccccc-0000-0000-0000-000000000003" in Exchange on-premises, contoso', 'create with Set-AuthServer')) {
            Enter-Write
            $change12 = @{
                Identity = $Run.Ids['AuthServer_evosts_Identity']
                ApplicationIdentifier = $Run.Ids['Application_ExchangeServerApp_aaaaaaaa_0000_0000_0000_000000000001_appId']
                DomainName = @(Join-List -As 'DomainList' -Live (Read-Property $Change.Live 'DomainName') -Add @('contoso.mail.onmicrosoft.com', 'contoso.com'))
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = Set-AuthServer @change12
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 13 of 14: create SettingOverride "EnableExchangeHybrid3PAppFeature"
    # Why: it makes Exchange use the dedicated application
    # Risk: takes effect on every Exchange server of the organization, or on those that it names
    $checks13 = @(
        @{ Property = 'Parameters'; As = 'SettingList'; Want = @('Enabled=true'); Before = $null; Joins = $false; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId' -Kind 'SettingOverride' -Action 'create' -What 'SettingOverride "EnableExchangeHybrid3PAppFeature"' -Needs @('onprem/contoso/AuthServerApplication/evosts', 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com', 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com') -Checks $checks13
    while ($Change.Open) {
        $live = @(Get-SettingOverride -ErrorAction Stop | Where-Object { (Test-Same -As Text -Want 'Global' -Live (Read-Property $_ 'ComponentName')) -and (Test-Same -As Text -Want 'ExchangeOnpremAsThirdPartyAppId' -Live (Read-Property $_ 'SectionName')) -and (Test-Same -As SettingList -Want $null -Live (Read-Property $_ 'Server')) -and (Test-Same -As Text -Want $null -Live (Read-Property $_ 'MinVersion')) -and (Test-Same -As Text -Want $null -Live (Read-Property $_ 'MaxVersion')) })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('SettingOverride "EnableExchangeHybrid3PAppFeature" in Exchange on-premises, contoso', 'create with New-SettingOverride')) {
            Enter-Write
            $change13 = @{
                Name = 'EnableExchangeHybrid3PAppFeature'
                Component = 'Global'
                Parameters = @('Enabled=true')
                Reason = 'Exchange hybrid: lookups as the dedicated application'
                Section = 'ExchangeOnpremAsThirdPartyAppId'
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-SettingOverride @change13
            try {
                $then13_1 = @{
                    Argument = 'Refresh'
                    Component = 'VariantConfiguration'
                    Process = 'Microsoft.Exchange.Directory.TopologyService'
                    ErrorAction = 'Stop'
                }
                $null = Get-ExchangeDiagnosticInfo @then13_1
            } catch {
                Write-Warning 'Get-ExchangeDiagnosticInfo failed: Exchange takes the setting over by itself within the hour or when its services restart.'
            }
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}


    # 14 of 14: create HybridConfiguration "Hybrid Configuration"
    # Why: Microsoft's tools read from it what is set up in contoso
    # Risk: nothing uses it but Microsoft's wizard and its checkers
    $checks14 = @(
        @{ Property = 'Domains'; As = 'DomainList'; Want = @('contoso.com'); Before = $null; Joins = $true; Hides = $false }
        @{ Property = 'Features'; As = 'DomainList'; Want = @('FreeBusy', 'MoveMailbox', 'Mailtips', 'MessageTracking', 'OwaRedirection', 'OnlineArchive', 'Photos'); Before = $null; Joins = $true; Hides = $false }
    )
    Enter-Change -Id 'onprem/contoso/HybridConfiguration/record' -Kind 'HybridConfiguration' -Action 'create' -What 'HybridConfiguration "Hybrid Configuration"' -Needs @('onprem/contoso/AcceptedDomain/contoso.mail.onmicrosoft.com', 'onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com', 'onprem/contoso/OrganizationRelationship/contoso.mail.onmicrosoft.com', 'onprem/contoso/RemoteDomainDelivery/contoso.mail.onmicrosoft.com', 'onprem/contoso/RemoteDomainDelivery/contoso.onmicrosoft.com', 'onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId') -Checks $checks14
    while ($Change.Open) {
        $live = @(Get-HybridConfiguration -ErrorAction Stop | Where-Object { $true })
        if ((Compare-Change -Live $live) -and $PSCmdlet.ShouldProcess('HybridConfiguration "Hybrid Configuration" in Exchange on-premises, contoso', 'create with New-HybridConfiguration')) {
            Enter-Write
            $change14 = @{
                Domains = @('contoso.com')
                Features = @('FreeBusy', 'MoveMailbox', 'Mailtips', 'MessageTracking', 'OwaRedirection', 'OnlineArchive', 'Photos')
                Confirm = $false
                ErrorAction = 'Stop'
            }
            $null = New-HybridConfiguration @change14
            Confirm-Write
        }
    }
    Exit-Change -Keeps @{}

} catch {
    Save-Result 'refused' ([string] $_)
    Write-Line ('{0} done, {1} passed over; stopped at: {2}' -f $Run.Done.Count, $Run.Passed.Count, $Change.What)
    throw
}
Write-Summary 'Next: 03-onprem-fabrikam.ps1'

exit 0
