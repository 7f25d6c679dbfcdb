package deployment

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// mails is who writes to whom, and how that ended.
func mails(r freebusy.Report) []string {
	var out []string
	for _, a := range r.Matrix {
		out = append(out, a.From+" "+a.To+" "+a.Direction+" "+string(a.Status))
	}
	slices.Sort(out)
	return out
}

// TestWorkMailMessages sends mail both ways between Exchange and WorkMail, and to the address in
// the domain of WorkMail. The messages are gone afterwards.
func TestWorkMailMessages(t *testing.T) {
	for name, clouds := range map[string][]string{"alone": {lab.WorkMail},
		"beside a tenant": {lab.Online, lab.WorkMail}} {
		t.Run(name, func(t *testing.T) {
			d := openLab(t, lab.Options{Forests: 1, Clouds: clouds})
			plan, err := d.Plan(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
				t.Fatal(err)
			}
			r, err := d.Test(t.Context(), TestOptions{Message: true}, &events{})
			if err != nil {
				t.Fatal(err)
			}
			local, account := "anna.alberti@contoso.example", "svc-workmail@contoso.example"
			want := []string{
				local + " svc-workmail@contoso.awsapps.com contoso -> workmail ok",
				local + " " + account + " contoso -> workmail ok",
				account + " " + local + " workmail -> contoso ok",
			}
			got := slices.DeleteFunc(mails(r), func(s string) bool { return strings.Contains(s, "online") })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for _, a := range r.Matrix {
				if a.Status != freebusy.OK || a.Note != "" || len(a.Route) == 0 {
					t.Errorf("%s: %s %s %v", a.Direction, a.Error, a.Note, a.Route)
				}
			}
		})
	}
}

// TestWorkMailMessageWithoutConnector names the cause of mail that stays in Exchange. The other
// direction works.
func TestWorkMailMessageWithoutConnector(t *testing.T) {
	d := openLab(t, lab.Options{Forests: 1, Clouds: []string{lab.WorkMail},
		Faults: []string{"workmail.no-send-connector"}})
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	r, err := d.Test(t.Context(), TestOptions{Message: true}, &events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Matrix {
		if back := strings.HasPrefix(a.Direction, "workmail"); back != (a.Status == freebusy.OK) {
			t.Errorf("%s %s: %s", a.Direction, a.Status, a.Error)
		} else if !back && (len(a.Diagnosis) == 0 || a.Diagnosis[0].ID != "mail.no-route") {
			t.Errorf("%v: %s", a.Diagnosis, a.Error)
		}
	}
}
