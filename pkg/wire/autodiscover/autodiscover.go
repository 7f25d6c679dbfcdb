// Package autodiscover finds where a mailbox's services are, as Exchange publishes it: the client
// half with POX, SOAP and JSON, in the documented order, and the server half of the same.
//
// The order and its rules are those of Microsoft's "Autodiscover for Exchange" and of the EWS
// Managed API: published service connection points, the domain, autodiscover.domain, an
// unauthenticated http redirect, a DNS SRV record.
package autodiscover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The namespaces of the service.
const (
	RequestSchema  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	ResponseSchema = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
	ErrorSchema    = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	Namespace      = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
	Addressing     = "http://www.w3.org/2005/08/addressing"
)

// MaxRedirects is how many redirects, of addresses and URLs together, one search follows.
const MaxRedirects = 10

// Outcome is the result of one attempt.
type Outcome string

// The outcomes.
const (
	Found           Outcome = "found"
	RedirectAddress Outcome = "redirect-address"
	RedirectURL     Outcome = "redirect-url"
	NoSuchMailbox   Outcome = "no-such-mailbox"
	ServerError     Outcome = "server-error"   // an answer of autodiscover that says what is wrong
	AccessRefused   Outcome = "access-refused" // 401, 403
	NotFound        Outcome = "not-found"      // another HTTP status
	NotAutodiscover Outcome = "not-autodiscover"
	Untrusted       Outcome = "untrusted"
	Unreachable     Outcome = "unreachable"
	// not https, not an autodiscover path, or an untrusted host
	RefusedRedirect Outcome = "refused-redirect"
	NoRecord        Outcome = "no-record" // of SRV
	Failed          Outcome = "failed"
)

// Attempt is one step of a search.
type Attempt struct {
	Method   string        `json:"method"` // POST, GET, SRV
	URL      string        `json:"url"`    // or the name of the SRV record
	Status   int           `json:"status,omitempty"`
	Outcome  Outcome       `json:"outcome"`
	Detail   string        `json:"detail,omitempty"` // where it redirects, what the server says; printable
	Duration time.Duration `json:"-"`
	Err      error         `json:"-"`
}

func (a Attempt) String() string {
	s := a.Method + " " + a.URL + ": " + string(a.Outcome)
	if a.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", a.Status)
	}
	if a.Detail != "" {
		s += ": " + a.Detail
	}
	return s
}

// Result is what a search found.
type Result struct {
	Address  string // as asked, or as redirected
	Settings Settings
	Source   string // the URL that answered
	Trace    []Attempt
}

// EWS is the address of Exchange Web Services as seen from outside, or the inside one where none is
// published.
func (r Result) EWS() string { return r.Settings.EWS() }

// SearchError is a search that found nothing. It is of the most informative class: access refused
// by a server that answered, then a certificate not trusted, then not reachable.
type SearchError struct {
	Address string
	Trace   []Attempt
	Reason  string // why the search ended early, "" when all places were tried
}

func (e *SearchError) Error() string {
	s := "autodiscover of " + e.Address + ": "
	switch best := e.best(); {
	case e.Reason != "":
		s += e.Reason
	case best == nil:
		s += "nowhere to look"
	default:
		s += best.String()
	}
	if n := len(e.Trace); n > 1 && e.Reason == "" {
		s += fmt.Sprintf(" (%d places tried)", n)
	}
	return s
}

// tellingMost orders outcomes by how much they say about what is wrong.
var tellingMost = []Outcome{AccessRefused, NoSuchMailbox, ServerError, RefusedRedirect, Untrusted, NotAutodiscover,
	NotFound, Failed, Unreachable, NoRecord}

func (e *SearchError) best() *Attempt {
	for _, o := range tellingMost {
		for i := range e.Trace {
			if e.Trace[i].Outcome == o {
				return &e.Trace[i]
			}
		}
	}
	return nil
}

// Is compares with the class.
func (e *SearchError) Is(target error) bool {
	best := e.best()
	if best == nil || e.Reason != "" {
		return false
	}
	switch best.Outcome {
	case AccessRefused:
		return target == link.ErrAccess
	case Untrusted:
		return target == link.ErrUntrusted
	case Unreachable, NotFound, NoRecord:
		return target == link.ErrUnreachable
	}
	return false
}

// Unwrap returns the most informative error.
func (e *SearchError) Unwrap() error {
	if best := e.best(); best != nil && e.Reason == "" {
		return best.Err
	}
	return nil
}

