package fact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

type Server struct {
	Name    string
	FQDN    string
	Version string // AdminDisplayVersion
	Given   Build  // with the updates that AdminDisplayVersion does not show, from the answers; zero: not given
	Mailbox bool
	Edge    bool

	Proxy        string   // InternetWebProxy: the way to Exchange Online; empty: none
	Pinned       []string // domain controllers that are set by hand
	TrialExpired bool
	// Unmitigated reports that the server takes no emergency mitigations of Microsoft.
	Unmitigated bool
	Mitigations []string // that are applied: "M2.1.0"
}

// Build returns the build that the answers give, else the one that the server shows.
func (s Server) Build() (Build, error) {
	if s.Given != (Build{}) {
		return s.Given, nil
	}
	return s.Shown()
}

// Shown reads the server's version as Get-ExchangeServer shows it.
func (s Server) Shown() (Build, error) { return ParseBuild(s.Version) }

// GivenBuilds reads forests[].exchange.builds: by server in lower case without its domain, "" for
// all servers.
func GivenBuilds(list []string) map[string]Build {
	out := map[string]Build{}
	for _, text := range list {
		server, build, named := strings.Cut(text, "=")
		if !named {
			server, build = "", text
		}
		short, _, _ := strings.Cut(server, ".")
		if b, err := ParseBuild(build); err == nil {
			out[strings.ToLower(short)] = b
		}
	}
	return out
}

// Updates reports whether a build is another one of the same cumulative update, and not a lower
// one.
func (b Build) Updates(shown Build) bool {
	return b.Major == shown.Major && b.Minor == shown.Minor && b.Build == shown.Build && b.Revision >= shown.Revision
}

const getExchangeServer = "Get-ExchangeServer"

// shownServers are the servers as Exchange shows them.
var shownServers = Cmdlet(OnPremises, getExchangeServer, func(objects []exchange.Object) ([]Server, error) {
	out, err := each(getExchangeServer, readServer)(objects)
	sorting.Func(out, func(a, b Server) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
})

// Servers are the Exchange servers, per forest, sorted by name. A build of the answers counts only
// where it is an update of the build that the server shows: any other one is out of date.
var Servers = Derive(AtForest, List(shownServers), func(ctx context.Context, s *Side) ([]Server, error) {
	shown, err := shownServers.In(ctx, s)
	if err != nil {
		return nil, err
	}
	given := GivenBuilds(s.Answers.Exchange.Builds)
	out := slices.Clone(shown)
	for i := range out {
		b, named := given[strings.ToLower(out[i].Name)]
		if !named {
			b = given[""]
		}
		if visible, err := out[i].Shown(); err == nil && b.Updates(visible) {
			out[i].Given = b
		}
	}
	return out, nil
})

// readServer counts a server without roles in the output as a Mailbox server: an unneeded look is
// better than a missed server.
func readServer(o exchange.Object) (s Server, err error) {
	if s.Name, err = o.String("Name"); err != nil {
		return Server{}, err
	}
	if s.Version, err = o.String("AdminDisplayVersion"); err != nil {
		return Server{}, err
	}
	s.FQDN, _ = o.String("Fqdn")
	roles, roleErr := o.String("ServerRole")
	if mailbox, err := o.Bool("IsMailboxServer"); err == nil {
		s.Mailbox = mailbox
	} else {
		s.Mailbox = roleErr != nil || strings.Contains(roles, "Mailbox")
	}
	s.Edge, _ = o.Bool("IsEdgeServer")
	s.Proxy, _ = o.String("InternetWebProxy")
	s.TrialExpired, _ = o.Bool("IsExpiredExchangeTrialEdition")
	if on, err := o.Bool("MitigationsEnabled"); err == nil {
		s.Unmitigated = !on
	}
	for _, name := range []string{"StaticDomainControllers", "StaticGlobalCatalogs"} {
		pinned, err := list(o, name)
		if err != nil {
			return Server{}, err
		}
		s.Pinned = append(s.Pinned, pinned...)
	}
	if pinned, err := o.String("StaticConfigDomainController"); err == nil && pinned != "" {
		s.Pinned = append(s.Pinned, pinned)
	}
	s.Mitigations, err = list(o, "MitigationsApplied")
	return s, err
}

// MailboxServer is a server with the Mailbox role, with its build.
type MailboxServer struct {
	Name  string
	Build Build
	Given bool // the answers give the build
}

// MailboxServers are the servers that send and receive lookups.
var MailboxServers = Derive(AtForest, List(Servers), func(ctx context.Context, s *Side) ([]MailboxServer, error) {
	servers, err := Servers.In(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []MailboxServer
	for _, server := range servers {
		if !server.Mailbox || server.Edge {
			continue
		}
		b, err := server.Build()
		if err != nil {
			return nil, fmt.Errorf("%s: server %s: %w", s.Name(), server.Name, err)
		}
		out = append(out, MailboxServer{server.Name, b, server.Given != Build{}})
	}
	return out, nil
})

// Placed is a server with the Mailbox role, and whether it still has a place in the network.
type Placed struct {
	Server
	// Gone reports that DNS has no address of the server, and has addresses of other ones. A
	// machine to which DNS shows none of them asks the wrong DNS.
	Gone bool
}

// PlacedServers are the Mailbox servers of a forest. A server that is gone answers nothing: what
// asks each server leaves it out.
var PlacedServers = Derive(AtForest, List(Servers), func(ctx context.Context, s *Side) ([]Placed, error) {
	servers, err := Servers.In(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []Placed
	known := false
	for _, server := range servers {
		if !server.Mailbox || server.Edge {
			continue
		}
		p := Placed{Server: server}
		if server.FQDN != "" {
			_, err := Aliases.In(ctx, s.set.Network, server.FQDN)
			known = known || err == nil
			p.Gone = errors.Is(err, dns.ErrAbsent) || errors.Is(err, dns.ErrEmpty)
		}
		out = append(out, p)
	}
	for i := range out {
		out[i].Gone = out[i].Gone && known
	}
	return out, ctx.Err()
}, Source{System: DNS, Ask: "A SERVER"})
