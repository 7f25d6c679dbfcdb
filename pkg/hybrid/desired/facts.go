package desired

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Facts are what the desired state is derived from besides the answers. What could not be read must not be there as an
// empty value: leave the derivation to fail instead (Resources says what is missing).
type Facts struct {
	Tenant  Tenant
	Forests []Forest // one for every forest of the answers, in any order
	Now     time.Time
}

// Tenant holds the facts of the Exchange Online organization and its Entra tenant.
type Tenant struct {
	ID               string   // tenant GUID
	OrganizationGUID string   // Get-OrganizationConfig Guid in Exchange Online; the tenant's GUID stands in when empty
	VerifiedDomains  []string // of Entra
	// CoexistenceDomain is the accepted domain with IsCoexistenceDomain; the answers' or the cloud's when empty.
	CoexistenceDomain string
	Exchange          Resource // Office 365 Exchange Online
	Graph             Resource // Microsoft Graph
}

// Resource is a service principal that offers permissions.
type Resource struct {
	ID    string            // object id of the service principal in this tenant
	Roles map[string]string // id of an app role by its value, "full_access_as_app"
}

// Forest holds the facts of one forest.
type Forest struct {
	Name             string
	OrganizationGUID string // objectGUID of the Exchange organization
	RootDomain       string // DNS name of the forest root, contoso.com
	AcceptedDomains  []string
	AuthCertificates []AuthCertificate // the current one first, then the next
	Servers          []Server          // with the Mailbox role
	Application      *Application      // the dedicated application, when it exists
}

// AuthCertificate is the public half of an Exchange auth certificate.
type AuthCertificate struct {
	DER      []byte
	NotAfter time.Time
}

// Server is one Exchange server.
type Server struct {
	Name  string
	Build Build
}

// Application is a dedicated application that exists already.
type Application struct {
	ID                     string // object id
	AppID                  string
	ServicePrincipalID     string // empty: it has none
	KeyCredentials         []any  // as Graph prints them
	RequiredResourceAccess []any
}

// The permissions that each route needs, by value.
var (
	ewsPermissions   = []string{"full_access_as_app"}
	graphPermissions = []string{"Calendars.Read", "MailboxSettings.Read", "MailTips.ReadBasic.All", "ProfilePhoto.Read.All"}
)

// ApplicationName is the name by which the dedicated application of an Exchange organization is found.
func ApplicationName(organizationGUID string) string {
	return fact.ApplicationName(organizationGUID)
}

// ErrUnknown says that the desired state cannot be derived because a fact is missing.
var ErrUnknown = errors.New("not known")

func missing(what, where string) error { return fmt.Errorf("%s: %s: %w", where, what, ErrUnknown) }

// CoexistenceDomain is the target delivery domain: the answers', else the tenant's own, else the one that follows from the cloud.
func CoexistenceDomain(online answers.ExchangeOnline, c cloud.Cloud, live string) (string, error) {
	if online.CoexistenceDomain != "" {
		return strings.ToLower(online.CoexistenceDomain), nil
	}
	if live != "" {
		return strings.ToLower(live), nil
	}
	return c.CoexistenceDomain(online.Tenant)
}

// ChooseRoute says how on-premises Exchange should look up free/busy, and why. The Graph route needs every server at a
// build that shows it, and a cloud that has it; the answer "graph" trusts the administrator about updates that build numbers do not show, and so
// does "auto" once EWS of Exchange Online has ended: there is no other route then.
func ChooseRoute(answer string, c cloud.Cloud, forests []Forest, now time.Time) (Route, string, error) {
	least, chosen := Fit, "every server has the Graph route"
	if !now.Before(cloud.EWSEnds) {
		least, chosen = Untold, "EWS of Exchange Online has ended, and every server can have the Graph route"
	}
	unfit := func(least Fitness) string {
		for _, f := range forests {
			for _, s := range f.Servers {
				if s.Build.Fitness(RouteGraph) < least {
					return fmt.Sprintf("%s in %s is at %s", s.Name, f.Name, s.Build)
				}
			}
		}
		return ""
	}
	switch answer {
	case "", "auto":
		if !c.GraphCoexistence {
			return RouteEWS, c.Title + " has no Graph route", nil
		}
		for _, f := range forests {
			if len(f.Servers) == 0 {
				return "", "", missing("Exchange servers", "forest "+f.Name)
			}
		}
		if s := unfit(least); s != "" {
			return RouteEWS, s + ", which is not known to have the Graph route", nil
		}
		return RouteGraph, chosen, nil
	case string(RouteEWS):
		return RouteEWS, "the answers ask for it", nil
	case string(RouteGraph):
		if !c.GraphCoexistence {
			return "", "", fmt.Errorf("richCoexistence: graph: %s has no Graph route; use ews", c.Title)
		}
		if s := unfit(Untold); s != "" {
			return "", "", fmt.Errorf("richCoexistence: graph: %s, which has no Graph route; update it or use ews", s)
		}
		return RouteGraph, "the answers ask for it", nil
	}
	return "", "", fmt.Errorf("richCoexistence: %q is none of auto, ews, graph", answer)
}

// unfitServer names a server that cannot take a route for certain: the override that switches the route on holds for all servers, and one that does not
// know it either refuses the override or goes on as the shared application, which Exchange Online refuses.
func unfitServer(r Route, forests []Forest) string {
	for _, f := range forests {
		for _, s := range f.Servers {
			if s.Build.Fitness(r) == Unfit {
				return fmt.Sprintf("%s in %s is at %s", s.Name, f.Name, s.Build)
			}
		}
	}
	return ""
}

func wants(features []answers.Feature, f answers.Feature) bool {
	if len(features) == 0 {
		return f != answers.CentralizedTransport
	}
	return slices.Contains(features, f)
}
