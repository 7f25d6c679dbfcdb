package fact

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Component is a part of a server that can be switched off for maintenance.
type Component struct{ Server, Name, State string }

// Database is a mailbox database.
type Database struct {
	Name, Server string
	Mounted      *bool // nil: its server did not tell
}

// Throttling is a throttling policy with its limit of concurrent EWS requests.
type Throttling struct {
	Name, Scope string // Global, Organization, Regular
	EWS         string // EwsMaxConcurrency: a number or Unlimited
}

// ClientDirectory is a virtual directory of Outlook on the web or ActiveSync.
type ClientDirectory struct{ Noun, Identity, ExternalURL string }

// The nouns of ClientDirectory.
const (
	OWADirectory        = "OwaVirtualDirectory"
	ActiveSyncDirectory = "ActiveSyncVirtualDirectory"
)

// Trust is a federation trust.
type Trust struct {
	Name       string
	Thumbprint string // of the organization's certificate, upper case
}

// TransportService is the transport of a server.
type TransportService struct {
	Name        string
	Certificate string   // thumbprint for mail between servers, upper case; empty when it is not shown
	DNSServers  []string // for external names; empty: those of the network adapter
}

// Queue is a queue of messages that wait.
type Queue struct {
	Server, Identity, NextHop, Status, LastError string
	Messages                                     int64
}

// TransportSettings hold for the mail of a whole organization.
type TransportSettings struct {
	MaxSend, MaxReceive Size
	// DomainSecure are the domains for which both sides must show a certificate.
	DomainSecure []string
	Postmaster   string // the sender of reports to other organizations; empty: the default
}

// RemoteDomain holds what an organization does with mail for a domain.
type RemoteDomain struct {
	Name, Domain string
	// Off are the kinds of message that are not sent there: AutoReplyEnabled,
	// DeliveryReportEnabled, NDREnabled.
	Off         []string
	OutOfOffice string // AllowedOOFType
	PlainText   bool   // TNEFEnabled is false
}

// Size is a limit in bytes. It is 0 when the limit is not shown, and negative when there is none.
type Size int64

// ParseSize reads "36 MB (37,748,736 bytes)" and "Unlimited".
func ParseSize(text string) Size {
	if strings.EqualFold(strings.TrimSpace(text), "unlimited") {
		return -1
	}
	_, bytes, ok := strings.Cut(text, "(")
	if !ok {
		return 0
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1 // the separator of thousands is the server's
		}
		return r
	}, bytes)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return Size(n)
}

// Below reports whether a limit is known and lower than another known one.
func (s Size) Below(o Size) bool { return s > 0 && (o < 0 || o > 0 && s < o) }

func (s Size) String() string {
	switch {
	case s < 0:
		return "unlimited"
	case s >= 1<<20:
		return strconv.FormatInt(int64(s)>>20, 10) + " MB"
	}
	return strconv.FormatInt(int64(s)>>10, 10) + " KB"
}

const (
	getComponentState = "Get-ServerComponentState"
	getDatabase       = "Get-MailboxDatabase"
	getThrottling     = "Get-ThrottlingPolicy"
	getTrust          = "Get-FederationTrust"
	getTransport      = "Get-TransportService"
	getQueue          = "Get-Queue"
	getTransportSet   = "Get-TransportConfig"
	getRemoteDomain   = "Get-RemoteDomain"
)

