package deployment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// marked is a set-up deployment whose accounts may write the calendars of all pairs, with one pair
// in each direction.
func marked(t *testing.T, faults ...string) *planted {
	t.Helper()
	d := open(t, faults...)
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	p := &planted{Deployment: d, t: t}
	for _, pair := range d.answers.Tests.Pairs {
		for i, f := range d.forests {
			if !strings.HasSuffix(pair.To, "@"+f.answers.Domains[0]) {
				continue
			}
			session, err := d.forests[i].exchange.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if kind, err := recipientType(t.Context(), session, pair.To); err != nil || kind != "UserMailbox" {
				continue
			}
			p.run(session, nil, "Add-MailboxPermission",
				[]any{"Identity", pair.To, "User", f.answers.Exchange.Credential.User,
					"AccessRights", []string{"FullAccess"}})
		}
	}
	return p
}

// left lists what stands in the calendars of all pairs, and the files of markers.
func (p *planted) left() (subjects, files []string) {
	p.t.Helper()
	from := time.Now().UTC().AddDate(0, 0, 10)
	for _, f := range p.forests {
		client, err := p.openEWS(p.t.Context(), f.answers)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, pair := range p.answers.Tests.Pairs {
			found, err := client.Appointments(p.t.Context(), pair.To, window(from, from.AddDate(0, 0, 10)))
			if err != nil {
				continue // not a mailbox of the forest
			}
			for _, a := range found {
				if strings.HasPrefix(a.Subject, "hybridge") {
					subjects = append(subjects, a.Subject)
				}
			}
		}
	}
	files, _ = filepath.Glob(filepath.Join(p.options.StateDir, "markers", "*.json"))
	return subjects, files
}

// A marker is written, read through the other side, compared and removed. Where no right lets
// hybridge write it, a note says so and the lookup counts as before.
func TestMarker(t *testing.T) {
	p := marked(t)
	r, err := p.Test(t.Context(), TestOptions{Marker: true}, &events{})
	if err != nil || r.Summary.Failed+r.Summary.Unknown > 0 {
		t.Fatalf("%+v, error %v", r.Summary, err)
	}
	written, refused := 0, 0
	for _, a := range r.Matrix {
		if a.Probe != "ews" && a.Probe != "graph" {
			continue
		}
		if strings.HasPrefix(a.Direction, "online -> ") {
			if a.Note != "" {
				t.Errorf("%s: %s", a.Direction, a.Note)
			}
			written++
			continue
		}
		// The lab's application for Graph may not write calendars.
		if !strings.Contains(a.Note, "no marker could be written") {
			t.Errorf("%s: %q", a.Direction, a.Note)
		}
		refused++
	}
	if written == 0 || refused == 0 {
		t.Errorf("%d markers written, %d refused", written, refused)
	}
	if subjects, files := p.left(); len(subjects)+len(files) > 0 {
		t.Errorf("left in calendars %v, files %v", subjects, files)
	}
}

