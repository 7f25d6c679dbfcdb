package fact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

const (
	getMailbox      = "Get-Mailbox"
	getDynamicGroup = "Get-DynamicDistributionGroup"
	getClientAccess = "Get-ClientAccessService"
)

// Residents are the mailboxes that a forest still holds: the first of them.
type Residents struct {
	Names []string
	More  bool // there are more than Names
}

// maxResidents limits the mailboxes that are named. One is enough to stop the way out of hybrid.
const maxResidents = 100

// The mailboxes of a forest: those of people, rooms and teams, and those of public folders. Exchange
// keeps system mailboxes on every server; they are not among them. DynamicGroups are the dynamic
// distribution groups, which no synchronization takes to the tenant.
var (
	LocalMailboxes        = residents(getMailbox, map[string]any{})
	PublicFolderMailboxes = residents(getMailbox, map[string]any{"PublicFolder": true})
	DynamicGroups         = residents(getDynamicGroup, map[string]any{})
)

// residents looks in the whole forest: the scope of a session is by default the domain of its server.
func residents(cmdlet string, parameters map[string]any) *Query[Residents] {
	parameters["ResultSize"], parameters["IgnoreDefaultScope"] = "101", true
	q := Session(OnPremises, []string{cmdlet}, func(ctx context.Context, s exchange.Reader) (Residents, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: cmdlet, Parameters: maps.Clone(parameters)})
		if err != nil {
			return Residents{}, err
		}
		var r Residents
		for _, o := range objects {
			name, err := o.String("Name")
			if err != nil {
				return Residents{}, unreadable(cmdlet, o.Text, err)
			}
			kind, _ := o.String("RecipientTypeDetails")
			switch {
			case strings.EqualFold(kind, "DiscoveryMailbox"): // setup makes one
			case len(r.Names) == maxResidents:
				r.More = true
			default:
				r.Names = append(r.Names, name)
			}
		}
		return r, nil
	})
	if parameters["PublicFolder"] != nil {
		q.sources[0].Ask += " -PublicFolder"
	}
	return q
}

// SyncedMailbox is a mailbox of the tenant whose account comes from a directory on-premises.
type SyncedMailbox struct {
	Identity, Primary string
	// CloudManaged says that its attributes of Exchange are changed in Exchange Online
	// (IsExchangeCloudManaged). Otherwise Active Directory wins.
	CloudManaged bool
}

// SyncedMailboxes are all of them. An Exchange Online that does not show who manages a mailbox gives
// an error.
var SyncedMailboxes = Session(Online, []string{getMailbox},
	func(ctx context.Context, s exchange.Reader) ([]SyncedMailbox, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: getMailbox,
			Parameters: map[string]any{"ResultSize": "Unlimited"}})
		if err != nil {
			return nil, err
		}
		var out []SyncedMailbox
		for _, o := range objects {
			synced, err := exchange.Optional(o.Bool("IsDirSynced"))
			if err != nil {
				return nil, unreadable(getMailbox, o.Text, err)
			}
			if !synced {
				continue
			}
			var m SyncedMailbox
			if m.Primary, err = o.String("PrimarySmtpAddress"); err != nil {
				return nil, unreadable(getMailbox, o.Text, err)
			}
			if m.CloudManaged, err = o.Bool("IsExchangeCloudManaged"); err != nil {
				return nil, unreadable(getMailbox, m.Primary, err)
			}
			m.Identity, _ = o.String("Identity")
			out = append(out, m)
		}
		return out, nil
	})

// ServicePoint is the address of autodiscover that a server publishes in Active Directory.
type ServicePoint struct{ Server, URL string }

// ServicePoints are those of all servers, as Exchange shows them.
var ServicePoints = Cmdlet(OnPremises, getClientAccess,
	each(getClientAccess, func(o exchange.Object) (p ServicePoint, err error) {
		if p.Server, err = o.String("Name"); err != nil {
			return p, err
		}
		p.URL, err = exchange.Optional(o.String("AutoDiscoverServiceInternalUri"))
		return p, err
	}))

// AutodiscoverTargets are the names that autodiscover of a domain of the tenant is to lead to, as
// Microsoft Graph expects them in DNS.
var AutodiscoverTargets = FromGraphBy("/domains/{key}/serviceConfigurationRecords", readDomains,
	func(g Graph, ctx context.Context, domain string) ([]string, error) {
		records, err := g.List(ctx, "/domains/"+url.PathEscape(domain)+"/serviceConfigurationRecords")
		if err != nil {
			return nil, err
		}
		var out []string
		for _, r := range records {
			label, target := text(r["label"]), text(r["canonicalName"])
			if target != "" && strings.HasPrefix(strings.ToLower(label), "autodiscover") {
				out = append(out, strings.ToLower(strings.TrimSuffix(target, ".")))
			}
		}
		return out, nil
	})

