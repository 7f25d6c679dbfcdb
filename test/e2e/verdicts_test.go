package e2e

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// healthy is the row of a lab without a fault.
const healthy = "no fault"

// blind says why a client does not see what hybridge says of a lookup, by fault and client.
var blind = map[string]map[string]string{
	"servers.no-windows-authentication": {
		"DavMail": "it signs in with Basic, which the server takes; the answers give hybridge an account for NTLM",
	},
}

// TestClientsAgreeWithTheVerdict plants faults, sets up hybrid, and requests the same calendars of
// the same servers with exchangelib and DavMail. A lookup that works here works there: the client
// shows the calendar that the person has, and none of a person who does not exist. One that fails
// here fails there. It prints a table with VERDICTS=all, which takes every fault of the lab.
func TestClientsAgreeWithTheVerdict(t *testing.T) {
	all := os.Getenv("VERDICTS") == "all"
	faults := []lab.Fault{{ID: healthy}}
	for _, f := range lab.Faults() {
		some := len(f.Turns) == 0 || strings.HasPrefix(f.ID, "lookup.") || slices.Contains([]string{
			"tenant.mailbox-closed", "servers.clock-wrong", "servers.proxy-wrong"}, f.ID)
		if all || some && !f.Passes && !f.Message && !f.ByChance {
			faults = append(faults, f)
		}
	}
	first, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	desks := 1
	if all {
		desks = 3 // most of a set-up is waiting
	}
	queue := make(chan lab.Fault, len(faults))
	for _, f := range faults {
		queue <- f
	}
	close(queue)
	rows := map[string]row{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range desks {
		d := openDesk(t, first)
		group.Go(func() {
			for f := range queue {
				t.Run(f.ID, func(t *testing.T) {
					r := d.compare(t, f)
					mu.Lock()
					defer mu.Unlock()
					rows[f.ID] = r
				})
			}
		})
	}
	group.Wait()

	seen, unseen, table := map[string]int{}, 0, []string{}
	for _, f := range faults {
		r, ran := rows[f.ID]
		if !ran { // -run left it out, or it failed
			continue
		}
		table = append(table, fmt.Sprintf("%-34s  %-72s  %-60s  %s", f.ID, r.verdict, r.said["exchangelib"],
			r.said["DavMail"]))
		if len(r.seen) == 0 && f.ID != healthy {
			unseen++
		}
		for client := range r.seen {
			seen[client]++
		}
		for client := range blind[f.ID] {
			if !r.blind[client] {
				t.Errorf("%s: %s agrees now: delete its reason", f.ID, client)
			}
		}
	}
	t.Logf("\n%-34s  %-72s  %-60s  %s\n%s", "FAULT", "HYBRIDGE", "EXCHANGELIB", "DAVMAIL", strings.Join(table, "\n"))
	t.Logf("of %d faults, exchangelib sees %d and DavMail %d; %d show in no lookup that one of them can make",
		len(rows)-1, seen["exchangelib"], seen["DavMail"], unseen)
	floor := 5
	if all {
		floor = 30
	}
	if len(rows) == len(faults) && (seen["exchangelib"] < floor || seen["DavMail"] < floor) {
		t.Errorf("less than %d: is this test looking?", floor)
	}
}

// row is what a fault brought.
type row struct {
	verdict string
	said    map[string]string // by client
	seen    map[string]bool   // clients for which a lookup failed that fails here
	blind   map[string]bool   // clients that differ, with a reason
}

// desk is where both clients are open; DavMail once for each host.
type desk struct {
	first       *lab.Lab // whose authority the clients trust
	exchangelib *exchangelib
	davMail     map[string]*davMail
}

func openDesk(t *testing.T, first *lab.Lab) *desk {
	t.Helper()
	e := &estate{dir: filepath.Dir(first.Answers())}
	ca := filepath.Join(e.dir, "ca.pem")
	d := &desk{first: first, exchangelib: startExchangelib(t, ca), davMail: map[string]*davMail{}}
	for _, f := range e.facts(t).Forests {
		host := "mail." + f.Domain
		d.davMail[host] = startDavMail(t, ca, host)
	}
	return d
}

type silent struct{}

func (silent) Observe(observe.Event) {}

// server is where a person's lookups begin. probe is hybridge's probe of the same lookups; from is
// the one person of them, empty where it does not matter who looks up.
type server struct {
	place, probe, from                                 string
	host, user, password, scheme, version, application string
}

// compare plants a fault, and compares what hybridge and the clients see of the same servers.
func (d *desk) compare(t *testing.T, f lab.Fault) row {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	o := lab.Options{Dir: t.TempDir(), Users: 20, Under: d.first}
	if f.ID != healthy {
		o.Faults = []string{f.ID}
	}
	began := time.Now()
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	up := time.Now()
	a, err := answers.Load(ctx, l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	var opened []*deployment.Deployment
	defer func() {
		for _, dep := range opened {
			_ = dep.Close(context.WithoutCancel(ctx))
		}
	}()
	open := func() *deployment.Deployment {
		dep, err := deployment.Open(a, deployment.Options{Dir: filepath.Dir(l.Answers()), StateDir: state, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, dep)
		return dep
	}
	dep := open()
	p, err := dep.Plan(ctx, silent{})
	if err == nil {
		_, err = dep.Apply(ctx, p, apply.Options{Accept: []string{"removals", "failed-checks"}}, silent{})
	}
	if err != nil { // some faults stop it; the lookups say the same then
		t.Logf("set-up: %v", err)
	}
	set := time.Now()
	tries := 1
	if f.ByChance { // a load balancer leads connections to the servers in turn
		tries = 4
	}
	report, err := dep.Test(ctx, deployment.TestOptions{}, silent{})
	if err != nil {
		t.Logf("lookups: %v", err)
	}
	for n := range tries - 1 { // over new connections
		if n%2 == 0 {
			for _, f := range a.Forests {
				skipTurn(t, (&estate{dir: filepath.Dir(l.Answers())}).facts(t).Endpoints[f.Namespace.EWS+":443"])
			}
		}
		again, err := open().Test(ctx, deployment.TestOptions{}, silent{})
		if err != nil {
			t.Logf("lookups: %v", err)
		}
		report.Matrix = append(report.Matrix, again.Matrix...)
		report.Verdict = cmp.Or(report.Verdict, again.Verdict)
	}
	looked := time.Now()

	r := row{verdict: "no lookup", said: map[string]string{}, seen: map[string]bool{}, blind: map[string]bool{}}
	e := &estate{dir: filepath.Dir(l.Answers())}
	facts := e.facts(t)
	var verdicts []string
	clients := map[string][]string{}
	for _, s := range e.servers(t, a) {
		var lookups []freebusy.Answer
		mailboxes := []string{}
		for _, v := range report.Matrix {
			if v.Probe == s.probe && strings.HasPrefix(v.Direction, s.place+" ->") &&
				(s.from == "" || s.from == v.From) {
				_, domain, _ := strings.Cut(v.To, "@")
				if slices.Contains(mailboxes, v.To) {
					continue // asked once more
				}
				lookups = append(lookups, v)
				mailboxes = append(mailboxes, v.To, "nobody@"+domain)
			}
		}
		if len(lookups) == 0 {
			continue
		}
		merged, texts := map[string]map[string]string{}, map[string]string{}
		for n := range tries {
			if n%2 == 1 {
				skipTurn(t, facts.Endpoints[s.host+":443"])
			}
			answer := d.exchangelib.ask(t, ewsQuestion{Endpoints: facts.Endpoints,
				URL: "https://" + s.host + "/EWS/Exchange.asmx", Scheme: s.scheme, Version: s.version, User: s.user,
				Password: s.password, Tenant: facts.TenantID, Application: s.application, Mailboxes: mailboxes})
			worse(merged, "exchangelib", answer.Merged)
			texts["exchangelib"] += fmt.Sprint(answer.Texts)
			if dav := d.davMail[s.host]; dav != nil {
				dav.lead(facts.Endpoints[s.host+":443"])
				status, shown := dav.ask(t, s.user, s.password, mailboxes...)
				for _, m := range mailboxes {
					shown[m] = cmp.Or(shown[m], "error "+status)
				}
				worse(merged, "DavMail", shown)
				texts["DavMail"] += dav.said()
			}
		}
		if tries > 1 { // another try, or the probe of a server, says what the first lookup does not
			for i, v := range lookups {
				for _, other := range report.Matrix {
					if v.Status == freebusy.OK && other.Direction == v.Direction && other.Status != freebusy.OK {
						lookups[i].Status, lookups[i].Error = other.Status, other.Probe+": "+other.Error
					}
				}
			}
		}
		for _, v := range lookups {
			verdicts = append(verdicts, v.Direction+" "+string(v.Status))
			for client, calendars := range merged {
				got := calendars[v.To]
				_, domain, _ := strings.Cut(v.To, "@")
				anyone := !strings.HasPrefix(calendars["nobody@"+domain], "error ")
				works := got == lab.Merged(v.To, time.Now()) && !anyone
				switch {
				case works:
					got = "ok"
				case anyone && !strings.HasPrefix(got, "error "):
					got = "anyone is free"
				case !strings.HasPrefix(got, "error "):
					got = "other times"
				}
				clients[client] = append(clients[client], v.Direction+" "+strings.TrimPrefix(got, "error "))
				if v.Status != freebusy.OK && !works {
					r.seen[client] = true
				}
				switch {
				case works == (v.Status == freebusy.OK):
				case blind[f.ID][client] != "":
					r.blind[client] = true
				default:
					t.Errorf("%s, %s: %s says %s: %s\nhybridge says %s: %s", v.Direction, v.To, client, got,
						texts[client], v.Status, v.Error)
				}
			}
		}
	}
	if len(verdicts) > 0 {
		r.verdict = brief(verdicts)
	}
	if report.Verdict != nil && len(report.Verdict.Causes) > 0 {
		r.verdict += ": " + string(report.Verdict.Causes[0].ID)
	}
	for client, what := range clients {
		r.said[client] = brief(what)
	}
	t.Logf("lab %.1f s, set-up %.1f s, lookups %.1f s, clients %.1f s", up.Sub(began).Seconds(), set.Sub(up).Seconds(),
		looked.Sub(set).Seconds(), time.Since(looked).Seconds())
	return r
}

// worse keeps the error of a mailbox where one try brought it, and the calendar otherwise. Of a
// person who does not exist, it keeps a calendar.
func worse(merged map[string]map[string]string, client string, next map[string]string) {
	if merged[client] == nil {
		merged[client] = map[string]string{}
	}
	for mailbox, got := range next {
		isError := strings.HasPrefix(got, "error ")
		if before, ok := merged[client][mailbox]; !ok || isError != strings.HasPrefix(before, "error ") &&
			isError != strings.HasPrefix(mailbox, "nobody@") {
			merged[client][mailbox] = got
		}
	}
}

// skipTurn takes one turn of a load balancer.
func skipTurn(t *testing.T, address string) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Log(err)
		return
	}
	_ = c.Close()
}

// brief names the lookups that are not ok, and counts the others.
func brief(lookups []string) string {
	ok := 0
	var out []string
	for _, l := range lookups {
		if strings.HasSuffix(l, " ok") {
			ok++
		} else {
			out = append(out, l)
		}
	}
	return strings.Join(append(out, fmt.Sprintf("%d ok", ok)), ", ")
}

// servers are where the lookups of a lab begin that a mail client makes: EWS of each forest, of
// WorkMail, and of the tenant, which hybridge asks through Microsoft Graph.
func (e *estate) servers(t *testing.T, a answers.Answers) (all []server) {
	t.Helper()
	facts := e.facts(t)
	for _, f := range facts.Forests {
		all = append(all, server{place: f.Name, probe: "ews", host: "mail." + f.Domain, user: f.User,
			password: e.secret(t, f.Password), scheme: "ntlm"})
	}
	if w := a.WorkMail; w != nil && w.Account != nil {
		all = append(all, server{place: "workmail", probe: "ews", host: "ews.mail." + w.Region + ".awsapps.com",
			user: w.Account.User, password: e.secret(t, string(w.Account.Password)), scheme: "basic",
			version: "2010_SP2"})
	}
	for _, f := range facts.Forests {
		if facts.Archiver != "" && f.Remote != "" {
			all = append(all, server{place: "online", probe: "graph", from: f.Remote, host: "outlook.office365.com",
				user: f.Remote, password: e.secret(t, "secrets/archiver"), scheme: "oauth",
				application: facts.Archiver})
		}
	}
	return all
}
