// Package deployment is one opened deployment: the answers and their connections, which open on
// first use. The verbs and the wizard call it and nothing below it.
package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Options for Open.
type Options struct {
	Dir      string // paths in the answers are relative to it
	StateDir string
	// Parallel limits the forests and hosts that are asked at once. 0: 4 for checks, all for plans.
	Parallel int
	Only     []string // globs of check ids (Check) or change ids (Plan)
	Skip     []string
	Forests  []string      // only changes of these forests, and what they need (Plan)
	Domains  []string      // only changes in which one of these domains is, and what they need (Plan)
	Timeout  time.Duration // of one remote call; when 0, 30 s, but for cmdlets, which may take some minutes
	Version  string
	Log      *slog.Logger
	// Prompt asks a person for a secret (the "prompt" reference, the device code); nil when the
	// session is not interactive.
	Prompt func(ctx context.Context, label string) (secret.Value, error)
	// Say shows a message that requires an action of the person (the device code); nil when the
	// session is not interactive.
	Say func(text string)
	// SignIn shows the device code in the place of Say. What it returns is called when the sign-in is
	// over.
	SignIn func(SignIn) (over func())
	// SignIns keeps that sign-in for the next deployment; nil: each asks the person.
	SignIns *SignIns
	// Now is the clock of dates and lifetimes; time.Now when nil.
	Now func() time.Time
	// Snapshot answers in the place of all systems; nil: the systems answer.
	Snapshot *Snapshot
	// Restore is what Microsoft's wizard overwrote, and what Plan gives back where it can.
	Restore []Overwritten
}

// Deployment is safe for one verb at a time.
type Deployment struct {
	answers answers.Answers
	options Options
	cloud   cloud.Cloud
	now     func() time.Time
	rules   []check.Rule // what the answers say about findings

	tape  *snapshot.Tape       // of Collect, or of the snapshot that answers; else nil
	files map[string]*exported // of Import, by forest; else nil

	names    *dns.Client
	link     *connection[*link.Link]
	tenant   tenant
	workMail *connection[*workmail.Client]
	forests  []*forest

	secretsMu sync.Mutex
	secrets   map[string]secret.Value
	exposed   sync.Map // paths of files that warnExposed looked at

	ticketsMu sync.Mutex
	tickets   []*kerberos.Client // of every session so far: each holds keys until it is closed

	planned  planned // the last plan
	rotation string  // digest of the last plan of Rotate
	decided  decided // the last checks that decided why lookups fail

	observerMu sync.Mutex
	observer   observe.Observer // of the verb that runs
	unheard    []observe.Event  // warnings from between verbs
}

// planned is what a plan was made from.
type planned struct {
	digest string
	facts  *fact.Set
	at     time.Time
}

// recent is how long the facts of a plan serve Recheck.
const recent = time.Minute

// TestOptions say which lookups to ask, and for how long.
type TestOptions struct {
	From, To string        // restrict the pairs
	Sample   int           // when not 0: mailboxes per forest and side, in the place of the answers' pairs
	UntilOK  time.Duration // repeat until every lookup is ok, or until this has passed
	Marker   bool          // put an appointment of hybridge's own into the mailboxes that are asked about
	Message  bool          // send a message for each pair instead of a lookup
	Wait     time.Duration // for each message; three minutes when 0
}

// Open prepares a deployment without connecting.
func Open(a answers.Answers, o Options) (*Deployment, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	rules, err := prereq.Rules(a)
	if err != nil {
		return nil, err
	}
	d := &Deployment{answers: a, options: o, now: o.Now, rules: rules, secrets: map[string]secret.Value{}}
	if online := a.ExchangeOnline; online != nil {
		id := online.Cloud
		if id == "" {
			id = "worldwide"
		}
		c, ok := cloud.Get(id)
		if !ok {
			return nil, fmt.Errorf("exchangeOnline.cloud: there is no cloud %q; there are %s", id,
				strings.Join(cloud.IDs(), ", "))
		}
		var err error
		if d.cloud, err = c.With(online.Hosts); err != nil {
			return nil, fmt.Errorf("exchangeOnline.hosts: %w", err)
		}
	}
	d.replay()
	d.connect()
	return d, nil
}

// Close ends all sessions in parallel within ten seconds, even when ctx is done.
func (d *Deployment) Close(ctx context.Context) error { return d.disconnect(ctx) }

// Kinds returns the kinds of resources by noun.
func Kinds() map[string]*change.Kind {
	out := map[string]*change.Kind{}
	for _, k := range desired.Kinds() {
		out[k.Noun] = k
	}
	return out
}

// Script is one file of a plan that is written as PowerShell.
type Script = desired.Script

// The folder of the scripts that undo the others, and the runbook.
const (
	RollbackFolder = desired.RollbackFolder
	RunbookFile    = desired.RunbookFile
)

