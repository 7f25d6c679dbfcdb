package kerberos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// center gets tickets from a key distribution center, through gokrb5.
type center struct {
	mu       sync.Mutex
	client   *client.Client
	guard    *Guard
	loggedIn bool
}

func newCenter(c Config) (*center, error) {
	cfg, err := loadConfig(c.Krb5Config)
	if err != nil {
		return nil, err
	}
	name, realm := splitUser(c.User)
	if c.Realm != "" {
		realm = strings.ToUpper(c.Realm)
	}
	var cache *credentials.CCache
	if c.Password == (secret.Value{}) && c.Keytab == "" {
		if cache, err = LoadCache(c.TicketCache); err != nil {
			return nil, err
		}
		owner := cache.DefaultPrincipal
		if name != "" && !strings.EqualFold(name, owner.PrincipalName.PrincipalNameString()) {
			return nil, fmt.Errorf("the ticket cache holds tickets of %s@%s, not of %s",
				owner.PrincipalName.PrincipalNameString(), owner.Realm, name)
		}
		realm = owner.Realm
	}
	if realm == "" {
		realm = cfg.LibDefaults.DefaultRealm
	}
	if realm == "" {
		return nil, fmt.Errorf("the Kerberos realm of %q is not known: write the user as name@DOMAIN", c.User)
	}
	if cache == nil && name == "" {
		return nil, errors.New("a user name is needed with a password or keytab")
	}
	prepare(cfg, realm)
	// Active Directory does not do FAST with negotiation of it, and gokrb5 stumbles over that.
	plain := client.DisablePAFXFAST(true)
	switch {
	case cache != nil:
		cl, err := newFromCache(cache, cfg, plain)
		if err != nil {
			return nil, err
		}
		guard, err := NewGuard(cfg, realm)
		return &center{client: cl, guard: guard}, err
	case c.Keytab != "":
		keys, err := LoadKeytab(c.Keytab)
		if err != nil {
			return nil, err
		}
		guard, err := NewGuard(cfg, realm)
		return &center{client: client.NewWithKeytab(name, realm, keys, cfg, plain), guard: guard}, err
	}
	guard, err := NewGuard(cfg, realm)
	return &center{client: client.NewWithPassword(name, realm, c.Password.Reveal(), cfg, plain), guard: guard}, err
}

// explain classifies an error of gokrb5: by the guard's fault, else by the error's text.
func (c *center) explain(err error) error {
	fault := c.guard.Fault()
	switch {
	case errors.Is(fault, link.ErrUntrusted):
		return fault
	case fault != nil:
		return fmt.Errorf("no domain controller of the realm answers on port 88: %w (%v)", link.ErrUnreachable,
			networkCause(fault.Error()))
	}
	return classify(err)
}

func newFromCache(cache *credentials.CCache, cfg *config.Config, settings ...func(*client.Settings)) (cl *client.Client,
	err error) {
	defer recovered(&err, "ticket cache")
	cl, err = client.NewFromCCache(cache, cfg, settings...)
	if err != nil {
		return nil, fmt.Errorf("ticket cache: %w; run kinit", err)
	}
	return cl, nil
}

func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		path = os.Getenv("KRB5_CONFIG")
	}
	if path == "" {
		if path = "/etc/krb5.conf"; !exists(path) {
			return config.New(), nil
		}
	}
	data, err := link.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("krb5 configuration: %w", err)
	}
	cfg, err := ParseConfig(string(data))
	if err != nil {
		return nil, fmt.Errorf("krb5 configuration %s: %w", path, err)
	}
	return cfg, nil
}

// ParseConfig reads a krb5.conf. gokrb5 panics at some damaged files: its own functions are not for
// files of others.
func ParseConfig(text string) (cfg *config.Config, err error) {
	defer recovered(&err, "parse")
	// gokrb5 refuses include lines that stand before the first section. Included files are not
	// read.
	var lines []string
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); strings.HasPrefix(t, "include ") || strings.HasPrefix(t, "includedir ") ||
			strings.HasPrefix(t, "module ") {
			continue
		}
		lines = append(lines, line)
	}
	cfg, err = config.NewFromString(strings.Join(lines, ""))
	var unsupported config.UnsupportedDirective
	if errors.As(err, &unsupported) && cfg != nil {
		err = nil
	}
	return cfg, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// prepare fits the configuration to what domain controllers need.
