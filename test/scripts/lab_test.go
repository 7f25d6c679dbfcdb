package scripts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// stage is a lab whose places PowerShell can reach.
type stage struct {
	lab      *lab.Lab
	deployed *deployment.Deployment
	answers  answers.Answers
	state    string
	gateway  string
	tenant   string
}

// raise starts a lab with its gateway: PowerShell on Linux cannot lead host names elsewhere or sign
// in with a certificate of the lab.
func raise(t *testing.T, o lab.Options) *stage {
	t.Helper()
	o.Dir, o.Users = t.TempDir(), cmp.Or(o.Users, 20)
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{lab: l, answers: a, state: t.TempDir()}
	s.open(t, o.Today)
	s.openGateway(t, o.Dir)
	return s
}

// open opens the deployment of the answers.
func (s *stage) open(t *testing.T, now func() time.Time) {
	t.Helper()
	d, err := deployment.Open(s.answers, deployment.Options{
		Dir: filepath.Dir(s.lab.Answers()), StateDir: s.state, Version: "test", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	s.deployed = d
}

// openGateway serves Microsoft Graph under /graph and the admin API under /online.
func (s *stage) openGateway(t *testing.T, dir string) {
	t.Helper()
	way, err := link.New(link.Options{
		ConnectTo: s.answers.Network.ConnectTo, CAFile: filepath.Join(dir, s.answers.Network.CAFile),
		LookupHost: func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	c := s.answers.ExchangeOnline.Credential
	password, err := secret.Resolver{Dir: dir}.Resolve(t.Context(), c.Password, "")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := certificate.Load(filepath.Join(dir, c.PFX), password)
	if err != nil {
		t.Fatal(err)
	}
	worldwide, _ := cloud.Get("worldwide")
	identity, err := entra.NewIdentity(entra.IdentityOptions{
		Tenant: s.answers.ExchangeOnline.Tenant, Login: worldwide.Login, Graph: worldwide.Graph, HTTP: way.Client(nil),
		Credential: entra.Credential{Kind: c.Kind, ClientID: c.ClientID, Bundle: bundle},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for prefix, to := range map[string]struct{ address, resource string }{
		"/graph/": {worldwide.Graph, worldwide.Graph}, "/online/": {worldwide.AdminAPI, worldwide.ExchangeResource},
	} {
		target, err := url.Parse(to.address)
		if err != nil {
			t.Fatal(err)
		}
		token := identity.Source(to.resource)
		mux.Handle(prefix, http.StripPrefix(strings.TrimSuffix(prefix, "/"), &httputil.ReverseProxy{
			Transport: way.Client(nil).Transport,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				text, err := token(r.In.Context())
				if err != nil {
					t.Error(err)
				}
				r.Out.Header.Set("Authorization", "Bearer "+text)
				// Whole, before it goes on: an answer that begins before the end of the body was seen would close
				// both connections.
				if r.Out.Body != nil {
					body, err := io.ReadAll(r.In.Body)
					if err != nil {
						t.Error(err)
					}
					r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				}
			},
		}))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.gateway = server.URL
	graph, err := entra.New(entra.Options{
		Graph: worldwide.Graph, HTTP: way.Client(nil), Token: identity.Source(worldwide.Graph),
	})
	if err != nil {
		t.Fatal(err)
	}
	organization, err := graph.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.tenant = organization.ID
}

// run runs one script in PowerShell, in a session of its place.
func (s *stage) run(t *testing.T, path, place string, more ...string) ending {
	t.Helper()
	runner, err := filepath.Abs("testdata/lab.ps1")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{}
	if forest, on := strings.CutPrefix(place, "onprem/"); on {
		env = s.remote(t, forest)
	}
	out := strings.TrimSpace(powershell(t, env, append([]string{
		"-File", runner, "-Script", path, "-Place", place, "-Catalogue", peer.Catalogue(t), "-Gateway", s.gateway,
		"-Tenant", s.tenant,
	}, more...)...))
	said, last, _ := cutLast(out, "\n")
	var e ending
	if err := json.Unmarshal([]byte(last), &e); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	e.said = said
	return e
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return "", text, false
	}
	return text[:at], text[at+len(separator):], true
}

// ending is how a script ended.
type ending struct {
	Exit  int
	Error string
	said  string
}

// remote is the environment of the bridge from PowerShell's own transport to the forest's Exchange.
func (s *stage) remote(t *testing.T, forest string) []string {
	t.Helper()
	python := peer.Program(t, "python3", "python3")
	bin := t.TempDir()
	stand := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", python, shared(t, "tools", "pwsh-lab", "stdio_to_wsman.py"))
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(stand), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	dir := filepath.Dir(s.lab.Answers())
	for _, f := range s.answers.Forests {
		if f.Name != forest {
			continue
		}
		to := ""
		for _, row := range s.answers.Network.ConnectTo {
			if address, ok := strings.CutPrefix(row, f.Exchange.Server+":443="); ok {
				to = address
			}
		}
		_, file, _ := strings.Cut(string(f.Exchange.Credential.Password), "file:")
		return []string{
			"PATH=" + bin + ":" + os.Getenv("PATH"), "WSMAN_URL=" + f.Exchange.URL, "WSMAN_CONNECT_TO=" + to,
			"WSMAN_CA=" + filepath.Join(dir, s.answers.Network.CAFile), "WSMAN_USER=" + f.Exchange.Credential.User,
			"WSMAN_PASSWORD_FILE=" + filepath.Join(dir, file),
		}
	}
	t.Fatalf("no forest %s", forest)
	return nil
}

// TestScriptsAgainstTheLab runs every script of a first plan in PowerShell against the lab: remote
// PowerShell, the admin API and Microsoft Graph. Then nothing is left to change, and every lookup
// works.
func TestScriptsAgainstTheLab(t *testing.T) {
	for name, o := range map[string]lab.Options{
		"one forest":  {Forests: 1},
		"two forests": {Forests: 2},
		"Graph": {Forests: 2, Today: func() time.Time {
			return time.Date(2027, 10, 1, 12, 0, 0, 0, time.UTC)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := raise(t, o)
			scripts := planned(t, s.deployed)
			tested, err := s.deployed.Test(t.Context(), deployment.TestOptions{}, silent{})
			if err != nil || tested.Summary.Failed == 0 {
				t.Fatalf("before the scripts: %+v, %v", tested.Summary, err)
			}
			for _, script := range scripts.scripts {
				if e := s.run(t, filepath.Join(scripts.dir, script.Name), script.Place); e.Error != "" || e.Exit != 0 {
					t.Fatalf("%s: exit %d: %s\n%s", script.Name, e.Exit, e.Error, e.said)
				}
			}
			p, err := s.deployed.Plan(t.Context(), silent{})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Changes {
				t.Errorf("left to do: %s %s: %v", c.Action, c.ID, c.After)
			}
			tested, err = s.deployed.Test(t.Context(), deployment.TestOptions{}, silent{})
			if err != nil || tested.Summary.Failed+tested.Summary.Unknown > 0 || tested.Summary.OK == 0 {
				t.Errorf("after the scripts: %+v, %v", tested.Summary, err)
			}
		})
	}
}

// plan makes a plan.
func (s *stage) plan(t *testing.T) change.Plan {
	t.Helper()
	p, err := s.deployed.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// takeUp brings what the scripts of a folder did into the history.
func (s *stage) takeUp(t *testing.T, dir string) apply.Entry {
	t.Helper()
	done, err := apply.ReadScripted(filepath.Join(dir, apply.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	run, err := apply.TakeUp(deployment.Kinds(), done, apply.Options{StateDir: s.state, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestScriptsInTheHistory runs some scripts of a plan. The history knows them, apply goes on where
// they stopped, and rollback undoes both.
func TestScriptsInTheHistory(t *testing.T) {
	s := raise(t, lab.Options{})
	before := s.plan(t)
	scripts := planned(t, s.deployed)
	if err := apply.NoteScripts(s.state, scripts.dir); err != nil {
		t.Fatal(err)
	}
	if parts, err := apply.InPart(s.state); err != nil || len(parts) > 0 {
		t.Errorf("before the scripts: %+v, %v", parts, err)
	}
	done := 0
	for i, script := range scripts.scripts {
		if e := s.run(t, filepath.Join(scripts.dir, script.Name), script.Place); e.Error != "" {
			t.Fatalf("%s: %s\n%s", script.Name, e.Error, e.said)
		}
		done += len(scripts.changes(script.Name))
		run := s.takeUp(t, scripts.dir)
		want := apply.Summary{Done: done, Pending: len(before.Changes) - done}
		if run.Summary != want || run.Outcome != "partial" || run.Scripts == "" {
			t.Errorf("after %s: %+v, want %+v", script.Name, run, want)
		}
		if again := s.takeUp(t, scripts.dir); again != run {
			t.Errorf("taken up twice: %+v and %+v", run, again)
		}
		parts, err := apply.InPart(s.state)
		if err != nil || len(parts) != 1 || parts[0].Summary != want {
			t.Errorf("in part: %+v, %v", parts, err)
		}
		if i == 1 {
			break
		}
	}
	o := apply.Options{StateDir: s.state}
	applied, err := s.deployed.Apply(t.Context(), before, o, silent{})
	if err != nil || applied.Summary.Done != len(before.Changes) {
		t.Fatalf("apply after the scripts: %+v, %v", applied.Summary, err)
	}
	if left := s.plan(t); len(left.Changes) > 0 {
		t.Errorf("left to do: %+v", left.Changes)
	}
	if parts, err := apply.InPart(s.state); err != nil || len(parts) > 0 {
		t.Errorf("after apply: %+v, %v", parts, err)
	}
	if _, err := s.deployed.Rollback(t.Context(), applied.RunID, o, silent{}); err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(before, s.plan(t)); d != "" {
		t.Errorf("rollback did not restore what was there before:\n%s", d)
	}
}

// TestRollbackOfScripts undoes all scripts of a plan from their result file.
func TestRollbackOfScripts(t *testing.T) {
	s := raise(t, lab.Options{Forests: 1})
	before := s.plan(t)
	scripts := planned(t, s.deployed)
	for _, script := range scripts.scripts {
		if e := s.run(t, filepath.Join(scripts.dir, script.Name), script.Place); e.Error != "" {
			t.Fatalf("%s: %s\n%s", script.Name, e.Error, e.said)
		}
	}
	run := s.takeUp(t, scripts.dir)
	if run.Outcome != "complete" {
		t.Errorf("%+v", run)
	}
	if _, err := s.deployed.Rollback(t.Context(), run.RunID, apply.Options{StateDir: s.state}, silent{}); err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(before, s.plan(t)); d != "" {
		t.Errorf("rollback did not restore what was there before:\n%s", d)
	}
	if again := s.takeUp(t, scripts.dir); again.UndoneBy == "" || again.RunID != run.RunID {
		t.Errorf("after the rollback: %+v", again)
	}
}

// TestRollbackScriptsAgainstTheLab undoes the scripts of a plan with the scripts that hybridge
// wrote beside them.
func TestRollbackScriptsAgainstTheLab(t *testing.T) {
	for name, forests := range map[string]int{"one forest": 1, "two forests": 2} {
		t.Run(name, func(t *testing.T) {
			s := raise(t, lab.Options{Forests: forests})
			before := s.plan(t)
			scripts := planned(t, s.deployed)
			all := func(list []deployment.Script, exit int, want string, more ...string) {
				t.Helper()
				for _, script := range list {
					path := filepath.Join(scripts.dir, filepath.FromSlash(script.Name))
					e := s.run(t, path, script.Place, more...)
					if e.Error != "" || e.Exit != exit || !strings.Contains(e.said, want) {
						t.Fatalf("%s: exit %d: %s\n%s", script.Name, e.Exit, e.Error, e.said)
					}
				}
			}
			all(scripts.scripts, 0, "")
			after := s.plan(t)
			all(scripts.undo, 0, "0 done", "-Preview")
			first := scripts.undo[len(scripts.undo)-1:]
			all(first, 1, "is not undone: see rollback")
			if d := gocmp.Diff(after, s.plan(t)); d != "" {
				t.Errorf("a preview, or a script before its turn, changed something:\n%s", d)
			}
			all(scripts.undo, 0, " 0 not done")
			if d := gocmp.Diff(before, s.plan(t)); d != "" {
				t.Errorf("the rollback scripts did not restore what was there before:\n%s", d)
			}
			all(scripts.undo, 0, "0 done")
			if run := s.takeUp(t, scripts.dir); run.Summary.Pending != len(before.Changes) {
				t.Errorf("in the history: %+v", run)
			}
			all(scripts.scripts, 0, " 0 not done")
			if left := s.plan(t); len(left.Changes) > 0 {
				t.Errorf("the scripts do not run again after their rollback: %+v", left.Changes)
			}
		})
	}
}

// deeds are the changes of a plan without what is another one when an object is made again.
func deeds(p change.Plan) (out []string) {
	for _, c := range p.Changes {
		out = append(out, fmt.Sprint(c.Action, " ", c.ID, " ", c.After))
	}
	return out
}

// TestLeavingScriptsAgainstTheLab leaves hybrid by scripts alone, stage by stage: the scripts of each
// are rolled back by theirs and by hybridge from their result file, and then run for good.
func TestLeavingScriptsAgainstTheLab(t *testing.T) {
	s := raise(t, lab.Options{Forests: 1, Users: 4})
	o := apply.Options{StateDir: s.state}
	for _, c := range deployment.Consents() {
		o.Accept = append(o.Accept, c.ID)
	}
	if _, err := s.deployed.Apply(t.Context(), s.plan(t), o, silent{}); err != nil {
		t.Fatal(err)
	}
	s.lab.MoveEveryone()
	if err := s.lab.LeadToCloud(); err != nil {
		t.Fatal(err)
	}
	s.answers.Hybrid = &answers.Hybrid{State: answers.Leaving}
	stages, asking := 0, []int(nil)
	for ; stages < 20; stages++ {
		s.state = t.TempDir() // the scripts may take away what another run made a moment ago
		s.open(t, nil)
		o.StateDir = s.state
		before := s.plan(t)
		if len(before.LeftOut) > 0 {
			t.Fatalf("%+v", before.LeftOut)
		}
		if len(before.Changes) == 0 {
			break
		}
		scripts := written(t, s.deployed, before)
		all := func(list []deployment.Script) (asks bool) {
			t.Helper()
			for _, script := range list {
				path := filepath.Join(scripts.dir, filepath.FromSlash(script.Name))
				e := s.run(t, path, script.Place)
				consents := script.Rollback && strings.Contains(e.said, "hybridge rollback --accept")
				asks = asks || consents
				if e.Error != "" || !consents && (e.Exit != 0 || !strings.Contains(e.said, " 0 not done")) {
					t.Fatalf("stage %d, %s: exit %d: %s\n%s", stages, script.Name, e.Exit, e.Error, e.said)
				}
			}
			return asks
		}
		restored := func(by string) {
			t.Helper()
			if d := gocmp.Diff(deeds(before), deeds(s.plan(t))); d != "" {
				t.Fatalf("stage %d: %s did not restore what was there before:\n%s", stages, by, d)
			}
		}
		all(scripts.scripts)
		if all(scripts.undo) {
			asking = append(asking, stages)
		} else {
			restored("the rollback scripts")
			all(scripts.scripts)
		}
		run := s.takeUp(t, scripts.dir)
		if run.Outcome != "complete" {
			t.Fatalf("stage %d: %+v", stages, run)
		}
		if _, err := s.deployed.Rollback(t.Context(), run.RunID, o, silent{}); err != nil {
			t.Fatalf("stage %d, %s: %v\n%s", stages, run.RunID, err, deeds(before))
		}
		restored("rollback")
		scripts = written(t, s.deployed, before)
		all(scripts.scripts)
	}
	if stages != 6 || !slices.Equal(asking, []int{0}) {
		t.Errorf("%d stages; rollback needs consent in %v", stages, asking)
	}
}

// TestRollbackScriptsLeaveWhatOthersChanged extends what the scripts made. What a rollback would
// lose stays, and the rest is undone.
func TestRollbackScriptsLeaveWhatOthersChanged(t *testing.T) {
	s := raise(t, lab.Options{Forests: 1})
	scripts := planned(t, s.deployed)
	typed := func(line string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "typed.ps1")
		text := "[CmdletBinding(SupportsShouldProcess = $true)] param()\n" + line
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e := s.run(t, path, "online")
		if e.Error != "" {
			t.Fatal(e.Error)
		}
		return e.said
	}
	const theirs = "99999999-0000-4000-8000-000000000009"
	before := typed(`(Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy).EwsAllowedAppIDs`)
	for _, script := range scripts.scripts {
		if e := s.run(t, filepath.Join(scripts.dir, script.Name), script.Place); e.Error != "" {
			t.Fatalf("%s: %s\n%s", script.Name, e.Error, e.said)
		}
	}
	typed(`$r = @(Get-OrganizationRelationship)[0]
Set-OrganizationRelationship -Identity $r.Identity -DomainNames @($r.DomainNames + 'other.example') -Confirm:$false
$c = Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy
Set-OrganizationConfig -EwsAllowedAppIDs ($c.EwsAllowedAppIDs + ',` + theirs + `') -Confirm:$false`)
	var said string
	for _, script := range scripts.undo {
		e := s.run(t, filepath.Join(scripts.dir, filepath.FromSlash(script.Name)), script.Place)
		if e.Error != "" {
			t.Fatalf("%s: %s\n%s", script.Name, e.Error, e.said)
		}
		said += e.said
	}
	if strings.Count(said, "left as it is: DomainNames has changed since") != 1 {
		t.Errorf("not only the extended relationship is left:\n%s", said)
	}
	got := strings.Fields(typed(`(Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy).EwsAllowedAppIDs
@(Get-OrganizationRelationship).Count`))
	if d := gocmp.Diff([]string{before + "," + theirs, "1"}, got); d != "" {
		t.Errorf("allow list and relationships: %s\n%s", d, said)
	}
}
