package deployment

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Snapshot is what a run read of all systems.
type Snapshot = snapshot.Snapshot

// ErrSnapshot says that a file is not a snapshot that this version reads.
var ErrSnapshot = snapshot.ErrFormat

// ReadSnapshot reads a snapshot.
func ReadSnapshot(in io.Reader) (Snapshot, error) { return snapshot.Decode(in) }

// Collect reads what all checks and the plan read, and returns it. It changes nothing. The clock
// stands still meanwhile, so that the snapshot has one.
func (d *Deployment) Collect(ctx context.Context, obs observe.Observer) (Snapshot, error) {
	clock, only, skip := d.now, d.options.Only, d.options.Skip
	defer func() { d.tape, d.now, d.options.Only, d.options.Skip = nil, clock, only, skip }()
	at := d.now()
	d.tape, d.now = snapshot.Record(fact.Errors()), func() time.Time { return at }
	d.options.Only, d.options.Skip = nil, nil
	d.workMail.drop() // its client remembers the id of the organization
	if _, err := d.Check(ctx, obs); err != nil {
		return Snapshot{}, err
	}
	// What cannot be planned now cannot be planned from the snapshot either.
	_, _ = d.Plan(ctx, obs)
	if ctx.Err() != nil {
		return Snapshot{}, context.Cause(ctx)
	}
	described, err := json.Marshal(d.answers)
	return Snapshot{
		APIVersion: report.APIVersion, Kind: snapshot.Kind, Hybridge: d.options.Version, TakenAt: at.UTC(),
		Answers: described, Roots: d.tape.Roots(d.roots(), at),
		Readings: snapshot.WithoutSecrets(d.tape.Readings(), d.known()),
	}, err
}

// known are the secrets that this deployment has resolved.
func (d *Deployment) known() []secret.Value {
	d.secretsMu.Lock()
	defer d.secretsMu.Unlock()
	return slices.Collect(maps.Values(d.secrets))
}

// replay prepares a deployment that a snapshot answers.
func (d *Deployment) replay() {
	if s := d.options.Snapshot; s != nil {
		d.tape, d.now = snapshot.Replay(*s, fact.Errors()), func() time.Time { return s.TakenAt }
	}
}

// roots are the trusted authorities.
func (d *Deployment) roots() *x509.CertPool {
	if s := d.options.Snapshot; s != nil {
		pool, _ := s.Pool() // Decode has read it
		return pool
	}
	l, err := d.link.get(context.Background())
	if err != nil {
		return nil
	}
	return l.Roots()
}

// connected keeps that a connection opens, or why it does not.
func connected[T any](ctx context.Context, d *Deployment, place string, system fact.System, c *connection[T]) error {
	if d.files[place] != nil && system == fact.OnPremises {
		_, err := snapshot.Fill(ctx, d.tape, place, string(system), "connect", func(context.Context) (bool, error) {
			return true, nil
		})
		return err
	}
	_, err := snapshot.Read(ctx, d.tape, place, string(system), "connect", func(ctx context.Context) (bool, error) {
		_, err := c.get(ctx)
		return err == nil, err
	})
	return err
}

// The names of places in snapshots, beside those of the forests.
const (
	placeTenant   = string(fact.AtTenant)
	placeWorkMail = string(fact.AtWorkMail)
	placeHere     = "here"
)

// session opens the session of a forest or of the tenant.
func (d *Deployment) session(c *connection[*guarded]) func(context.Context) (exchange.Session, error) {
	return func(ctx context.Context) (exchange.Session, error) {
		if d.tape == nil {
			return opened[exchange.Session](c.get(ctx))
		}
		s := tapedSession{d: d, c: c, place: placeTenant, system: fact.Online}
		for _, f := range d.forests {
			if f.exchange == c {
				s.place, s.system = f.answers.Name, fact.OnPremises
			}
		}
		return s, connected(ctx, d, s.place, s.system, c)
	}
}

// tapedSession is a session whose reads a tape keeps or answers.
type tapedSession struct {
	d      *Deployment
	c      *connection[*guarded]
	place  string
	system fact.System
}