func prepare(cfg *config.Config, realm string) {
	cfg.LibDefaults.DefaultRealm = realm
	cfg.LibDefaults.UDPPreferenceLimit = 1 // tickets of Active Directory do not fit into UDP
	// gokrb5 asks for its default types whatever permitted_enctypes says, and would take RC4 where
	// a domain was set to AES alone.
	forbidden := func(id int32) bool { return !slices.Contains(cfg.LibDefaults.PermittedEnctypeIDs, id) }
	cfg.LibDefaults.DefaultTktEnctypeIDs = slices.DeleteFunc(cfg.LibDefaults.DefaultTktEnctypeIDs, forbidden)
	cfg.LibDefaults.DefaultTGSEnctypeIDs = slices.DeleteFunc(cfg.LibDefaults.DefaultTGSEnctypeIDs, forbidden)
	listed := false
	for _, r := range cfg.Realms {
		listed = listed || r.Realm == realm && len(r.KDC) > 0
	}
	if !listed {
		cfg.LibDefaults.DNSLookupKDC = true // the default of MIT Kerberos, but not of gokrb5
	}
}

// LoadKeytab reads a keytab; see ParseConfig.
func LoadKeytab(path string) (*keytab.Keytab, error) {
	data, err := link.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keytab: %w", err)
	}
	keys, err := parseKeytab(data)
	if err != nil {
		return nil, fmt.Errorf("keytab %s: %w", path, err)
	}
	return keys, nil
}

func parseKeytab(data []byte) (keys *keytab.Keytab, err error) {
	defer recovered(&err, "parse")
	keys = keytab.New()
	if err := keys.Unmarshal(data); err != nil {
		return nil, err
	}
	if len(keys.Entries) == 0 {
		return nil, errors.New("no keys")
	}
	return keys, nil
}

// LoadCache reads a ticket cache, by default that of the environment; see ParseConfig.
func LoadCache(path string) (*credentials.CCache, error) {
	if path == "" {
		path = os.Getenv("KRB5CCNAME")
	}
	if path == "" {
		path = "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
	}
	if kind, file, ok := strings.Cut(path, ":"); ok && len(kind) > 1 { // not a drive letter
		if kind != "FILE" {
			return nil, fmt.Errorf("ticket cache of kind %s: only files are read; run kinit -c FILE:PATH", kind)
		}
		path = file
	}
	data, err := link.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no Kerberos ticket at %s: run kinit, or give the account by keytab or "+
			"password", link.ErrAccess, path)
	}
	if err != nil {
		return nil, fmt.Errorf("ticket cache: %w", err)
	}
	cache, err := parseCache(data)
	if err != nil {
		return nil, fmt.Errorf("ticket cache %s: %w", path, err)
	}
	return cache, nil
}

func parseCache(data []byte) (cache *credentials.CCache, err error) {
	defer recovered(&err, "parse")
	if err := checkCache(data); err != nil {
		return nil, err
	}
	cache = new(credentials.CCache)
	err = cache.Unmarshal(data)
	return cache, err
}

func (c *center) user() string {
	return c.client.Credentials.UserName() + "@" + c.client.Credentials.Domain()
}

