package tls_test

import (
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
)

// maker makes certificates with OpenSSL: name.crt signed by an issuer, keys by kind.
type maker struct {
	t   *testing.T
	dir string
}

func (m maker) at(name string) string { return filepath.Join(m.dir, name) }

func (m maker) key(name, kind string) string {
	file := m.at(name + ".key")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	args := map[string][]string{
		"rsa":     {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"rsa1024": {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"},
		"rsa3072": {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"},
		"pss":     {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
		"p224":    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"},
		"p256":    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"p384":    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"p521":    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
		"ed25519": {"-algorithm", "ED25519"},
	}[kind]
	run(m.t, "openssl", append([]string{"genpkey", "-out", file}, args...)...)
	return file
}

// shape is one certificate for a server. Its fields are the differences from the ordinary form.
type shape struct {
	key        string // "rsa" when empty
	extensions string // those of an ordinary server when empty
	md         string // "sha256" when empty
	issuer     string // "int" when empty
	days       [2]int // from now; -1 to 199 when zero
	subject    string
}

const (
	oddSAN    = "subjectAltName=DNS:mail.contoso.example\n"
	oddServer = "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n" + oddSAN
	oddCA     = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
)

func (m maker) issue(name string, s shape) {
	if s.key == "" {
		s.key = "rsa"
	}
	if s.extensions == "" {
		s.extensions = oddServer
	}
	if s.md == "" {
		s.md = "sha256"
	}
	if s.issuer == "" {
		s.issuer = "int"
	}
	if s.subject == "" {
		s.subject = "/CN=mail.contoso.example"
	}
	if s.days == [2]int{} {
		s.days = [2]int{-1, 199}
	}
	key := m.key(name, s.key)
	if !strings.Contains(s.extensions, "CA:TRUE") { // servers share a key by kind
		os.Remove(key)
		key = m.key("leaf-"+s.key, s.key)
	}
	date := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format("20060102150405Z") }
	write(m.t, m.dir, "ext", s.extensions)
	run(m.t, "openssl", "req", "-new", "-key", key, "-subj", s.subject, "-out", m.at("csr"))
	write(m.t, m.dir, "ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase="+m.at("index")+"\nrand_serial=yes\nnew_certs_dir="+
		m.dir+"\npolicy=p\nunique_subject=no\nemail_in_dn=no\n[p]\nCN=optional\nO=optional\n")
	write(m.t, m.dir, "index", "")
	write(m.t, m.dir, "index.attr", "unique_subject = no\n")
	run(m.t, "openssl", "ca", "-batch", "-notext", "-config", m.at("ca.cnf"), "-in", m.at("csr"), "-cert",
		m.at(s.issuer+".crt"), "-keyfile", m.at(s.issuer+".key"),
		"-md", s.md, "-extfile", m.at("ext"), "-startdate", date(s.days[0]), "-enddate", date(s.days[1]), "-out",
		m.at(name+".crt"))
}

func (m maker) root(name string) {
	run(m.t, "openssl", "req", "-x509", "-new", "-key", m.key(name, "rsa"), "-subj", "/CN="+name, "-days", "3650",
		"-out", m.at(name+".crt"),
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
}

// TestShapes compares the verdicts of Judge with openssl verify -purpose sslserver. Where Judge is
// stricter, the reason is Windows or Exchange Online. The table states it.
func TestShapes(t *testing.T) {
	need(t, "openssl")
	m := maker{t, t.TempDir()}
	m.root("root")
	m.root("foreign")
	years := [2]int{-2, 2000}
	for name, s := range map[string]shape{
		"int":     {issuer: "root", extensions: oddCA, subject: "/CN=int", days: years},
		"intold":  {issuer: "root", extensions: oddCA, subject: "/CN=intold", days: [2]int{-1, 0}},
		"intsha1": {issuer: "root", extensions: oddCA, subject: "/CN=intsha1", days: years, md: "sha1"},
		"intcli": {issuer: "root", extensions: oddCA + "extendedKeyUsage=clientAuth\n", subject: "/CN=intcli",
			days: years},
		"intsrv": {issuer: "root", extensions: oddCA + "extendedKeyUsage=serverAuth,clientAuth\n",
			subject: "/CN=intsrv", days: years},
		"intnosig": {issuer: "root", extensions: "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n",
			subject: "/CN=intnosig", days: years},
		"intnc": {issuer: "root", extensions: oddCA + "nameConstraints=permitted;DNS:elsewhere.example\n",
			subject: "/CN=intnc", days: years},
		"int0":     {issuer: "root", extensions: "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n", subject: "/CN=int0", days: years},
		"foreign1": {issuer: "foreign", extensions: oddCA, subject: "/CN=foreign1", days: years},
	} {
		m.issue(name, s)
	}
	m.issue("int2", shape{issuer: "int", extensions: oddCA, subject: "/CN=int2", days: years})
	m.issue("below0", shape{issuer: "int0", extensions: oddCA, subject: "/CN=below0", days: years})
	// An authority without CA:TRUE: its signatures are correct, but its certificates are not
	// trusted.
	m.issue("notca", shape{issuer: "root", extensions: "basicConstraints=CA:FALSE\n", subject: "/CN=notca",
		days: years})
	if err := os.Rename(m.at("leaf-rsa.key"), m.at("notca.key")); err != nil {
		t.Fatal(err)
	}
	m.issue("notcaforeign", shape{issuer: "foreign", extensions: "basicConstraints=CA:FALSE\n",
		subject: "/CN=notcaforeign", days: years})
	if err := os.Rename(m.at("leaf-rsa.key"), m.at("notcaforeign.key")); err != nil {
		t.Fatal(err)
	}

	usage := func(ku, eku string) string {
		s := "basicConstraints=CA:FALSE\n" + oddSAN
		if ku != "" {
			s += "keyUsage=critical," + ku + "\n"
		}
		if eku != "" {
			s += "extendedKeyUsage=" + eku + "\n"
		}
		return s
	}
	for _, tt := range []struct {
		name     string
		shape    shape
		chain    []string // sent along; the issuer when nil
		ids      []string // findings that must be reported
		stricter string   // why Judge refuses what OpenSSL accepts
		laxer    string   // why Judge only warns where OpenSSL refuses
	}{
		{name: "ordinary"},
		{name: "two intermediates", shape: shape{issuer: "int2"}, chain: []string{"int2", "int"}},
		{name: "two intermediates the other way round", shape: shape{issuer: "int2"}, chain: []string{"int", "int2"}},
		{name: "with the root", chain: []string{"int", "root"}},
		{name: "directly by the root", shape: shape{issuer: "root"}, chain: []string{}},
		{name: "RSA 3072", shape: shape{key: "rsa3072"}},
		{name: "P-256", shape: shape{key: "p256"}},
		{name: "P-384", shape: shape{key: "p384"}},
		{name: "P-521", shape: shape{key: "p521"}, ids: []string{"curve"}},
		{name: "P-224", shape: shape{key: "p224"}, ids: []string{"curve"}, stricter: "Windows offers no P-224"},
		{name: "Ed25519", shape: shape{key: "ed25519"}, ids: []string{"ed25519"}, stricter: "Windows knows no Ed25519"},
		{name: "RSA 1024", shape: shape{key: "rsa1024"}, ids: []string{"short-key"}},
		{name: "RSA-PSS key", shape: shape{key: "pss"}, ids: []string{"pss-key"},
			stricter: "Exchange supports no RSASSA-PSS keys"},
		{name: "SHA-1", shape: shape{md: "sha1"}, ids: []string{"weak-signature"}},
		{name: "SHA-512", shape: shape{md: "sha512"}},
		{name: "SHA-1 intermediate", shape: shape{issuer: "intsha1"}, ids: []string{"weak-signature"}},
		{name: "no extended key usage", shape: shape{extensions: usage("", "")}},
		{name: "any extended key usage", shape: shape{extensions: usage("", "anyExtendedKeyUsage")},
			ids: []string{"any-purpose"}, laxer: "Windows takes any"},
		{name: "for clients", shape: shape{extensions: usage("", "clientAuth")}, ids: []string{"not-for-servers"}},
		{name: "for servers", shape: shape{extensions: usage("", "serverAuth")}, ids: []string{"not-for-clients"}},
		{name: "for mail", shape: shape{extensions: usage("", "emailProtection")}, ids: []string{"not-for-servers"}},
		{name: "for code", shape: shape{extensions: usage("digitalSignature", "codeSigning")},
			ids: []string{"not-for-servers"}},
		{name: "intermediate for clients", shape: shape{issuer: "intcli"}, ids: []string{"issuer-purpose"}},
		{name: "intermediate for servers", shape: shape{issuer: "intsrv"}},
		{name: "digitalSignature", shape: shape{extensions: usage("digitalSignature", "serverAuth,clientAuth")}},
		{name: "digitalSignature and keyEncipherment",
			shape: shape{extensions: usage("digitalSignature,keyEncipherment", "serverAuth,clientAuth")}},
		{name: "keyEncipherment", shape: shape{extensions: usage("keyEncipherment", "serverAuth,clientAuth")},
			ids: []string{"key-usage"}},
		{name: "keyAgreement", shape: shape{extensions: usage("keyAgreement", "serverAuth,clientAuth")},
			ids: []string{"key-usage"}, stricter: "no cipher suite uses an RSA key for key agreement"},
		{name: "dataEncipherment", shape: shape{extensions: usage("dataEncipherment", "serverAuth,clientAuth")},
			ids: []string{"key-usage"}},
		{name: "keyCertSign", shape: shape{extensions: usage("keyCertSign", "serverAuth,clientAuth")},
			ids: []string{"key-usage"}},
		{name: "nonRepudiation", shape: shape{extensions: usage("nonRepudiation", "serverAuth,clientAuth")},
			ids: []string{"key-usage"}},
		{name: "authority", shape: shape{extensions: oddCA + oddSAN}, ids: []string{"authority"}},
		{name: "authority that may do TLS",
			shape: shape{extensions: "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,digitalSignature\n" +
				oddSAN}, ids: []string{"authority"},
			stricter: "no public authority issues one, and its loss is that of an authority"},
		{name: "name with a dot at the end",
			shape: shape{extensions: strings.Replace(oddServer, ".example\n", ".example.\n", 1)},
			ids:   []string{"names"}},
		{name: "common name alone", shape: shape{extensions: "extendedKeyUsage=serverAuth,clientAuth\n"},
			ids: []string{"names"}, stricter: "no current TLS client looks at the common name"},
		{name: "wildcard", shape: shape{extensions: strings.Replace(oddServer, "mail.", "*.", 1)}},
		{name: "wildcard within a label", shape: shape{extensions: strings.Replace(oddServer, "mail.", "ma*.", 1)},
			ids: []string{"names"}, stricter: "current TLS clients take whole labels alone"},
		{name: "wildcard above", shape: shape{extensions: strings.Replace(oddServer, "mail.contoso.", "*.", 1)},
			ids: []string{"names"}},
		{name: "another host", shape: shape{extensions: strings.Replace(oddServer, "mail.", "www.", 1)},
			ids: []string{"names"}},
		{name: "upper case", shape: shape{extensions: strings.Replace(oddServer, "mail.contoso", "MAIL.Contoso", 1)}},
		{name: "ended", shape: shape{days: [2]int{-300, -3}}, ids: []string{"expired"}},
		{name: "to come", shape: shape{days: [2]int{30, 200}}, ids: []string{"not-yet-valid"}},
		{name: "intermediate ends today", shape: shape{issuer: "intold"}, ids: []string{"issuer-expired"}},
		{name: "no intermediate", chain: []string{}, ids: []string{"no-intermediate"}},
		{name: "second intermediate missing", shape: shape{issuer: "int2"}, ids: []string{"chain-incomplete"}},
		{name: "another intermediate", chain: []string{"int0"}, ids: []string{"wrong-chain"}},
		{name: "by no authority", shape: shape{issuer: "notca"}, ids: []string{"issuer-no-authority"}},
		{name: "by an authority that may not sign", shape: shape{issuer: "intnosig"},
			ids: []string{"issuer-no-authority"}},
		{name: "name constraints", shape: shape{issuer: "intnc"}, ids: []string{"name-constraints"}},
		{name: "path too long", shape: shape{issuer: "below0"}, chain: []string{"below0", "int0"},
			ids: []string{"chain"}},
		{name: "foreign root", shape: shape{issuer: "foreign1"}, ids: []string{"chain-incomplete"}},
		{name: "foreign root, sent along", shape: shape{issuer: "foreign1"}, chain: []string{"foreign1", "foreign"},
			ids: []string{"untrusted-root"}},
		{name: "foreign root and SHA-1", shape: shape{issuer: "foreign1", md: "sha1"},
			ids: []string{"weak-signature", "chain-incomplete"}},
		{name: "foreign and no authority", shape: shape{issuer: "notcaforeign", md: "sha1"},
			ids: []string{"weak-signature", "issuer-no-authority", "chain-incomplete"}},
		{name: "two faults of its own", shape: shape{key: "rsa1024", extensions: usage("", "clientAuth")},
			ids: []string{"short-key", "not-for-servers"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m.t = t
			if tt.shape.days[1] == 0 && tt.shape.issuer == "intold" {
				tt.shape.days = [2]int{-1, 100}
			}
			m.issue("leaf", tt.shape)
			chain := tt.chain
			if chain == nil {
				chain = []string{"int"}
				if tt.shape.issuer != "" {
					chain = []string{tt.shape.issuer}
				}
			}
			var sent []byte
			for _, name := range chain {
				part, err := os.ReadFile(m.at(name + ".crt"))
				if err != nil {
					t.Fatal(err)
				}
				sent = append(sent, part...)
			}
			leaf, err := os.ReadFile(m.at("leaf.crt"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, m.dir, "sent.pem", string(sent)+"\n")
			write(t, m.dir, "all.pem", string(leaf)+string(sent))
			args := []string{"verify", "-purpose", "sslserver", "-auth_level", "2", "-verify_hostname",
				"mail.contoso.example", "-CAfile", m.at("root.crt"), "-no-CApath", "-no-CAstore"}
			if len(sent) > 0 {
				args = append(args, "-untrusted", m.at("sent.pem"))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, "openssl", append(args, m.at("leaf.crt"))...).CombinedOutput()
			theirs := err == nil

			b, err := certificate.Load(m.at("all.pem"), secret.Value{})
			if err != nil {
				t.Fatal(err)
			}
			findings := judgeShape(t, m, b)
			worst, _ := finding.Worst(findings)
			ours := worst.Level != finding.Wrong
			if want := theirs && tt.stricter == "" || tt.laxer != ""; ours != want || tt.stricter != "" && !theirs ||
				tt.laxer != "" && theirs {
				t.Errorf("OpenSSL takes it: %t, Judge takes it: %t (%v)\n%s", theirs, ours, findings, out)
			}
			for _, id := range tt.ids {
				if !slices.ContainsFunc(findings, func(f finding.Finding) bool { return f.ID == id }) {
					t.Errorf("%v lacks %s", findings, id)
				}
			}
			if len(tt.ids) == 0 && len(findings) > 0 {
				t.Errorf("%v, want nothing", findings)
			}
		})
	}
}

func judgeShape(t *testing.T, m maker, b certificate.Bundle) []finding.Finding {
	t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(m.at("root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	return certificate.Judge(b, certificate.Use{Roots: roots, Hosts: []string{"mail.contoso.example"}, Now: time.Now(),
		Mail: true})
}
