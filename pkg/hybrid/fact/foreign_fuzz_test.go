package fact

import (
	"context"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// FuzzPolicies reads what others publish of their mail: SPF, DMARC, MTA-STS.
func FuzzPolicies(f *testing.F) {
	for _, s := range []string{"v=spf1 include:a.com ip4:1.2.3.0/24 -all", "v=spf1 redirect=b.com", "v=spf1 ~mx:c/24 exp=%{d} ?all",
		"v=DMARC1; p=none; rua=mailto:a@b", "version: STSv1\nmode: enforce\nmx: *.b.com\nmax_age: 1", "v=spf1 +", "v=spf1 a:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		asked := 0
		side := network(func(context.Context, string, dns.Type) (dns.Answer, error) {
			asked++
			return dns.Answer{Records: []dns.Record{{Text: text}}}, nil
		})
		p, err := SenderPolicies.In(t.Context(), side, "c.com")
		if err != nil || asked > 100 {
			t.Fatalf("%d questions, %v", asked, err)
		}
		if len(p.Includes) > 2*maxTerms+len(strings.Fields(text)) {
			t.Fatalf("%d includes", len(p.Includes))
		}
		if _, err := MessagePolicies.In(t.Context(), side, "c.com"); err != nil {
			t.Fatal(err)
		}
		for _, host := range readTransportPolicy(text).Exchangers {
			if strings.ContainsAny(host, "\n\r\x1b") {
				t.Fatalf("%q", host)
			}
		}
	})
}

// FuzzAuditEvent reads the JSON that the audit log of Exchange Online has for a change.
func FuzzAuditEvent(f *testing.F) {
	f.Add(`{"CreationTime":"2026-11-27T08:00:00","Operation":"Set-OutboundConnector","UserId":"a@b.com","ObjectId":"x\\y"}`)
	f.Add(`{"CreationTime":"2026-11-27T08:00:00Z","ResultStatus":"Failed"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		o := exchange.NewObject(nil, "", "AuditData", text)
		e, err := unifiedEvent(o)
		if err == nil && e.Cmdlet != "" && e.At.IsZero() {
			t.Fatalf("%+v", e)
		}
		_ = e.About("x", "")
	})
}
