package desired

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// TestOrganizationToCreate judges the account and its directory before an organization is planned.
func TestOrganizationToCreate(t *testing.T) {
	good := workmail.Directory{ID: "d-906781cc3a", Type: "ADConnector", Stage: "Active", Alias: "contoso"}
	gone := &workmail.Error{Operation: "DescribeDirectories", Code: "EntityDoesNotExistException", Status: 400}
	for _, tt := range []struct {
		name  string
		named []workmail.Organization
		edit  func(*workmail.Directory)
		err   error
		day   time.Time
		want  string // an error; empty: planned
		class error
		none  bool // nothing is planned, without an error
	}{
		{name: "none"},
		{name: "one that was deleted", named: []workmail.Organization{{ID: "m-1", Alias: "contoso", State: "Deleted"}}},
		{name: "one", named: []workmail.Organization{{ID: "m-1", Alias: "contoso", State: "Active"}}},
		{name: "one that arises", named: []workmail.Organization{{ID: "m-1", Alias: "contoso", State: "Creating"}},
			none: true},
		{name: "one that failed", named: []workmail.Organization{{ID: "m-1", Alias: "contoso", State: "Failed",
			Problem: "no rights"}}, want: "is failed: no rights", class: ErrNotReady},
		{name: "one that goes", named: []workmail.Organization{{ID: "m-1", Alias: "contoso", State: "Deleting"}},
			want: "is deleting", class: ErrNotReady},
		{name: "no such directory", err: gone, want: "no directory d-906781cc3a in us-east-1", class: ErrRefused},
		{name: "a Simple AD", edit: func(d *workmail.Directory) { d.Type = "SimpleAD" }, want: "needs an AD Connector",
			class: ErrRefused},
		{name: "an AD Connector in trouble", edit: func(d *workmail.Directory) { d.Stage, d.Reason = "Inoperable", "no DNS" },
			want: "is inoperable: no DNS", class: ErrNotReady},
		{name: "no alias", edit: func(d *workmail.Directory) { d.Alias = d.ID }, want: "aws ds create-alias",
			class: ErrRefused},
		{name: "another alias", edit: func(d *workmail.Directory) { d.Alias = "woodgrove" }, want: "has the alias woodgrove",
			class: ErrRefused},
		{name: "after the end", day: workmail.EndOfSupport, want: "has ended on 2027-03-31", class: ErrRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := testAnswers()
			a.WorkMail = &answers.WorkMail{Region: "us-east-1", Organization: "contoso", Directory: good.ID}
			a.Forests[0].Domains = []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}
			a.Forests[0].WorkMail = &answers.Provider{User: "svc", Password: "env:EX"}
			set := testFacts().set(a, worldwide(t))
			if !tt.day.IsZero() {
				set.Now = func() time.Time { return tt.day }
			}
			d := good
			if tt.edit != nil {
				tt.edit(&d)
			}
			fact.WorkMailNamed.Seed(set.WorkMail, tt.named, nil)
			fact.WorkMailConnector.SeedAll(set.WorkMail, func(string) (workmail.Directory, error) { return d, tt.err })
			p := &Planner{Answers: a, set: set, topic: workMailCreation}
			err := workMailCreation.Derive(t.Context(), p)
			switch {
			case tt.want != "":
				if err == nil || !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			case err != nil:
				t.Error(err)
			case len(p.out) == 1 == tt.none:
				t.Errorf("%d planned", len(p.out))
			case !tt.none:
				r := p.out[0].Resource
				c, err := workMailOrganization.Render(change.Create, r.Name, r.Properties, nil)
				domains, _ := c.Parameters["Domains"].([]any)
				if err != nil || c.Name != "CreateOrganization" || len(domains) != 5 ||
					c.Parameters["EnableInteroperability"] != true || c.Parameters["ClientToken"] == "" {
					t.Errorf("%+v, %v", c, err)
				}
			}
		})
	}
	// One that differs is never deleted and made again.
	if workMailOrganization.Recreates {
		t.Error("a plan may replace an organization")
	}
}
