package desired

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// MRSProxy is opened only on servers whose build proves the security update.
func TestMRSProxyOfSafeServers(t *testing.T) {
	for b, want := range map[fact.Build]fact.Fitness{
		build(15, 2, 2562, 46): fact.Fit, build(15, 2, 2562, 45): fact.Unfit, build(15, 2, 2562, 17): fact.Untold,
		build(15, 1, 2507, 72): fact.Fit, build(15, 2, 1258, 39): fact.Unfit, build(15, 2, 9999, 1): fact.Fit,
	} {
		if got := b.Binds(); got != want {
			t.Errorf("%s: %d, want %d", b, got, want)
		}
	}
	w, f, a := mailWorld(t)
	a.Features = []answers.Feature{answers.MoveMailbox}
	directory := func(server string, open bool) map[string]any {
		return map[string]any{"Name": server + `\EWS (Default Web Site)`, "MRSProxyEnabled": open,
			"InternalAuthenticationMethods": []string{"OAuth"}}
	}
	f.Forests[0].Servers = []fact.MailboxServer{server("EX1", build(15, 2, 2562, 53)),
		server("EX2", build(15, 2, 2562, 45)),
		server("EX3", build(15, 2, 2562, 17))}
	f.Forests[0].Directories = nil
	w.contoso.objects["WebServicesVirtualDirectory"] = nil
	for _, s := range f.Forests[0].Servers {
		w.contoso.objects["WebServicesVirtualDirectory"] = append(w.contoso.objects["WebServicesVirtualDirectory"],
			directory(s.Name, false))
		f.Forests[0].Directories = append(f.Forests[0].Directories,
			fact.VirtualDirectory{Noun: fact.EWSDirectory, Identity: s.Name + `\EWS (Default Web Site)`, OAuth: true})
	}
	p := makePlan(t, w, f, a)
	var opened []string
	for _, c := range p.Changes {
		if c.Kind == mailboxReplicationProxy.Noun {
			opened = append(opened, c.Name)
		}
	}
	if !slices.Equal(opened, []string{`EX1\EWS (Default Web Site)`}) {
		t.Errorf("opened: %v", opened)
	}
	w.carryOut(t, p)
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		t.Errorf("not converged: %s", ids(again))
	}
	if objectNamed(w.contoso, "WebServicesVirtualDirectory", `EX1\EWS (Default Web Site)`)["MRSProxyEnabled"] != true {
		t.Error("MRSProxy is closed")
	}
	// Undone, it is closed again.
	live, err := w.places["onprem/contoso"].Read(t.Context(), mailboxReplicationProxy)
	if err != nil || len(live) != 1 {
		t.Fatalf("%v, %v", live, err)
	}
	command, err := mailboxReplicationProxy.Command(change.Delete, "", nil, &live[0])
	if err != nil || command.Parameters["MRSProxyEnabled"] != false {
		t.Errorf("%v, %v", command, err)
	}
}
