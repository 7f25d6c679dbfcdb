package delivery

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Header is a message's header, first line first.
type Header []Field

// Field is one header field.
type Field struct{ Name, Value string }

// Get returns the first field of a name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// failure is a message that did not arrive as it must. Without suspects, the table of causes is
// asked for its text.
type failure struct {
	text     string
	suspects []freebusy.Diagnosis
	// waits: a server holds the message and retries.
	waits bool
}

func (f *failure) Error() string { return f.text }

func failed(id diagnose.ID, confidence float64, format string, arguments ...any) *failure {
	return &failure{text: fmt.Sprintf(format, arguments...),
		suspects: []freebusy.Diagnosis{{ID: string(id), Confidence: confidence}}}
}

// stopped is a message that a premise's servers hold or refuse, with its causes from the table.
// A message between forests may go through the tenant.
func stopped(from, to, holder Premise, h hold) *failure {
	f := &failure{text: fmt.Sprintf("%s: %s", holder.Name, link.Line(h.status)), waits: h.deferred}
	direction := diagnose.AnyDirection
	switch {
	case holder.Side == exchange.Online:
		direction = diagnose.OnlineToOnprem
	case from.Side == exchange.Online || to.Side == exchange.Online:
		direction = diagnose.OnpremToOnline
	}
	f.suspects = freebusy.Suspected(f.text, direction)
	if len(f.suspects) == 0 {
		return f
	}
	if row, known := diagnose.Find(diagnose.ID(f.suspects[0].ID)); known {
		f.text += ": " + row.Fix
		f.waits = f.waits && row.Passes
	}
	return f
}

var (
	receivedBy = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^from (\S+).*? by (\S+)`)
	})
	overTLS = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)version=TLS(1_?[0-9.]*)`) })
)

// hops are the servers that the message went through, first to last.
func (h Header) hops() []string {
	out := []string{}
	for _, f := range slices.Backward(h) {
		if !strings.EqualFold(f.Name, "Received") {
			continue
		}
		m := receivedBy().FindStringSubmatch(f.Value)
		if m == nil {
			continue
		}
		hop := m[2]
		if v := overTLS().FindStringSubmatch(f.Value); v != nil {
			hop += " over TLS " + strings.ReplaceAll(v[1], "_", ".")
		}
		out = append(out, link.Line(hop))
	}
	return out
}

// clear reports whether the servers of two premises exchanged the message without TLS. Exchange
// Online passes messages on between its own servers; what they say does not count.
func (h Header) clear() bool {
	for _, f := range h {
		if !strings.EqualFold(f.Name, "Received") {
			continue
		}
		m := receivedBy().FindStringSubmatch(f.Value)
		if m != nil && m[1] != m[2] && !sameParent(m[1], m[2]) && overTLS().FindString(f.Value) == "" {
			return true
		}
	}
	return false
}

// sameParent reports whether two hosts are in one domain.
func sameParent(a, b string) bool {
	_, first, _ := strings.Cut(strings.ToLower(a), ".")
	_, second, ok := strings.Cut(strings.ToLower(b), ".")
	return ok && first == second
}

// judge looks at the header of a message that arrived from another premise.
func judge(ctx context.Context, from, to Premise, h Header, subject string) error {
	as := h.Get("X-MS-Exchange-Organization-AuthAs")
	switch {
	case h.clear():
		return failed(diagnose.MailClear, 0.9, "the message crossed between the premises without TLS")
	case strings.EqualFold(as, "Internal"):
		return nil
	case as == "":
		return fmt.Errorf("%s: the header of the message has no verdict (X-MS-Exchange-Organization-AuthAs)", to.Name)
	}
	arrived := fmt.Sprintf("the message arrived as external mail (AuthAs: %s)", link.Line(as))
	if by := h.Get("X-CrossPremisesHeadersFilteredBySendConnector"); by != "" {
		return failed(diagnose.MailHeadersNotSent, 0.9, "%s: %s removed the headers of internal mail: the connector "+
			"there that sends to %s is not the hybrid one, or CloudServicesMailEnabled is off", arrived, link.Line(by),
			to.Name)
	}
	if to.Side == exchange.OnPremises {
		return failed(diagnose.MailHeadersNotAccepted, 0.8, "%s: no receive connector of %s accepts the headers of "+
			"Exchange Online: TlsDomainCapabilities must be mail.protection.outlook.com:AcceptCloudServicesMail on "+
			"the "+
			"connector that answers", arrived, to.Name)
	}
	events, err := traceEvents(ctx, to, subject)
	if err != nil {
		return failed(diagnose.MailNotAttributed, 0.5, "%s; the connector is unknown (%v)", arrived, err)
	}
	for _, e := range events {
		data, _ := e.String("Data")
		if name, _ := e.String("Event"); name == "Receive" && strings.Contains(data, "InboundConnectorData=Name=") {
			return failed(diagnose.MailHeadersNotAccepted, 0.8, "%s: CloudServicesMailEnabled is off on the inbound "+
				"connector that recognized %s", arrived, from.Name)
		}
	}
	return failed(diagnose.MailNotAttributed, 0.9, "%s: no inbound connector recognized the servers of %s: "+
		"TlsSenderCertificateName must be the name of the certificate that their send connector presents, in an "+
		"accepted domain", arrived, from.Name)
}
