package entra_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	lab "github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// site is a tenant with the applications that a number of forests need.
type site struct {
	lab       *lab.Tenant
	names     []string
	resources []change.Resource
	client    *entra.Client
	state     string
	// lose selects the answers that are lost after the request was carried out: "POST
	// /v1.0/applications".
	mu       sync.Mutex
	lose     func(request string) bool
	keyReads int
}

func newSite(t *testing.T, forests int) *site {
	t.Helper()
	s := &site{state: t.TempDir()}
	var err error
	s.lab, err = lab.New(lab.Config{
		TenantID: tenantID, InitialDomain: "contoso.onmicrosoft.com", LoginHost: "login.test",
		GraphHost: "graph.microsoft.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		s.lab.Graph().ServeHTTP(answer, r)
		s.mu.Lock()
		if strings.Contains(r.URL.RawQuery, "keyCredentials") {
			s.keyReads++
		}
		lost := s.lose != nil && s.lose(r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		if lost {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	admin, err := s.lab.AddApplication(lab.NewApplication{DisplayName: "hybridge", Secret: "x", Graph: []string{
		"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Organization.Read.All"}})
	if err != nil {
		t.Fatal(err)
	}
	s.client, err = entra.New(entra.Options{
		Graph: server.URL, HTTP: server.Client(),
		Token: func(context.Context) (string, error) { return s.lab.AppToken(admin, "https://graph.microsoft.com") },
	})
	if err != nil {
		t.Fatal(err)
	}
	exchange := ""
	s.lab.Update(func(state *lab.State) { exchange = state.ServicePrincipal(oauth.AppExchangeOnline).ID })
	auth := base64.StdEncoding.EncodeToString(newKeyPair(t, "Microsoft Exchange Server Auth Certificate").leaf.Raw)
	kinds := deployment.Kinds()
	for i := range forests {
		name := fmt.Sprintf("ExchangeServerApp-1f3a7c52-9b1e-4c37-8a54-2d6e0f9b%04x", i)
		s.names = append(s.names, name)
		add := func(kind, key string, p change.Properties, needs ...string) {
			s.resources = append(s.resources, change.Resource{
				Kind: kinds[kind], Target: "entra", Key: key, Name: strings.Replace(key, ":", " ", 1), Properties: p,
				Needs: needs,
			})
		}
		ref := func(kind, property string) change.Ref {
			return change.Ref{Change: "entra/" + kind + "/" + name, Property: property}
		}
		add("Application", name, change.Properties{
			"displayName": name, "signInAudience": "AzureADMyOrg", "requiredResourceAccess": []any{map[string]any{
				"resourceAppId":  oauth.AppExchangeOnline,
				"resourceAccess": []any{map[string]any{"id": fullAccess, "type": "Role"}},
			}},
		})
		add("KeyCredential", name, change.Properties{
			"id": ref("Application", "id"), "keyCredentials": []any{map[string]any{
				"displayName": "auth", "keyId": fmt.Sprintf("11111111-2222-8333-8444-55555555%04x", i),
				"type": "AsymmetricX509Cert", "usage": "Verify", "key": auth,
			}},
		}, "entra/Application/"+name)
		add("ServicePrincipal", name, change.Properties{"appId": ref("Application", "appId"), "accountEnabled": true})
		add("AppRoleAssignment", name+":full_access_as_app", change.Properties{
			"principalId": ref("ServicePrincipal", "id"), "resourceId": exchange, "appRoleId": fullAccess,
		})
	}
	return s
}

// places are those of a new process, which knows only the content of the journals.
func (s *site) places(patience time.Duration) map[string]change.Place {
	memory := &desired.Memory{Patience: patience, Creations: func() ([]desired.Creation, error) {
		made, err := apply.Creations(s.state)
		var out []desired.Creation
		for _, c := range made {
			out = append(out, desired.Creation{Kind: c.Kind, Name: c.Name, ID: c.Identity, Properties: c.Properties,
				At: c.At})
		}
		return out, err
	}}
	return map[string]change.Place{"entra": change.NewPlace("entra", desired.MicrosoftGraph,
		func(context.Context) (*desired.DirectoryWriter, error) {
			return &desired.DirectoryWriter{Do: s.client.Do, Directory: desired.Directory{Graph: s.client, Memory: memory, Pause: 20 * time.Millisecond,
				Applications: func(context.Context) ([]fact.Dedicated, error) {
					var out []fact.Dedicated
					for _, name := range s.names {
						out = append(out, fact.Dedicated{Name: name})
					}
					return out, nil
				}}}, nil
		}, nil)}
}

func (s *site) plan(t *testing.T, patience time.Duration) change.Plan {
	t.Helper()
	p, err := change.Make(t.Context(), s.places(patience), s.resources, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *site) apply(t *testing.T, p change.Plan, wait time.Duration) (apply.Report, error) {
	t.Helper()
	return apply.Run(t.Context(), s.places(wait), deployment.Kinds(), p, apply.Options{StateDir: s.state, Wait: wait},
		nil)
}

// applications counts the tenant's dedicated applications.
func (s *site) applications() (n int) {
	s.lab.Update(func(state *lab.State) {
		for _, a := range state.Applications {
			if strings.HasPrefix(a.DisplayName, "ExchangeServerApp-") {
				n++
			}
		}
	})
	return n
}

// Lists that omit a new object for an hour change nothing. The object is read by its id: in apply,
// in a plan by another process right after it, and in a rollback.
func TestListsThatLag(t *testing.T) {
	s := newSite(t, 2)
	s.lab.Lag(time.Hour)
	report, err := s.apply(t, s.plan(t, 0), 10*time.Second)
	if err != nil || report.Summary.Done != 8 {
		t.Fatalf("apply: %v: %+v", err, report.Changes)
	}
	if next := s.plan(t, 0); len(next.Changes) > 0 {
		t.Errorf("plan right after: %+v", next.Changes)
	}
	undone, err := apply.Rollback(t.Context(), s.places(10*time.Second), deployment.Kinds(), "",
		apply.Options{StateDir: s.state, Wait: 10 * time.Second}, nil)
	if err != nil || s.applications() != 0 {
		t.Errorf("rollback: %v: %d applications left: %+v", err, s.applications(), undone.Changes)
	}
	if next := s.plan(t, 0); next.Summary.Create != 8 {
		t.Errorf("plan after the rollback: %+v", next.Summary)
	}
}

// An object whose creation lost its answer, and that lists still omit, is not created twice:
// neither by the same plan nor by a new one.
func TestAnswerLostWhileListsLag(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("new plan %t", fresh), func(t *testing.T) {
			s := newSite(t, 1)
			s.lab.Lag(3 * time.Second)
			p := s.plan(t, 0)
			s.lose = func(request string) bool { return request == "POST /v1.0/applications" }
			report, err := s.apply(t, p, 50*time.Millisecond)
			if !errors.Is(err, apply.ErrPartial) || s.applications() != 1 {
				t.Fatalf("%v, %d applications: %+v", err, s.applications(), report.Changes)
			}
			s.mu.Lock()
			s.lose = nil
			s.mu.Unlock()
			if fresh {
				p = s.plan(t, time.Minute)
			}
			if _, err := s.apply(t, p, time.Minute); err != nil || s.applications() != 1 {
				t.Errorf("%v, %d applications", err, s.applications())
			}
			if next := s.plan(t, 0); len(next.Changes) > 0 {
				t.Errorf("not converged: %+v", next.Changes)
			}
		})
	}
}

// Entra answers 150 reads of keys per minute. Their number grows linearly with the number of
// forests.
func TestReadsOfKeys(t *testing.T) {
	for _, forests := range []int{2, 8, 32} {
		t.Run(fmt.Sprintf("%d forests", forests), func(t *testing.T) {
			s := newSite(t, forests)
			p := s.plan(t, 0)
			if _, err := s.apply(t, p, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			applied := s.keyReads
			if next := s.plan(t, 0); len(next.Changes) > 0 {
				t.Errorf("not converged: %+v", next.Changes)
			}
			planned := s.keyReads - applied
			t.Logf("apply %d, plan %d", applied, planned)
			if applied > 3*forests || planned > forests || applied+planned > 150 {
				t.Errorf("apply reads keys %d times, plan %d times", applied, planned)
			}
		})
	}
}

// A rollback does not touch applications that others have extended in ways that no kind declares.
func TestRollbackLeavesExtendedApplications(t *testing.T) {
	note := "used by payroll"
	for name, extend := range map[string]func(*lab.State, *lab.Application){
		"notes": func(_ *lab.State, a *lab.Application) { a.Notes = &note },
		"uri":   func(_ *lab.State, a *lab.Application) { a.IdentifierURIs = []string{"api://" + a.AppID} },
		"secret": func(_ *lab.State, a *lab.Application) {
			a.PasswordCredentials = []lab.PasswordCredential{{KeyID: tenantID}}
		},
		"owner": func(s *lab.State, a *lab.Application) { s.Owners = map[string][]*lab.Owner{a.ID: {{ID: tenantID}}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 1)
			if _, err := s.apply(t, s.plan(t, 0), 10*time.Second); err != nil {
				t.Fatal(err)
			}
			s.lab.Update(func(state *lab.State) {
				at := slices.IndexFunc(state.Applications,
					func(a *lab.Application) bool { return a.DisplayName == s.names[0] })
				extend(state, state.Applications[at])
			})
			report, err := apply.Rollback(t.Context(), s.places(time.Second), deployment.Kinds(), "",
				apply.Options{StateDir: s.state, Wait: time.Second}, nil)
			if !errors.Is(err, apply.ErrConflict) || s.applications() != 1 {
				t.Errorf("%v, %d applications: %+v", err, s.applications(), report.Changes)
			}
		})
	}
}