// trusted says where a candidate URL was found. It decides whether a redirect from the URL is
// followed.
type trusted bool

const (
	// made of the address, published by the directory, or sent by a server whose certificate was
	// verified
	vouched  trusted = true
	spoofing trusted = false // from plain http or DNS
)

// candidate is a place to ask.
type candidate struct {
	url  string
	from trusted
}

// Find looks for address in the documented order.
func (c *Client) Find(ctx context.Context, address string) (Result, error) {
	s := c.search(address)
	useSCP := true
	for {
		next, err := s.round(ctx, useSCP)
		if err != nil || next == "" {
			return s.result(err)
		}
		useSCP = false
		s.address = next
	}
}

// FindAt asks one endpoint: an autodiscover.svc by SOAP, anything else by POX. Redirects are
// followed as Find does.
func (c *Client) FindAt(ctx context.Context, endpoint, address string) (Result, error) {
	s := c.search(address)
	next, err := s.ask(ctx, candidate{endpoint, vouched})
	for err == nil && next != "" { // another address is another search
		s.address = next
		next, err = s.round(ctx, false)
	}
	return s.result(err)
}

// search is the state of one Find.
type search struct {
	client    *Client
	address   string
	seen      map[string]bool // addresses, in lower case
	asked     map[string]bool // URL and address
	redirects int
	trace     []Attempt
	found     *Settings
	source    string
	reason    string
}

func (c *Client) search(address string) *search {
	return &search{client: c, address: address, seen: map[string]bool{strings.ToLower(address): true},
		asked: map[string]bool{}}
}

// errStop ends a search before all places are tried.
var errStop = errors.New("stop")

func (s *search) result(err error) (Result, error) {
	if s.found != nil {
		return Result{Address: s.address, Settings: *s.found, Source: s.source, Trace: s.trace}, nil
	}
	if err != nil && !errors.Is(err, errStop) {
		return Result{Address: s.address, Trace: s.trace}, err
	}
	return Result{Address: s.address, Trace: s.trace}, &SearchError{Address: s.address, Trace: s.trace,
		Reason: s.reason}
}

func (s *search) stop(format string, args ...any) error {
	s.reason = fmt.Sprintf(format, args...)
	return errStop
}

// round tries every place for the address. It returns the address to go on with when one redirects
// to another address.
func (s *search) round(ctx context.Context, useSCP bool) (next string, err error) {
	local, domain, ok := cutAddress(s.address)
	if !ok || local == "" {
		return "", s.stop("%q is not an SMTP address", link.Printable(s.address))
	}
	if useSCP {
		for _, u := range s.client.SCP {
			if next, err := s.ask(ctx, candidate{s.client.endpoint(u), vouched}); err != nil || next != "" ||
				s.found != nil {
				return next, err
			}
		}
	}
	for _, host := range []string{domain, "autodiscover." + domain} {
		if next, err := s.ask(ctx, candidate{s.client.endpoint("https://" + host + "/autodiscover/autodiscover.xml"),
			vouched}); err != nil || next != "" || s.found != nil {
			return next, err
		}
	}
	if target, ok := s.plainRedirect(ctx, domain); ok {
		if next, err := s.ask(ctx, candidate{s.client.endpoint(target), spoofing}); err != nil || next != "" ||
			s.found != nil {
			return next, err
		}
	}
	if target, ok := s.service(ctx, domain); ok {
		if next, err := s.ask(ctx, candidate{s.client.endpoint(target), spoofing}); err != nil || next != "" ||
			s.found != nil {
			return next, err
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return "", nil
}

func cutAddress(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i <= 0 || i == len(address)-1 {
		return "", "", false
	}
	local, domain = address[:i], strings.ToLower(strings.TrimSuffix(address[i+1:], "."))
	if !hostName().MatchString(domain) {
		return "", "", false
	}
	return local, domain, true
}

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)
})

// autodiscoverPath is where autodiscover may be redirected to.
var autodiscoverPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`(?i)^/autodiscover/([^/]+/)*autodiscover\.(xml|svc)(/wssecurity(/symmetrickey|/x509cert)?)?$`)
})

