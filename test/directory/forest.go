//go:build linux

// Package directory runs real Active Directory forests (Samba) on loopback addresses. It plants in
// them the faults that the prerequisite checks must find. It requires root and the Debian packages
// that Packages lists.
package directory

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"
)

// Packages are the required Debian packages. Install them with --no-install-recommends and with a
// policy-rc.d that exits 101. Otherwise Samba's own services start on every address.
var Packages = []string{"samba-ad-dc", "samba-ad-provision", "samba-dsdb-modules", "winbind", "ldb-tools", "krb5-user",
	"ldap-utils"}

//go:embed testdata
var testdata embed.FS

// Missing returns the reason why forests cannot run here, or "" when they can.
func Missing() string {
	if os.Getuid() != 0 {
		return "Samba's domain controller needs root (ports below 1024)"
	}
	for _, program := range []string{"samba", "samba-tool", "samba_spnupdate", "ldbmodify", "ldbadd", "kinit",
		"ldapsearch"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed: apt-get install --no-install-recommends " + strings.Join(Packages, " ")
		}
	}
	return ""
}

// Forest is one running forest.
type Forest struct {
	Name    string // contoso
	Domain  string // contoso.example
	Realm   string
	NetBIOS string
	Address string // 127.0.10.1
	Dir     string

	Host       string // of the domain controller, dc1.contoso.example: the name in its certificate
	CAFile     string
	Krb5Config string
	Keytab     string // of Reader
	Reader     string // user principal name of an ordinary account that reads
	Gone       string // of a disabled account with the same password
	Blind      string // of an account with the same password, for Deny
	Password   string

	server *exec.Cmd
}

// forestPassword is not a secret: the forests run on loopback, for the duration of a test.
const forestPassword = "Passw0rd!Exch"

// DomainDN is the naming context of the domain.
func (f *Forest) DomainDN() string { return "DC=" + strings.ReplaceAll(f.Domain, ".", ",DC=") }

