package deployment

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// recalled opens the deployment that a snapshot describes, from the bytes of its file.
func recalled(t *testing.T, s Snapshot) *Deployment {
	t.Helper()
	read, err := ReadSnapshot(bytes.NewReader(s.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	a, err := read.Deployment()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(a, Options{Version: "test", Snapshot: &read})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	return d
}

// took is how long a check ran: the one thing that a snapshot does not hold.
var took = regexp.MustCompile(`"durationMs": \d+`)

// greeting names the server to which a load balancer led the look at a mail host: another one each time.
var greeting = regexp.MustCompile(`"banner": "ex\d\.`)

// output is what check and plan print of a deployment, in JSON and as text.
func output(t *testing.T, d *Deployment) map[string]string {
	t.Helper()
	out := map[string]string{}
	checks, err := d.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		out["plan failed"] = err.Error()
	}
	for name, document := range map[string]report.Document{"check": checks, "plan": plan} {
		for _, format := range []string{"json", "text"} {
			f, _ := report.Named(format)
			var b bytes.Buffer
			w := f.Open(&b, report.Options{})
			if err := w.Write(document); err != nil {
				t.Fatal(err)
			}
			if err := w.End(0); err != nil {
				t.Fatal(err)
			}
			out[name+" "+format] = greeting.ReplaceAllString(took.ReplaceAllString(b.String(), `"durationMs": 0`),
				`"banner": "ex.`)
		}
	}
	return out
}

// same fails unless a snapshot of a deployment gives what the systems give.
func same(t *testing.T, d *Deployment) Snapshot {
	t.Helper()
	live := output(t, d)
	for {
		s, err := d.Collect(t.Context(), &events{})
		if err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(live, output(t, recalled(t, s)))
		if diff == "" {
			return s
		}
		// The lab synchronizes every half hour: then the systems say something else.
		again := output(t, d)
		if cmp.Equal(live, again) {
			t.Error(diff)
			return s
		}
		live = again
	}
}

// kindsOfFailure are faults that make systems fail, each in a different way.
var kindsOfFailure = []string{"mail.port-closed", "servers.gone", "workmail.organization-missing",
	"workmail.no-interoperability", "workmail.token-expired"}

// A snapshot gives the same checks and the same plan as the systems that it was made of, byte for
// byte: also where systems are broken.
func TestSnapshotAnswersAsTheSystems(t *testing.T) {
	now := time.Now()
	today := func() time.Time { return now }
	t.Run("healthy", func(t *testing.T) {
		d := openAt(t, today)
		before := output(t, d)
		same(t, d)
		if diff := cmp.Diff(before, output(t, d)); diff != "" {
			t.Errorf("the deployment works differently after collect:\n%s", diff)
		}
	})
	// A quarter of an hour. Where a load balancer decides, two live runs differ: see
	// TestSnapshotOfServers.
	every := os.Getenv("HYBRIDGE_TEST_EVERY") != ""
	for _, fault := range lab.Faults() {
		if every && !fault.ByChance || slices.Contains(kindsOfFailure, fault.ID) {
			t.Run(fault.ID, func(t *testing.T) { same(t, openAt(t, today, fault.ID)) })
		}
	}
}