func (s tapedSession) Run(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	run := func(ctx context.Context) ([]exchange.Object, error) {
		session, err := s.c.get(ctx)
		if err != nil {
			return nil, err
		}
		return session.Run(ctx, c)
	}
	switch {
	case c.Reads() && s.d.files[s.place] != nil && s.system == fact.OnPremises:
		return s.d.files[s.place].run(ctx, s, c)
	case c.Reads():
		return snapshot.Read(ctx, s.d.tape, s.place, string(s.system), c.String(), run)
	case s.d.tape.Replays():
		return nil, snapshot.ErrChanges
	}
	return run(ctx)
}

func (s tapedSession) Allowed(ctx context.Context, cmdlets ...string) (map[string]exchange.Allowance, error) {
	asked := slices.Sorted(slices.Values(cmdlets))
	if s.d.files[s.place] != nil && s.system == fact.OnPremises {
		return snapshot.Fill(ctx, s.d.tape, s.place, string(s.system), "Get-Command "+strings.Join(asked, ","),
			func(ctx context.Context) (map[string]exchange.Allowance, error) {
				return exchange.NewSnapshot(nil).Allowed(ctx, asked...)
			})
	}
	return snapshot.Read(ctx, s.d.tape, s.place, string(s.system), "Get-Command "+strings.Join(asked, ","),
		func(ctx context.Context) (map[string]exchange.Allowance, error) {
			session, err := s.c.get(ctx)
			if err != nil {
				return nil, err
			}
			return session.Allowed(ctx, cmdlets...)
		})
}

// Close leaves the session to the deployment that owns it.
func (s tapedSession) Close(context.Context) error { return nil }

// graph opens Microsoft Graph.
func (d *Deployment) graph(ctx context.Context) (*entra.Client, error) {
	if err := connected(ctx, d, placeTenant, fact.Entra, d.tenant.graph); err != nil {
		return nil, err
	}
	return d.tenant.graph.get(ctx)
}

func (d *Deployment) readGraph(ctx context.Context, ask string,
	live func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	return snapshot.Read(ctx, d.tape, placeTenant, string(fact.Entra), ask, live)
}

// claims are those of an access token that hybridge reads.
var claims = []string{"roles", "scp", "idtyp", "wids", "oid"}

// token returns the credential's access token for Microsoft Graph. A tape keeps what its claims
// grant, never the token: one that is made of them again has no signature, and no service takes it.
func (d *Deployment) token(ctx context.Context) (string, error) {
	if d.tape == nil {
		return d.signIn(ctx)
	}
	granted, err := snapshot.Read(ctx, d.tape, placeTenant, string(fact.Entra), "access token",
		func(ctx context.Context) (map[string]any, error) {
			token, err := d.signIn(ctx)
			if err != nil {
				return nil, err
			}
			all, err := oauth.AccessToken{Value: secret.NewValue(token)}.Claims()
			if err != nil {
				return nil, nil // tokens are opaque to clients
			}
			granted := map[string]any{}
			for _, name := range claims {
				if v, ok := all[name]; ok {
					granted[name] = v
				}
			}
			return granted, nil
		})
	if err != nil || granted == nil {
		return "", err
	}
	payload, err := json.Marshal(granted)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + ".", err
}

// amazonWorkMail opens Amazon WorkMail.
func (d *Deployment) amazonWorkMail(ctx context.Context) (desired.WorkMailWriter, error) {
	if err := connected(ctx, d, placeWorkMail, fact.WorkMail, d.workMail); err != nil {
		return nil, err
	}
	api, err := opened[desired.WorkMailWriter](d.workMail.get(ctx))
	if err != nil || d.tape == nil {
		return api, err
	}
	return tapedWorkMail{api, d.tape}, nil
}

func (d *Deployment) readWorkMail(ctx context.Context, ask string,
	live func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	return snapshot.Read(ctx, d.tape, placeWorkMail, string(fact.WorkMail), ask, live)
}

// tapedWorkMail keeps what is read of mailboxes. They are read with a token of AWS, which no tape
// keeps.
type tapedWorkMail struct {
	desired.WorkMailWriter
	tape *snapshot.Tape
}

