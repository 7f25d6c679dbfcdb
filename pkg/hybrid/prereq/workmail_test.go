package prereq

import (
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// TestEndOfSupport gives the check a day: WorkMail ends with 2027-03-31.
func TestEndOfSupport(t *testing.T) {
	declared := named(t, "workmail.end-of-support")
	for _, tt := range []struct {
		day    string
		status check.Status
		left   int
		says   string
	}{
		{"2026-11-27T10:00:00Z", check.StatusWarn, 124, "WorkMail ends on 2027-03-31, in 124 days"},
		{"2027-03-30T00:00:00Z", check.StatusWarn, 2, "WorkMail ends on 2027-03-31, in 2 days"},
		{"2027-03-31T00:00:00Z", check.StatusWarn, 1, "WorkMail ends on 2027-03-31, in 1 day"},
		{"2027-04-01T00:00:00Z", check.StatusFail, 0, "WorkMail has ended on 2027-03-31"},
		{"2028-01-01T00:00:00Z", check.StatusFail, 0, "WorkMail has ended on 2027-03-31"},
	} {
		now, err := time.Parse(time.RFC3339, tt.day)
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Set: fact.New(answers.Answers{WorkMail: &answers.WorkMail{}}, worldwide)}
		in.Now = func() time.Time { return now }
		r := declared.Run(t.Context(), in)
		if r.Status != tt.status || r.Summary.String() != tt.says || r.Evidence["daysLeft"] != tt.left {
			t.Errorf("%s: %s %q %v", tt.day, r.Status, r.Summary, r.Evidence)
		}
	}
}

// TestPasswordCharacters judges what is known of the password of a provider.
func TestPasswordCharacters(t *testing.T) {
	declared := named(t, "workmail.password-characters")
	for _, tt := range []struct {
		name     string
		provider *answers.Provider
		form     fact.PasswordForm
		status   check.Status
	}{
		{"good", &answers.Provider{User: "svc", Password: "env:EX"}, fact.PasswordForm{}, check.StatusPass},
		{"bad", &answers.Provider{User: "svc", Password: "env:EX"}, fact.PasswordForm{Fault: "it is empty"},
			check.StatusFail},
		{"typed", &answers.Provider{User: "svc", Password: "prompt"}, fact.PasswordForm{Typed: true}, check.StatusSkip},
		{"a function", &answers.Provider{Lambda: "arn"}, fact.PasswordForm{}, check.StatusSkip},
		{"no part", nil, fact.PasswordForm{}, check.StatusSkip},
	} {
		a := answers.Answers{WorkMail: &answers.WorkMail{}, Forests: []answers.Forest{{Name: "contoso",
			WorkMail: tt.provider}}}
		set := fact.New(a, worldwide)
		fact.ProviderPassword.Seed(set.Forests[0], tt.form, nil)
		r := declared.Run(t.Context(), Input{Set: set, Forest: set.Forests[0]})
		if r.Status != tt.status {
			t.Errorf("%s: %s %s", tt.name, r.Status, r.Summary)
		}
	}
}

// worldwide is the cloud of sets without a tenant.
var worldwide, _ = cloud.Get("worldwide")

// named finds a check.
func named(t *testing.T, id check.ID) Check {
	t.Helper()
	for _, c := range Checks() {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("there is no check %s", id)
	return Check{}
}
