# ---- Undoing a change: look, compare with what the script made, write, look again

# Begins to undo a change. Needs lists the changes that rest on it: they are undone first.
function Enter-Undo([string] $Id, [string] $Kind, [string] $Action, [string] $What, [object[]] $Needs, [object[]] $Checks, [string] $Permanent) {
    $result = Read-Result
    $record = Read-Property $result.changes $Id
    $script:Change = @{
        Id = $Id
        Action = $Action
        What = $What
        Shows = $Run.Kinds[$Kind]
        Checks = $Checks
        Open = $true
        Written = $false
        Write = [string] (Read-Property $record 'write')
        Made = Read-Property $record 'made'
        Before = Read-Property $record 'before'
        After = Read-Property $record 'after'
        Live = $null
        Declined = $false
        Undone = $false
        Text = ''
        Until = $null
    }
    Write-Line ('undo: {0}' -f $What)
    if (-not $Change.Write) {
        $Change.Open = $false
        return
    }
    if ($Permanent) {
        Skip-Undo $Permanent
        return
    }
    foreach ($need in @($Needs | Where-Object { $null -ne $_ })) {
        if ((Read-Property (Read-Property $result.changes $need.Id) 'write') -and -not $WhatIfPreference) {
            Skip-Undo ('{0} rests on it and is not undone: see rollback\{1}' -f $need.Id, $need.Script)
            return
        }
    }
}

# Leaves a change as it is.
function Skip-Undo([string] $Text) {
    $Change.Open = $false
    $Change.Declined = $true
    $Change.Text = $Text
    Write-Line ('  left as it is: {0}' -f $Text)
}

# Whether a live object is the one that the script made. Meaning says whether it looks like it.
function Test-Made($Object, [bool] $Meaning) {
    $identity = [string] (Read-Property $Change.After 'identity')
    if ($identity) {
        return $identity -eq [string] (Read-Property $Object $Run.Identity)
    }
    return $Meaning
}

# The first property in which an object is not as an image has it, with both values.
function Find-Difference($Image, $Object) {
    $properties = Read-Property $Image 'properties'
    foreach ($name in @($Change.Shows.Keys | Sort-Object)) {
        # What is made again has another id.
        if ($name -eq $Run.Identity -and $Change.Action -ne 'remove') {
            continue
        }
        $was = Read-Property $properties $name
        $is = Read-Property $Object $name
        $as = $Change.Shows[$name]
        if (-not ((Test-Same -As $as -Want $was -Live $is) -and (Test-Same -As $as -Want $is -Live $was))) {
            return ('{0} has changed since: it was [{1}] and is [{2}]' -f $name, (@($was) -join ', '), (@($is) -join ', '))
        }
    }
}

# What was in a list before the script wrote it.
function Read-Before([hashtable] $Check) {
    if ($null -eq $Change.Before) {
        return $Check.Before
    }
    Read-Property (Read-Property $Change.Before 'properties') $Check.Property
}

# The keys that a change added.
function Get-AddedKey([hashtable] $Check) {
    $before = @(Read-Before $Check)
    foreach ($key in @($Check.Want | Where-Object { $null -ne $_ })) {
        if (-not (Test-Key $key $before)) {
            $key
        }
    }
}

# What a change added to a list, each part as a text that is compared.
function Get-AddedPart([hashtable] $Check) {
    $before = @(Expand-Value $Check.As (Read-Before $Check))
    @(Expand-Value $Check.As $Check.Want) | Where-Object { $before -notcontains $_ }
}

# Whether a list still has what the change added.
function Test-Added([hashtable] $Check, $Live) {
    if ($Check.As -eq 'KeyList') {
        foreach ($key in @(Get-AddedKey $Check)) {
            if (Test-Key $key $Live) {
                return $true
            }
        }
        return $false
    }
    $added = @(Get-AddedPart $Check)
    foreach ($part in @(Expand-Value $Check.As $Live)) {
        if ($added -contains $part) {
            return $true
        }
    }
    return $false
}

