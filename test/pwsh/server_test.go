package pwsh_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// powerShellServer is Microsoft's PowerShell behind a WSMan bridge, as hybridge's client opens it.
func powerShellServer(t *testing.T) *psrp.Pool {
	t.Helper()
	bridge, err := filepath.Abs(peer.Shared(t, "tools", "pwsh-lab", "wsman_to_stdio.py"))
	if err != nil {
		t.Fatal(err)
	}
	pwsh, err := filepath.Abs(peer.Shared(t, "tools", "pwsh", "run"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, keep := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	if err := os.WriteFile(keep, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	live, end := context.WithCancel(context.Background()) // a test's own context ends before its cleanups
	c := exec.CommandContext(live, peer.Program(t, "python3", "python3"), bridge, "--ca-file", ca, "--user", account,
		"--password-file", keep, "--listen", "127.0.0.1:0", "--", pwsh, "-s", "-NoLogo", "-NoProfile")
	c.Stderr = os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		end()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		_ = c.Wait() // it was interrupted
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if err != nil || address == "" {
		t.Fatalf("the bridge says %q: %v", line, err)
	}
	roots := x509.NewCertPool()
	certificate, err := os.ReadFile(ca)
	if err != nil || !roots.AppendCertsFromPEM(certificate) {
		t.Fatal("no certificate of the bridge: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pool, err := psrp.Open(ctx, psrp.Options{URL: "https://" + address + "/wsman", User: account,
		Password: secret.NewValue(password), TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return pool
}

func script(text string, parameters ...psrp.Parameter) psrp.Pipeline {
	return psrp.Pipeline{Commands: []psrp.Command{{Name: text, Script: true, Parameters: parameters}}}
}

// expressions are values of every type that CLIXML knows, at their ends, and objects around them.
const expressions = `
$true
$false
[char] 'ä'
[char] 0xFFFF
''
' leading and trailing '
"a` + "`r`n`t`0" + `b"
'_x000D_ is no escape'
'ä€ 😀 <&>"'
'x' * 100000
[byte]::MaxValue
[sbyte]::MinValue
[int16]::MinValue
[uint16]::MaxValue
[int]::MinValue
[int]::MaxValue
[uint32]::MaxValue
[long]::MinValue
[long]::MaxValue
[ulong]::MaxValue
[single]::MaxValue
[single]::NaN
[double]::Epsilon
[double]::PositiveInfinity
[double] -0.0
[decimal]::MaxValue
[decimal] '1.000'
[bigint]::Parse('123456789012345678901234567890')
[datetime]::MinValue
[datetime]::MaxValue
[datetime] '2026-11-26T12:00:00Z'
[datetime]::SpecifyKind('2026-11-26T12:00:00.1234567', 'Unspecified')
[datetime]::SpecifyKind('2026-11-26T12:00:00', 'Utc')
[datetimeoffset] '2026-11-26T12:00:00+05:30'
[timespan]::MaxValue
[timespan]::MinValue
[timespan]::FromTicks(1)
[guid] '49ef970b-7f97-475c-a415-91e2b7744875'
[guid]::Empty
[uri] 'https://example.com/a b?c=d'
[uri] 'relative'
[version] '1.2.3.4'
[version] '1.2'
[semver] '7.6.0-preview.1'
[byte[]] @()
[byte[]] (0..255)
@()
@(1, 'a', $null, @(2, @(3)))
[string[]] ('a', $null, '')
@{}
@{ a = 1; 2 = 'b'; c = @{ d = $null } }
[ordered] @{ z = 1; a = 2 }
[Collections.ArrayList] @(1, 2)
[Collections.Generic.List[string]] @('a', 'b')
[Collections.Queue] @(1, 2)
[Collections.Stack] @(1, 2)
[Collections.Generic.Dictionary[string,int]]::new()
[pscustomobject] @{}
[pscustomobject] @{ A = 1; B = $null; C = @(1, 2); D = [pscustomobject] @{ E = 'f' } }
[DayOfWeek]::Friday
[IO.FileAttributes] 'ReadOnly, Hidden'
{ param($a) $a + 1 }
[xml] '<a b="c"><d/></a>'
[regex] 'a+'
[Net.IPAddress]::Loopback
[switch] $true
[Exception]::new('x')
`

// TestValuesThereAndBack: every value that PowerShell sends survives hybridge's client. Sent back,
// it is for PowerShell what its own serializer makes of it, but for the width of a number and the
// name of the zone UTC. Half a pair of surrogates does not survive: Go's texts cannot hold it.
func TestValuesThereAndBack(t *testing.T) { bothWays(t, testValuesThereAndBack) }

func testValuesThereAndBack(t *testing.T, pool *psrp.Pool) {
	n := 0
	for expression := range strings.Lines(expressions) {
		if expression = strings.TrimSpace(expression); expression == "" {
			continue
		}
		n++
		out, err := pool.Invoke(t.Context(), script(", ("+expression+")"))
		if err != nil || len(out.Objects) != 1 {
			t.Errorf("%s: %d objects, %v", expression, len(out.Objects), err)
			continue
		}
		same, err := pool.Invoke(t.Context(), script(`param($v)
$serializer = [System.Management.Automation.PSSerializer]
$own = $serializer::Deserialize($serializer::Serialize((`+expression+`), 1))
$a, $b = $v, $own | ForEach-Object { $serializer::Serialize($_, 1) } |
	ForEach-Object { $_ -replace '(</?)(By|SB|I16|U16|I32|U32|I64)\b', '$1Int' -replace '(</?)Sg\b', '$1Db' -replace '\+00:00<', 'Z<' }
if ($a -ceq $b) { 'same' } else { "got: $a", "own: $b" -join [Environment]::NewLine }`,
			psrp.Parameter{Name: "v", Value: out.Objects[0]}))
		if err != nil || len(same.Objects) != 1 {
			t.Errorf("%s: sent back: %v, %v", expression, same.Objects, err)
			continue
		}
		if text := psrp.Text(same.Objects[0]); text != "same" {
			t.Errorf("%s:\n%s", expression, text)
		}
	}
	t.Logf("%d values", n)
}

// TestValuesOfTheProduct: what hybridge gives to cmdlets is for PowerShell what it should be.
func TestValuesOfTheProduct(t *testing.T) { bothWays(t, testValuesOfTheProduct) }

func testValuesOfTheProduct(t *testing.T, pool *psrp.Pool) {
	when := time.Date(2026, 11, 26, 12, 0, 0, 123456700, time.UTC)
	for _, tt := range []struct {
		name  string
		value any
		holds string // of $v
	}{
		{"null", nil, `$null -eq $v`},
		{"a Boolean", true, `$v -is [bool] -and $v`},
		{"a text", "ä€😀\r\n\x00_x000D_", `$v -ceq "ä€😀` + "`r`n`0" + `_x000D_"`},
		{"a number", 7, `$v -is [int] -and $v -eq 7`},
		{"a long number", int64(1 << 40), `$v -is [long] -and $v -eq 1099511627776`},
		{"an unsigned number", uint64(1 << 63), `$v -is [ulong] -and $v -eq 9223372036854775808`},
		{"a fraction", 1.5, `$v -is [double] -and $v -eq 1.5`},
		{"a time", when, `$v -is [datetime] -and $v.ToUniversalTime().ToString('o') -ceq '2026-11-26T12:00:00.1234567Z'`},
		{"texts", []string{"a", "", "ä"}, `$v.Count -eq 3 -and $v[0] -ceq 'a' -and $v[1] -ceq '' -and $v[2] -ceq 'ä'`},
		{"no texts", []string{}, `$null -ne $v -and $v.Count -eq 0`},
		{"bytes", []byte{0, 1, 255}, `$v -is [byte[]] -and $v.Length -eq 3 -and $v[2] -eq 255`},
		{"no bytes", []byte{}, `$v -is [byte[]] -and $v.Length -eq 0`},
		{"a mixed list", []any{int64(1), "b", nil},
			`$v.Count -eq 3 -and $v[0] -eq 1 -and $v[1] -ceq 'b' -and $null -eq $v[2]`},
		{"a change of a list", map[string]any{"Add": []string{"x"}, "Remove": []string{"y", "z"}},
			`$v -is [hashtable] -and $v.Add[0] -ceq 'x' -and $v.Remove.Count -eq 2`},
		{"a secret", secret.NewValue("häsh 😀"),
			`$v -is [securestring] -and [pscredential]::new('u', $v).GetNetworkCredential().Password -ceq 'häsh 😀'`},
		{"an account", psrp.Credential{User: `CONTOSO\svc`, Password: secret.NewValue("p")},
			`$v -is [pscredential] -and $v.UserName -ceq 'CONTOSO\svc' -and $v.GetNetworkCredential().Password -ceq 'p'`},
		{"a GUID", psrp.GUID{0x49, 0xef, 0x97, 0x0b, 0x7f, 0x97, 0x47, 0x5c, 0xa4, 0x15, 0x91, 0xe2, 0xb7, 0x74, 0x48,
			0x75},
			`$v -is [guid] -and "$v" -eq '49ef970b-7f97-475c-a415-91e2b7744875'`},
		{"an address", psrp.URI("https://mail.contoso.com/owa"), `$v -is [uri] -and $v.Host -eq 'mail.contoso.com'`},
		{"a version", psrp.Version("15.2.2562.41"), `$v -is [version] -and $v.Build -eq 2562`},
		{"a span", psrp.TimeSpan(10_000_000), `$v -is [timespan] -and $v.TotalSeconds -eq 1`},
	} {
		out, err := pool.Invoke(t.Context(), script("param($v) "+tt.holds, psrp.Parameter{Name: "v", Value: tt.value}))
		if err != nil || len(out.Objects) != 1 || out.Objects[0] != true {
			t.Errorf("%s: %v, %v", tt.name, out.Objects, err)
		}
	}
}

// TestPowerShellServer: streams, errors and stops of Microsoft's server, through hybridge's client.
func TestPowerShellServer(t *testing.T) { bothWays(t, testPowerShellServer) }

func testPowerShellServer(t *testing.T, pool *psrp.Pool) {
	out, err := pool.Invoke(t.Context(), script(`'a'; Write-Warning 'w'; Write-Error 'e' -ErrorId Mine -Category LimitsExceeded
Write-Verbose 'v' -Verbose; Write-Information 'i'; Write-Progress 'p'; $null; 'b'`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]any{"a", nil, "b"}, out.Objects); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"w"}, out.Warnings); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"v"}, out.Verbose); d != "" {
		t.Error(d)
	}
	if len(out.Errors) != 1 || out.Errors[0].ID != "Mine" || out.Errors[0].Message != "e" ||
		out.Errors[0].Category.String() != "LimitsExceeded" {
		t.Errorf("%+v", out.Errors)
	}
	var record *psrp.ErrorRecord
	if _, err := pool.Invoke(t.Context(), script(`throw 'thrown'`)); !errors.As(err, &record) ||
		record.Message != "thrown" {
		t.Errorf("throw: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	if _, err := pool.Invoke(ctx, script(`Start-Sleep 60`)); !errors.Is(err, context.DeadlineExceeded) ||
		time.Since(began) > 20*time.Second {
		t.Errorf("a stop after %s: %v", time.Since(began), err)
	}
	if out, err := pool.Invoke(t.Context(), script(`1..3`)); err != nil || len(out.Objects) != 3 {
		t.Errorf("after the stop: %v, %v", out.Objects, err)
	}
}
