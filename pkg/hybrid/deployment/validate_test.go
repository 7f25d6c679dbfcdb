package deployment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// writes records requests that write: operations of EWS and methods of Graph.
type writes struct {
	mu   sync.Mutex
	seen []string
}

func (q *writes) weather(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		path := strings.ToLower(r.URL.Path)
		var what string
		switch {
		case strings.HasPrefix(r.Host, "graph.") && r.Method != http.MethodGet && !strings.HasSuffix(path, "/getschedule") &&
			!strings.HasSuffix(path, "/getmailtips") && !strings.HasSuffix(path, "/$batch"):
			what = r.Method + " " + path
		case path == "/ews/exchange.asmx":
			for _, operation := range []string{"CreateItem", "DeleteItem", "UpdateItem", "SendItem", "CreateFolder"} {
				if bytes.Contains(body, []byte("<m:"+operation)) {
					what = operation
				}
			}
		}
		if what != "" {
			q.mu.Lock()
			q.seen = append(q.seen, what)
			q.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// readyLab is a lab whose plan is applied, and what writes it has seen since.
func readyLab(t *testing.T, faults ...string) (*Deployment, *lab.Lab, *writes) {
	t.Helper()
	dir, seen := t.TempDir(), &writes{}
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 12, Faults: faults, Weather: seen.weather})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(a, Options{Dir: dir, StateDir: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	quiet := observe.Func(func(observe.Event) {})
	p, err := d.Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	consent := apply.Options{StateDir: d.options.StateDir}
	for _, c := range Consents() {
		consent.Accept = append(consent.Accept, c.ID)
	}
	if _, err := d.Apply(t.Context(), p, consent, quiet); err != nil {
		t.Fatal(err)
	}
	seen.seen = nil
	return d, l, seen
}

// Each subject of validate works on a healthy lab, writes nothing, and needs no other rights than
// those that it lists.
func TestValidateReadsWithTheRightsThatItLists(t *testing.T) {
	d, l, seen := readyLab(t)
	pair := d.answers.Tests.Pairs[0]
	for _, s := range Subjects() {
		o := ValidateOptions{Subject: s.ID}
		switch s.ID {
		case "freebusy":
			o.From, o.To, o.Both = pair.From, pair.To, true
		case "user":
			o.User = pair.To
		case "domain":
			o.Domain = d.answers.Forests[0].Domains[0]
		}
		before := l.Runs()
		start := time.Now()
		v, err := d.Validate(t.Context(), o, observe.Func(func(observe.Event) {}))
		if err != nil || v.Verdict.Status != freebusy.OK || v.Verdict.Text.String() == "" {
			t.Errorf("%q: %v %+v", s.ID, err, v.Verdict)
		}
		t.Logf("%q: %s: %s", s.ID, time.Since(start), v.Verdict.Text)
		rights := leastRights(s)
		if len(s.Checks) > 0 || s.ID == "" {
			for _, source := range prereq.Sources(s.Checks...) { // also what is read where the account may
				rights[source.System] = append(rights[source.System], source.Ask)
			}
		}
		for call, n := range l.Runs() {
			side, cmdlet, _ := strings.Cut(call, " ")
			if n == before[call] {
				continue
			}
			system := fact.OnPremises
			if side == "online" {
				system = fact.Online
			}
			if cmdlet != "get-command" && !slices.ContainsFunc(rights[system], func(right string) bool {
				return slices.ContainsFunc(strings.Split(right, " or "), func(one string) bool {
					return strings.EqualFold(one, cmdlet)
				})
			}) {
				t.Errorf("%q runs %s, which it does not list", s.ID, call)
			}
		}
	}
	if len(seen.seen) > 0 {
		t.Errorf("validate wrote: %v", seen.seen)
	}
}

// Sessions for reading refuse cmdlets that write before a request leaves.
func TestReadingClientsDoNotWrite(t *testing.T) {
	d, l, seen := readyLab(t)
	facts := d.facts()
	before := l.Runs()
	for _, side := range []*fact.Side{facts.Forests[0], facts.Tenant} {
		s, err := side.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Set-OrganizationConfig", "New-SendConnector", "Remove-Mailbox", "Test-Mailflow",
			"Enable-OrganizationCustomization", "Start-ManagedFolderAssistant"} {
			if _, err := s.Read(t.Context(), exchange.Command{Name: name}); !errors.Is(err, exchange.ErrReadOnly) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, can := s.(exchange.Session); can {
			t.Errorf("%s: the session for reading is one that runs commands", side.Name())
		}
	}
	g, err := facts.Tenant.Graph(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, can := g.(interface {
		Do(ctx context.Context, method, path string, body any) (map[string]any, error)
	}); can {
		t.Error("Microsoft Graph for reading sends requests of any method")
	}
	for call, n := range l.Runs() {
		if _, cmdlet, _ := strings.Cut(call, " "); n > before[call] && !strings.HasPrefix(cmdlet, "get-") {
			t.Errorf("%s was sent", call)
		}
	}
	if len(seen.seen) > 0 {
		t.Errorf("written: %v", seen.seen)
	}
}

// What validate gets has no method that writes: every method that its facts, its premises and its
// places offer is one of these. A new one is added here when it only reads.
func TestValidateGetsNothingThatWrites(t *testing.T) {
	reads := map[string]bool{}
	for _, name := range strings.Fields(`
		Read Allowed Get List Organization Domains VerificationRecords ServicePrincipal
		RootDSE Exchange Setup Users
		Named Domain Groups User Availabilities TestAvailability IdentityMode Directory Roles Exports Folders AccessRules
		Aliases Tokens`) {
		reads[name] = true
	}
	ours := reflect.TypeFor[Deployment]().PkgPath()
	ours = ours[:strings.Index(ours, "/pkg/")]
	met := map[reflect.Type]bool{}
	var walk func(k reflect.Type, way string)
	walk = func(k reflect.Type, way string) {
		if met[k] {
			return
		}
		met[k] = true
		switch k.Kind() {
		case reflect.Func:
			for i := range k.NumOut() {
				walk(k.Out(i), way)
			}
		case reflect.Interface:
			for i := range k.NumMethod() {
				if strings.HasPrefix(k.PkgPath(), ours) && !reads[k.Method(i).Name] {
					t.Errorf("%s: %s has the method %s", way, k, k.Method(i).Name)
				}
			}
		case reflect.Pointer, reflect.Slice, reflect.Map:
			if clients := []reflect.Type{reflect.TypeFor[*ews.Client](), reflect.TypeFor[*entra.Client](),
				reflect.TypeFor[*workmail.Client]()}; slices.Contains(clients, k) {
				t.Errorf("%s is a %s", way, k)
			}
			walk(k.Elem(), way)
		case reflect.Struct:
			if !strings.HasPrefix(k.PkgPath(), ours+"/pkg/hybrid/") {
				return // data, and the network
			}
			for i := range k.NumField() {
				walk(k.Field(i).Type, way+"."+k.Field(i).Name)
			}
		}
	}
	walk(reflect.TypeFor[fact.Clients](), "fact.Clients")
	walk(reflect.TypeFor[freebusy.Premise](), "freebusy.Premise")
	walk(reflect.TypeOf(desired.Reading).Out(0), "desired.Reading")
	if !met[reflect.TypeFor[exchange.Reader]()] || !met[reflect.TypeFor[fact.Graph]()] ||
		!met[reflect.TypeFor[fact.WorkMailAPI]()] || !met[reflect.TypeFor[change.Reader]()] {
		t.Error("the walk met no clients")
	}
	// validate itself takes nothing else of the deployment.
	writers := regexp.MustCompile(`\bd\.(session|places|directoryWriter|amazonWorkMail|mailboxes|diaries|posts|premisesOf|tenant|workMail)\b|` +
		`\.exchange\.get\b`)
	for _, file := range []string{"validate.go", "validate_user.go", "validation.go", "diagnosis.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := writers.FindAllString(string(text), -1); len(found) > 0 {
			t.Errorf("%s takes %v", file, found)
		}
	}
}

// What the sides know about one mailbox is compared.
func TestCompareSides(t *testing.T) {
	const anna = "anna@contoso.com"
	onprem := freebusy.Premise{Name: "contoso", Side: exchange.OnPremises}
	cloud := freebusy.Premise{Name: "online", Side: exchange.Online}
	remote := known{premise: onprem, kind: "RemoteUserMailbox", primary: anna,
		target: "anna@contoso.mail.onmicrosoft.com"}
	mailbox := known{premise: cloud, kind: "UserMailbox", here: true, primary: anna,
		addresses: []string{anna, "Anna@Contoso.mail.onmicrosoft.com"}}
	but := func(k known, change func(*known)) known { change(&k); return k }
	for name, tt := range map[string]struct {
		found  []known
		absent []string
		unsure bool
		says   string // of the failure; "" when all is well
	}{
		"moved": {[]known{remote, mailbox}, nil, false, ""},
		"nobody knows it": {nil, []string{"contoso", "online"}, false,
			"no side knows anna@contoso.com (contoso, online were asked)"},
		"one side could not be asked": {nil, []string{"contoso"}, true, ""},
		"no mailbox":                  {[]known{remote}, []string{"online"}, false, "no side has a mailbox"},
		"no mailbox, unsure":          {[]known{remote}, nil, true, ""},
		"two mailboxes": {[]known{but(mailbox, func(k *known) { k.premise = onprem }), mailbox}, nil, false,
			"two mailboxes, in contoso and in online"},
		"no target": {[]known{but(remote, func(k *known) { k.target = "" }), mailbox}, nil, false,
			"without a target address"},
		"a target that the mailbox does not have": {[]known{but(remote, func(k *known) { k.target = "anna@old.example" }),
			mailbox}, nil, false, "no address of the mailbox in online"},
		"other primary address": {[]known{but(remote, func(k *known) { k.primary = "a@contoso.com" }), mailbox}, nil,
			false, "the primary address is a@contoso.com in contoso"},
		"not synchronized": {[]known{but(mailbox, func(k *known) { k.premise = onprem })}, []string{"online"}, false,
			"online does not know"},
		"only in the cloud":                 {[]known{mailbox}, []string{"contoso"}, false, "contoso does not know"},
		"another forest does not know them": {[]known{remote, mailbox}, []string{"fabrikam"}, false, ""},
	} {
		var failed []string
		for _, r := range compareSides(anna, tt.found, tt.absent, tt.unsure) {
			if r.Status == freebusy.Failed {
				failed = append(failed, r.Text)
			}
		}
		if tt.says == "" && len(failed) > 0 || tt.says != "" && (len(failed) != 1 || !strings.Contains(failed[0], tt.says)) {
			t.Errorf("%s: %q", name, failed)
		}
	}
}

// The verdict is that of what failed; what is unknown comes after it, and never fails.
func TestVerdict(t *testing.T) {
	const cause = "the request failed with HTTP status 403: Forbidden"
	failed := freebusy.Answer{From: "a@x", To: "b@y", Direction: "contoso -> online", Status: freebusy.Failed,
		Error: cause, Diagnosis: freebusy.Suspected(cause, "onprem-to-online")}
	unknown := freebusy.Answer{From: "b@y", To: "a@x", Direction: "online -> contoso", Status: freebusy.Unknown,
		Error: "no right"}
	misspelt, strange := unknown, unknown
	misspelt.Cause = fmt.Errorf("contoso has no recipient a@x: %w", freebusy.ErrNoRecipient)
	strange.Direction, strange.Cause = "? -> ?", fmt.Errorf("a@x %w", freebusy.ErrNoDomain)
	inTenant := &diagnose.Verdict{Causes: []diagnose.Cause{{Diagnosis: diagnose.Diagnosis{ID: "ews.off-online"},
		Evidence: []diagnose.Evidence{{Probe: "lookup", Place: "contoso -> online", Status: "fail"},
			{Probe: "tenant.ews-switch", Place: "tenant", Status: "fail"},
			{Probe: "tenant.ews-switch", Place: "contoso: ex1", Status: "warn"}}}}}
	switched := failed
	switched.Diagnosis = []freebusy.Diagnosis{{ID: "ews.off-online", Confidence: 0.95}}
	late := failed
	late.Status, late.Note = freebusy.Pending, "pending, normal until 14:05"
	bad := check.Result{ID: "certificates.auth", Scope: "contoso", Status: check.StatusFail}
	a := answers.Answers{Forests: []answers.Forest{{Name: "contoso"}}}
	for name, tt := range map[string]struct {
		v                           Validation
		status                      freebusy.Status
		side, owner, cause, verdict string
	}{
		"nothing": {Validation{}, freebusy.OK, "", "", "", "nothing is wrong"},
		"a lookup": {Validation{Matrix: []freebusy.Answer{unknown, failed}}, freebusy.Failed, "contoso", "Exchange",
			"oauth.application-not-active", "a@x does not see b@y: The dedicated hybrid application is not active."},
		"unknown": {Validation{Matrix: []freebusy.Answer{unknown}}, freebusy.Unknown, "online", "", "",
			"whether b@y sees a@x is unknown: no right"},
		"no such address": {Validation{Matrix: []freebusy.Answer{misspelt}}, freebusy.Unknown, "online", "directory", "",
			"whether b@y sees a@x is unknown"},
		"an address of no side": {Validation{Matrix: []freebusy.Answer{strange}}, freebusy.Unknown, "", "", "", ""},
		"a check says which side": {Validation{Matrix: []freebusy.Answer{switched}, Ranked: inTenant}, freebusy.Failed,
			"online", "Exchange", "ews.off-online", ""},
		"pending": {Validation{Matrix: []freebusy.Answer{late}}, freebusy.Pending, "contoso", "", "",
			"a@x does not see b@y yet: pending, normal until 14:05"},
		"a check": {Validation{Checks: &check.Report{Results: []check.Result{bad}}}, freebusy.Failed, "contoso",
			"Exchange", "certificates.auth", ""},
		"a lookup before a check": {Validation{Matrix: []freebusy.Answer{failed}, Checks: &check.Report{
			Results: []check.Result{bad}}}, freebusy.Failed, "contoso", "Exchange", "oauth.application-not-active", ""},
		"a failed check before what is unknown": {Validation{Matrix: []freebusy.Answer{unknown}, Checks: &check.Report{
			Results: []check.Result{bad}}}, freebusy.Failed, "contoso", "Exchange", "certificates.auth", ""},
		"a mailbox": {Validation{Remarks: []Remark{{Side: "contoso", Status: freebusy.Failed, Text: "twice"}}},
			freebusy.Failed, "contoso", "directory", "", "twice"},
	} {
		tt.v.judge(a)
		got := tt.v.Verdict
		if got.Status != tt.status || got.Side != tt.side || got.Owner != tt.owner || got.Cause != tt.cause ||
			!strings.HasPrefix(got.Text.String(), tt.verdict) {
			t.Errorf("%s: %+v", name, got)
		}
		if reach := strings.Contains(got.Next.String(), "make it reachable"); reach != (name == "unknown") {
			t.Errorf("%s: next is %q", name, got.Next)
		}
	}
}

// A domain is named as a whole, not as the end of a longer one.
func TestNames(t *testing.T) {
	for text, want := range map[string]bool{
		"mx of contoso.com is absent": true, "contoso.com": true, "autodiscover.contoso.com": true,
		"mycontoso.com": false, "contoso.com.au": true, "contoso.community": false, "anna@contoso.com": true,
		"fabrikam.com": false,
	} {
		if got := names(text, "Contoso.com"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// With an answers file for looking alone, nothing is applied, rolled back, sent or put into a calendar.
func TestValidateOnly(t *testing.T) {
	d, err := Open(answers.Answers{ValidateOnly: true}, Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	quiet := observe.Func(func(observe.Event) {})
	_, applying := d.Apply(t.Context(), change.Plan{}, apply.Options{}, quiet)
	_, undoing := d.Rollback(t.Context(), "", apply.Options{}, quiet)
	_, sending := d.Test(t.Context(), TestOptions{Message: true}, quiet)
	_, marking := d.Test(t.Context(), TestOptions{Marker: true}, quiet)
	for what, err := range map[string]error{"apply": applying, "rollback": undoing, "message": sending, "marker": marking} {
		if !errors.Is(err, ErrValidateOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := d.Test(t.Context(), TestOptions{}, quiet); errors.Is(err, ErrValidateOnly) {
		t.Error("lookups are refused")
	}
}

// Checks decide between the causes that the text of a failed lookup suggests. In Markdown it is a
// ticket: the verdict, the side, the owner and the next step first.
func TestValidateDecides(t *testing.T) {
	d, _, _ := readyLab(t)
	session, err := d.tenant.online.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Run(t.Context(), exchange.Command{Name: "Set-OrganizationConfig",
		Parameters: map[string]any{"EwsEnabled": false}}); err != nil {
		t.Fatal(err)
	}
	pair := d.answers.Tests.Pairs[0]
	v, err := d.Validate(t.Context(), ValidateOptions{Subject: "freebusy", From: pair.From, To: pair.To},
		observe.Func(func(observe.Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	got := v.Verdict
	if got.Status != freebusy.Failed || got.Cause != "ews.off-online" || got.Confidence == 0 || got.Owner == "" ||
		got.Next.IsZero() || got.Side != "online" || v.Ranked == nil || !v.Ranked.Causes[0].Decided {
		t.Errorf("%+v\n%+v", got, v.Ranked)
	}
	var ticket strings.Builder
	format, _ := report.Named("markdown")
	if err := format.Open(&ticket, report.Options{}).Write(v); err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, part := range []string{"# Free/busy: " + pair.From, "verdict", "side", "cause", "owner", "next", "## Lookups"} {
		at := strings.Index(ticket.String(), part)
		if at <= last {
			t.Errorf("%q is not where a ticket has it:\n%s", part, ticket.String())
			break
		}
		last = at
	}
}
