package deployment

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// What checks answer is the same from a snapshot. What is asked at this moment is unknown there,
// and no failure.
func TestValidateFromSnapshot(t *testing.T) {
	now := time.Now()
	d := openAt(t, func() time.Time { return now }, "mail.port-closed")
	s, err := d.Collect(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	from := recalled(t, s)
	for _, o := range []ValidateOptions{{Subject: "mailflow"}, {Subject: "certificates"},
		{Subject: "domain", Domain: "contoso.example"}} {
		live, err := d.Validate(t.Context(), o, &events{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := from.Validate(t.Context(), o, &events{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(live.Verdict.Text.String(), got.Verdict.Text.String()); diff != "" ||
			live.Verdict.Status != got.Verdict.Status {
			t.Errorf("%s: %s, want %s\n%s", o.Subject, got.Verdict.Status, live.Verdict.Status, diff)
		}
	}
	pair := d.answers.Tests.Pairs[0]
	for _, o := range []ValidateOptions{{Subject: "freebusy", From: pair.From, To: pair.To, Both: true},
		{Subject: "user", User: pair.To}, {Subject: "oauth"}} {
		got, err := from.Validate(t.Context(), o, &events{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got.Matrix {
			if a.Status != freebusy.Unknown || !strings.Contains(a.Error, "the snapshot does not hold it") {
				t.Errorf("%s: %s -> %s is %s: %s", o.Subject, a.From, a.To, a.Status, a.Error)
			}
			if len(a.Diagnosis) > 0 {
				t.Errorf("%s: a lookup that was not made has the causes %v", o.Subject, a.Diagnosis)
			}
		}
		if got.Verdict.Status != freebusy.Unknown || !strings.Contains(got.Verdict.Next.String(), "--snapshot") {
			t.Errorf("%s: %s, %s", o.Subject, got.Verdict.Status, got.Verdict.Next)
		}
		if o.Subject != "user" && len(got.Matrix) == 0 {
			t.Errorf("%s: no lookups", o.Subject)
		}
	}
}