func (w tapedWorkMail) Folders(ctx context.Context, role, address string) ([]ews.Folder, error) {
	return snapshot.Read(ctx, w.tape, placeWorkMail, string(fact.WorkMail), "folders of "+address+" as "+role,
		func(ctx context.Context) ([]ews.Folder, error) { return w.WorkMailWriter.Folders(ctx, role, address) })
}

// readDirectory opens the directory of a forest.
func (d *Deployment) readDirectory(f *forest) func(context.Context) (fact.Directory, error) {
	return func(ctx context.Context) (fact.Directory, error) {
		if err := connected(ctx, d, f.answers.Name, fact.ActiveDirectory, f.directory); err != nil {
			return nil, err
		}
		if d.tape == nil {
			return opened[fact.Directory](f.directory.get(ctx))
		}
		t := tapedDirectory{d: d, f: f}
		root, err := readDirectory(ctx, t, "rootDSE", func(_ context.Context, live *directory.Forest) (
			directory.RootDSE, error) {
			return live.RootDSE(), nil
		})
		t.root = root
		return t, err
	}
}

// tapedDirectory is a directory whose reads a tape keeps or answers.
type tapedDirectory struct {
	d    *Deployment
	f    *forest
	root directory.RootDSE
}

func readDirectory[T any](ctx context.Context, t tapedDirectory, ask string,
	live func(context.Context, *directory.Forest) (T, error)) (T, error) {
	return snapshot.Read(ctx, t.d.tape, t.f.answers.Name, string(fact.ActiveDirectory), ask,
		func(ctx context.Context) (T, error) {
			forest, err := t.f.directory.get(ctx)
			if err != nil {
				var zero T
				return zero, err
			}
			return live(ctx, forest)
		})
}

func (t tapedDirectory) RootDSE() directory.RootDSE { return t.root }

func (t tapedDirectory) Exchange(ctx context.Context) (*directory.Exchange, error) {
	return readDirectory(ctx, t, "configuration of Exchange",
		func(ctx context.Context, live *directory.Forest) (*directory.Exchange, error) {
			return live.Exchange(ctx)
		})
}

func (t tapedDirectory) Setup(ctx context.Context) (directory.Setup, error) {
	return readDirectory(ctx, t, "schema version and groups of old versions",
		func(ctx context.Context, live *directory.Forest) (directory.Setup, error) { return live.Setup(ctx) })
}

// Users passes on what a pass gave before it failed, and then its error.
func (t tapedDirectory) Users(ctx context.Context) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		users, err := readDirectory(ctx, t, "users",
			func(ctx context.Context, live *directory.Forest) ([]directory.User, error) {
				return allUsers(live.Users(ctx))
			})
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
		if err != nil {
			yield(directory.User{}, err)
		}
	}
}

// allUsers are the users of a pass, and why it ended early.
func allUsers(pass iter.Seq2[directory.User, error]) (users []directory.User, err error) {
	for u, err := range pass {
		if err != nil {
			return users, err
		}
		users = append(users, u)
	}
	return users, nil
}

// creations are what earlier runs made.
func (d *Deployment) creations(ctx context.Context, stateDir string) ([]apply.Creation, error) {
	return snapshot.Read(ctx, d.tape, placeHere, string(fact.Files), "what the journals made",
		func(context.Context) ([]apply.Creation, error) {
			if stateDir == "" {
				return nil, nil
			}
			return apply.Creations(stateDir)
		})
}

// additions are the elements of lists that earlier runs added.
func (d *Deployment) additions(ctx context.Context, stateDir string) ([]apply.Addition, error) {
	return snapshot.Read(ctx, d.tape, placeHere, string(fact.Files), "what the journals added",
		func(context.Context) ([]apply.Addition, error) {
			if stateDir == "" {
				return nil, nil
			}
			return apply.Additions(stateDir, Kinds())
		})
}

// Names are the replaced words of a redacted snapshot.
type Names = snapshot.Names

// Redact returns a snapshot with other names, and the names.
func Redact(s Snapshot) (Snapshot, Names, error) { return snapshot.Redact(s) }
