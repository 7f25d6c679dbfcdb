package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSwaksToTheLab: swaks hands mail over to Exchange Online and to a forest's server of the lab.
// What they accept, and what they offer, depends on the certificate that it presents.
func TestSwaksToTheLab(t *testing.T) {
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("PEER MISSING: swaks is not installed")
		}
		t.Skip("PEER MISSING: swaks is not installed, this boundary was not checked")
	}
	e := startLab(t, "--fault", "mail.headers-not-sent") // mail flow is set up, and swaks needs no send connector
	var facts struct {
		Endpoints map[string]string
		Forests   []struct{ Domain, User, Remote string }
	}
	text, err := os.ReadFile(filepath.Join(e.dir, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &facts); err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(t.TempDir(), "own.pem")
	convert := exec.Command("openssl", "pkcs12", "-in", filepath.Join(e.dir, "secrets", "contoso-transport.pfx"),
		"-nodes",
		"-out", pem, "-passin", "file:"+filepath.Join(e.dir, "secrets", "contoso-transport.password"))
	if out, err := convert.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	online := facts.Endpoints["contoso-mail-onmicrosoft-com.mail.protection.outlook.com:25"]
	forest := facts.Endpoints["mail.contoso.example:25"]
	local, moved := facts.Forests[0].User, facts.Forests[0].Remote
	for _, c := range []struct {
		name, server, from, to string
		args                   []string
		want, wantNot          string
	}{
		{"the forest's certificate", online, local, moved, []string{"--tls-cert", pem, "--tls-key", pem}, "250-XOORG",
			"5.7."},
		{"no certificate", online, "x@elsewhere.example", moved, nil, "250 2.6.0", "XOORG"},
		{"relay without a connector", online, local, "x@elsewhere.example", nil,
			"550 5.7.64 TenantAttribution; Relay Access Denied", "354 "},
		{"relay with the connector", online, local, "x@elsewhere.example",
			[]string{"--tls-cert", pem, "--tls-key", pem}, "250 2.6.0", "5.7."},
		{"a stranger", online, "x@elsewhere.example", "nobody@" + facts.Forests[0].Domain, nil, "550 5.4.1 ", "354 "},
		{"the forest's server", forest, "x@elsewhere.example", local, nil, "250 2.6.0", "XOORG"},
		{"relay through the forest", forest, local, "x@elsewhere.example", nil, "550 5.7.54 ", "354 "},
		{"its own certificate is not the cloud's", forest, local, local, []string{"--tls-cert", pem, "--tls-key", pem},
			"250 2.6.0", "XOORG"},
	} {
		host, port, err := net.SplitHostPort(c.server)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		out, _ := exec.Command(swaks, append([]string{"--server", host, "--port", port, "--tls", "--tls-ca-path",
			filepath.Join(e.dir, "ca.pem"), "--tls-verify", "--timeout", "20s", "--from", c.from, "--to", c.to},
			c.args...)...).CombinedOutput() // a refusal is an exit code
		if !strings.Contains(string(out), c.want) || strings.Contains(string(out), c.wantNot) {
			t.Errorf("%s: want %q, not %q\n%s", c.name, c.want, c.wantNot, out)
		}
	}
}
