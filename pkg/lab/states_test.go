package lab

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// Each state is made by cmdlets that Exchange takes, and the wizard's has the objects of the
// published logs.
func TestStates(t *testing.T) {
	for _, s := range States() {
		t.Run(s.ID, func(t *testing.T) {
			l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 20, State: s.ID})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			first, second := l.forests[0], l.forests[1]
			there := l.tenant.org.Objects("OrganizationConfig")[0].String("Guid")
			for noun, name := range map[string]string{
				"OrganizationRelationship": "On-premises to O365 - " + there,
				"SendConnector":            "Outbound to Office 365 - " + there,
				"RemoteDomain":             "Hybrid Domain - " + coexistenceDomain,
			} {
				for _, f := range l.forests {
					made := f.org.Object(noun, name) != nil
					if made != (s.ID == Wizard || s.ID == Half) {
						t.Errorf("%s: %s %q: %t", f.name, noun, name, made)
					}
				}
			}
			want := map[string][2]int{Clean: {0, 0}, Wizard: {2, 2}, Manual: {2, 2}, Half: {0, 0}}[s.ID]
			if got := [2]int{len(first.org.Objects("AuthServer")), len(second.org.Objects("AuthServer"))}; got != want {
				t.Errorf("auth servers: %v, want %v", got, want)
			}
			record := l.tenant.org.Object("OnPremisesOrganization", first.guid)
			if (record != nil) != (s.ID == Wizard || s.ID == Half) {
				t.Fatalf("record of the first forest: %v", record)
			}
			if l.tenant.org.Object("OnPremisesOrganization", second.guid) != nil != (s.ID == Wizard) {
				t.Error("the second forest's record")
			}
			if record == nil {
				return
			}
			comment := record.String("Comment")
			if (comment != "") != (s.ID == Wizard) {
				t.Errorf("comment %q: only a run that ended well writes it", comment)
			}
			packed, err := base64.StdEncoding.DecodeString(comment)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed))); s.ID == Wizard &&
				(err != nil || !strings.Contains(strings.ReplaceAll(string(text), "\x00", ""), "FullHybrid")) {
				t.Errorf("comment: %v %q", err, text)
			}
		})
	}
	for _, o := range []Options{{State: "old"}, {State: Wizard, Clouds: []string{WorkMail}}} {
		o.Dir = t.TempDir()
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "state") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