// A run that was killed leaves its marker and the file about it. The next test removes both, also
// one that writes no marker. A file that names another appointment removes nothing.
func TestMarkerAfterKill(t *testing.T) {
	p := marked(t)
	diaries := p.diaries(p.mailboxes())
	markers, done, err := p.markers(t.Context(), TestOptions{Marker: true}, diaries)
	if err != nil {
		t.Fatal(err)
	}
	var killed []freebusy.Marker
	for _, pair := range p.answers.Tests.Pairs {
		for home, diary := range diaries {
			start := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 14)
			m := freebusy.Marker{Premise: home, Mailbox: pair.To, Subject: "hybridge test KILLED" + home,
				Start: start,
				End:   start.Add(time.Hour)}
			if err := diary.Create(t.Context(), m); err == nil {
				if err := markers.Keep(m); err != nil {
					t.Fatal(err)
				}
				killed = append(killed, m)
			}
		}
	}
	done()
	if subjects, files := p.left(); len(killed) == 0 || len(subjects) < len(killed) || len(files) != len(killed) {
		t.Fatalf("planted %v, in calendars %v, files %v", killed, subjects, files)
	}
	if _, err := p.Test(t.Context(), TestOptions{}, &events{}); err != nil {
		t.Fatal(err)
	}
	if subjects, files := p.left(); len(subjects)+len(files) > 0 {
		t.Errorf("left in calendars %v, files %v", subjects, files)
	}

	forged := filepath.Join(p.options.StateDir, "markers", "forged.json")
	if err := os.WriteFile(forged, []byte(`{"premise":"contoso","mailbox":"`+killed[0].Mailbox+`","subject":"Meeting",`+
		`"start":"2026-01-01T00:00:00Z","end":"2027-12-31T00:00:00Z"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var heard events
	if _, err := p.Test(t.Context(), TestOptions{}, &heard); err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(heard.warnings(), "\n"); !strings.Contains(w, "is not the subject of a marker") {
		t.Errorf("warnings: %s", w)
	}
}

// A cancelled test removes its markers.
func TestMarkerAfterCancel(t *testing.T) {
	p := marked(t)
	ctx, cancel := context.WithCancel(t.Context())
	heard := 0
	_, err := p.Test(ctx, TestOptions{Marker: true}, observer(func() {
		if heard++; heard == 2 {
			cancel()
		}
	}))
	if err == nil {
		t.Error("not cancelled")
	}
	if subjects, files := p.left(); len(subjects)+len(files) > 0 {
		t.Errorf("left in calendars %v, files %v", subjects, files)
	}
}

// Times that the asking side shifts are a failure, with the shift.
func TestShiftedTimes(t *testing.T) {
	p := marked(t, "lookup.shifted-times")
	r, err := p.Test(t.Context(), TestOptions{}, &events{})
	if err != nil || r.Summary.Failed == 0 {
		t.Fatalf("%+v, error %v", r.Summary, err)
	}
	for _, a := range r.Matrix {
		if strings.HasPrefix(a.Direction, "contoso -> ") && a.Probe == "ews" &&
			(a.Status != freebusy.Failed || !strings.Contains(a.Error, "+2:00 hours")) {
			t.Errorf("%s %s: %s %s", a.Direction, a.Status, a.Error, a.Note)
		}
	}
}

func window(start, end time.Time) ews.Window { return ews.Window{Start: start, End: end} }

// observer calls a function at every event.
type observer func()

func (o observer) Observe(observe.Event) { o() }

func recipientType(ctx context.Context, s exchange.Session, address string) (string, error) {
	found, err := s.Run(ctx, exchange.Command{Name: "Get-Recipient", Parameters: map[string]any{"Identity": address}})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].String("RecipientTypeDetails")
}

// With the permission Calendars.ReadWrite, markers stand in mailboxes of the tenant too.
func TestMarkerInTenant(t *testing.T) {
	p := marked(t)
	g, err := p.tenant.graph.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	graph, err := g.ServicePrincipal(t.Context(), oauth.AppGraph)
	if err != nil {
		t.Fatal(err)
	}
	own, err := g.ServicePrincipal(t.Context(), p.answers.ExchangeOnline.Credential.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	role := ""
	for _, r := range graph.AppRoles {
		if r.Value == "Calendars.ReadWrite" {
			role = r.ID
		}
	}
	if _, err := g.Do(t.Context(), "POST", "/servicePrincipals/"+own.ID+"/appRoleAssignments",
		map[string]any{"principalId": own.ID, "resourceId": graph.ID, "appRoleId": role}); err != nil {
		t.Fatal(err)
	}
	p.tenant.tokens.drop()
	p.tenant.graph.drop()
	r, err := p.Test(t.Context(), TestOptions{Marker: true}, &events{})
	if err != nil || r.Summary.OK == 0 || r.Summary.Failed+r.Summary.Unknown > 0 {
		t.Fatalf("%+v, error %v", r.Summary, err)
	}
	for _, a := range r.Matrix {
		if a.Note != "" {
			t.Errorf("%s: %s", a.Direction, a.Note)
		}
	}
	g, err = p.tenant.graph.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, pair := range p.answers.Tests.Pairs {
		found, err := g.List(t.Context(), fmt.Sprintf("/users/%s/calendarView?startDateTime=%s&endDateTime=%s", pair.To,
			time.Now().UTC().Format(time.RFC3339), time.Now().UTC().AddDate(0, 1, 0).Format(time.RFC3339)))
		if err == nil {
			seen++
		}
		if len(found) > 0 {
			t.Errorf("left in the calendar of %s: %v", pair.To, found)
		}
	}
	if seen == 0 {
		t.Error("no calendar of the tenant was looked at")
	}
	if _, files := p.left(); len(files) > 0 {
		t.Errorf("files %v", files)
	}
}

// What stands in the name of the state directory is no pattern: markers are found there. One whose
// run has ended since is none of theirs.
func TestMarkersOfAnyStateDirectory(t *testing.T) {
	d := &Deployment{options: Options{StateDir: filepath.Join(t.TempDir(), "state [2026]")}}
	dir := filepath.Join(d.options.StateDir, "markers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m1.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, done, err := d.markers(t.Context(), TestOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	done()
	if len(d.unheard) != 1 {
		t.Errorf("%d warnings of a marker that is left", len(d.unheard))
	}
	if d.sweep(t.Context(), filepath.Join(dir, "gone.json"), nil); len(d.unheard) != 1 {
		t.Errorf("%v", d.unheard)
	}
}
