package lab

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// premise is one Exchange organization of the lab as a party to lookups: it answers for its own
// mailboxes and asks others about those that are elsewhere. It never reads the other side's state:
// every fact about it arrives over the network.
type premise struct {
	name   string
	closed []string // mailboxes that let no EWS in, in lower case; set by faults

	mu     sync.RWMutex
	people map[string]*recipient // by every address, in lower case
	shared map[string]bool       // addresses that more than one person holds

	diary diary
	post  *mail.Transport
	// shift is set by a fault: the times of another side's answers are off by it.
	shift time.Duration
	// generous is set by a fault: people who do not exist are free.
	generous bool
	now      func() time.Time
	link     *link.Link
	org      *organization.Organization
	// published is the address of EWS that autodiscover gives out.
	published func(ctx context.Context) string
	// token mints the token that this side presents to another, for a URL and a domain. The two
	// sides mint it differently.
	token func(ctx context.Context, target, domain string) (string, error)
	// canonical is the path of an account, as the directory shows it; nil where no account asks.
	canonical func(account string) (string, bool)
	// graph asks Microsoft Graph instead of EWS, when the route through Graph is switched on here;
	// ok is false when it is not.
	graph func(ctx context.Context, address string, w ews.Window) (events []ews.Event, ok bool, err error)
}

// recipient is an address book entry: a mailbox here, or a person whose mailbox is elsewhere.
type recipient struct {
	*mailbox
	here   bool
	target string // where lookups go when it is not here
}

// lookupError is the EWS error of a failed lookup.
type lookupError struct{ code, text string }

func (e *lookupError) Error() string { return e.code + ": " + e.text }

func failed(code, format string, args ...any) error {
	return &lookupError{code, fmt.Sprintf(format, args...)}
}

// found is what a lookup brought.
type found struct {
	events []ews.Event
	err    error
}

// availability answers a lookup, from here or from the side that holds the mailbox. foreign marks a
// request from another organization, which is never passed on.
func (p *premise) availability(ctx context.Context, address string, w ews.Window, foreign bool) ([]ews.Event, error) {
	f := p.availabilities(ctx, []string{address}, w, foreign)[0]
	return f.events, f.err
}

// availabilities answers lookups. Mailboxes behind the same domain are asked for in one request.
func (p *premise) availabilities(ctx context.Context, addresses []string, w ews.Window, foreign bool) []found {
	out := make([]found, len(addresses))
	away := map[string][]int{} // by the domain of the target
	targets := make([]string, len(addresses))
	for i, address := range addresses {
		r, ok := p.find(address)
		switch {
		case !ok && p.generous:
		case !ok:
			out[i].err = failed("ErrorMailRecipientNotFound",
				"Unable to resolve e-mail address %s to an Active Directory object.", address)
		case r.here && p.diary.hides(r.primary):
			out[i].err = failed("ErrorNoFreeBusyAccess", "The caller does not have access to free/busy data.")
		case r.here:
			out[i].events = slices.Concat(events(r.primary, w), p.diary.events(r.primary, w))
		case foreign:
			out[i].err = failed("ErrorProxyRequestNotAllowed",
				"The cross-organization request for mailbox %s is not allowed because the requester is from a "+
					"different organization.", address)
		default:
			targets[i] = r.target
			_, domain, _ := strings.Cut(strings.ToLower(r.target), "@")
			away[domain] = append(away[domain], i)
		}
	}
	for _, together := range away {
		var asked []string
		for _, i := range together {
			asked = append(asked, targets[i])
		}
		for n, f := range p.ask(ctx, asked, w) {
			for k := range f.events {
				f.events[k].Start, f.events[k].End = f.events[k].Start.Add(p.shift), f.events[k].End.Add(p.shift)
			}
			var already *lookupError
			if f.err != nil && !errors.As(f.err, &already) {
				f.err = failed("ErrorProxyRequestProcessingFailed", "Proxy web request failed. , inner exception: %v",
					f.err)
			}
			out[together[n]] = f
		}
	}
	return out
}

// events is a person's calendar as EWS shows it.
func events(address string, w ews.Window) []ews.Event {
	busy := map[int]ews.BusyType{1: ews.Tentative, 2: ews.Busy, 3: ews.OutOfOffice}
	var list []ews.Event
	for _, e := range calendar(address, w.Start, w.End) {
		list = append(list, ews.Event{Start: e.start, End: e.end, Busy: busy[e.status]})
	}
	return list
}

// ask sends lookups for target addresses of one domain. A request that fails as a whole is repeated
// for each address.
func (p *premise) ask(ctx context.Context, addresses []string, w ews.Window) []found {
	out, err := p.askTogether(ctx, addresses, w)
	if err == nil {
		return out
	}
	if len(addresses) == 1 {
		return []found{{err: err}}
	}
	for _, address := range addresses {
		out = append(out, p.ask(ctx, []string{address}, w)...)
	}
	return out
}

