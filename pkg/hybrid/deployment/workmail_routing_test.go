package deployment

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// TestRouteToWorkMail disconnects the mailbox of a user who moves to WorkMail, with consent, keeps
// the addresses, converges, and connects the mailbox again. An apply is interrupted at every step.
func TestRouteToWorkMail(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: 1,
		Clouds: []string{lab.WorkMail}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Deployment {
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(t.Context()) })
		return d
	}
	d := open()
	session, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	people := func(kind string) (out []exchange.Object) {
		found, err := session.Run(t.Context(), exchange.Command{Name: "Get-Recipient",
			Parameters: map[string]any{"RecipientTypeDetails": []any{kind}, "ResultSize": "Unlimited"}})
		if err != nil && !errors.Is(err, exchange.ErrNotFound) {
			t.Fatal(err)
		}
		return found
	}
	text := func(o exchange.Object, name string) string { s, _ := exchange.Optional(o.String(name)); return s }
	// A mailbox with more than one address and an attribute of its own.
	var moves string
	for _, o := range people("UserMailbox") {
		if text(o, "SamAccountName") != "" && !strings.HasPrefix(text(o, "SamAccountName"), "svc-") {
			moves = text(o, "PrimarySmtpAddress")
		}
	}
	account, _, _ := strings.Cut(moves, "@")
	if _, err := session.Run(t.Context(), exchange.Command{Name: "Set-Mailbox", Parameters: map[string]any{
		"Identity": moves, "CustomAttribute7": "seven", "EmailAddresses": []any{"SMTP:" + moves, "smtp:old-" + moves,
			"X400:C=US;S=" + account}}}); err != nil {
		t.Fatal(err)
	}
	before := addressesOf(t, d, []string{moves})[moves]

	a.WorkMail.Users, a.WorkMail.Routed = append(a.WorkMail.Users, moves), []string{moves}
	d = open()
	ctx := t.Context()
	first, err := d.Plan(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(first.LeftOut, func(l change.LeftOut) bool {
		return l.Place == moves && strings.Contains(l.Reason.String(), "not registered")
	}) {
		t.Errorf("left out: %+v", first.LeftOut)
	}
	if _, err := d.Apply(ctx, first, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	plan, err := d.Plan(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"RoutedRecipient replace": 1, "MailUserAddresses create": 1,
		"RemoteDomain create": 1, "RemoteDomainFormat create": 1}, count(plan)); diff != "" {
		t.Fatalf("%s\n%+v", diff, plan.LeftOut)
	}
	var refused *apply.NotAccepted
	if _, err := d.Apply(ctx, plan, apply.Options{}, &events{}); !errors.As(err, &refused) ||
		refused.ID != desired.AcceptMailboxDisconnect {
		t.Errorf("without consent: %v", err)
	}
	if got := addressesOf(t, d, []string{moves})[moves]; !slices.Equal(got, before) {
		t.Errorf("written without consent: %v", got)
	}
	accept := apply.Options{Accept: []string{desired.AcceptMailboxDisconnect}}
	var done apply.Report
	for after, cuts := 0, 0; ; after, cuts = (after+1)%3, cuts+1 {
		cut, cancel := context.WithCancel(ctx)
		done, err = d.Apply(cut, plan, accept, &interrupted{after, cancel})
		cancel()
		if err == nil {
			break
		}
		if cuts > 30 {
			t.Fatalf("%v: %+v", err, done)
		}
	}
	var user exchange.Object
	for _, o := range people("MailUser") {
		if text(o, "PrimarySmtpAddress") == moves {
			user = o
		}
	}
	if text(user, "ExternalEmailAddress") != "SMTP:"+text(user, "SamAccountName")+"@contoso.awsapps.com" ||
		text(user, "CustomAttribute7") != "seven" {
		t.Errorf("%+v", user)
	}
	for _, address := range before {
		if got := addressesOf(t, d, []string{moves})[moves]; !slices.Contains(got, address) {
			t.Errorf("%s is lost: %v", address, got)
		}
	}
	domains, err := session.Run(ctx, exchange.Command{Name: "Get-RemoteDomain"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(domains, func(o exchange.Object) bool {
		v, err := o.Bool("TNEFEnabled")
		return text(o, "DomainName") == "contoso.awsapps.com" && err == nil && !v
	}) {
		t.Errorf("%v", domains)
	}
	again, err := d.Plan(ctx, &events{})
	if err != nil || len(again.Changes)+len(again.LeftOut) > 0 {
		t.Errorf("again: %v, %+v, %v", changed(again), again.LeftOut, err)
	}
	report, err := d.Check(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, unknown := found(report); len(failed)+len(unknown) > 0 {
		t.Errorf("%v, %v", failed, unknown)
	}
	undone, err := d.Rollback(ctx, done.RunID, apply.Options{}, &events{})
	if err != nil || undone.Summary.Failed > 0 {
		t.Errorf("%v: %+v", err, undone)
	}
	if got := addressesOf(t, d, []string{moves})[moves]; !slices.Equal(got, before) {
		t.Errorf("after the rollback: %v, want %v", got, before)
	}
	for _, o := range people("UserMailbox") {
		if text(o, "PrimarySmtpAddress") == moves && text(o, "CustomAttribute7") == "seven" {
			return
		}
	}
	t.Error("after the rollback there is no mailbox with its attribute")
}

// TestNotRouted names what keeps a mailbox from being disconnected.
func TestNotRouted(t *testing.T) {
	d := openLab(t, lab.Options{Forests: 1, Clouds: []string{lab.WorkMail}})
	w := d.answers.WorkMail
	session, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := session.Run(t.Context(), exchange.Command{Name: "Get-Mailbox",
		Parameters: map[string]any{"ResultSize": "Unlimited"}})
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for i, setting := range []map[string]any{{"LitigationHoldEnabled": true}, {"RetentionHoldEnabled": true}} {
		address, _ := found[len(found)-1-i].String("PrimarySmtpAddress")
		setting["Identity"] = address
		if _, err := session.Run(t.Context(), exchange.Command{Name: "Set-Mailbox", Parameters: setting}); err != nil {
			t.Fatal(err)
		}
		held = append(held, address)
	}
	w.Users = append(w.Users, held...)
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	w.Routed = append(held, w.Account.User)
	plan, err = d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(plan); n["RoutedRecipient replace"] > 0 {
		t.Errorf("%v", n)
	}
	for _, address := range held {
		if !slices.ContainsFunc(plan.LeftOut, func(l change.LeftOut) bool {
			return l.Place == address && strings.Contains(l.Reason.String(), "on hold")
		}) {
			t.Errorf("%s: %+v", address, plan.LeftOut)
		}
	}
}

// TestNoOrganization plans nothing in WorkMail where the account has no such organization, makes
// none without its directory in the answers, and says how many days are left.
func TestNoOrganization(t *testing.T) {
	d := openLab(t, lab.Options{Forests: 1, Clouds: []string{lab.WorkMail}})
	d.answers.WorkMail.Organization = "woodgrove"
	plan, err := d.Plan(t.Context(), &events{})
	if err == nil || len(plan.Changes) > 0 {
		t.Fatalf("%v, %v", changed(plan), err)
	}
	for _, want := range []string{`no organization "woodgrove"`, "names its AD Connector (workmail.directory)", "ends in "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
}