// How the servers of a forest are kept, and what holds for all of its mail.
var (
	Components = perServer(getComponentState, "Identity",
		func(server string, o exchange.Object) (c Component, err error) {
			c.Server = server
			if c.Name, err = o.String("Component"); err == nil {
				c.State, err = o.String("State")
			}
			return c, err
		})

	Queues = perServer(getQueue, "Server", func(server string, o exchange.Object) (q Queue, err error) {
		q.Server = server
		if q.Status, err = o.String("Status"); err != nil {
			return q, err
		}
		q.Identity, q.NextHop = o.Text, ""
		if id, err := o.String("Identity"); err == nil {
			q.Identity = id
		}
		q.NextHop, _ = o.String("NextHopDomain")
		q.LastError, _ = o.String("LastError")
		q.Messages, _ = o.Int("MessageCount")
		return q, nil
	})

	// Databases asks the servers whether a database is mounted.
	Databases = Session(OnPremises, []string{getDatabase},
		func(ctx context.Context, s exchange.Reader) ([]Database, error) {
			get := exchange.Command{Name: getDatabase, Parameters: map[string]any{"Status": true}}
			objects, err := s.Read(ctx, get)
			if err != nil {
				return nil, err
			}
			return each(getDatabase, func(o exchange.Object) (d Database, err error) {
				if d.Name, err = o.String("Name"); err != nil {
					return d, err
				}
				d.Server, _ = o.String("Server")
				if mounted, err := o.Bool("Mounted"); err == nil {
					d.Mounted = &mounted
				}
				return d, nil
			})(objects)
		})

	ThrottlingPolicies = Cmdlet(OnPremises, getThrottling, each(getThrottling,
		func(o exchange.Object) (p Throttling, err error) {
			if p.Name, err = o.String("Name"); err != nil {
				return p, err
			}
			p.Scope, _ = o.String("ThrottlingPolicyScope")
			p.EWS, _ = o.String("EwsMaxConcurrency")
			return p, nil
		}))

	ClientDirectories = Session(OnPremises, []string{"Get-" + OWADirectory, "Get-" + ActiveSyncDirectory},
		func(ctx context.Context, s exchange.Reader) ([]ClientDirectory, error) {
			var out []ClientDirectory
			for _, noun := range []string{OWADirectory, ActiveSyncDirectory} {
				get := exchange.Command{Name: "Get-" + noun, Parameters: map[string]any{"ADPropertiesOnly": true}}
				objects, err := Get(ctx, s, get)
				if err != nil {
					return nil, err
				}
				for _, o := range objects {
					d := ClientDirectory{Noun: noun}
					if d.Identity, err = o.String("Identity"); err != nil {
						return nil, unreadable(get.Name, "", err)
					}
					d.ExternalURL, _ = o.String("ExternalUrl")
					out = append(out, d)
				}
			}
			return out, nil
		})

	Trusts = Cmdlet(OnPremises, getTrust, each(getTrust, func(o exchange.Object) (t Trust, err error) {
		if t.Name, err = o.String("Name"); err != nil {
			return t, err
		}
		thumbprint, _ := o.String("OrgPrivCertificate")
		t.Thumbprint = certificate.NormalThumbprint(thumbprint)
		return t, nil
	}))

	TransportServices = Cmdlet(OnPremises, getTransport, each(getTransport,
		func(o exchange.Object) (t TransportService, err error) {
			if t.Name, err = o.String("Name"); err != nil {
				return t, err
			}
			thumbprint, _ := o.String("InternalTransportCertificateThumbprint")
			t.Certificate = certificate.NormalThumbprint(thumbprint)
			if own, err := o.Bool("ExternalDNSAdapterEnabled"); err == nil && own {
				return t, nil // the list is kept and not used
			}
			return t, lists(o, map[string]*[]string{"ExternalDNSServers": &t.DNSServers})
		}))

	Transport       = Cmdlet(OnPremises, getTransportSet, one(getTransportSet, readTransportSettings))
	OnlineTransport = Cmdlet(Online, getTransportSet, one(getTransportSet, readTransportSettings))

	RemoteDomains       = Cmdlet(OnPremises, getRemoteDomain, each(getRemoteDomain, readRemoteDomain))
	OnlineRemoteDomains = Cmdlet(Online, getRemoteDomain, each(getRemoteDomain, readRemoteDomain))
)

// perServer declares a query that asks a cmdlet once per Mailbox server, by a parameter.
func perServer[T any](
	cmdlet, parameter string, read func(server string, o exchange.Object) (T, error),
) *Query[[]T] {
	return Derive(AtForest, List(PlacedServers), func(ctx context.Context, side *Side) ([]T, error) {
		servers, err := PlacedServers.In(ctx, side)
		if err != nil {
			return nil, err
		}
		return with(ctx, side, side.Exchange, func(ctx context.Context, s exchange.Reader) ([]T, error) {
			var out []T
			for _, server := range servers {
				if server.Gone {
					continue
				}
				objects, err := s.Read(ctx, exchange.Command{Name: cmdlet,
					Parameters: map[string]any{parameter: server.Name}})
				if err != nil {
					return nil, err
				}
				for _, o := range objects {
					v, err := read(server.Name, o)
					if err != nil {
						return nil, side.unreadable(unreadable(cmdlet, server.Name, err))
					}
					out = append(out, v)
				}
			}
			return out, nil
		})
	}, Source{OnPremises, cmdlet, []string{cmdlet}})
}

func readTransportSettings(o exchange.Object) (t TransportSettings, err error) {
	send, _ := o.String("MaxSendSize")
	receive, _ := o.String("MaxReceiveSize")
	t.MaxSend, t.MaxReceive = ParseSize(send), ParseSize(receive)
	t.Postmaster, _ = o.String("ExternalPostmasterAddress")
	var sent, received []string
	err = lists(o, map[string]*[]string{"TLSSendDomainSecureList": &sent, "TLSReceiveDomainSecureList": &received})
	t.DomainSecure = slices.Concat(sent, received)
	return t, err
}

func readRemoteDomain(o exchange.Object) (d RemoteDomain, err error) {
	if d.Name, err = o.String("Name"); err != nil {
		return d, err
	}
	if d.Domain, err = o.String("DomainName"); err != nil {
		return d, err
	}
	for _, name := range []string{"AutoReplyEnabled", "DeliveryReportEnabled", "NDREnabled"} {
		if on, err := o.Bool(name); err == nil && !on {
			d.Off = append(d.Off, name)
		}
	}
	d.OutOfOffice, _ = o.String("AllowedOOFType")
	tnef, err := o.Bool("TNEFEnabled")
	d.PlainText = err == nil && !tnef
	return d, nil
}
