package tls_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// postfix starts a separate Postfix on loopback and returns its address. Its master process
// detaches itself, so it is stopped by the id in its pid file.
func postfix(t *testing.T, settings ...string) string {
	t.Helper()
	need(t, "postfix")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("PEER MISSING: Postfix can be started only by root")
		}
		t.Skip("PEER MISSING: Postfix can be started only by root, this boundary was not checked")
	}
	dir, err := os.MkdirTemp("", "postfix") // Postfix's own users must have access
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		if master, err = os.ReadFile("/etc/postfix/master.cf.proto"); err != nil {
			t.Skipf("PEER MISSING: Postfix has no master.cf to start from: %v", err)
		}
	}
	var services []string
	for _, line := range strings.Split(string(master), "\n") {
		fields := strings.Fields(line)
		if len(fields) >= 8 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			fields[4] = "n" // no chroot
			if fields[0] == "smtp" && fields[1] == "inet" {
				fields[0] = address
			}
			line = strings.Join(fields, " ")
		}
		services = append(services, line)
	}
	write(t, dir, "etc/master.cf", strings.Join(services, "\n")+"\n")
	main := []string{
		"compatibility_level = 3.6", "queue_directory = " + dir + "/queue", "data_directory = " + dir + "/data",
		"maillog_file = /dev/stdout",
		"myhostname = mail.contoso.example", "mydestination =", "relay_domains = contoso.example",
		"relay_transport = discard:", "default_transport = discard:",
		"inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "mynetworks = 127.0.0.0/8",
		"command_directory = /usr/sbin", "daemon_directory = /usr/lib/postfix/sbin",
		"smtpd_peername_lookup = no",
	}
	write(t, dir, "etc/main.cf", strings.Join(append(main, settings...), "\n")+"\n")
	if err := os.MkdirAll(filepath.Join(dir, "queue"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "install", "-d", "-o", "postfix", filepath.Join(dir, "data"))
	os.Chmod(filepath.Join(dir, "etc", "main.cf"), 0o644)
	os.Chmod(filepath.Join(dir, "etc", "master.cf"), 0o644)
	os.Chmod(filepath.Join(dir, "etc"), 0o755)
	daemon(t, "postfix", "-c", filepath.Join(dir, "etc"), "start-fg")
	t.Cleanup(func() {
		raw, err := os.ReadFile(filepath.Join(dir, "queue", "pid", "master.pid"))
		if err != nil {
			return
		}
		id, err := strconv.Atoi(strings.TrimSpace(string(raw)))
		if err != nil || id <= 1 {
			return
		}
		master, err := os.FindProcess(id)
		if err != nil {
			return
		}
		master.Signal(syscall.SIGTERM)
		for range 100 {
			if master.Signal(syscall.Signal(0)) != nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		os.RemoveAll(dir)
	})
	await(t, "Postfix", func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err
	})
	return address
}

func TestProbePostfix(t *testing.T) {
	need(t, "postfix")
	need(t, "openssl")
	dir := authority(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	readable(t, dir)
	address := postfix(t, "smtpd_tls_security_level = may", "smtpd_tls_cert_file = "+at("chain.pem"),
		"smtpd_tls_key_file = "+at("leaf.key"), "smtpd_tls_ask_ccert = yes", "smtpd_tls_CAfile = "+at("root.pem"))
	own, err := certificate.Load(at("chain.pem"), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := smtp.Probe(t.Context(), smtp.Options{Dial: dial}, address, "mail.contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	if r.Hostname != "mail.contoso.example" || !r.Capabilities.Has("STARTTLS") || !r.Capabilities.Has("PIPELINING") {
		t.Errorf("%+v", r)
	}
	if r.TLS == nil || len(r.TLS.Certificates) != 2 || !r.TLS.Certificates[0].Equal(own.Leaf) ||
		!r.TLS.CertificateRequested || r.TLS.Version < tls.VersionTLS12 || r.TLS.Capabilities.Has("STARTTLS") {
		t.Errorf("%+v", r.TLS)
	}
}

func TestProbePostfixWithoutTLS(t *testing.T) {
	r, err := smtp.Probe(t.Context(), smtp.Options{Dial: dial}, postfix(t, "smtpd_tls_security_level = none"),
		"mail.contoso.example")
	if err != nil || r.TLS != nil || r.Capabilities.Has("STARTTLS") || !r.Capabilities.Has("SIZE") {
		t.Errorf("%+v, %v", r, err)
	}
}

// readable lets Postfix's own users read the test's certificates.
func readable(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chmod(filepath.Join(dir, e.Name()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Our receiver, with OpenSSL and swaks as clients.
func TestReceiver(t *testing.T) {
	need(t, "openssl")
	dir := authority(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	run(t, "openssl", "pkcs12", "-export", "-in", at("leaf.pem"), "-inkey", at("leaf.key"), "-certfile",
		at("intermediate.pem"), "-out", at("mail.pfx"), "-passout", "pass:p")
	b, err := certificate.Load(at("mail.pfx"), secret.NewValue("p"))
	if err != nil {
		t.Fatal(err)
	}
	served := b.TLS()
	received := make(chan smtp.Message, 1)
	s := &smtp.Server{Hostname: "mail.contoso.example", Received: func(m smtp.Message) { received <- m }}
	s.Configure(smtp.Config{Certificate: &served, RequireTLS: true, SecureCapabilities: []string{"XOORG"},
		Accepts: func(domain string) bool { return domain == "fabrikam.example" }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { l.Close(); s.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())

	t.Run("openssl", func(t *testing.T) {
		out := run(t, "sh", "-c", "printf 'QUIT\\r\\n' | openssl s_client -quiet -crlf -starttls smtp "+
			"-verify_return_error -verify_hostname mail.contoso.example -CAfile "+at("root.pem")+" -connect 127.0.0.1:"+
			port+" 2>&1")
		if !strings.Contains(out, "CN = mail.contoso.example") && !strings.Contains(out, "CN=mail.contoso.example") {
			t.Error(out)
		}
	})
	t.Run("swaks", func(t *testing.T) {
		if out := run(t, "swaks", "--support"); !strings.Contains(out, "TLS supported") &&
			!strings.Contains(out, "+ TLS") {
			if os.Getenv("CI") == "true" {
				t.Fatal("PEER MISSING: swaks has no TLS (libnet-ssleay-perl)")
			}
			t.Skip("PEER MISSING: swaks has no TLS (libnet-ssleay-perl), this boundary was not checked")
		}
		out := run(t, "swaks", "--server", "127.0.0.1", "--port", port, "--tls", "--tls-ca-path", at("root.pem"),
			"--tls-verify", "--timeout", "10s", "--from", "a@contoso.example", "--to", "b@fabrikam.example")
		if !strings.Contains(out, "250-XOORG") {
			t.Error(out)
		}
		m := <-received
		if m.From != "a@contoso.example" || m.TLS == nil || !strings.Contains(m.Data, "This is a test mailing") {
			t.Errorf("%+v", m)
		}
	})
}
