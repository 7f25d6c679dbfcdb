package lab

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// foreign is a Postfix that has the mailbox anna@partner.contoso.example, and hands all other mail
// to one server of the lab per domain, over TLS, with or without a client certificate.
type foreign struct {
	dir, address, sendmail string
}

func startPostfix(t *testing.T, routes map[string]string, certificate, key string) foreign {
	t.Helper()
	binary := peer.Program(t, "postfix", "postfix")
	if os.Geteuid() != 0 {
		peer.Missing(t, "root, who alone can start Postfix,", "none")
	}
	dir, err := os.MkdirTemp("", "postfix") // Postfix's own users must have access
	if err != nil {
		t.Fatal(err)
	}
	p := foreign{dir: dir, address: fmt.Sprintf("127.0.0.1:%d", peer.FreePort(t)), sendmail: "/usr/sbin/sendmail"}
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		t.Skipf("NOT TESTED: Postfix has no master.cf to start from: %v", err)
	}
	var services []string
	for line := range strings.SplitSeq(string(master), "\n") {
		fields := strings.Fields(line)
		if len(fields) >= 8 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			fields[4] = "n" // no chroot
			if fields[0] == "smtp" && fields[1] == "inet" {
				fields[0] = p.address
			}
			line = strings.Join(fields, " ")
		}
		services = append(services, line)
	}
	var maps []string
	for domain, server := range routes {
		host, port, _ := net.SplitHostPort(server)
		maps = append(maps, fmt.Sprintf("{%s = smtp:[%s]:%s}", domain, host, port))
	}
	main := []string{
		"compatibility_level = 3.6", "queue_directory = " + dir + "/queue", "data_directory = " + dir + "/data",
		"maillog_file = /dev/stdout", "myhostname = mx.partner.example", "mydestination =",
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4", "mynetworks = 127.0.0.0/8", "command_directory = /usr/sbin",
		"daemon_directory = /usr/lib/postfix/sbin", "smtpd_peername_lookup = no", "default_transport = error:none",
		"virtual_mailbox_domains = partner.contoso.example", "virtual_mailbox_base = " + dir + "/box",
		"virtual_mailbox_maps = static:anna/", "virtual_uid_maps = static:65534", "virtual_gid_maps = static:65534",
		"smtpd_tls_received_header = yes", "smtpd_tls_security_level = encrypt", "smtpd_tls_cert_file = " + certificate,
		"smtpd_tls_key_file = " + key, "smtp_tls_security_level = encrypt", "smtp_dns_support_level = disabled",
		"transport_maps = inline:{" + strings.Join(maps, ", ") + "}",
	}
	if key != "" {
		main = append(main, "smtp_tls_cert_file = "+certificate, "smtp_tls_key_file = "+key)
	}
	for name, mode := range map[string]os.FileMode{"etc": 0o755, "queue": 0o755, "box": 0o777} {
		if err := os.MkdirAll(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		os.Chmod(filepath.Join(dir, name), mode)
	}
	os.Chmod(dir, 0o755)
	for name, text := range map[string][]string{"etc/master.cf": services, "etc/main.cf": main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(text, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("install", "-d", "-o", "postfix",
		filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var log bytes.Buffer
	c := exec.Command(binary, "-c", filepath.Join(dir, "etc"), "start-fg")
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		raw, _ := os.ReadFile(filepath.Join(dir, "queue", "pid", "master.pid"))
		if id, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && id > 1 {
			_ = syscall.Kill(id, syscall.SIGTERM)
		}
		_ = c.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
		os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			conn.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("Postfix does not answer: %v\n%s", err, log.String())
		}
	}
}

func (p foreign) send(t *testing.T, from, to, message string) {
	t.Helper()
	c := exec.Command(p.sendmail, "-C", filepath.Join(p.dir, "etc"), "-f", from, to)
	c.Stdin = strings.NewReader(message)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// files writes a certificate with its chain, and its key.
func (c *issued) files(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	var chain bytes.Buffer
	for _, der := range c.tls().Certificate {
		_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	for name, content := range map[string][]byte{certificate: chain.Bytes(),
		key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// port is where a name of the lab is.
func (l *Lab) port(t *testing.T, name string) string {
	t.Helper()
	for _, rule := range l.network.connectTo {
		if host, address := cutRule(rule); host == name {
			return address
		}
	}
	t.Fatalf("the lab has no %s", name)
	return ""
}

// Postfix and swaks as foreign peers: the tenant takes their mail as internal when they present the
// forest's certificate and say what Exchange says, and as external otherwise. The site, which knows
// only the cloud's certificate, takes it as external. The lab hands mail to Postfix over TLS,
// without Exchange's own headers.
func TestForeignPeers(t *testing.T) {
	l := startWithMail(t)
	f := l.contoso()
	dir := t.TempDir()
	certificate, key := f.transport.files(t, dir)
	tenant, site := l.port(t, exchanger(coexistenceDomain)+":25"), l.port(t, f.mail+":25")
	routes := map[string]string{coexistenceDomain: tenant, f.domain: site}
	known := startPostfix(t, routes, certificate, key)
	target, local := f.moved().target(), f.local().primary

	verdict := func(at *mail.Transport, mailbox, subject, want string) {
		t.Helper()
		m := arrives(t, at, mailbox, subject)
		if as := m.Header.Get("X-MS-Exchange-Organization-AuthAs"); as != want {
			t.Errorf("%s: AuthAs %q, want %q\n%s", subject, as, want, m.Header)
		}
		if hop := m.Header.Get("Received"); !strings.Contains(hop, "version=TLS") {
			t.Errorf("%s: in clear text: %s", subject, hop)
		}
	}
	claim := "X-MS-Exchange-CrossPremises-AuthAs: Internal\n"
	message := func(subject, headers string) string {
		return "From: x@" + f.domain + "\nSubject: " + subject + "\n" + headers + "\nhello\n"
	}
	known.send(t, "x@"+f.domain, target, message("postfix, known, with the headers", claim))
	known.send(t, "x@"+f.domain, target, message("postfix, known, without headers", ""))
	known.send(t, "x@elsewhere.example", local, message("postfix to the site", claim))
	verdict(l.tenant.post, target, "postfix, known, with the headers", "Internal")
	verdict(l.tenant.post, target, "postfix, known, without headers", "Anonymous")
	verdict(f.post, local, "postfix to the site", "Anonymous")

	swaks := peer.Program(t, "swaks", "swaks")
	say := func(server, to, subject string, more ...string) {
		t.Helper()
		host, port, _ := net.SplitHostPort(server)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, swaks, append([]string{"--server", host, "--port", port, "--tls", "--from",
			"x@elsewhere.example", "--to", to, "--h-Subject", subject, "--add-header", strings.TrimSpace(claim)},
			more...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	say(tenant, target, "swaks, unknown")
	say(tenant, target, "swaks, known", "--tls-cert", certificate, "--tls-key", key)
	say(site, local, "swaks to the site")
	verdict(l.tenant.post, target, "swaks, unknown", "Anonymous")
	verdict(l.tenant.post, target, "swaks, known", "Internal")
	verdict(f.post, local, "swaks to the site", "Anonymous")

	// The lab hands mail to Postfix, as the mail exchanger of a partner.
	if err := l.zone.Add("partner.contoso.example. MX 10 mx.partner.contoso.example."); err != nil {
		t.Fatal(err)
	}
	f.org.Seed("SendConnector", "Name", "Internet", "AddressSpaces", []string{"smtp:*;1"}, "DNSRoutingEnabled", true,
		"Fqdn", f.mail, "RequireTLS", true)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "mx.partner.contoso.example:25" {
			return new(net.Dialer).DialContext(ctx, network, known.address)
		}
		return l.way.DialContext(ctx, network, address)
	}
	for _, from := range []struct {
		post   *mail.Transport
		sender string
	}{{f.post, local}, {l.tenant.post, f.moved().primary}} {
		from.post.Link(l.network.names, dial, l.way.Roots())
		if _, err := from.post.Submit(from.sender, []string{"anna@partner.contoso.example"}, "to Postfix",
			"text\r\n.\r\nend\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	box := filepath.Join(known.dir, "box", "anna", "new", "*")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		files, _ := filepath.Glob(box)
		if len(files) < 2 {
			if time.Now().After(deadline) {
				t.Fatalf("%d messages at Postfix, want 2", len(files))
			}
			continue
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			text := string(raw)
			if err != nil || !strings.Contains(text, "using TLSv1.3") ||
				strings.Contains(text, "X-MS-Exchange-Organization") ||
				!strings.Contains(text, "\ntext\n.\nend\n") {
				t.Errorf("%v\n%s", err, text)
			}
		}
		return
	}
}
