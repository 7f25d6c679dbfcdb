package converge

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// The keys of the shared application are retired in a plan of their own: first lookups move to the
// dedicated applications, then the keys go, with a consent of their own. A rollback puts them back.
func TestRetireSharedKeys(t *testing.T) {
	e := open(t, shape{lab.Wizard, "worldwide", 2, nil, false, 1}, func(a *answers.Answers) {
		a.Retire = []answers.Retired{answers.RetireSharedKeys}
	})
	keys := func(p change.Plan) []change.Change {
		return slices.DeleteFunc(slices.Clone(p.Changes), func(c change.Change) bool { return c.Kind != "SharedKeys" })
	}
	first := e.plan(t)
	if len(keys(first)) > 0 || !strings.Contains(list(first), "does not sign in as its dedicated application yet") {
		t.Fatalf("before the applications are in use:\n%s", list(first))
	}
	e.apply(t, first)

	second := e.plan(t)
	if len(second.Changes) != 1 || len(keys(second)) != 1 || len(second.LeftOut) > 0 {
		t.Fatalf("the second plan:\n%s", list(second))
	}
	if before := change.Elements(second.Changes[0].Before["keyCredentials"]); len(before) != 2 {
		t.Errorf("%d keys were there, want those of two forests", len(before))
	}
	if _, err := e.Apply(t.Context(), second, apply.Options{StateDir: e.state, Accept: []string{apply.AcceptRemovals}},
		silent); !errors.Is(err, apply.ErrNotAccepted) || !strings.Contains(err.Error(), "shared-keys") {
		t.Fatalf("without its consent: %v", err)
	}
	e.apply(t, second)
	if third := e.plan(t); len(third.Changes)+len(third.LeftOut) > 0 {
		t.Fatalf("after the keys went:\n%s", list(third))
	}
	e.rollback(t)
	if again := e.plan(t); len(keys(again)) != 1 {
		t.Errorf("after the rollback:\n%s", list(again))
	}
	if ids := deployment.Consents(); !slices.ContainsFunc(ids,
		func(c change.Consent) bool { return c.ID == "shared-keys" }) {
		t.Errorf("the consents are %v", ids)
	}
}

// The email address policies that the answers name give their recipients an address in the
// coexistence domain, with a consent of their own.
func TestAddressPolicies(t *testing.T) {
	e := open(t, shape{lab.Clean, "worldwide", 1, []answers.Feature{answers.MoveMailbox}, false, 1},
		func(a *answers.Answers) {
			a.Forests[0].AddressPolicies = []string{"Default Policy"}
		})
	first := e.plan(t)
	if kinds(first, "onprem/contoso", change.Update)["EmailAddressPolicy"] != 1 {
		t.Fatalf("planned:\n%s", list(first))
	}
	if _, err := e.Apply(t.Context(), first, apply.Options{StateDir: e.state}, silent); !errors.Is(err,
		apply.ErrNotAccepted) || !strings.Contains(err.Error(), "update-addresses") {
		t.Fatalf("without its consent: %v", err)
	}
	e.apply(t, first)
	if again := e.plan(t); len(again.Changes)+len(again.LeftOut) > 0 {
		t.Fatalf("after the apply:\n%s", list(again))
	}
	e.rollback(t)
	if again := e.plan(t); again.Digest != first.Digest {
		t.Errorf("after the rollback:\n%s", list(again))
	}
}
