package tls_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// Our sender, with Postfix as the server: STARTTLS, the client certificate that Postfix verifies,
// and the message as Postfix took it.
func TestSendToPostfix(t *testing.T) {
	need(t, "postfix")
	need(t, "openssl")
	dir := authority(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	readable(t, dir)
	run(t, "openssl", "pkcs12", "-export", "-in", at("leaf.pem"), "-inkey", at("leaf.key"), "-certfile",
		at("intermediate.pem"), "-out", at("mail.pfx"), "-passout", "pass:p")
	b, err := certificate.Load(at("mail.pfx"), secret.NewValue("p"))
	if err != nil {
		t.Fatal(err)
	}
	own := b.TLS()
	box, err := os.MkdirTemp("", "mailbox") // Postfix's own users must have access
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(box) })
	os.Chmod(box, 0o777)
	address := postfix(t, "smtpd_tls_security_level = encrypt", "smtpd_tls_cert_file = "+at("chain.pem"),
		"smtpd_tls_key_file = "+at("leaf.key"), "smtpd_tls_ask_ccert = yes", "smtpd_tls_CAfile = "+at("root.pem"),
		"smtpd_tls_received_header = yes", "relay_domains =", "virtual_mailbox_domains = contoso.example",
		"virtual_mailbox_base = "+box, "virtual_mailbox_maps = static:anna/", "virtual_uid_maps = static:65534",
		"virtual_gid_maps = static:65534")
	roots := x509.NewCertPool()
	root, _ := os.ReadFile(at("root.pem"))
	roots.AppendCertsFromPEM(root)
	verify := func(s tls.ConnectionState) error {
		above := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			above.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: above,
			DNSName: "mail.contoso.example"})
		return err
	}
	m := smtp.Outgoing{From: "bob@fabrikam.example", To: []string{"anna@contoso.example"}, RequireTLS: true,
		Verify: verify, Data: "Subject: dots\r\nFrom: bob@fabrikam.example\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n"}
	o := smtp.Options{Dial: dial, Hello: "mail.fabrikam.example", Certificate: &own}
	sent, err := smtp.Send(t.Context(), o, address, m)
	if err != nil || sent.TLS == nil || !strings.Contains(sent.Reply, "queued") {
		t.Fatalf("%+v, %v", sent, err)
	}
	var text string
	await(t, "the message", func() error {
		files, err := filepath.Glob(filepath.Join(box, "anna", "new", "*"))
		if err != nil || len(files) != 1 {
			return errUnlike("messages", len(files), 1)
		}
		raw, err := os.ReadFile(files[0])
		text = string(raw)
		return err
	})
	for _, want := range []string{"\n.one\n..two\n.\nend\n", "TLS", "(Client CN \"mail.contoso.example\", Issuer " +
		"\"Lab Issuing 1\" (verified OK))"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}

	// A refusal is Postfix's own; a server without STARTTLS gets nothing.
	m.To = []string{"x@elsewhere.example"}
	open := postfix(t, "smtpd_tls_security_level = none", "mynetworks = 192.0.2.0/24")
	_, err = smtp.Send(t.Context(), o, open, m)
	if !errors.Is(err, smtp.ErrNoTLS) {
		t.Errorf("without STARTTLS: %v", err)
	}
	m.RequireTLS = false
	var reply *smtp.ReplyError
	if _, err = smtp.Send(t.Context(), o, open, m); !errors.As(err, &reply) || reply.Code != 454 && reply.Code != 554 {
		t.Errorf("a relay that is refused: %v", err)
	}
}
