package tls_test

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// TestLikeTestssl asks a Postfix with ordinary and wrong chains by STARTTLS, as testssl.sh does:
// what hybridge finds in the chain, the names and the dates, testssl.sh finds too.
func TestLikeTestssl(t *testing.T) {
	need(t, "postfix")
	need(t, "openssl")
	need(t, "testssl")
	m := maker{t, t.TempDir()}
	m.root("root")
	m.root("foreign")
	years := [2]int{-2, 2000}
	m.issue("int", shape{issuer: "root", extensions: oddCA, subject: "/CN=int", days: years})
	m.issue("foreign1", shape{issuer: "foreign", extensions: oddCA, subject: "/CN=foreign1", days: years})
	for name, tt := range map[string]struct {
		shape shape
		chain []string
		wrong []string // the findings of testssl.sh
	}{
		"ordinary": {chain: []string{"int"}},
		"ended": {shape{days: [2]int{-300, -3}}, []string{"int"}, []string{"cert_chain_of_trust",
			"cert_expirationStatus"}},
		"another host": {shape{extensions: strings.Replace(oddServer, "mail.", "www.", 1)}, []string{"int"},
			[]string{"cert_trust"}},
		"no intermediate": {wrong: []string{"cert_chain_of_trust"}},
		"foreign root": {shape{issuer: "foreign1"}, []string{"foreign1", "foreign"},
			[]string{"cert_chain_of_trust"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := maker{t, m.dir}
			m.issue("leaf", tt.shape)
			var all []byte
			for _, part := range append([]string{"leaf"}, tt.chain...) {
				text, err := os.ReadFile(m.at(part + ".crt"))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, text...)
			}
			write(t, m.dir, "all.pem", string(all))
			readable(t, m.dir)
			address := postfix(t, "smtpd_tls_security_level = may", "smtpd_tls_cert_file = "+m.at("all.pem"),
				"smtpd_tls_key_file = "+m.at("leaf-rsa.key"))

			found, err := smtp.Probe(t.Context(), smtp.Options{Dial: dial}, address, "mail.contoso.example")
			if err != nil {
				t.Fatal(err)
			}
			served := found.TLS.Certificates
			worst, _ := finding.Worst(judgeShape(t, m, certificate.Bundle{Leaf: served[0], Chain: served[1:]}))
			if wrong := worst.Level == finding.Wrong; wrong != (len(tt.wrong) > 0) {
				t.Errorf("hybridge: %v", worst)
			}
			if theirs := testssl(t, m, address); !slices.Equal(theirs, tt.wrong) {
				t.Errorf("testssl.sh finds %v, want %v", theirs, tt.wrong)
			}
		})
	}
}

// testssl returns which of the chain, the names and the dates testssl.sh does not accept.
func testssl(t *testing.T, m maker, address string) (wrong []string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	out := m.at("testssl.json")
	os.Remove(out)
	cmd := exec.CommandContext(t.Context(), "testssl", "--quiet", "--warnings", "off", "--color", "0", "--nodns", "none",
		"--add-ca", m.at("root.crt"), "-t", "smtp", "--ip", "127.0.0.1", "-S", "--jsonfile", out,
		"mail.contoso.example:"+port)
	cmd.WaitDelay = time.Second
	printed, err := cmd.CombinedOutput() // its exit code counts findings
	raw, readErr := os.ReadFile(out)
	if readErr != nil {
		t.Fatalf("testssl.sh: %v\n%s", err, printed)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(raw, &findings); err != nil {
		t.Fatalf("%v\n%s\n%s", err, raw, printed)
	}
	seen := 0
	for _, f := range findings {
		if f.ID == "cert_trust" || f.ID == "cert_chain_of_trust" || f.ID == "cert_expirationStatus" {
			seen++
			if f.Severity != "OK" && f.Severity != "INFO" {
				wrong = append(wrong, f.ID)
			}
			t.Logf("%s %s: %s", f.ID, f.Severity, f.Finding)
		}
	}
	if seen != 3 {
		t.Fatalf("testssl.sh said too little:\n%s\n%s", raw, printed)
	}
	return wrong
}
