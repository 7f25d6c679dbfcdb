package tls_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// signedZone writes a signed zone and returns its DNSKEY records.
func signedZone(t *testing.T, dir, zone string, change func(string) string) (keys string) {
	t.Helper()
	text := "$TTL 60\n" + zone + ". IN SOA ns." + zone + ". hostmaster." + zone + ". 1 3600 600 86400 60\n" +
		zone + ". IN NS ns." + zone + ".\nns." + zone + ". IN A 127.0.0.1\n" +
		"mail." + zone + ". IN A 192.0.2.1\n" + zone + ". IN MX 10 mail." + zone + ".\n" +
		zone + `. IN TXT "MS=ms12345678"` + "\nautodiscover." + zone + ". IN CNAME mail." + zone + ".\n"
	write(t, dir, zone, text)
	for _, flags := range [][]string{{"-f", "KSK"}, nil} {
		args := append([]string{"-q", "-K", dir, "-a", "ECDSAP256SHA256"}, flags...)
		run(t, "dnssec-keygen", append(args, zone)...)
	}
	sign := exec.Command(need(t, "dnssec-signzone"), "-q", "-S", "-K", dir, "-o", zone, "-f",
		filepath.Join(dir, zone+".signed"), filepath.Join(dir, zone))
	sign.Dir = dir // for dsset-ZONE
	if out, err := sign.CombinedOutput(); err != nil {
		t.Fatalf("dnssec-signzone: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, zone+".signed"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, zone+".signed", change(string(raw)))
	files, err := filepath.Glob(filepath.Join(dir, "K"+zone+".*.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if !strings.HasPrefix(line, ";") {
				keys += line
			}
		}
	}
	return keys
}

// Unbound validates zones that Knot serves, one of them with signatures that do not fit. A broken
// signature is a failure of the resolver, never a statement about the name: not with A and AAAA
// together, and not for a type that the zone does not have.
func TestBrokenSignatures(t *testing.T) {
	need(t, "knotd")
	need(t, "unbound")
	dir, err := os.MkdirTemp("", "dnssec") // a short path: Knot keeps a socket there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	keys := signedZone(t, dir, "good.example", func(s string) string { return s })
	keys += signedZone(t, dir, "broken.example", func(s string) string {
		return strings.ReplaceAll(s, "192.0.2.1", "192.0.2.66")
	})
	write(t, dir, "anchors", keys)
	knot, port := freePort(t), freePort(t)
	daemon(t, "knotd", "-c", write(t, dir, "knot.conf", fmt.Sprintf(`server:
  rundir: %[1]q
  listen: 127.0.0.1@%[2]s
database:
  storage: %[1]q
template:
  - id: default
    storage: %[1]q
    file: "%%s.signed"
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: good.example
  - domain: broken.example
log:
  - target: stderr
    any: warning
`, dir, knot)))
	// A validating resolver without a hosts file of its own and without the root.
	daemon(t, "unbound", "-d", "-p", "-c", write(t, dir, "unbound.conf", fmt.Sprintf(`server:
  interface: 127.0.0.1
  port: %[2]s
  do-not-query-localhost: no
  username: ""
  chroot: ""
  directory: %[1]q
  use-syslog: no
  do-daemonize: no
  module-config: "validator iterator"
  trust-anchor-file: %[4]q
  root-hints: ""
  num-threads: 1
  ede: yes
remote-control:
  control-enable: no
stub-zone:
  name: good.example
  stub-addr: 127.0.0.1@%[3]s
stub-zone:
  name: broken.example
  stub-addr: 127.0.0.1@%[3]s
`, dir, port, knot, filepath.Join(dir, "anchors"))))
	c := &dns.Client{Resolvers: []string{net.JoinHostPort("127.0.0.1", port)}, Timeout: 5 * time.Second}
	await(t, "Unbound", func() error {
		_, err := c.Lookup(t.Context(), "mail.good.example", dns.A)
		return err
	})
	for _, test := range []struct {
		name  string
		t     dns.Type
		class error
	}{
		{"mail.good.example", dns.A, nil},
		{"good.example", dns.TXT, nil},
		{"mail.good.example", dns.AAAA, dns.ErrEmpty},
		{"gone.good.example", dns.A, dns.ErrAbsent},
		{"mail.broken.example", dns.A, dns.ErrFailed},
		{"autodiscover.broken.example", dns.A, dns.ErrFailed},
	} {
		a, err := c.Lookup(t.Context(), test.name, test.t)
		if !errors.Is(err, test.class) || test.class == nil && (err != nil || !a.Verified) {
			t.Errorf("%s %s: %v, verified %t; want %v", test.t, test.name, err, a.Verified, test.class)
		}
	}
	for i := range 10 {
		_, err := c.LookupHost(t.Context(), "mail.broken.example")
		if !errors.Is(err, dns.ErrFailed) || !strings.Contains(err.Error(), "SERVFAIL") {
			t.Errorf("try %d: %v", i, err)
		}
	}
	// The next resolver, which does not validate, is asked.
	plain := net.JoinHostPort("127.0.0.1", knot)
	c = &dns.Client{Resolvers: []string{net.JoinHostPort("127.0.0.1", port), plain}, Timeout: 5 * time.Second}
	if found, err := c.LookupHost(t.Context(), "mail.broken.example"); err != nil || len(found) != 1 {
		t.Errorf("next resolver: %v, %v", found, err)
	}
}
