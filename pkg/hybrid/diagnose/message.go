package diagnose

import (
	"bufio"
	"net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Message is what the headers of a message say about trust between premises.
type Message struct {
	// internal, external, or unknown: as which Exchange took the message.
	Verdict string `json:"verdict"`
	// Internal or Anonymous (X-MS-Exchange-Organization-AuthAs).
	AuthAs string `json:"authAs,omitempty"`
	// The server that decided it.
	AuthSource string `json:"authSource,omitempty"`
	// Originating or Incoming.
	Direction string `json:"direction,omitempty"`
	// The domain of the organization that sent it (X-OriginatorOrg).
	OriginatorOrg string `json:"originatorOrg,omitempty"`
	// The tenant that Exchange Online attributed the message to.
	AttributedTenant string `json:"attributedTenant,omitempty"`
	// X-MS-Exchange-CrossTenant-Id: the tenant that took it, or that of the sender.
	Tenant string `json:"tenant,omitempty"`
	// The servers that the message passed, the first one first.
	Hops []Hop `json:"hops"`
	// The hop or connector where the trust was lost; absent when it was not, or is not known.
	LostAt string `json:"lostAt,omitempty"`
}

// Hop is one Received line.
type Hop struct {
	From string `json:"from,omitempty"`
	By   string `json:"by"`
	With string `json:"with,omitempty"`
}

// The verdicts of a message.
const (
	internal  = "internal"
	external  = "external"
	undecided = "unknown"
)

type cause struct {
	id         ID
	confidence float64
	found      []string
}

var (
	headerLine = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*):(.*)$`)
	})
	receivedParts = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^(?:from (\S+).*? )?by (\S+).*?(?: with ([A-Z][A-Za-z ]+?)(?: \(| id |;|$))`)
	})
)

// readMessage reads headers of a message; nil when the text has none. Without wanted, two lines
// that only headers of a message have are required.
func readMessage(text string, wanted bool) (*Message, []cause) {
	header := headerOf(text)
	sure := 0
	for name := range header {
		if name == "Received" || strings.HasPrefix(name, "X-Ms-Exchange-") ||
			strings.HasPrefix(name, "X-Crosspremises") {
			sure++
		}
	}
	if sure == 0 || sure < 2 && !wanted {
		return nil, nil
	}
	get := func(name string) string { return strings.TrimSpace(header.Get(name)) }
	m := &Message{
		Verdict: undecided, AuthAs: get("X-MS-Exchange-Organization-AuthAs"),
		AuthSource:    get("X-MS-Exchange-Organization-AuthSource"),
		Direction:     get("X-MS-Exchange-Organization-MessageDirectionality"),
		OriginatorOrg: get("X-OriginatorOrg"), Tenant: get("X-MS-Exchange-CrossTenant-Id"), Hops: []Hop{},
	}
	if m.AuthAs == "" {
		m.AuthAs, m.AuthSource = get("X-MS-Exchange-CrossTenant-AuthAs"), get("X-MS-Exchange-CrossTenant-AuthSource")
	}
	m.AttributedTenant, _, _ = strings.Cut(get("X-EOPTenantAttributedMessage"), ":")
	switch strings.ToLower(m.AuthAs) {
	case "internal":
		m.Verdict = internal
	case "anonymous", "external":
		m.Verdict = external
	}
	for _, line := range slices.Backward(header["Received"]) { // the last server writes above the others
		if p := receivedParts().FindStringSubmatch(plainLine(line)); p != nil {
			m.Hops = append(m.Hops, Hop{p[1], p[2], p[3]})
		}
	}
	return m, m.causes(header)
}

func plainLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (m *Message) causes(header mail.Header) []cause {
	var out []cause
	const filtered = "X-CrossPremisesHeadersFilteredBySendConnector"
	if server := header.Get(filtered); server != "" {
		m.LostAt = plainLine(server)
		out = append(out, cause{"mail.headers-not-sent", 0.9, []string{filtered + ": " + m.LostAt}})
	}
	entry, hybrid := m.entry()
	// Between two tenants of Exchange Online, the ids differ rightly.
	if hybrid && m.AttributedTenant != "" && m.Tenant != "" && !strings.EqualFold(m.AttributedTenant, m.Tenant) {
		out = append(out, cause{"mail.attributed-elsewhere", 0.7, []string{
			"X-EOPTenantAttributedMessage: " + m.AttributedTenant, "X-MS-Exchange-CrossTenant-Id: " + m.Tenant,
		}})
	}
	const mechanism = "X-MS-Exchange-Organization-AuthMechanism"
	if m.Verdict == internal && strings.TrimSpace(header.Get(mechanism)) == "10" {
		out = append(out, cause{"mail.external-authoritative", 0.8, []string{mechanism + ": 10"}})
	}
	if m.Verdict == external && hybrid && m.LostAt == "" {
		m.LostAt = strings.TrimSpace(entry.From + " -> " + entry.By)
		out = append(out, cause{"mail.headers-external", 0.7, []string{
			"AuthAs: " + m.AuthAs, "Received: from " + entry.From + " by " + entry.By,
		}})
	}
	return out
}

// entry is the hop on which Exchange Online takes the message from elsewhere. hybrid reports that
// an Exchange server handed it on before: mail from the internet is external rightly.
func (m *Message) entry() (hop Hop, hybrid bool) {
	for i, hop := range m.Hops {
		if microsofts(hop.By) && !microsofts(hop.From) {
			return hop, m.exchangeBefore(i)
		}
	}
	return Hop{}, false
}

// exchangeBefore reports whether an Exchange server outside of Microsoft's handed the message on
// before a hop: it writes "with Microsoft SMTP Server".
func (m *Message) exchangeBefore(i int) bool {
	return slices.ContainsFunc(m.Hops[:i], func(h Hop) bool {
		return strings.HasPrefix(h.With, "Microsoft SMTP Server") && !microsofts(h.By)
	})
}

func microsofts(host string) bool {
	host = strings.ToLower(strings.Trim(host, "()[];"))
	for _, d := range []string{".outlook.com", ".office365.com", ".office365.us", ".partner.outlook.cn"} {
		if strings.HasSuffix(host, d) {
			return true
		}
	}
	return false
}

// headerOf reads the headers in a text: those of a message, pasted with other lines around them.
func headerOf(text string) mail.Header {
	header := textproto.MIMEHeader{}
	last := ""
	var value []string // of the last field, line by line
	end := func() {
		if last != "" {
			header[last] = append(header[last], strings.Join(value, " "))
		}
		last, value = "", nil
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if m := headerLine().FindStringSubmatch(line); m != nil {
			end()
			last, value = textproto.CanonicalMIMEHeaderKey(m[1]), []string{strings.TrimSpace(m[2])}
		} else if last != "" && line != "" && (line[0] == ' ' || line[0] == '\t') {
			value = append(value, strings.TrimSpace(line))
		} else {
			end()
		}
	}
	end()
	return mail.Header(header)
}