# The live list without what the change added to it: what others put there stays.
function Split-List([string] $Property) {
    $check = @($Change.Checks | Where-Object { $_.Property -eq $Property })[0]
    $there = @(Join-List -As $check.As -Live (Read-Property $Change.Live $Property) -Add @())
    if ($check.As -eq 'KeyList') {
        $keys = @(Get-AddedKey $check)
        foreach ($key in $there) {
            if (-not (Test-Key $key $keys)) {
                $key
            }
        }
        return
    }
    $added = @(Get-AddedPart $check)
    foreach ($one in $there) {
        if ($check.As -ne 'AccessList') {
            if ($added -notcontains @(Expand-Value $check.As $one)[0]) {
                $one
            }
            continue
        }
        $id = [string] (Read-Property $one 'resourceAppId')
        $kept = @(@(Read-Property $one 'resourceAccess') | Where-Object { $added -notcontains ('{0}/{1}/{2}' -f $id, $_.id, $_.type) })
        if ($kept.Count -gt 0) {
            @{ resourceAppId = $id; resourceAccess = $kept }
        }
    }
}

# Compares what is live with what the script made. True: it is to be undone now.
function Compare-Undo([object[]] $Live) {
    $found = @($Live | Where-Object { $null -ne $_ })
    if ($found.Count -gt 1) {
        Skip-Undo ('there are {0} of it' -f $found.Count)
        return $false
    }
    $object = $null
    if ($found.Count -eq 1) {
        $object = $found[0]
    }
    $Change.Live = $object
    $undone = $false
    $moved = ''
    if ($Change.Action -eq 'remove') {
        $undone = $null -eq $object
        if (-not $undone -and $null -ne $Change.After) {
            $moved = Find-Difference $Change.After $object
        } elseif (-not $undone) {
            foreach ($check in $Change.Checks) {
                if (-not (Test-Same -As $check.As -Want $check.Want -Live (Read-Property $object $check.Property))) {
                    $moved = '{0} has changed since' -f $check.Property
                }
            }
        }
    } elseif ($Change.Action -eq 'restore' -or $Change.Action -eq 'replace') {
        if ($null -ne $object) {
            $moved = Find-Difference $Change.Before $object
            $undone = -not $moved
            if ($moved -and $Change.Action -eq 'replace') {
                $moved = Find-Difference $Change.After $object
            }
        }
    } elseif ($null -eq $object) {
        Skip-Undo 'it is not there any more'
        return $false
    } else {
        $undone = $true
        foreach ($check in $Change.Checks) {
            $value = Read-Property $object $check.Property
            if ($check.Hides -and -not (Test-Shown $object $check.Property)) {
                $moved = '{0} is not shown' -f $check.Property
            } elseif ($check.Joins) {
                $undone = $undone -and -not (Test-Added $check $value)
            } elseif (-not ((Test-Same -As $check.As -Want $check.Before -Live $value) -and (Test-Same -As $check.As -Want $value -Live $check.Before))) {
                $undone = $false
                if (-not (Test-Same -As $check.As -Want $check.Want -Live $value)) {
                    $moved = '{0} has changed since: it is [{1}]' -f $check.Property, (@($value) -join ', ')
                }
            }
        }
    }
    if ($undone) {
        $Change.Open = $false
        $Change.Undone = $true
        return $false
    }
    if ($Change.Written) {
        Wait-Change
        return $false
    }
    if ($moved) {
        Skip-Undo $moved
        return $false
    }
    # Until the write is confirmed the change counts as declined.
    $Change.Open = $false
    $Change.Declined = $true
    return $true
}

function Enter-UndoWrite {
    Save-Result 'undoing' ''
}

function Confirm-Undo {
    $Change.Written = $true
    $Change.Declined = $false
    $Change.Open = $true
    $Change.Until = $null
}

# Ends the undoing of a change.
function Exit-Undo {
    if ($Change.Declined) {
        $Run.Open += $Change.Id
        Save-Result 'left' ([string] $Change.Text)
        return
    }
    if (-not $Change.Undone) {
        $Run.Passed += $Change.Id
        Write-Line '  these scripts have not made it: passed over'
        return
    }
    $Change.Write = ''
    $Change.Made = $null
    $Change.After = $null
    Save-Result 'undone' ''
    if ($Change.Written) {
        $Run.Done += $Change.Id
        Write-Line '  undone'
    } else {
        $Run.Passed += $Change.Id
        Write-Line '  is as it was before: passed over'
    }
}