// Standing is what the service principal of an application may do; without an ID there is none.
type Standing struct {
	ID          string
	Enabled     bool
	Assignments []Assignment
}

// Assignment is an app role of a resource that an application holds.
type Assignment struct{ Resource, ResourceName, Role string }

// Standings are the service principals by the id of their application.
var Standings = FromGraphBy("/servicePrincipals?$filter=appId eq '{key}', with its appRoleAssignments",
	readApplications,
	func(g Graph, ctx context.Context, appID string) (Standing, error) {
		found, err := g.List(ctx, "/servicePrincipals?"+entra.Filter("appId", appID)+"&$select=id,appId,accountEnabled")
		if err != nil || len(found) == 0 {
			return Standing{}, err
		}
		s := Standing{ID: text(found[0]["id"])}
		s.Enabled, _ = found[0]["accountEnabled"].(bool)
		assigned, err := g.List(ctx, "/servicePrincipals/"+url.PathEscape(s.ID)+"/appRoleAssignments")
		if err != nil {
			return Standing{}, err
		}
		for _, a := range assigned {
			s.Assignments = append(s.Assignments, Assignment{text(a["resourceId"]), text(a["resourceDisplayName"]),
				text(a["appRoleId"])})
		}
		return s, nil
	})

// TokenNames are the names at the service principal of Exchange Online: it gets tokens for these
// hosts. A principal that shows none hides them.
var TokenNames = FromGraph("/servicePrincipals/{Exchange Online}, servicePrincipalNames", readApplications,
	func(g Graph, ctx context.Context) ([]string, error) {
		found, err := g.List(ctx, "/servicePrincipals?"+entra.Filter("appId", oauth.AppExchangeOnline)+
			"&$select=id,appId,servicePrincipalNames")
		if err != nil {
			return nil, err
		}
		var out []string
		for _, o := range found {
			names, _ := o["servicePrincipalNames"].([]any)
			for _, n := range names {
				out = append(out, text(n))
			}
		}
		if len(out) == 0 {
			return nil, ErrHidden
		}
		return out, nil
	})

// PublicFolderMove is how far the move of public folders to the tenant is, as the forest's
// configuration shows it.
type PublicFolderMove struct{ Locked, Complete bool }

// PublicFolderMoves is that of a forest. Versions before the modern public folders show neither.
var PublicFolderMoves = Cmdlet(OnPremises, getOrganizationConfig,
	one(getOrganizationConfig, func(o exchange.Object) (m PublicFolderMove, err error) {
		for property, to := range map[string]*bool{
			"PublicFoldersLockedForMigration": &m.Locked, "PublicFolderMigrationComplete": &m.Complete,
		} {
			if *to, err = o.Bool(property); err != nil && !errors.Is(err, exchange.ErrAbsent) &&
				!errors.Is(err, exchange.ErrNull) {
				return m, err
			}
		}
		return m, nil
	}))

// PublicFoldersRemote reports whether Exchange Online leads its users to public folders on-premises.
var PublicFoldersRemote = Session(Online, []string{getOrganizationConfig},
	func(ctx context.Context, s exchange.Reader) (bool, error) {
		objects, err := onlineConfig(ctx, s)
		if err != nil {
			return false, err
		}
		return one(getOrganizationConfig, func(o exchange.Object) (bool, error) {
			where, err := o.String("PublicFoldersEnabled")
			return strings.EqualFold(where, "Remote"), err
		})(objects)
	})

// TransportPolicies are the MTA-STS policies by domain. A domain without a record has none.
var TransportPolicies = FromNetwork(HTTP, "GET https://mta-sts.{key}/.well-known/mta-sts.txt",
	func(ctx context.Context, s *Side, domain string) (TransportPolicy, error) {
		return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (TransportPolicy, error) {
			client := l.Client(nil) // follows no redirect, as the policy's readers do not
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
			defer cancel()
			place := "https://mta-sts." + domain + "/.well-known/mta-sts.txt"
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, http.NoBody)
			if err != nil {
				return TransportPolicy{}, err
			}
			answer, err := client.Do(request)
			if err != nil {
				return TransportPolicy{}, err
			}
			defer func() { _ = answer.Body.Close() }()
			if answer.StatusCode != http.StatusOK {
				return TransportPolicy{}, fmt.Errorf("%s answers %s", place, link.Line(answer.Status))
			}
			text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
			return readTransportPolicy(string(text)), err
		})
	})

// TransportPolicy says which mail exchangers senders may use (RFC 8461).
type TransportPolicy struct {
	Enforced   bool
	Exchangers []string // a host, or "*." and a domain
}

func readTransportPolicy(text string) (p TransportPolicy) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.ToLower(link.Line(strings.TrimSpace(value)))
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "mode":
			p.Enforced = value == "enforce"
		case "mx":
			p.Exchangers = append(p.Exchangers, value)
		}
	}
	return p
}