// askTogether sends lookups for target addresses of one domain to the side that the configuration
// names. An enabled intra-organization connector wins, and its failure is final. Without one, an
// organization relationship decides, and without that an availability address space.
func (p *premise) askTogether(ctx context.Context, addresses []string, w ews.Window) ([]found, error) {
	_, domain, _ := strings.Cut(strings.ToLower(addresses[0]), "@")
	if connector := p.leadsTo("IntraOrganizationConnector", "TargetAddressDomains", domain); connector != nil {
		if p.graph != nil {
			var out []found
			for _, address := range addresses {
				events, ok, err := p.graph(ctx, address, w)
				if !ok {
					break
				}
				out = append(out, found{events, err})
			}
			if len(out) > 0 {
				return out, nil
			}
		}
		return p.askByToken(ctx, connector, addresses, domain, w)
	}
	if relationship := p.leadsTo("OrganizationRelationship", "DomainNames", domain); relationship != nil &&
		relationship.Bool("FreeBusyAccessEnabled") {
		// Delegated authentication needs a federation trust with the Microsoft Federation Gateway;
		// no organization of the lab has one.
		return nil, failed("ErrorProxyRequestProcessingFailed",
			"System.Web.Services.Protocols.SoapHeaderException: An error occurred when processing the security "+
				"tokens in the message.")
	}
	for _, space := range p.org.Objects("AvailabilityAddressSpace") {
		if strings.EqualFold(space.String("ForestName"), domain) {
			return p.askSpace(ctx, space, addresses, domain, w)
		}
	}
	return nil, failed("ErrorMailRecipientNotFound",
		"Configuration information for forest/domain %s could not be found in Active Directory.", domain)
}

// leadsTo finds the enabled object whose list of domains holds a domain.
func (p *premise) leadsTo(noun, list, domain string) *organization.Record {
	for _, o := range p.org.Objects(noun) {
		if !o.Bool("Enabled") {
			continue
		}
		for _, d := range o.Strings(list) {
			if strings.EqualFold(d, domain) {
				return o
			}
		}
	}
	return nil
}

// askByToken finds the other side's EWS, presents a token, and asks.
func (p *premise) askByToken(ctx context.Context, connector *organization.Record, addresses []string, domain string,
	w ews.Window) ([]found, error) {
	endpoint, err := p.endpointOf(ctx, connector, addresses[0], domain)
	if err != nil {
		return nil, err
	}
	return p.call(ctx, endpoint, addresses, domain, w)
}

// endpointOf is the other side's EWS: as the connector names it, else as the relationship for the
// same domain does, with which the dedicated application works, else as autodiscover gives it.
func (p *premise) endpointOf(ctx context.Context, connector *organization.Record, address, domain string) (string,
	error) {
	if endpoint := connector.String("TargetSharingEpr"); endpoint != "" {
		return endpoint, nil
	}
	if relationship := p.leadsTo("OrganizationRelationship", "DomainNames", domain); relationship != nil &&
		relationship.String("TargetSharingEpr") != "" {
		return relationship.String("TargetSharingEpr"), nil
	}
	endpoint, err := p.discover(ctx, connector.String("DiscoveryEndpoint"), address, domain)
	if err != nil {
		return "", failed("ErrorProxyRequestProcessingFailed",
			"Autodiscover failed for e-mail address %s with error %v", address, err)
	}
	return endpoint, nil
}

// call asks another side's EWS for some mailboxes, with this side's token for a domain.
func (p *premise) call(ctx context.Context, endpoint string, addresses []string, domain string,
	w ews.Window) ([]found, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &ews.Client{URL: endpoint, HTTP: p.client(endpoint, domain), AnchorMailbox: addresses[0],
		UserAgent: "ASProxy/CrossForest/EmailDomain"}
	defer client.HTTP.CloseIdleConnections()
	return calendars(ctx, client, addresses, w)
}

// calendars asks a client for some mailboxes.
func calendars(ctx context.Context, client *ews.Client, addresses []string, w ews.Window) ([]found, error) {
	answer, err := client.Availability(ctx, ews.Request{Mailboxes: addresses, Window: w, View: ews.DetailedMerged})
	if err != nil {
		return nil, refusal(err)
	}
	out := make([]found, len(addresses))
	for i, m := range answer.Mailboxes {
		out[i] = found{m.Events, m.Err}
		var inside *ews.ResponseError
		if errors.As(m.Err, &inside) {
			out[i].err = failed(inside.Code, "%s", inside.Text)
		}
	}
	return out, nil
}

// client is an HTTP client that presents this side's token to a URL's host, in the name of the
// person for whom the request is made.
func (p *premise) client(target, domain string) *http.Client {
	return p.link.Client(link.Bearer{Token: func(ctx context.Context) (string, error) {
		token, err := p.token(ctx, target, domain)
		if err != nil {
			return "", err
		}
		return userToken(ctx, token, p.now())
	}})
}

// gate applies the organization's own rules for EWS, on both sides: the switch, the policy by user
// agent, and the switch of the caller's mailbox. domain is that of callers who name none.
func (p *premise) gate(domain string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config := p.org.Objects("OrganizationConfig")[0]
		named := func(list string) bool {
			return slices.ContainsFunc(config.Strings(list), func(pattern string) bool {
				found, err := regexp.MatchString("(?i)^"+strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")+"$",
					r.UserAgent())
				return err == nil && found
			})
		}
		policy := config.String("EwsApplicationAccessPolicy")
		if config.Get("EwsEnabled") == false || policy == "EnforceAllowList" && !named("EwsAllowList") ||
			policy == "EnforceBlockList" && named("EwsBlockList") {
			http.Error(w, "EWS is not allowed for this program.", http.StatusForbidden)
			return
		}
		if caller, ok := link.CallerOf(r.Context()); ok && caller.Scheme != "Bearer" &&
			slices.Contains(p.closed, strings.ToLower(p.person(caller, domain))) {
			http.Error(w, "EWS is not allowed for this mailbox.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, fromOtherForest(r))
	})
}

// soapOnly refuses requests whose content type is not that of SOAP 1.1, as Exchange's web services
// do.
func soapOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("Content-Type")
		if kind, _, err := mime.ParseMediaType(given); r.Method == http.MethodPost &&
			(err != nil || kind != "text/xml") {
			http.Error(w, fmt.Sprintf("Cannot process the message because the content type '%s' was not the expected "+
				"type 'text/xml; charset=utf-8'.",
				link.Printable(given)), http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLookup(err error, target **lookupError) bool { return errors.As(err, target) }
