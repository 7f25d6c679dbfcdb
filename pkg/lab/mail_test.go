package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
)

// arrives waits for a message with a subject.
func arrives(t *testing.T, at *mail.Transport, address, subject string) mail.Message {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if found := at.Inbox(address, subject); len(found) > 0 {
			return found[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no message %q for %s", subject, address)
		}
	}
}

// Mail between each forest and the tenant is delivered over TLS and is internal, with the headers
// that tell the organization apart.
func TestMailIsInternal(t *testing.T) {
	l := start(t)
	l.secureMail()
	for _, f := range l.forests {
		local, moved := f.local().primary, f.moved().primary
		if _, err := f.post.Submit(local, []string{moved}, "up", "hello\r\n.\r\nend\r\n"); err != nil {
			t.Fatal(err)
		}
		up := arrives(t, l.tenant.post, moved, "up")
		if _, err := l.tenant.post.Submit(moved, []string{local}, "down", "hello\r\n"); err != nil {
			t.Fatal(err)
		}
		down := arrives(t, f.post, local, "down")
		for _, c := range []struct {
			name string
			mail.Message
			want map[string]string
		}{
			{"to the tenant", up, map[string]string{
				"X-MS-Exchange-Organization-AuthAs": "Internal", "X-MS-Exchange-Organization-AuthSource": f.server,
				"X-EOPTenantAttributedMessage":                     l.tenant.id + ":0",
				"X-MS-Exchange-Organization-MessageDirectionality": "Originating", "X-OriginatorOrg": f.domain,
			}},
			{"to the forest", down, map[string]string{
				"X-MS-Exchange-Organization-AuthAs": "Internal", "X-CrossPremisesHeadersPromoted": f.server,
			}},
		} {
			for name, want := range c.want {
				if have := c.Header.Get(name); have != want {
					t.Errorf("%s %s: %s is %q, want %q\n%s", f.name, c.name, name, have, want, c.Header)
				}
			}
			if hop := c.Header.Get("Received"); !strings.Contains(hop, "version=TLS1_3") {
				t.Errorf("%s %s: Received: %s", f.name, c.name, hop)
			}
		}
		if up.Body != "hello\r\n.\r\nend\r\n" {
			t.Errorf("body %q", up.Body)
		}
	}
}
