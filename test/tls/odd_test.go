package tls_test

import (
	"bufio"
	"context"
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

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const oddHost = "mail.contoso.example"

// oddServers is the folder of the odd SMTP servers. Without it the test is skipped.
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

// oddCase is the result that an administrator expects for a server.
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

// startTemper starts one server of one temper and returns its address.
func startTemper(t *testing.T, dir, pki, temper string) string {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "port")
	daemon(t, "python3", filepath.Join(dir, "smtp.py"), "--temper", temper, "--listen", "127.0.0.1:0", "--pki", pki,
		"--ready", ready, "--seconds", "90")
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

// startPostfix starts one Postfix set-up and returns its address.
func startPostfix(t *testing.T, dir, pki, name string) string {
	t.Helper()
	// Postfix's own users must have access, and its paths are short
	where, err := os.MkdirTemp("", "pf")
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

// quoted are the reply codes in the expected texts: the result must contain them.
var quoted = regexp.MustCompile(`\b(?:4|5)\d\d(?: \d\.\d\.\d)?\b`)

// TestOddServers runs the check of the transport certificate against every odd server, with and
// without a certificate file, and compares the verdict with that which an administrator expects.
func TestOddServers(t *testing.T) {
	dir := oddServers(t)
	pki := t.TempDir()
	run(t, "python3", filepath.Join(dir, "pki.py"), "--host", oddHost, "--also", "autodiscover.contoso.example",
		"--out", pki)
	readable(t, pki)
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(pki, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	file, err := certificate.Load(filepath.Join(pki, "good.pfx"), secret.NewValue("odd"))
	if err != nil {
		t.Fatal(err)
	}
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
			l, err := link.New(link.Options{ConnectTo: []string{oddHost + ":25=" + address},
				CAFile: filepath.Join(pki, "ca.pem")})
			if err != nil {
				t.Fatal(err)
			}
			set := oddSet(roots, l)
			// one connection for both situations
			server, err := fact.MailServers.In(t.Context(), set.Network, oddHost)
			for _, c := range cases {
				set := oddSet(roots, l)
				fact.MailServers.Seed(set.Network, oddHost, server, err)
				if c.Situation == "certificate file" {
					fact.CertificateFile.Seed(set.Forests[0], file, nil)
				}
				report, err := prereq.Run(t.Context(), set, check.Options{Only: []string{"certificates.transport"}},
					nil)
				if err != nil || len(report.Results) != 1 {
					t.Fatalf("%d results, %v", len(report.Results), err)
				}
				r := report.Results[0]
				told := r.Summary.String() + " " + r.Detail.String()
				if string(r.Status) != c.Verdict {
					t.Errorf("%s: %s, want %s (%s)\n%s", c.Situation, r.Status, c.Verdict, c.MustSay, told)
				}
				if strings.ContainsAny(told, "\x1b\x07\u202e\r\n") {
					t.Errorf("control characters in %q", told)
				}
				if c.Verdict == "pass" {
					continue
				}
				for _, code := range quoted.FindAllString(c.MustSay, -1) {
					if !strings.Contains(told, code) {
						t.Errorf("%q does not tell %s (%s)", told, code, c.MustSay)
					}
				}
				if !strings.Contains(told, oddHost) {
					t.Errorf("%q does not name the server", told)
				}
				if r.Remedy.Text.IsZero() {
					t.Errorf("%q has no remedy", told)
				}
				t.Logf("%s: %s: %s", c.Situation, r.Status, told)
			}
		})
	}
}

// oddSet is a deployment of one forest whose mail server is an odd one.
func oddSet(roots *x509.CertPool, l *link.Link) *fact.Set {
	set := fact.New(answers.Answers{Forests: []answers.Forest{{
		Name: "contoso", Domains: []string{"contoso.example"},
		Namespace: answers.Namespace{SMTP: oddHost, Autodiscover: "autodiscover.contoso.example"},
	}}}, cloud.Cloud{})
	set.Roots = roots
	set.Network.Clients = fact.Clients{Link: func(context.Context) (*link.Link, error) { return l, nil }}
	fact.CertificateFile.Seed(set.Forests[0], certificate.Bundle{}, fmt.Errorf("contoso: %w", fact.ErrNotConfigured))
	return set
}
