package exchange

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/test/peer"
)

func TestPowerShell(t *testing.T) {
	tests := []struct {
		name string
		cmd  Command
		want string
	}{
		{"identity first, control last",
			Command{"Set-AuthServer", map[string]any{"DomainName": []string{"a.com", "b.com"}, "Confirm": false,
				"Enabled": true, "Identity": "x"}},
			`Set-AuthServer -Identity 'x' -DomainName @('a.com', 'b.com') -Enabled $true -Confirm:$false`},
		{"switches", Command{"Set-AuthServer",
			map[string]any{"Identity": "x", "RefreshAuthMetadata": true, "TrustAnySSLCertificate": false}},
			`Set-AuthServer -Identity 'x' -RefreshAuthMetadata -TrustAnySSLCertificate:$false`},
		{"null and numbers", Command{"Set-RemoteDomain",
			map[string]any{"Identity": "x", "LineWrapSize": 77, "TNEFEnabled": nil}},
			`Set-RemoteDomain -Identity 'x' -LineWrapSize 77 -TNEFEnabled $null`},
		{"list change", Command{"Set-OrganizationRelationship",
			map[string]any{"Identity": "x",
				"DomainNames": ListChange{Add: []string{"a.com"}, Remove: []string{"b.com"}}}},
			`Set-OrganizationRelationship -Identity 'x' -DomainNames @{ Add = @('a.com'); Remove = @('b.com') }`},
		{"values from JSON", Command{"Set-OrganizationRelationship",
			map[string]any{"Identity": "x", "DomainNames": []any{"a.com"}}},
			`Set-OrganizationRelationship -Identity 'x' -DomainNames @('a.com')`},
		{"bytes and tables", Command{"Get-Unknown",
			map[string]any{"Data": []byte("hi"), "Table": map[string]any{"it's": int64(1)}, "Flag": true}},
			`Get-Unknown -Data ([Convert]::FromBase64String('aGk=')) -Flag:$true -Table @{ 'it''s' = 1 }`},
		{"quotes of every kind", Command{"Get-Unknown", map[string]any{"A": "'‘’‚‛“$(x)`n"}},
			"Get-Unknown -A '''‘‘’’‚‚‛‛“$(x)`n'"},
		{"invisible characters", Command{"Get-Unknown", map[string]any{"A": "a\nb\u202e"}},
			`Get-Unknown -A ('' + 'a' + [char]10 + 'b' + [char]8238)`},
		{"a cmdlet that is none", Command{Name: "Get-A; Remove-Item C:\\'"},
			`throw '"Get-A; Remove-Item C:\\''": not a cmdlet''s name'`},
		{"a parameter that is none", Command{"Get-A", map[string]any{"B $(x)": "1"}},
			`throw 'Get-A: "B $(x)" is not a parameter''s name'`},
		{"a value that is none", Command{"Get-A", map[string]any{"B": struct{}{}}},
			`throw 'Get-A: parameter B: a value of type struct {} cannot be given to a cmdlet'`},
		{"credential", Command{"Add-AvailabilityAddressSpace",
			map[string]any{"ForestName": "a.com", "AccessMethod": "OrgWideFB",
				"Credentials": Credential{"A\\b'", secret.NewValue("hunter2")}}},
			"$addAvailabilityAddressSpaceCredentials = Get-Credential -UserName 'A\\b''' -Message " +
				"'Add-AvailabilityAddressSpace -Credentials'\n" +
				"Add-AvailabilityAddressSpace -AccessMethod 'OrgWideFB' -Credentials " +
				"$addAvailabilityAddressSpaceCredentials -ForestName 'a.com'"},
		{"secret", Command{"Import-ExchangeCertificate",
			map[string]any{"FileData": []byte{1}, "Password": secret.NewValue("hunter2")}},
			"$importExchangeCertificatePassword = Read-Host -AsSecureString -Prompt 'Import-ExchangeCertificate " +
				"-Password'\n" +
				"Import-ExchangeCertificate -FileData ([Convert]::FromBase64String('AQ==')) -Password " +
				"$importExchangeCertificatePassword"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.cmd.PowerShell()
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a secret is written")
			}
		})
	}
}

