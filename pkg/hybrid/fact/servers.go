package fact

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

type Server struct {
	Name    string
	FQDN    string
	Version string // AdminDisplayVersion
	Mailbox bool
	Edge    bool
}

// Build reads the server's version.
func (s Server) Build() (Build, error) { return ParseBuild(s.Version) }

const getExchangeServer = "Get-ExchangeServer"

// Servers are the Exchange servers, per forest, sorted by name.
var Servers = Cmdlet(OnPremises, getExchangeServer, func(objects []exchange.Object) ([]Server, error) {
	out, err := each(getExchangeServer, readServer)(objects)
	slices.SortFunc(out, func(a, b Server) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
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
	return s, nil
}

// MailboxServer is a server with the Mailbox role, with its build.
type MailboxServer struct {
	Name  string
	Build Build
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
		out = append(out, MailboxServer{server.Name, b})
	}
	return out, nil
})
