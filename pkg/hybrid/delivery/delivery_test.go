package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// answers is a session that has an answer per cmdlet.
type answers map[string][]exchange.Object

var errNoCmdlet = errors.New("not allowed")

func (a answers) Read(_ context.Context, c exchange.Command) ([]exchange.Object, error) {
	out, ok := a[c.Name]
	if !ok {
		return nil, errNoCmdlet
	}
	return out, nil
}

func (answers) Allowed(context.Context, ...string) (map[string]exchange.Allowance, error) {
	return nil, nil
}
func (answers) Close(context.Context) error { return nil }

func object(pairs ...any) []exchange.Object {
	return []exchange.Object{exchange.NewObject(nil, "", pairs...)}
}

// box is a mailbox: what Send does, and what Find returns.
type box struct {
	sendErr, findErr, deleteErr error
	found                       []Item
	deleted                     []string
}

func (b *box) Send(context.Context, string, string, string) error { return b.sendErr }
func (b *box) Find(context.Context, string, string) ([]Item, error) {
	return b.found, b.findErr
}
func (b *box) Delete(_ context.Context, _, id string) error {
	b.deleted = append(b.deleted, id)
	return b.deleteErr
}

const (
	overTLS13 = "from ex1.contoso.com by AM0.prod.outlook.com with Microsoft SMTP Server (version=TLS1_3, cipher=x) " +
		"id 1"
	submitted = "from ex1.contoso.com by ex1.contoso.com with Microsoft SMTP Server id 15.2.2562.17; x"
	inClear   = "from ex1.contoso.com by AM0.prod.outlook.com with Microsoft SMTP Server id 15.20; x"
)

func as(verdict string, more ...Field) Header {
	h := Header{{"Received", overTLS13}, {"Received", submitted}}
	if verdict != "" {
		h = append(h, Field{"X-MS-Exchange-Organization-AuthAs", verdict})
	}
	return append(h, more...)
}