// Scripts renders a plan as PowerShell; see desired.Scripts. It looks up what each script verifies
// before its first change.
func (d *Deployment) Scripts(ctx context.Context, p change.Plan) ([]Script, error) {
	set := d.facts()
	sites, err := desired.Sites(ctx, set, p)
	if err != nil {
		return nil, err
	}
	if p.Digest == d.rotation { // its notes say what a person does on Edge servers
		return desired.Scripts(p, sites), nil
	}
	edge, err := desired.EdgeScripts(ctx, set, p)
	return append(desired.Scripts(p, sites), edge...), err
}

// Runbook says in Markdown how to run the scripts of a plan; see desired.Runbook.
func (d *Deployment) Runbook(ctx context.Context, p change.Plan, role string) ([]byte, error) {
	if role == RoleNetwork {
		return d.networkRunbook(p), nil
	}
	set := d.facts()
	sites, err := desired.Sites(ctx, set, p)
	if err != nil {
		return nil, err
	}
	if p.Digest == d.rotation {
		return desired.Runbook(p, sites, role), nil
	}
	edge, err := desired.EdgeRunbook(ctx, set, role)
	return append(desired.Runbook(p, sites, role), edge...), err
}

// Observe logs an event and passes it to the observer of the running verb, one at a time.
func (d *Deployment) Observe(e observe.Event) {
	d.observerMu.Lock()
	defer d.observerMu.Unlock()
	if d.observer == nil {
		if _, ok := e.(observe.Warning); ok {
			d.unheard = append(d.unheard, e)
		}
		return
	}
	if d.options.Log != nil {
		level := slog.LevelInfo
		switch e.(type) {
		case observe.Progress:
			level = slog.LevelDebug
		case observe.Warning:
			level = slog.LevelWarn
		}
		data, _ := json.Marshal(e) // as in JSON lines; holds no secret
		d.options.Log.Log(context.Background(), level, e.Event(), "data", string(data))
	}
	d.observer.Observe(e)
}

func (d *Deployment) warn(text string) {
	d.Observe(observe.Warning{Text: text})
}

// begin starts a verb. It prepares new facts, forgets the failures of the last verb, and passes
// pending warnings to the observer. The returned function ends the verb.
func (d *Deployment) begin(obs observe.Observer) (facts *fact.Set, end func()) {
	d.observerMu.Lock()
	d.observer = obs
	unheard := d.unheard
	d.unheard = nil
	d.observerMu.Unlock()
	for _, e := range unheard {
		d.Observe(e)
	}
	d.renew()
	if hosts := d.answers.Network.InsecureHosts; len(hosts) > 0 && !d.tape.Replays() {
		d.warn("certificates are not verified for " + strings.Join(hosts, ", ") +
			" (network.insecureHosts): an attacker on the way can read and change everything")
	}
	return d.facts(), func() {
		d.observerMu.Lock()
		d.observer = nil
		d.observerMu.Unlock()
	}
}

// Check runs the prerequisite checks.
func (d *Deployment) Check(ctx context.Context, obs observe.Observer) (check.Report, error) {
	facts, end := d.begin(obs)
	defer end()
	o := d.checking()
	o.Only, o.Skip = d.options.Only, d.options.Skip
	r, err := prereq.Run(ctx, facts, o, d)
	r.Picture = prereq.Picture(facts, r.Results)
	return r, err
}

// CheckAgain runs one check again, in every scope. It reads what the check needs anew.
func (d *Deployment) CheckAgain(ctx context.Context, id check.ID, obs observe.Observer) (check.Report, error) {
	facts, end := d.begin(obs)
	defer end()
	o := d.checking()
	o.Only = []string{string(id)}
	return prereq.Run(ctx, facts, o, d)
}

// checking are the options of every run of checks.
func (d *Deployment) checking() check.Options {
	return check.Options{Parallel: d.options.Parallel, Rules: d.rules, Now: d.now}
}

// FixScripts returns the PowerShell scripts that repair findings in the directory, by file name.
func FixScripts(findings []check.Finding) map[string]string { return prereq.FixScripts(findings) }

