package prereq

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// FixScripts returns PowerShell scripts that repair findings in the directory, by file name: two
// per forest, the second undoes the first. hybridge never runs them. Each line compares first: what
// has changed since the check is left alone. What a person decides is a comment.
func FixScripts(findings []check.Finding) map[string]string {
	out := map[string]string{}
	for _, forest := range forestsOf(findings) {
		var fix, undo, decide []string
		for _, f := range findings {
			if f.Forest != forest {
				continue
			}
			old, corrected := f.Value, f.Suggestion
			switch {
			case f.Suggestion == "" || f.Attribute == "distinguishedName":
				decide = append(decide, comment(f))
				continue
			case old == corrected:
				continue
			}
			fix = append(fix, repair(f, old, corrected))
			undo = append(undo, repair(f, corrected, old))
		}
		slices.Reverse(undo)
		name := fileName(forest)
		out["fix-"+name+".ps1"] = script("Repairs findings of hybridge check in the forest.", "undo-"+name+".ps1", fix,
			decide)
		out["undo-"+name+".ps1"] = script("Undoes fix-"+name+".ps1.", "fix-"+name+".ps1", undo, nil)
	}
	return out
}

func forestsOf(findings []check.Finding) (out []string) {
	for _, f := range findings {
		if !slices.Contains(out, f.Forest) {
			out = append(out, f.Forest)
		}
	}
	return out
}

// fileName makes a forest's name fit for a file name.
func fileName(forest string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' ||
			r == '.' || r == '_' { // as names of forests have them: each has files of its own
			return r
		}
		return '_'
	}, forest)
}

func repair(f check.Finding, old, corrected string) string {
	return fmt.Sprintf("Edit-Value -Identity %s -Attribute %s -Old %s -New %s", exchange.Quote(f.DN),
		exchange.Quote(f.Attribute), exchange.Quote(old), exchange.Quote(corrected))
}

// comment names a finding in one line of a script. A literal has no line break.
func comment(f check.Finding) string {
	text := fmt.Sprintf("# %s: %s %s", f.Rule, exchange.Quote(f.DN), exchange.Quote(f.Attribute))
	if f.Value != "" {
		text += " " + exchange.Quote(f.Value)
	}
	if f.Remove {
		text += " (to be removed)"
	}
	return text
}

func script(title, other string, lines, decide []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s is the way back.\n%s", title, other, scriptHead)
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	if len(decide) > 0 {
		b.WriteString("\n# These need a decision. hybridge help RULE says what to consider.\n")
		for _, l := range decide {
			b.WriteString(l + "\n")
		}
	}
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

const scriptHead = `# Read it first. Try it with -WhatIf. It needs the module ActiveDirectory and a domain controller
# that may be written to.
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)][string]$Server,
    [pscredential]$Credential
)
Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
Import-Module ActiveDirectory
$connection = @{ Server = $Server }
if ($Credential) { $connection.Credential = $Credential }

function Edit-Value {
    [CmdletBinding(SupportsShouldProcess)]
    param([string]$Identity, [string]$Attribute, [string]$Old, [string]$New)
    $object = Get-ADObject -Identity $Identity -Properties $Attribute @connection
    $values = @($object[$Attribute] | ForEach-Object { [string]$_ })
    $list = $Attribute -eq 'proxyAddresses'
    $done = if ($New) { $values -ccontains $New }
    else { $values.Count -eq 0 -or ($list -and $values -cnotcontains $Old) }
    if ($done) {
        Write-Verbose "$Identity has the value already"
        return
    }
    if (($Old -and $values -cnotcontains $Old) -or (-not $Old -and -not $list -and $values.Count -gt 0)) {
        Write-Warning "$Identity has changed since the check: $Attribute is left alone"
        return
    }
    if (-not $PSCmdlet.ShouldProcess($Identity, "change $Attribute from '$Old' to '$New'")) { return }
    $change = @{}
    if ($list) {
        if ($Old) { $change.Remove = @{ $Attribute = $Old } }
        if ($New) { $change.Add = @{ $Attribute = $New } }
    }
    elseif ($New) { $change.Replace = @{ $Attribute = $New } }
    else { $change.Clear = $Attribute }
    Set-ADObject -Identity $Identity @change @connection
}

`