func TestRun(t *testing.T) {
	nothing := answers{"Get-Message": nil, "Get-MessageTrackingLog": nil, "Get-MessageTraceV2": nil}
	with := func(pairs ...any) answers {
		a := answers{}
		for k, v := range nothing {
			a[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			a[pairs[i].(string)] = pairs[i+1].([]exchange.Object)
		}
		return a
	}
	in := func(h Header) *box { return &box{found: []Item{{"1", h}}} }
	for _, c := range []struct {
		name          string
		onprem, cloud answers
		from, to      *box
		status        freebusy.Status
		diagnosis     diagnose.ID
		says          string
	}{
		{"internal over TLS", nil, nil, &box{}, in(as("Internal")), freebusy.OK, "", ""},
		{"in clear text", nil, nil, &box{},
			in(Header{{"Received", inClear}, {"X-MS-Exchange-Organization-AuthAs", "Internal"}}),
			freebusy.Failed, diagnose.MailClear, "without TLS"},
		{"no verdict", nil, nil, &box{}, in(as("")), freebusy.Unknown, "", "has no verdict"},
		{"filtered", nil, nil, &box{},
			in(as("Anonymous", Field{"X-CrossPremisesHeadersFilteredBySendConnector", "EX1\x1b[31m"})),
			freebusy.Failed, diagnose.MailHeadersNotSent, "CloudServicesMailEnabled"},
		{"not recognized", nil, nil, &box{}, in(as("Anonymous")), freebusy.Failed, diagnose.MailNotAttributed,
			"TlsSenderCertificateName"},
		{"recognized, headers not taken", nil,
			with("Get-MessageTraceV2", object("MessageTraceId", "1", "RecipientAddress", "b"),
				"Get-MessageTraceDetailV2", object("Event", "Receive", "Data",
					"S:InboundConnectorData=Name=In;ConnectorType=OnPremises")),
			&box{}, in(as("Anonymous")), freebusy.Failed, diagnose.MailHeadersNotAccepted, "CloudServicesMailEnabled"},
		{"connector unknown", nil, answers{}, &box{}, in(as("Anonymous")), freebusy.Failed, diagnose.MailNotAttributed,
			"the connector is unknown"},
		{"in the queue", with("Get-Message", object("Queue", `EX1\3`, "LastError", ""), "Get-Queue",
			object("LastError", "451 5.7.3 STARTTLS is required to send mail")), nil, &box{}, &box{}, freebusy.Failed,
			"mail.no-tls", "contoso: 451 5.7.3"},
		{"in the queue, with its own error", with("Get-Message", object("Queue", `EX1\3`, "LastError",
			"450 4.7.230 Connecting Exchange server version is out-of-date; connection to Exchange Online throttled")),
			nil,
			&box{}, &box{}, freebusy.Failed, "mail.server-outdated", "Update the servers"},
		{"refused", with("Get-MessageTrackingLog", object("EventId", "FAIL", "RecipientStatus", []string{"550 5.7.68 " +
			"TenantInboundAttribution; Direct Send not allowed"})), nil, &box{}, &box{}, freebusy.Failed,
			"mail.direct-send", "5.7.68"},
		{"refused in words that are not known", with("Get-MessageTrackingLog", object("RecipientStatus",
			[]string{"550 5.9.9 blue"})), nil, &box{}, &box{}, freebusy.Failed, "", "550 5.9.9 blue"},
		{"deferred by the tenant", nil,
			with("Get-MessageTraceV2", object("MessageTraceId", "1", "RecipientAddress", "b"),
				"Get-MessageTraceDetailV2", object("Event", "Defer", "Detail",
					"450 4.4.317 [Message=SubjectMismatch Expected]")),
			&box{}, &box{}, freebusy.Failed, "mail.certificate-name", "online: 450 4.4.317"},
		{"greylisted", with("Get-Message", object("Queue", `EX1\3`, "LastError", ""), "Get-Queue", object("LastError",
			"[{LED=450 4.2.0 <bob@contoso.com>: Recipient address rejected: Greylisted, see help};{FQDN=mx}]")), nil,
			&box{}, &box{}, freebusy.Pending, "mail.greylisted", "still waits after"},
		{"put off in words that are not known", with("Get-Message", object("Queue", `EX1\3`, "LastError",
			"421 4.9.9 blue")), nil, &box{}, &box{}, freebusy.Pending, "", "still waits after"},
		{"put off by the tenant, then delivered elsewhere", nil,
			with("Get-MessageTraceV2", object("MessageTraceId", "1", "RecipientAddress", "b"),
				"Get-MessageTraceDetailV2", append(object("Event", "Defer", "Detail", "451 4.7.500 Server busy"),
					object("Event", "Deliver")...)),
			&box{}, &box{}, freebusy.Failed, "", "no server says why"},
		{"put off by the tenant", nil,
			with("Get-MessageTraceV2", object("MessageTraceId", "1", "RecipientAddress", "b"),
				"Get-MessageTraceDetailV2", object("Event", "Defer", "Detail", "451 4.7.500 Server busy")),
			&box{}, &box{}, freebusy.Pending, "mail.throttled", "online: 451 4.7.500"},
		{"put off, then refused", nil,
			with("Get-MessageTraceV2", object("MessageTraceId", "1", "RecipientAddress", "b"),
				"Get-MessageTraceDetailV2", append(object("Event", "Defer", "Detail", "451 4.7.500 Server busy"),
					object("Event", "Fail", "Detail", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted "+
						"domain")...)),
			&box{}, &box{}, freebusy.Failed, "mail.domain-not-accepted", "5.7.54"},

		{"lost", nil, nil, &box{}, &box{}, freebusy.Failed, "", "no server says why"},
		{"at the Edge server", with("Get-MessageTrackingLog", object("EventId", "SEND", "ServerHostname", "EDGE1")),
			nil,
			&box{}, &box{}, freebusy.Failed, "mail.edge-stale", "Edge server EDGE1"},
		{"the servers may not be asked", answers{}, nil, &box{}, &box{}, freebusy.Unknown, "", "not allowed"},
		{"the mailbox may not be read", nil, nil, &box{}, &box{findErr: link.ErrAccess}, freebusy.Unknown, "",
			"look for the message"},
		{"not sent", nil, nil, &box{sendErr: errors.New("full")}, &box{}, freebusy.Unknown, "", "send a message of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			premises := []Premise{
				{freebusy.Premise{Name: "contoso", Side: exchange.OnPremises, Domains: []string{"contoso.com"}},
					c.from, []string{"edge1.contoso.com"}, nil},
				{freebusy.Premise{Name: "online", Side: exchange.Online,
					Domains: []string{"contoso.mail.onmicrosoft.com"}}, c.to, nil, nil},
			}
			for i, a := range []answers{c.onprem, c.cloud} {
				if a == nil {
					a = nothing
				}
				a = plus(a, "Get-Recipient", object("RecipientTypeDetails", "UserMailbox"))
				premises[i].Session = a
			}
			r, err := Run(t.Context(), premises, Options{
				Pairs: []freebusy.Pair{{From: "anna@contoso.com", To: "bob@contoso.mail.onmicrosoft.com"}},
				Wait:  50 * time.Millisecond, Every: time.Millisecond,
			}, discard{})
			if err != nil {
				t.Fatal(err)
			}
			a := r.Matrix[0]
			got := ""
			if len(a.Diagnosis) > 0 {
				got = a.Diagnosis[0].ID
			}
			if a.Status != c.status || got != string(c.diagnosis) || !strings.Contains(a.Error, c.says) {
				t.Errorf("%s %q: %s", a.Status, got, a.Error)
			}
			if strings.Contains(a.Error, "\x1b") {
				t.Errorf("control characters of a server: %q", a.Error)
			}
			if len(c.to.found) > 0 && !slices.Equal(c.to.deleted, []string{"1"}) {
				t.Errorf("deleted: %v", c.to.deleted)
			}
		})
	}
}

