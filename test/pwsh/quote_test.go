package pwsh_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

func utf16Base64(s string) string {
	var raw []byte
	for _, u := range utf16.Encode([]rune(s)) {
		raw = append(raw, byte(u), byte(u>>8))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// Every character, beside itself and beside quotes, is data to PowerShell's own parser where hybridge
// quotes a text: the value comes back as it was, and nothing of it runs.
func TestQuotesAgainstPowerShell(t *testing.T) {
	pool := powerShellProcess(t)
	var texts []string
	var b strings.Builder
	for r := rune(1); r <= 0x1ffff; r++ {
		if !utf8.ValidRune(r) || r > 0x2ffff {
			continue
		}
		if r > 0xffff && r < 0x1f000 {
			continue // letters of old scripts
		}
		fmt.Fprintf(&b, "%c%[1]c'%[1]c;$(exit 3)\u2019%[1]c\"", r)
		if r%512 == 511 {
			texts = append(texts, b.String())
			b.Reset()
		}
	}
	texts = append(texts, b.String(), "'; exit 3; '", "\u2018; exit 3; \u201b", "\r\nexit 3\r\n", "`'", "a\u2028exit 3", "#>", "")
	for i := 0; i < len(texts); i += 16 {
		part := texts[i:min(len(texts), i+16)]
		var source strings.Builder
		for _, text := range part {
			source.WriteString("[Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes(" + exchange.Literal(text, nil) + "))\n")
			source.WriteString("foreach ($k in (" + exchange.Literal(map[string]any{"k" + text: []string{text}}, nil) +
				").GetEnumerator()) { [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($k.Key)) }\n")
		}
		out, err := pool.Invoke(t.Context(), script(source.String()))
		if err != nil || len(out.Errors) > 0 || len(out.Objects) != 2*len(part) {
			t.Fatalf("part %d: %d objects, %v %v", i, len(out.Objects), err, out.Errors)
		}
		for n, text := range part {
			if psrp.Text(out.Objects[2*n]) != utf16Base64(text) || psrp.Text(out.Objects[2*n+1]) != utf16Base64("k"+text) {
				t.Errorf("text %d came back otherwise", i+n)
			}
		}
	}
}

// What the tokens of a script are outside of comments, literals and variables is the same, whatever
// the names and reasons of a plan are.
func TestScriptsOfHostileNames(t *testing.T) {
	pool := powerShellProcess(t)
	dir := t.TempDir()
	shape := func(name string) string {
		p := change.Plan{Changes: []change.Change{{ID: "online/RemoteDomain/x", Kind: "RemoteDomain", Name: name,
			Target: desired.PlaceOnline, Action: change.Create, After: change.Properties{"DomainName": name},
			Command: change.Command{Name: "New-RemoteDomain", Parameters: map[string]any{"Name": name, "DomainName": name}},
			Risk:    name}}}
		var tokens []string
		for i, s := range desired.Scripts(p, map[string]desired.Site{desired.PlaceOnline: {}}) {
			path := filepath.Join(dir, fmt.Sprintf("%d.ps1", i))
			if err := os.WriteFile(path, s.Content, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := pool.Invoke(t.Context(), script(`param($p) $e = $null; $t = $null
[void][System.Management.Automation.Language.Parser]::ParseFile($p, [ref]$t, [ref]$e)
if ($e) { throw $e[0].Message }
-join ($t | Where-Object Kind -NotIn 'Comment', 'NewLine', 'StringLiteral', 'StringExpandable' | ForEach-Object { $_.Text + ' ' })`,
				psrp.Parameter{Name: "p", Value: path}))
			if err != nil || len(out.Errors) > 0 {
				t.Fatalf("%q: %v %v", name, err, out.Errors)
			}
			tokens = append(tokens, psrp.Text(out.Objects[0]))
		}
		return strings.Join(tokens, "\n")
	}
	want := shape("fine")
	if !strings.Contains(want, "New-RemoteDomain") && !strings.Contains(want, "Enter-Change") {
		t.Fatalf("is this test looking? %s", want)
	}
	for _, name := range []string{"'; Remove-Item x; '", "\u2018; Remove-Item x; \u2019", "#> Remove-Item x <#", "$(Remove-Item x)",
		"`$(Remove-Item x)", "\"; Remove-Item x; \"", "\u201d; Remove-Item x; \u201c", "@' x", "<#", "%s%n", "{0}", "\u201a\u201b"} {
		if got := shape(name); got != want {
			t.Errorf("%q gives other tokens:\n%s\nwant\n%s", name, got, want)
		}
	}
	// What is no letter is a code, which adds tokens and runs nothing.
	for _, name := range []string{"a\r\nRemove-Item x", "a\nRemove-Item x", "a\u2028Remove-Item x", "a\u0085Remove-Item x", "a\x00b"} {
		if got := shape(name); strings.Contains(got, "Remove-Item x ") {
			t.Errorf("%q is run:\n%s", name, got)
		}
	}
}
