package lab

import (
	"strings"
	"testing"
)

// Mail passes the Edge server in both directions, over TLS, and stays internal. Mail from outside
// stays external, and nothing is relayed.
func TestMailThroughEdge(t *testing.T) {
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 30, State: Wizard, Edge: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f := l.contoso()
	local, moved := f.local().primary, f.moved().primary
	if _, err := f.post.Submit(local, []string{moved}, "up", "hello\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.tenant.post.Submit(moved, []string{local}, "down", "hello\r\n"); err != nil {
		t.Fatal(err)
	}
	up, down := arrives(t, l.tenant.post, moved, "up"), arrives(t, f.post, local, "down")
	for name, m := range map[string]struct {
		have []string
		as   string
	}{
		"up":   {up.Header.All("Received"), up.Header.Get("X-MS-Exchange-Organization-AuthAs")},
		"down": {down.Header.All("Received"), down.Header.Get("X-MS-Exchange-Organization-AuthAs")},
	} {
		way := strings.Join(m.have, "\n")
		if m.as != "Internal" || !strings.Contains(way, "by "+f.edge.host) &&
			!strings.Contains(way, "from "+f.edge.host) {
			t.Errorf("%s: AuthAs %q\n%s", name, m.as, way)
		}
		for _, hop := range m.have[:len(m.have)-1] {
			if !strings.Contains(hop, "version=TLS") {
				t.Errorf("%s: in clear text: %s", name, hop)
			}
		}
	}
}