// Start provisions the forest called name, with the domain NAME.example, below dir. It loads p and
// starts the forest on the first free address of 127.0.10.0/24 from n on.
func Start(ctx context.Context, dir, name string, n int, p Plan) (*Forest, error) {
	address, err := freeAddress(n)
	if err != nil {
		return nil, err
	}
	f := &Forest{Name: name, Domain: name + ".example", NetBIOS: strings.ToUpper(name), Address: address,
		Dir: filepath.Join(dir, name), Password: forestPassword}
	f.Realm = strings.ToUpper(f.Domain)
	f.Host = "dc1." + f.Domain
	f.CAFile = filepath.Join(f.Dir, "private/tls/ca.pem")
	f.Krb5Config = filepath.Join(f.Dir, "krb5.conf")
	f.Keytab = filepath.Join(f.Dir, "reader.keytab")
	f.Reader = "reader@" + f.Domain
	f.Gone = "gone@" + f.Domain
	f.Blind = "blind@" + f.Domain
	if err := f.provision(ctx, p); err != nil {
		return nil, fmt.Errorf("provision %s: %w", f.Domain, err)
	}
	if err := f.Up(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// Pair starts the forests contoso and fabrikam in parallel, with the plans of Planted.
func Pair(ctx context.Context, dir string) ([]*Forest, error) {
	names := []string{"contoso", "fabrikam"}
	forests := make([]*Forest, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { forests[i], errs[i] = Start(ctx, dir, name, 1+100*i, Planted(name)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, f := range forests {
			if f != nil {
				f.Down()
			}
		}
		return nil, err
	}
	return forests, nil
}

// freeAddress finds an address whose LDAP port is free, so that two runs on one machine do not
// collide.
func freeAddress(n int) (string, error) {
	for i := n; i < min(n+100, 255); i++ {
		address := fmt.Sprintf("127.0.10.%d", i)
		ln, err := net.Listen("tcp", address+":636")
		if err == nil {
			return address, ln.Close()
		}
	}
	return "", fmt.Errorf("no free address from 127.0.10.%d on", n)
}

func (f *Forest) path(elements ...string) string {
	return filepath.Join(append([]string{f.Dir}, elements...)...)
}

// run executes a program of Samba's; an error contains its output.
func (f *Forest) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+f.Krb5Config)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tail := out[max(0, len(out)-2000):]
		return fmt.Errorf("%s: %w\n%s", program, err, tail)
	}
	return nil
}

func (f *Forest) provision(ctx context.Context, p Plan) error {
	for _, d := range []string{"run", "cache", "lock", "state", "private/tls", "log"} {
		if err := os.MkdirAll(f.path(d), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{"smb.conf", "krb5.conf"} {
		t, err := template.ParseFS(testdata, "testdata/"+name)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, f); err != nil {
			return err
		}
		if err := os.WriteFile(f.path(name), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	if err := f.certificate(); err != nil {
		return err
	}
	conf, sam := "--configfile="+f.path("smb.conf"), f.path("private", "sam.ldb")
	steps := [][]string{
		{"samba-tool", "domain", "provision", conf, "--realm=" + f.Realm, "--domain=" + f.NetBIOS, "--server-role=dc",
			"--dns-backend=SAMBA_INTERNAL",
			"--adminpass=" + f.Password, "--host-name=DC1", "--host-ip=" + f.Address, "--host-ip6=::1"},
		{"samba_spnupdate", "-s", f.path("smb.conf")}, // ldap/HOST: Kerberos binds need it
		{"samba-tool", "user", "create", "reader", f.Password, conf, "-H", sam},
		{"samba-tool", "user", "create", "blind", f.Password, conf, "-H", sam},
		{"samba-tool", "user", "create", "gone", f.Password, conf, "-H", sam},
		{"samba-tool", "user", "disable", "gone", conf, "-H", sam},
		{"samba-tool", "domain", "exportkeytab", f.Keytab, "--principal=reader@" + f.Realm, conf},
	}
	for _, s := range steps {
		if err := f.run(ctx, s[0], s[1:]...); err != nil {
			return err
		}
	}
	stages, err := exchangeSchema(f.DomainDN())
	if err != nil {
		return err
	}
	for i, text := range stages {
		if err := f.load(ctx, fmt.Sprintf("schema%d.ldif", i+1), text, "ldbmodify",
			"--option=dsdb:schema update allowed=true"); err != nil {
			return err
		}
	}
	configuration := "CN=Configuration," + f.DomainDN()
	entries, err := p.Organization.Entries(configuration, f.Domain)
	if err != nil {
		return err
	}
	entries = entries[1:] // the schema extension has already set the schema's version
	if err := f.load(ctx, "exchange.ldif", ldif(entries), "ldbmodify"); err != nil {
		return err
	}
	suffixes := "dn: CN=Partitions," + configuration + "\nchangetype: modify\nadd: uPNSuffixes\n"
	for _, s := range p.UPNSuffixes {
		suffixes += "uPNSuffixes: " + s + "\n"
	}
	if err := f.load(ctx, "suffixes.ldif", suffixes+"-\n", "ldbmodify"); err != nil {
		return err
	}
	// The batch mode, which Samba uses when it joins a domain, is an order of magnitude faster.
	return f.load(ctx, "users.ldif", strings.ReplaceAll(ldif(p.entries(f.DomainDN())), "changetype: add\n", ""),
		"ldbadd", "-o", "batch_mode:1", "-o", "transaction_index_cache_size:200000")
}

// load writes text to a file and loads it into the stopped domain controller.
func (f *Forest) load(ctx context.Context, name, text, program string, options ...string) error {
	file := f.path("log", name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := f.run(ctx, program, append(options, "-H", f.path("private", "sam.ldb"), file)...); err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	return nil
}

// certificate makes an authority and the domain controller's certificate. Samba's own has no
// alternative names and often a negative serial number, both of which Go refuses.
func (f *Forest) certificate() error {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: f.NetBIOS + " test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: f.Host},
		DNSNames: []string{f.Host, f.Domain}, IPAddresses: []net.IP{net.ParseIP(f.Address)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0,
			0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: caDER}, "cert.pem": {Type: "CERTIFICATE", Bytes: leafDER},
		"key.pem": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(f.path("private", "tls", name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Up starts the domain controller and waits until it listens for LDAP and, a moment later, for Kerberos.
func (f *Forest) Up(ctx context.Context) error {
	log, err := os.Create(f.path("log", "stdout.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	f.server = exec.Command("samba", "-i", "-M", "single", "--configfile="+f.path("smb.conf"))
	f.server.Stdout, f.server.Stderr = log, log
	f.server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := f.server.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	server := f.server
	go func() { ended <- server.Wait() }()
	deadline := time.After(60 * time.Second)
	ports := []string{"636", "88"}
	for len(ports) > 0 {
		if c, err := net.DialTimeout("tcp", net.JoinHostPort(f.Address, ports[0]), time.Second); err == nil {
			c.Close()
			ports = ports[1:]
			continue
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(f.path("log", "stdout.log"))
			f.server = nil
			return fmt.Errorf("start %s: samba ended: %w\n%s", f.Domain, err, text[max(0, len(text)-2000):])
		case <-deadline:
			f.Down()
			return fmt.Errorf("start %s: samba does not listen on %s:%s", f.Domain, f.Address, ports[0])
		case <-ctx.Done():
			f.Down()
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// Down stops the domain controller and its child processes.
func (f *Forest) Down() {
	if f.server == nil || f.server.Process == nil {
		return
	}
	group := -f.server.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	for range 100 {
		if syscall.Kill(group, 0) != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	f.server = nil
}

// Deny denies Blind a right on every user below People: ACEs in SDDL, with %s for the account's
// SID.
func (f *Forest) Deny(ctx context.Context, ace string) error {
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-", f.path("private", "sam.ldb"), f.path("smb.conf"), ace)
	cmd.Stdin = strings.NewReader(denial)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("deny %s: %w: %s", ace, err, out)
	}
	return nil
}

// denial puts an entry in front of the access list of every user. samba-tool would start once per
// user.
const denial = `import sys, ldb
from samba.samdb import SamDB
from samba.auth import system_session
from samba.param import LoadParm
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
lp = LoadParm(); lp.load(sys.argv[2])
db = SamDB(url=sys.argv[1], session_info=system_session(), lp=lp)
blind = db.search(expression="(sAMAccountName=blind)", attrs=["objectSid"])[0]
sid = str(ndr_unpack(security.dom_sid, blind["objectSid"][0]))
domain = security.dom_sid(db.get_domain_sid())
people = "OU=People," + str(db.domain_dn())
for u in db.search(base=people, expression="(sAMAccountName=*)", attrs=["nTSecurityDescriptor"]):
    sd = ndr_unpack(security.descriptor, u["nTSecurityDescriptor"][0]).as_sddl(domain)
    at = sd.index("D:"); at = sd.index("(", at)
    new = security.descriptor.from_sddl(sd[:at] + sys.argv[3].replace("%s", sid) + sd[at:], domain)
    m = ldb.Message(u.dn)
    m["sd"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(m, ["sd_flags:1:4"])
`

// TicketCache gets a ticket for Reader as kinit does, and returns the path of the cache.
func (f *Forest) TicketCache(ctx context.Context) (string, error) {
	cache := f.path("krb5cc")
	cmd := exec.CommandContext(ctx, "kinit", "-c", "FILE:"+cache, "reader@"+f.Realm)
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+f.Krb5Config)
	cmd.Stdin = strings.NewReader(f.Password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("kinit: %w: %s", err, out)
	}
	return cache, nil
}