// unquote reads what Quote writes, by PowerShell's rules for single-quoted literals, and nothing
// else.
func unquote(s string) (string, error) {
	var out strings.Builder
	single := func(s string) (string, error) { // reads a literal at the start of s, returns the rest
		r := []rune(s)
		if len(r) == 0 || r[0] != '\'' {
			return "", fmt.Errorf("no quote at %q", s)
		}
		for i := 1; i < len(r); i++ {
			if r[i] == '\'' || r[i] >= 0x2018 && r[i] <= 0x201b {
				if i+1 < len(r) && (r[i+1] == '\'' || r[i+1] >= 0x2018 && r[i+1] <= 0x201b) {
					out.WriteRune(r[i]) // of a doubled quote PowerShell keeps the first
					i++
					continue
				}
				return string(r[i+1:]), nil
			}
			out.WriteRune(r[i])
		}
		return "", fmt.Errorf("open literal in %q", s)
	}
	if !strings.HasPrefix(s, "(") {
		rest, err := single(s)
		if err == nil && rest != "" {
			err = fmt.Errorf("%q after the literal", rest)
		}
		return out.String(), err
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
	var high rune
	for {
		if code, ok := strings.CutPrefix(rest, "[char]"); ok {
			var n rune
			var width int
			if _, err := fmt.Sscanf(code, "%d%n", &n, &width); err != nil {
				_, err = fmt.Sscanf(code, "%d", &n)
				if err != nil {
					return "", err
				}
			}
			width = len(fmt.Sprint(n))
			switch {
			case high != 0:
				out.WriteRune(utf16.DecodeRune(high, n))
				high = 0
			case utf16.IsSurrogate(n):
				high = n
			default:
				out.WriteRune(n)
			}
			rest = code[width:]
		} else {
			var err error
			if rest, err = single(rest); err != nil {
				return "", err
			}
		}
		if rest == "" {
			return out.String(), nil
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, " + "); !ok {
			return "", fmt.Errorf("%q is no + ", rest)
		}
	}
}

func TestQuote(t *testing.T) {
	nasty := rapid.SampledFrom([]rune{'\'', '‘', '’', '‚', '‛', '"', '“', '$', '`', '(', ')', ';', '\n', '\r', 0, 0x1b,
		0x202e, 0x2028, 0x3164, 0x034f, 0xfe0f, 0x2800, 'a', '@', '#', 'ü', '𝒳', 0xe0041})
	text := rapid.OneOf(rapid.String(), rapid.StringOf(nasty))
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "s")
		q := Quote(s)
		got, err := unquote(q)
		if err != nil {
			t.Fatalf("%q renders as %s: %v", s, q, err)
		}
		if want := strings.ToValidUTF8(s, string(utf8.RuneError)); got != want {
			t.Fatalf("%q renders as %s, which reads as %q", s, q, got)
		}
		for _, r := range q {
			if unicode.IsControl(r) || link.Invisible(r) {
				t.Fatalf("%q renders with %U in it", s, r)
			}
		}
	})
}

// The independent grammar and the full catalogue check what is rendered.
func TestPowerShellLint(t *testing.T) {
	commands := []Command{
		{"New-IntraOrganizationConnector",
			map[string]any{"Name": "HybridIOC - ‘x’", "DiscoveryEndpoint": "https://a/autodiscover.svc",
				"TargetAddressDomains": []string{"a.com"}, "Enabled": true, "Confirm": false}},
		{"Set-OrganizationRelationship",
			map[string]any{"Identity": "a'b\n", "DomainNames": ListChange{Add: []string{"a.com"}},
				"TargetSharingEpr": nil, "FreeBusyAccessEnabled": true}},
		{"Set-AuthServer", map[string]any{"Identity": "x", "RefreshAuthMetadata": true}},
		{"Import-ExchangeCertificate",
			map[string]any{"FileData": []byte{1, 2}, "Password": secret.NewValue("x"), "PrivateKeyExportable": true}},
		{"Add-AvailabilityAddressSpace",
			map[string]any{"ForestName": "a.com", "AccessMethod": "OrgWideFB", "Credentials": Credential{User: "x"}}},
	}
	var script strings.Builder
	for _, c := range commands {
		script.WriteString(c.PowerShell() + "\n")
	}
	file := filepath.Join(t.TempDir(), "10-onprem-x.ps1")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	peer.LintPowerShell(t, "onprem", file)
}

func FuzzCommandJSON(f *testing.F) {
	f.Add([]byte(`{"name":"Get-A","parameters":{"B":["x"],"C":{"add":["y"]},"D":null,"E":1.5,"F":{"g":[1,true]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c Command
		if json.Unmarshal(text, &c) != nil {
			return
		}
		line := c.PowerShell()
		for _, r := range line {
			if r != '\n' && r <= 0xffff && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Fatalf("%q renders with %U in it: %q", text, r, line)
			}
		}
		if !strings.HasPrefix(line, "throw '") && !strings.HasPrefix(line, "throw (") &&
			!strings.HasPrefix(line, c.Name) {
			t.Fatalf("%q renders as %q", text, line)
		}
	})
}
