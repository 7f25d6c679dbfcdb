package tls_test

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

const oddHost = "mail.contoso.example"

// oddServers is the folder of the odd SMTP servers, or the test is left out.
func oddServers(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/tools/odd-servers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("NOT TESTED: the odd SMTP servers (../shared/tools/odd-servers) are not beside this checkout")
	}
	need(t, "python3")
	need(t, "openssl")
	return dir
}

// oddCase is what an administrator expects to be told about a server.
type oddCase struct{ Server, Situation, Verdict, MustSay string }

func oddCases(t *testing.T, dir string) map[string][]oddCase {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "cases.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := map[string][]oddCase{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct {
			Server, Situation, Verdict string
			MustSay                    string `json:"must_say"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases[c.Server] = append(cases[c.Server], oddCase(c))
	}
	return cases
}

// startTemper starts one server of one temper and gives its address.
func startTemper(t *testing.T, dir, pki, temper string) string {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "port")
	daemon(t, "python3", filepath.Join(dir, "smtp.py"), "--temper", temper, "--listen", "127.0.0.1:0", "--pki", pki, "--ready", ready, "--seconds", "90")
	var port string
	await(t, temper, func() error {
		data, err := os.ReadFile(ready)
		if port = strings.TrimSpace(string(data)); err == nil && port == "" {
			err = fmt.Errorf("no port yet")
		}
		return err
	})
	return net.JoinHostPort("127.0.0.1", port)
}

// startPostfix starts one Postfix set-up and gives its address.
func startPostfix(t *testing.T, dir, pki, name string) string {
	t.Helper()
	where, err := os.MkdirTemp("", "pf") // Postfix's own users must get through, and its paths are short
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(where, 0o755); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	script := filepath.Join(dir, "postfix.sh")
	t.Cleanup(func() {
		if out, err := exec.Command("bash", script, "stop", where).CombinedOutput(); err != nil {
			t.Errorf("stop Postfix: %v\n%s", err, out)
		}
		os.RemoveAll(where)
	})
	start := exec.Command("bash", script, "start", name, port, where, pki)
	start.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("start Postfix %s: %v\n%s", name, err, out)
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// verdict is what the findings come to. named tells that a certificate file in order is known.
func verdict(all []finding.Finding, named bool) string {
	worst, _ := finding.Worst(all)
	switch {
	case worst.Level == finding.Wrong:
		return "fail"
	case worst.Level == finding.Doubtful:
		return "warn"
	case worst.Level == finding.Unseen && named:
		return "warn"
	case worst.Level == finding.Unseen, worst.Level == finding.Refused && !named:
		return "error"
	}
	return "pass"
}

// notWords are what the expected texts hold beside the words that the findings must hold: numbers that
// differ, names and codes of the texts.
var quoted = regexp.MustCompile(`\b(?:4|5)\d\d(?: \d\.\d\.\d)?\b`)

// TestOddServers looks at every odd server and compares the verdict with the administrator's, with and
// without a certificate file.
func TestOddServers(t *testing.T) {
	dir := oddServers(t)
	pki := t.TempDir()
	run(t, "python3", filepath.Join(dir, "pki.py"), "--host", oddHost, "--also", "autodiscover.contoso.example", "--out", pki)
	readable(t, pki)
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(pki, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	slots := make(chan struct{}, 12) // most wait for a silent server
	for server, cases := range oddCases(t, dir) {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			kind, name, _ := strings.Cut(server, "/")
			var address string
			if kind == "postfix" {
				need(t, "postfix")
				if os.Geteuid() != 0 {
					t.Skip("PEER MISSING: Postfix can be started only by root, this boundary was not checked")
				}
				address = startPostfix(t, dir, pki, name)
			} else {
				address = startTemper(t, dir, pki, name)
			}
			r, err := smtp.Probe(t.Context(), smtp.Options{Dial: dial}, address, oddHost)
			findings := smtp.Judge(r, err)
			if r.TLS != nil {
				b, err := certificate.FromPeer(r.TLS.Certificates)
				if err != nil {
					t.Fatal(err)
				}
				b.Staple = r.TLS.Staple
				findings = append(findings, certificate.Judge(b, certificate.Use{
					Roots: roots, Hosts: []string{oddHost, "autodiscover.contoso.example"}, Now: time.Now(), Mail: true, Served: true,
				})...)
			}
			worst, _ := finding.Worst(findings)
			for _, c := range cases {
				got := verdict(findings, c.Situation == "certificate file")
				if got != c.Verdict {
					t.Errorf("%s: %s, want %s (%s)\n%v\n%v", c.Situation, got, c.Verdict, c.MustSay, findings, err)
				}
				if got == "pass" {
					continue
				}
				for _, code := range quoted.FindAllString(c.MustSay, -1) {
					if !strings.Contains(worst.String(), code) {
						t.Errorf("%q does not tell %s (%s)", worst, code, c.MustSay)
					}
				}
				if worst.Fix == "" {
					t.Errorf("%q has no remedy", worst)
				}
			}
			if worst.Level != 0 {
				t.Logf("%s: %s", worst.Level, worst)
			}
			if strings.ContainsAny(fmt.Sprint(findings), "\x1b\x07\u202e\r\n") {
				t.Errorf("control characters in %q", findings)
			}
		})
	}
}