// Plan compares the desired state with the live state. It leaves out what depends on unreadable
// facts, and lists it in the plan. When nothing can be planned, the error says what is unknown. It
// wraps one of the link.Err classes, desired.ErrUnknown or change.ErrUnreadable.
func (d *Deployment) Plan(ctx context.Context, obs observe.Observer) (change.Plan, error) {
	narrowed, err := d.narrowed()
	if err != nil {
		return change.Plan{}, err
	}
	facts, end := d.begin(obs)
	defer end()
	d.warm(ctx, facts)
	derived, err := desired.Derive(ctx, facts)
	if err != nil {
		return change.Plan{}, err
	}
	resources, left := derived.Resources, derived.LeftOut
	switch {
	case len(resources)+len(left) > 0, d.answers.Hybrid.IsLeaving():
	case facts.Tenant == nil && facts.WorkMail == nil:
		d.warn("nothing is planned: the answers file names no cloud (exchangeOnline, workmail), and nothing is " +
			"configured between forests yet")
	default:
		d.warn("nothing is planned: no forest takes part in the interoperability with WorkMail (forests[].workmail)")
	}
	unwanted, err := d.unwanted(ctx, facts, resources, left)
	if err != nil {
		return change.Plan{}, err
	}
	if resources, err = d.shrunk(ctx, facts, resources); err != nil {
		return change.Plan{}, err
	}
	resources = append(resources, unwanted...)
	places := d.readers(facts)
	if len(d.options.Restore) > 0 {
		restored := desired.Restore(ctx, facts, places, resources, d.options.Restore, d.options.Forests)
		resources, left = restored.Resources, append(left, restored.LeftOut...)
		derived.Notes = append(derived.Notes, restored.Notes...)
	}
	plan, err := change.Make(ctx, places, resources, change.Options{
		Parallel: d.options.Parallel, Only: d.options.Only, Skip: d.options.Skip, Observer: d, LeftOut: left,
		Parts: d.options.Forests, Mentions: d.options.Domains, Notes: append(derived.Notes, narrowed...),
	})
	d.planned = planned{plan.Digest, facts, time.Now()}
	return plan, err
}

// Recheck runs the checks that the changes of a plan depend on. It uses the facts of the plan where
// this deployment has just made it.
func (d *Deployment) Recheck(ctx context.Context, p change.Plan, obs observe.Observer) (check.Report, error) {
	facts, end := d.begin(obs)
	defer end()
	if d.planned.digest == p.Digest && time.Since(d.planned.at) < recent {
		facts = d.planned.facts
	}
	return prereq.Recheck(ctx, facts, p, d.checking(), d)
}

// warm looks up the facts of the forests and the tenant in parallel.
func (d *Deployment) warm(ctx context.Context, f *fact.Set) {
	var wait sync.WaitGroup
	defer wait.Wait()
	if f.WorkMail != nil {
		wait.Go(func() { _, _ = fact.WorkMailOrganization.In(ctx, f.WorkMail) })
	}
	if f.Tenant == nil {
		return
	}
	wait.Go(func() { _, _ = fact.Tenant.In(ctx, f.Tenant) })
	wait.Go(func() { _, _ = fact.OnlineConfig.In(ctx, f.Tenant) })
	for _, forest := range f.Forests {
		wait.Go(func() { _, _ = fact.Organization.In(ctx, forest) })
		wait.Go(func() { _, _ = fact.Auth.In(ctx, forest) })
	}
}

// readers are the systems that hold resources, for reading: what the facts have read is not read
// again.
func (d *Deployment) readers(f *fact.Set) map[string]change.Reader {
	out := desired.Reading(f)
	if d.answers.ExchangeOnline != nil {
		out[desired.PlaceEntra] = change.NewReader(desired.PlaceEntra, desired.MicrosoftGraph,
			d.directory(f, apply.Options{StateDir: d.options.StateDir}))
	}
	return out
}

// places returns the systems that hold resources.
func (d *Deployment) places(f *fact.Set, o apply.Options) map[string]change.Place {
	out := map[string]change.Place{}
	if d.answers.ExchangeOnline != nil {
		out[desired.PlaceOnline] = change.NewPlace(desired.PlaceOnline, desired.Exchange, d.session(d.tenant.online),
			d.warn)
		out[desired.PlaceEntra] = change.NewPlace(desired.PlaceEntra, desired.MicrosoftGraph, d.directoryWriter(f, o),
			d.warn)
	}
	if d.answers.WorkMail != nil {
		out[desired.PlaceWorkMail] = change.NewPlace(desired.PlaceWorkMail, desired.AmazonWorkMail,
			d.amazonWorkMail, d.warn)
	}
	for _, forest := range d.forests {
		name := desired.PlaceForest(forest.answers.Name)
		out[name] = change.NewPlace(name, desired.Exchange, d.session(forest.exchange), d.warn)
	}
	return out
}

// Apply carries out a plan. It returns apply.ErrStale when the live state has changed since the
// plan.
func (d *Deployment) Apply(ctx context.Context, p change.Plan, o apply.Options, obs observe.Observer) (apply.Report,
	error) {
	if d.answers.ValidateOnly {
		return apply.Report{}, ErrValidateOnly
	}
	facts, end := d.begin(obs)
	defer end()
	o = d.applying(o, facts)
	return apply.Run(ctx, d.places(facts, o), Kinds(), p, o, d)
}

// Rollback undoes a run: the newest when runID is empty.
func (d *Deployment) Rollback(ctx context.Context, runID string, o apply.Options, obs observe.Observer) (apply.Report,
	error) {
	if d.answers.ValidateOnly {
		return apply.Report{}, ErrValidateOnly
	}
	facts, end := d.begin(obs)
	defer end()
	o = d.applying(o, facts)
	return apply.Rollback(ctx, d.places(facts, o), Kinds(), runID, o, d)
}
