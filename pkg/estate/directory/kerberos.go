package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/go-ldap/ldap/v3/gssapi"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// newSecurityContext chooses where tickets come from: a keytab, a password, a ticket cache, or the
// current logon.
func newSecurityContext(cfg *Config) (securityContext, error) {
	credential := cfg.Directory.Bind
	if credential.Kind != answers.CredentialKeytab && credential.Keytab == "" && credential.TicketCache == "" &&
		cfg.Password.Reveal() == "" {
		return currentLogon(cfg)
	}
	c, guard, err := kerberosClient(cfg)
	if err != nil {
		return nil, err
	}
	return &guarded{&gssapi.Client{Client: c}, guard}, nil
}

// guarded is a security context that trusts no domain controller before its proof.
type guarded struct {
	*gssapi.Client
	guard *kerberos.Guard
}

func (g *guarded) InitSecContext(target string, token []byte) (output []byte, more bool, err error) {
	defer g.guard.Work()()
	defer func() {
		if recover() != nil {
			err = errors.New("malformed data of a domain controller")
		}
		if fault := g.guard.Fault(); err != nil && errors.Is(fault, link.ErrUntrusted) {
			err = fault
		}
	}()
	return g.Client.InitSecContext(target, token)
}

func (g *guarded) DeleteSecContext() error {
	err := g.Client.DeleteSecContext()
	g.Destroy()
	g.guard.Close()
	return err
}

func kerberosClient(cfg *Config) (_ *client.Client, _ *kerberos.Guard, err error) {
	// It runs in a goroutine of its own, and gokrb5 panics at some damaged tickets.
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("the Kerberos files of %s are damaged (run kinit)", cfg.Name)
		}
	}()
	credential := cfg.Directory.Bind
	user, realm := principal(credential.User, cfg.Directory.Domain)
	krb5, err := krb5Config(credential.Krb5Config, realm)
	if err != nil {
		return nil, nil, err
	}
	if realm == "" {
		realm = krb5.LibDefaults.DefaultRealm
	}
	// Active Directory does not offer FAST in the way that gokrb5 asks for it.
	noFAST := client.DisablePAFXFAST(true)
	switch {
	case credential.Keytab != "":
		kt, err := kerberos.LoadKeytab(credential.Keytab)
		if err != nil {
			return nil, nil, err
		}
		guard, err := kerberos.NewGuard(krb5, realm)
		return client.NewWithKeytab(user, realm, kt, krb5, noFAST), guard, err
	case credential.Kind == answers.CredentialKeytab:
		return nil, nil, errors.New("a credential of kind keytab needs a keytab file")
	case cfg.Password.Reveal() != "":
		guard, err := kerberos.NewGuard(krb5, realm)
		return client.NewWithPassword(user, realm, cfg.Password.Reveal(), krb5, noFAST), guard, err
	}
	path := strings.TrimPrefix(credential.TicketCache, "FILE:")
	cache, err := kerberos.LoadCache(path)
	if errors.Is(err, fs.ErrNotExist) {
		// not a missing file: no user has signed in
		return nil, nil, fmt.Errorf("there is no ticket at %s: run kinit, or give the account by keytab or password",
			path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read ticket cache %s (run kinit): %w", path, err)
	}
	c, err := client.NewFromCCache(cache, krb5, noFAST)
	if err != nil {
		return nil, nil, fmt.Errorf("ticket cache %s (run kinit): %w", path, err)
	}
	guard, err := kerberos.NewGuard(krb5, c.Credentials.Domain())
	return c, guard, err
}

// principal splits "user@REALM" and "DOMAIN\user"; a realm that is not named is that of the forest.
// A UPN's suffix need not be the realm, but Active Directory answers for every suffix of the forest
// only in enterprise names, which gokrb5 does not ask for: so users have to give user@REALM.
func principal(name, domain string) (user, realm string) {
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		return name[:i], strings.ToUpper(name[i+1:])
	}
	if i := strings.IndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	return name, strings.ToUpper(domain)
}

// krb5Config reads the named file, KRB5_CONFIG or /etc/krb5.conf; without any of them the realm is
// that of the domain and its key distribution centers are found by DNS.
func krb5Config(path, realm string) (*config.Config, error) {
	named := path != ""
	if !named {
		if path = os.Getenv("KRB5_CONFIG"); path == "" {
			path = "/etc/krb5.conf"
		}
	}
	text, err := os.ReadFile(path)
	var c *config.Config
	if err == nil {
		c, err = kerberos.ParseConfig(string(text))
	}
	switch {
	case err == nil:
		return c, nil
	case named || !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("read Kerberos configuration %s: %w", path, err)
	case realm == "":
		//nolint:staticcheck // a proper name
		return nil, errors.New("Kerberos needs a realm: give user@REALM, the forest's domain, or a krb5.conf")
	}
	return config.NewFromString("[libdefaults]\n default_realm = " + realm +
		"\n dns_lookup_kdc = true\n dns_lookup_realm = false\n rdns = false\n udp_preference_limit = 1\n")
}