func (c *center) start(_ context.Context, spn string) (m mechanism, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	doing := fmt.Sprintf("get a Kerberos ticket for %s as %s", spn, c.user())
	defer recovered(&err, doing)
	defer c.guard.Work()()
	if !c.loggedIn {
		if err := c.client.AffirmLogin(); err != nil {
			return nil, fmt.Errorf("sign in to Kerberos as %s: %w", c.user(), c.explain(err))
		}
		c.loggedIn = true
	}
	ticket, key, err := c.client.GetServiceTicket(spn)
	if err != nil {
		err = c.explain(err)
	}
	if errors.Is(err, ErrUnknownService) { // of this realm; a trusted one may have it
		ticket, key, err = c.refer(spn, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return &initiator{spn: spn, ticket: ticket, session: key, realm: c.client.Credentials.Domain(),
		name: c.client.Credentials.CName()}, nil
}

// refer asks for a service through referrals (RFC 6806, 8): the user's domain controller knows in
// which trusted realm the service is. gokrb5 asks without the flag for it, and with a type of name
// for which MIT Kerberos gives none. It cannot go on beyond the first trust: it names the issuer of
// the last ticket as the user's realm.
func (c *center) refer(spn string, unknown error) (ticket messages.Ticket, key types.EncryptionKey, err error) {
	home := c.client.Credentials.Realm()
	ticket, key, err = c.client.GetServiceTicket("krbtgt/" + home)
	if err != nil {
		return ticket, key, unknown
	}
	canonical := *c.client.Config
	canonical.LibDefaults.Canonicalize = true
	service := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, spn)
	realms := []string{home}
	for {
		realm := realms[len(realms)-1]
		request, err := messages.NewTGSReq(c.client.Credentials.CName(), realm, &canonical, ticket, key, service, false)
		if err != nil {
			return ticket, key, err
		}
		const one = 6 // gokrb5 then leaves a further referral to the caller, as an error
		_, reply, err := c.client.TGSExchange(request, realm, ticket, key, one)
		names := reply.Ticket.SName.NameString
		referred := len(names) == 2 && names[0] == "krbtgt" && names[1] != realm
		switch {
		case referred && len(realms) == 1:
			realms = append(realms, names[1])
			ticket, key = reply.Ticket, reply.DecryptedEncPart.Key
			continue
		case referred:
			return ticket, key, fmt.Errorf("%w: the way to the service leads over the trusts %s to %s, and this "+
				"program "+
				"follows one trust alone; use an account of %s, or map its domain to it in krb5.conf ([domain_realm])",
				ErrUnknownService, strings.Join(realms, ", "), names[1], names[1])
		case err != nil && len(realms) == 1:
			return ticket, key, unknown
		case err != nil:
			return ticket, key, fmt.Errorf("after a referral to %s: %w", realm, classify(err))
		}
		return reply.Ticket, reply.DecryptedEncPart.Key, nil
	}
}

func (c *center) close() {
	go func() { // waits for a running start
		c.mu.Lock()
		defer c.mu.Unlock()
		c.client.Destroy()
		c.guard.Close()
	}()
}

// networkCause leaves the last link of gokrb5's chain: "dial tcp 10.0.0.1:88: connect: connection
// refused".
func networkCause(text string) string {
	for _, mark := range []string{"dial tcp", "dial udp", "lookup ", "error sending to a KDC: "} {
		if i := strings.LastIndex(text, mark); i >= 0 {
			return strings.TrimRight(text[i:], ")]")
		}
	}
	return text
}

var krbCode = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`KRB Error: \((\d+)\)`)
})

// classify finds the class of an error of gokrb5, which keeps only text.
func classify(err error) error {
	text := err.Error()
	if m := krbCode().FindStringSubmatch(text); m != nil {
		code, _ := strconv.Atoi(m[1])
		return krbErrorCode(int32(code), err)
	}
	switch {
	case strings.Contains(text, "clock skew"):
		return fmt.Errorf("%w: %w", ErrClockSkew, err)
	case strings.Contains(text, "Networking_Error"), strings.Contains(text, "communication error with KDC"),
		strings.Contains(text, "failed to communicate with KDC"),
		strings.Contains(text, "no KDC"), strings.Contains(text, "KDCs"):
		return fmt.Errorf("no domain controller of the realm answers on port 88: %w (%v)", link.ErrUnreachable,
			networkCause(text))
	case strings.Contains(text, "Decrypting_Error"), strings.Contains(text, "decrypting"), strings.Contains(text,
		"integrity verification failed"):
		return fmt.Errorf("%w: wrong user name or password", link.ErrAccess)
	case strings.Contains(text, "matching key not found in keytab"):
		return fmt.Errorf("%w: the keytab holds no key of this user in an encryption type that the domain takes",
			link.ErrAccess)
	case strings.Contains(text, "no user credentials available"):
		return fmt.Errorf("%w: the ticket has expired; run kinit", link.ErrAccess)
	}
	return err
}
