package scripts

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// edgeServer is what the stand-in of an Edge server has.
type edgeServer struct {
	Name         string            `json:"name"`
	Refuse       bool              `json:"refuse"`
	Writes       int               `json:"writes"`
	Certificates []edgeCertificate `json:"certificates"`
	Connectors   []edgeConnector   `json:"connectors"`
}

type edgeCertificate struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Days    int    `json:"days"`
}

type edgeConnector struct {
	Identity              string
	Enabled               bool
	Bindings              []string
	RemoteIPRanges        []string
	TlsCertificateName    *string
	TlsDomainCapabilities []string
}

// TestEdgeScript runs the script of an Edge server in Microsoft's PowerShell: it writes once,
// passes over what is as wanted, refuses the wrong place, and its rollback restores what was there.
func TestEdgeScript(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	a.Forests[0].Edge = []string{"edge1.contoso.example"}
	d, err := deployment.Open(a, deployment.Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(),
		Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	p, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := d.Scripts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := d.Runbook(t.Context(), p, "")
	if err != nil || !strings.Contains(string(runbook), "01-edge-edge1.contoso.example.ps1") {
		t.Errorf("the runbook does not name the script: %v", err)
	}
	dir := t.TempDir()
	count := 0
	for _, s := range scripts {
		if s.Place != "edge/edge1.contoso.example" {
			continue
		}
		count++
		path := filepath.Join(dir, filepath.FromSlash(s.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, s.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if count != 2 {
		t.Fatalf("%d scripts for the Edge server, want one and its rollback", count)
	}
	own, err := filepath.Abs("testdata/analyze.ps1")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{dir, filepath.Join(dir, "rollback")} {
		powershell(t, nil, "-File", own, "-Folder", folder)
		powershell(t, nil, "-File", shared(t, "tools", "pwsh-lab", "check-scripts.ps1"), "-Path", folder,
			"-Catalogue", peer.Catalogue(t))
	}

	const subject, issuer = "CN=mail.contoso.example, O=Contoso", "CN=hybridge lab CA, O=hybridge lab"
	const capability = "mail.protection.outlook.com:AcceptCloudServicesMail"
	fresh := func() edgeServer {
		return edgeServer{Name: "EDGE1", Certificates: []edgeCertificate{{issuer, subject, 90}},
			Connectors: []edgeConnector{
				{Identity: `EDGE1\Default internal receive connector EDGE1`, Enabled: true,
					Bindings:              []string{"0.0.0.0:25"},
					RemoteIPRanges:        []string{"0.0.0.0-255.255.255.255"},
					TlsDomainCapabilities: []string{"partner.example:AcceptOorgProtocol"}},
				{Identity: `EDGE1\Relay`, Enabled: true, Bindings: []string{"0.0.0.0:25"},
					RemoteIPRanges: []string{"10.0.0.0/8"}},
			}}
	}
	state := filepath.Join(dir, "state.json")
	keep := func(s edgeServer) {
		content, _ := json.Marshal(s)
		if err := os.WriteFile(state, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (s edgeServer) {
		content, _ := os.ReadFile(state)
		if err := json.Unmarshal(content, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	stand, err := filepath.Abs("testdata/edge-server.ps1")
	if err != nil {
		t.Fatal(err)
	}
	name := "01-edge-edge1.contoso.example.ps1"
	run := func(script string, more ...string) string {
		args := []string{"-File", stand, "-State", state, "-Script", filepath.Join(dir, filepath.FromSlash(script))}
		if len(more) > 0 {
			args = append(args, "-More", strings.Join(more, ","))
		}
		out, _ := try(t, nil, args...)
		return out
	}
	yes := "Confirm:$false"

	for what, change := range map[string]func(*edgeServer){
		"This is not the Edge server": func(s *edgeServer) { s.Name = "EDGE2" },
		"has no valid certificate":    func(s *edgeServer) { s.Certificates[0].Days = -1 },
		"There must be one":           func(s *edgeServer) { s.Connectors[0].Enabled = false },
		"Access is denied":            func(s *edgeServer) { s.Refuse = true },
	} {
		s := fresh()
		change(&s)
		keep(s)
		if out := run(name, yes); !strings.Contains(out, what) || read().Writes > 0 {
			t.Errorf("want %q: %s", what, out)
		}
		_ = os.Remove(filepath.Join(dir, "hybridge-edge-edge1.contoso.example.json"))
	}
	keep(fresh())
	if out := run(name, "WhatIf"); read().Writes > 0 || !strings.Contains(out, "What if") {
		t.Errorf("-WhatIf writes: %s", out)
	}
	out := run(name, yes)
	c := read().Connectors[0]
	if read().Writes != 1 || c.TlsCertificateName == nil || *c.TlsCertificateName != "<I>"+issuer+"<S>"+subject ||
		!slices.Equal(c.TlsDomainCapabilities, []string{"partner.example:AcceptOorgProtocol", capability}) {
		t.Fatalf("%+v\n%s", read(), out)
	}
	if out := run(name, yes); read().Writes != 1 || !strings.Contains(out, "passed over") {
		t.Errorf("it writes again: %s", out)
	}
	changed := read()
	changed.Connectors[0].TlsDomainCapabilities = append(changed.Connectors[0].TlsDomainCapabilities,
		"x.example:AllowSubmit")
	keep(changed)
	if out := run("rollback/"+name, yes); read().Writes != 1 || !strings.Contains(out, "was changed since") {
		t.Errorf("the rollback takes away what others added: %s", out)
	}
	changed.Connectors[0].TlsDomainCapabilities = changed.Connectors[0].TlsDomainCapabilities[:2]
	keep(changed)
	out = run("rollback/"+name, yes)
	if c := read().Connectors[0]; c.TlsCertificateName != nil ||
		!slices.Equal(c.TlsDomainCapabilities, []string{"partner.example:AcceptOorgProtocol"}) {
		t.Errorf("after the rollback: %+v\n%s", c, out)
	}
	if out := run("rollback/"+name, yes); !strings.Contains(out, "has no change to undo") {
		t.Errorf("it is undone twice: %s", out)
	}
}