// ask asks one candidate and follows its redirects of URL. It returns the address to go on with.
func (s *search) ask(ctx context.Context, at candidate) (next string, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		key := strings.ToLower(at.url) + " " + strings.ToLower(s.address)
		if s.asked[key] {
			return "", nil // another candidate led here already, with this address
		}
		s.asked[key] = true
		if refusal := s.client.acceptable(at, s.address); refusal != "" {
			s.note(Attempt{Method: "POST", URL: link.PrintableURL(at.url), Outcome: RefusedRedirect, Detail: refusal})
			return "", nil
		}
		answer := s.client.askSettings(ctx, at.url, s.address)
		s.note(answer.attempt)
		switch answer.attempt.Outcome {
		case Found:
			s.found, s.source = &answer.settings, at.url
			return "", nil
		case RedirectAddress:
			if err := s.countRedirect(); err != nil {
				return "", err
			}
			if _, _, ok := cutAddress(answer.target); !ok {
				return "", s.stop("redirected to %q, which is no SMTP address", link.Printable(answer.target))
			}
			if s.seen[strings.ToLower(answer.target)] {
				return "", s.stop("redirected in a circle, to %s again", link.Printable(answer.target))
			}
			s.seen[strings.ToLower(answer.target)] = true
			return answer.target, nil
		case RedirectURL:
			if err := s.countRedirect(); err != nil {
				return "", err
			}
			target, err := resolve(at.url, answer.target)
			if err != nil {
				s.note(Attempt{Method: "POST", URL: link.Printable(answer.target), Outcome: RefusedRedirect,
					Detail: "not a URL"})
				return "", nil
			}
			// acceptable requires https
			if u, err := url.Parse(target); err != nil || !autodiscoverPath().MatchString(u.Path) {
				s.note(Attempt{Method: "POST", URL: link.PrintableURL(target), Outcome: RefusedRedirect,
					Detail: "a redirect must lead to an autodiscover path"})
				return "", nil
			}
			at = candidate{s.client.endpoint(target), vouched}
		default:
			return "", nil
		}
	}
}

func (s *search) countRedirect() error {
	s.redirects++
	if s.redirects > MaxRedirects {
		return s.stop("redirected more than %d times", MaxRedirects)
	}
	return nil
}

func (s *search) note(a Attempt) { s.trace = append(s.trace, a) }

func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u, err := b.Parse(strings.TrimSpace(ref))
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// plainRedirect asks http://autodiscover.domain, without credentials, where autodiscover is.
func (s *search) plainRedirect(ctx context.Context, domain string) (string, bool) {
	at := "http://autodiscover." + domain + "/autodiscover/autodiscover.xml"
	attempt, target := s.client.getRedirect(ctx, at)
	s.note(attempt)
	return target, target != ""
}

// service asks DNS for _autodiscover._tcp.domain.
func (s *search) service(ctx context.Context, domain string) (string, bool) {
	name := "_autodiscover._tcp." + domain
	if s.client.LookupSRV == nil {
		return "", false
	}
	start := time.Now()
	attempt := Attempt{Method: "SRV", URL: name}
	records, err := s.client.LookupSRV(ctx, name)
	attempt.Duration = time.Since(start)
	best := bestService(records)
	var missing *net.DNSError
	switch {
	case errors.As(err, &missing) && missing.IsNotFound, err == nil && len(records) == 0:
		attempt.Outcome, attempt.Err = NoRecord, err
	case err != nil:
		attempt.Outcome, attempt.Err, attempt.Detail = Unreachable, link.Classify(err),
			link.Printable(link.Classify(err).Error())
	case best == nil:
		attempt.Outcome, attempt.Detail = NoRecord, "no record with port 443"
	case !hostName().MatchString(strings.TrimSuffix(best.Target, ".")):
		attempt.Outcome, attempt.Detail = RefusedRedirect, "the target is no host name: "+link.Printable(best.Target)
		best = nil
	default:
		attempt.Outcome, attempt.Detail = RedirectURL, link.Printable(strings.TrimSuffix(best.Target, "."))
	}
	s.note(attempt)
	if best == nil || attempt.Outcome != RedirectURL {
		return "", false
	}
	return "https://" + strings.TrimSuffix(best.Target, ".") + "/autodiscover/autodiscover.xml", true
}

// bestService is the record with the lowest priority, then the highest weight; only port 443
// counts.
func bestService(records []*net.SRV) *net.SRV {
	usable := slices.DeleteFunc(slices.Clone(records),
		func(r *net.SRV) bool { return r == nil || r.Port != 443 || strings.Trim(r.Target, ".") == "" })
	if len(usable) == 0 {
		return nil
	}
	return slices.MinFunc(usable, func(a, b *net.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		if a.Weight != b.Weight {
			return int(b.Weight) - int(a.Weight)
		}
		return strings.Compare(a.Target, b.Target)
	})
}