// perServer is a session whose cmdlets answer for the server that they name.
type perServer struct {
	answers
	servers map[string]answers
}

func (p perServer) Read(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	server, _ := c.Parameters["Server"].(string)
	if queue, ok := c.Parameters["Identity"].(string); ok && c.Name == "Get-Queue" {
		server, _, _ = strings.Cut(queue, `\`)
	}
	if a, ok := p.servers[server]; ok {
		return a.Read(ctx, c)
	}
	return p.answers.Read(ctx, c)
}

// TestEveryServerIsAsked: the server that the session is connected to knows nothing of a message that
// another one holds. One that does not answer hides no other one.
func TestEveryServerIsAsked(t *testing.T) {
	empty := answers{"Get-Message": nil, "Get-MessageTrackingLog": nil}
	holds := answers{"Get-Message": object("Queue", `EX2\3`, "LastError", ""), "Get-MessageTrackingLog": nil,
		"Get-Queue": object("LastError", "451 4.4.0 DNS query failed")}
	refuses := answers{"Get-Message": nil,
		"Get-MessageTrackingLog": object("EventId", "FAIL", "RecipientStatus", []string{"550 5.7.68 no"})}
	for name, c := range map[string]struct {
		servers map[string]answers
		want    hold
		fails   bool
	}{
		"in the queue of the second": {map[string]answers{"EX1": empty, "EX2": holds},
			hold{"451 4.4.0 DNS query failed", true}, false},
		"refused by the second": {map[string]answers{"EX1": empty, "EX2": refuses}, hold{"550 5.7.68 no", false}, false},
		"the first is away":     {map[string]answers{"EX1": {}, "EX2": holds}, hold{"451 4.4.0 DNS query failed", true}, false},
		"the second is away":    {map[string]answers{"EX1": empty, "EX2": {}}, hold{}, true},
		"neither has it":        {map[string]answers{"EX1": empty, "EX2": empty}, hold{}, false},
	} {
		p := Premise{Premise: freebusy.Premise{Name: "contoso", Side: exchange.OnPremises,
			Session: perServer{empty, c.servers}}, Hosts: func(context.Context) ([]string, error) {
			return []string{"EX1", "EX2"}, nil
		}}
		got, err := trace(t.Context(), p, "subject")
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// plus is a session with one more answer.
func plus(a answers, cmdlet string, out []exchange.Object) answers {
	b := answers{cmdlet: out}
	for k, v := range a {
		b[k] = v
	}
	return b
}

type discard struct{}

func (discard) Observe(observe.Event) {}

// The route is the servers, first to last, with the TLS version of each hop.
func TestHops(t *testing.T) {
	want := []string{"ex1.contoso.com", "AM0.prod.outlook.com over TLS 1.3"}
	if d := cmp.Diff(want, as("Internal").hops()); d != "" {
		t.Error(d)
	}
	between := Header{{"Received", "from A.eur.prod.outlook.com by B.eur.prod.outlook.com with HTTPS; x"}}
	if between.clear() || !(Header{{"Received", inClear}}).clear() {
		t.Error("hops between servers of one domain do not count, those between premises do")
	}
}
