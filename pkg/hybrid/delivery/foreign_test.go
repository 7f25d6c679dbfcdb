package delivery

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// FuzzHeader reads the header of a message that arrived.
func FuzzHeader(f *testing.F) {
	f.Add("Received", "from a.b (1.2.3.4) by c.d (5.6.7.8) with Microsoft SMTP Server (version=TLS1_2, cipher=x) id 1")
	f.Add("X-MS-Exchange-Organization-AuthAs", "Internal")
	premise := Premise{Premise: freebusy.Premise{Side: exchange.OnPremises}}
	f.Fuzz(func(t *testing.T, name, value string) {
		h := Header{{name, value}, {"Received", value}}
		for _, hop := range h.hops() {
			if strings.ContainsAny(hop, "\n\r\x1b\x00") {
				t.Fatalf("%q", hop)
			}
		}
		_ = h.clear()
		_ = judge(t.Context(), premise, premise, h, "x")
	})
}
