package desired

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Directory is a tenant's directory as the kinds see it. They read only the dedicated applications
// of these names, what belongs to them, and the names of Exchange Online's service principal:
// nothing else in the tenant is hybridge's business.
type Directory struct {
	Graph
	// Applications are the forests' dedicated applications, as the run read them first. One without
	// an AppID is read by its name.
	Applications func(ctx context.Context) ([]fact.Dedicated, error)
	Now          func() time.Time // what has ended by then is no key any more; the time when nil
	// Pause is how long to wait before a request is put again that the directory is not ready for;
	// 2 s when 0.
	Pause time.Duration
	// Memory is what is known beside what lists show; nil: nothing.
	Memory *Memory
}

// entraPatience is how long something new may be missing from what Entra shows: 30 to 60 seconds
// as a rule, minutes at times.
const entraPatience = 5 * time.Minute

// Creation is an object that a run made, or, without an id, may have made.
type Creation struct {
	Kind, Name string
	ID         string
	Properties change.Properties
	At         time.Time
}

// Memory is what a run knows of a tenant beside what lists show: Entra's lists lag behind by
// minutes, and reading every forest's application again after each write takes as many requests as
// the square of the forests.
type Memory struct {
	Creations func() ([]Creation, error)               // of earlier runs; nil: none
	Patience  time.Duration                            // entraPatience when 0
	Waiting   func(what string, until time.Time)       // learns of each pause; may be nil
	Self      func(ctx context.Context) (string, bool) // object id of the signed-in account; may be nil

	mu      sync.Mutex
	loaded  bool
	made    []Creation
	gone    map[string]bool     // ids of what this run removed
	written map[string]bool     // ids of what this run wrote to
	seen    map[string]recalled // by sort and what it is about
}

// recalled are objects that belong to an application.
type recalled struct {
	name    string // see nameOf
	objects []map[string]any
}

// nameOf is the property under which objects keep the name that a forest's application gets: the
// application itself may be called otherwise.
const nameOf = "dedicated"

// Sorts of objects that Memory keeps.
const (
	sortApplication = "Application"
	sortPrincipal   = "ServicePrincipal"
	sortAssignment  = "AppRoleAssignment"
)

// recall gives what the run read before, unless the reading is about this application.
func (d Directory) recall(
	ctx context.Context, key, name, displayName string, read func() ([]map[string]any, error),
) ([]map[string]any, error) {
	m := d.Memory
	if m == nil {
		return read()
	}
	about := change.IsAbout(ctx)
	m.mu.Lock()
	known, ok := m.seen[key]
	m.mu.Unlock()
	if ok && !isOf(about, name) && !isOf(about, displayName) {
		return known.objects, nil
	}
	objects, err := read()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[string]recalled{}
	}
	m.seen[key] = recalled{name, objects}
	return objects, nil
}

// isOf tells whether the name of a resource is that of an application, or begins with it.
func isOf(name, application string) bool {
	return application != "" && (name == application || strings.HasPrefix(name, application+" "))
}

// creations are the objects of a sort that were made for an application.
func (m *Memory) creations(sort, name string) ([]Creation, error) {
	if m == nil {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.loaded && m.Creations != nil {
		earlier, err := m.Creations()
		if err != nil {
			return nil, err
		}
		m.made = append(earlier, m.made...)
	}
	m.loaded = true
	var out []Creation
	for _, c := range m.made {
		if c.Kind == sort && isOf(c.Name, name) && !m.gone[c.ID] {
			out = append(out, c)
		}
	}
	return out, nil
}

// until is when something that was made at that time must show.
func (m *Memory) until(at time.Time) time.Time {
	if m.Patience > 0 {
		return at.Add(m.Patience)
	}
	return at.Add(entraPatience)
}

// pause waits for what does not show yet; false when its time is over.
func (d Directory) pause(ctx context.Context, what string, until time.Time, try int) (bool, error) {
	left := time.Until(until)
	if left <= 0 {
		return false, nil
	}
	if d.Memory != nil && d.Memory.Waiting != nil {
		d.Memory.Waiting(what, until)
	}
	pause := d.Pause
	if pause == 0 {
		pause = 2 * time.Second
	}
	select {
	case <-time.After(min(pause<<min(try, 2), left)):
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// complete reads a list and adds what was made and is not on it yet. What may have been made, and
// shows nowhere, is waited for: nothing is made a second time before.
func (d Directory) complete(
	ctx context.Context, sort, name string, read func() ([]map[string]any, error), same []string,
	path func(id string) string,
) ([]map[string]any, error) {
	made, err := d.Memory.creations(sort, name)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		list, err := read()
		if err != nil {
			return nil, err
		}
		if d.Memory != nil {
			d.Memory.mu.Lock()
			list = slices.DeleteFunc(list, func(o map[string]any) bool { return d.Memory.gone[str(o["id"])] })
			d.Memory.mu.Unlock()
		}
		var lost *Creation
		for i, c := range made {
			matches := func(o map[string]any) bool {
				return !slices.ContainsFunc(same, func(p string) bool {
					return !strings.EqualFold(str(o[p]), str(c.Properties[p]))
				})
			}
			switch {
			case c.ID == "" && !slices.ContainsFunc(list, matches) && time.Now().Before(d.Memory.until(c.At)):
				lost = &made[i]
			case c.ID == "", slices.ContainsFunc(list, func(o map[string]any) bool { return str(o["id"]) == c.ID }):
			default:
				o, err := d.get(ctx, path(c.ID), c)
				if errors.Is(err, entra.ErrNotFound) {
					continue // removed by others
				}
				if err != nil {
					return nil, err
				}
				if matches(o) {
					list = append(list, o)
				}
			}
		}
		if lost == nil {
			return list, nil
		}
		what := fmt.Sprintf("%s %q may have been made at %s, and does not show yet", sort, lost.Name,
			lost.At.Format(time.TimeOnly))
		again, err := d.pause(ctx, what, d.Memory.until(lost.At), try)
		if err != nil {
			return nil, err
		}
		if !again {
			return list, nil
		}
	}
}

// get reads one object. Of one that was made a moment ago, "not found" means not yet.
func (d Directory) get(ctx context.Context, path string, c Creation) (map[string]any, error) {
	for try := 0; ; try++ {
		o, err := d.Do(ctx, http.MethodGet, path, nil)
		if !errors.Is(err, entra.ErrNotFound) || d.Memory == nil {
			return o, err
		}
		what := fmt.Sprintf("%s %q was made at %s, and does not show yet", c.Kind, c.Name, c.At.Format(time.TimeOnly))
		again, failure := d.pause(ctx, what, d.Memory.until(c.At), try)
		if failure != nil {
			return nil, failure
		}
		if !again {
			return nil, err
		}
	}
}

// applications reads the dedicated applications, and those that have the name of one that is not
// known yet, without their keys.
func (d Directory) applications(ctx context.Context) ([]map[string]any, error) {
	dedicated, err := d.Applications(ctx)
	if err != nil {
		return nil, err
	}
	return each(dedicated, func(a fact.Dedicated) ([]map[string]any, error) {
		filter := entra.Filter("displayName", a.Name)
		if a.AppID != "" {
			filter = entra.Filter("appId", a.AppID)
		}
		read := func() ([]map[string]any, error) {
			list, err := d.List(ctx, "/applications?"+filter+"&$select="+applicationFields)
			return marked(list, a.Name), err
		}
		return d.recall(ctx, sortApplication+" "+a.Name, a.Name, a.DisplayName, func() ([]map[string]any, error) {
			if a.AppID != "" {
				if list, err := read(); err != nil || len(list) > 0 {
					return list, err
				}
			}
			list, err := d.complete(ctx, sortApplication, a.Name, read, []string{"displayName"},
				func(id string) string {
					return "/applications/" + url.PathEscape(id) + "?$select=" + applicationFields
				})
			return marked(list, a.Name), err
		})
	})
}

// marked gives copies of objects the name under nameOf.
func marked(objects []map[string]any, name string) []map[string]any {
	out := make([]map[string]any, len(objects))
	for i, o := range objects {
		out[i] = maps.Clone(o)
		out[i][nameOf] = name
	}
	return out
}

// of reads what belongs to each dedicated application, or to its service principal.
func (d Directory) of(
	ctx context.Context, owners []map[string]any, what string,
	read func(owner map[string]any) ([]map[string]any, error),
) ([]map[string]any, error) {
	return each(owners, func(o map[string]any) ([]map[string]any, error) {
		name, displayName := str(o[nameOf]), str(o["displayName"])
		return d.recall(ctx, what+" "+str(o["id"]), name, displayName, func() ([]map[string]any, error) {
			list, err := read(o)
			return marked(list, name), err
		})
	})
}

// ownedApplications are the applications with their owners, less the account itself, and their
// federated credentials. An account that makes an application becomes its owner, a moment later.
func (d Directory) ownedApplications(ctx context.Context) ([]map[string]any, error) {
	found, err := d.applications(ctx)
	if err != nil {
		return nil, err
	}
	self := ""
	if d.Memory != nil && d.Memory.Self != nil && len(found) > 0 {
		self, _ = d.Memory.Self(ctx)
	}
	return d.of(ctx, found, "owners", func(a map[string]any) ([]map[string]any, error) {
		out := maps.Clone(a)
		for property, query := range map[string]string{"owners": "/owners?$select=id",
			"federated": "/federatedIdentityCredentials"} {
			list, err := d.List(ctx, "/applications/"+url.PathEscape(str(a["id"]))+query)
			if err != nil && !errors.Is(err, entra.ErrNotFound) {
				return nil, err
			}
			ids := []any{}
			for _, o := range list {
				if id := str(o["id"]); !strings.EqualFold(id, self) {
					ids = append(ids, id)
				}
			}
			out[property] = ids
		}
		return []map[string]any{out}, nil
	})
}

// applicationKeys reads the dedicated applications singly, with the keys that have not ended: Graph
// shows no key in a list. The keys that the run's facts hold are not read a second time.
func (d Directory) applicationKeys(ctx context.Context) ([]map[string]any, error) {
	found, err := d.applications(ctx)
	if err != nil {
		return nil, err
	}
	dedicated, err := d.Applications(ctx)
	if err != nil {
		return nil, err
	}
	day := time.Now()
	if d.Now != nil {
		day = d.Now()
	}
	day = day.UTC().Truncate(24 * time.Hour) // a plan does not depend on the time of day
	return d.of(ctx, found, "keys", func(a map[string]any) ([]map[string]any, error) {
		id, out := str(a["id"]), maps.Clone(a)
		at := slices.IndexFunc(dedicated, func(f fact.Dedicated) bool { return f.ID != "" && f.ID == id })
		if at >= 0 && d.Memory.fresh(id) && change.IsAbout(ctx) == "" {
			out["keyCredentials"] = dedicated[at].KeyCredentials
		} else {
			whole, err := d.get(ctx, "/applications/"+url.PathEscape(id)+"?$select="+applicationKeyFields,
				d.Memory.creation(id))
			if err != nil {
				return nil, err
			}
			out["keyCredentials"] = whole["keyCredentials"]
		}
		out["keyCredentials"] = slices.DeleteFunc(slices.Clone(elements(out["keyCredentials"])), func(k any) bool {
			return fact.Ended(k, day)
		})
		return []map[string]any{out}, nil
	})
}

// fresh tells whether this run has written nothing to an object yet.
func (m *Memory) fresh(id string) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.written[id]
}

// creation is what is known of the making of an object.
func (m *Memory) creation(id string) Creation {
	if m == nil {
		return Creation{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.made {
		if c.ID == id {
			return c
		}
	}
	return Creation{}
}

// principals reads the service principals of the dedicated applications, under the names of these.
func (d Directory) principals(ctx context.Context) ([]map[string]any, error) {
	found, err := d.applications(ctx)
	if err != nil {
		return nil, err
	}
	return d.of(ctx, found, "principals", func(a map[string]any) ([]map[string]any, error) {
		filter := entra.Filter("appId", str(a["appId"]))
		list, err := d.complete(ctx, sortPrincipal, str(a[nameOf]), func() ([]map[string]any, error) {
			return d.List(ctx, "/servicePrincipals?"+filter+"&$select="+servicePrincipalFields)
		}, []string{"appId"}, func(id string) string {
			return "/servicePrincipals/" + url.PathEscape(id) + "?$select=" + servicePrincipalFields
		})
		return named(list, str(a["displayName"])), err
	})
}

// assignments reads the app roles that are assigned to the dedicated applications.
func (d Directory) assignments(ctx context.Context) ([]map[string]any, error) {
	found, err := d.principals(ctx)
	if err != nil {
		return nil, err
	}
	return d.of(ctx, found, "assignments", func(sp map[string]any) ([]map[string]any, error) {
		path := "/servicePrincipals/" + url.PathEscape(str(sp["id"])) + "/appRoleAssignments"
		list, err := d.complete(ctx, sortAssignment, str(sp[nameOf]), func() ([]map[string]any, error) {
			return d.List(ctx, path)
		}, []string{"principalId", "resourceId", "appRoleId"}, func(id string) string {
			return path + "/" + url.PathEscape(id)
		})
		out := make([]map[string]any, 0, len(list))
		for _, a := range list {
			out = append(out, named([]map[string]any{a}, str(sp["displayName"])+" "+str(a["resourceDisplayName"]))...)
		}
		return out, err
	})
}

// What others may add to an object without touching what its kind declares.
var (
	foreignToApplication = []string{
		"description", "notes", "tags", "identifierUris", "passwordCredentials", "appRoles", "api", "web", "spa",
		"publicClient", "owners", "federated",
	}
	foreignToPrincipal = []string{"notes", "tags", "servicePrincipalNames", "passwordCredentials",
		"appRoleAssignmentRequired"}
)

// digest sums up properties of an object. What is absent, null, empty or false is the same.
func digest(o map[string]any, names []string) string {
	if len(names) == 0 {
		return ""
	}
	kept := map[string]any{}
	for _, name := range names {
		if v := substance(o[name]); v != nil {
			kept[name] = v
		}
	}
	raw, err := json.Marshal(kept) // sorts keys
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// substance leaves out what says nothing; nil when nothing is left. The order of a list says
// nothing either.
func substance(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return v
		}
	case string:
		if v != "" {
			return v
		}
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			if e := substance(e); e != nil {
				out[name] = e
			}
		}
		if len(out) > 0 {
			return out
		}
	case []any:
		var out []string
		for _, e := range v {
			if raw, err := json.Marshal(substance(e)); err == nil {
				out = append(out, string(raw))
			}
		}
		slices.Sort(out)
		if len(out) > 0 {
			return out
		}
	case nil:
	default:
		return v
	}
	return nil
}

// again tells whether a request that writes whole values, and was refused so, can be put again: its
// second time does what its first would have done.
func again(method string, err error) bool {
	var e *entra.Error
	return method == http.MethodPatch && errors.As(err, &e) && slices.Contains([]int{
		http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, e.Status)
}

// patience is how many times a request is put for an object of which it is not known that it is
// new.
const patience = 15

// runRequest puts one request. Its answer's properties are what references may ask for.
func runRequest(ctx context.Context, d Directory, c change.Command) (change.Properties, error) {
	method, path, body, err := request(c)
	if err != nil {
		return nil, err
	}
	var send any
	if body != nil {
		send = revealed(body)
	}
	for try := 0; ; try++ {
		answer, err := d.Do(ctx, method, path, send)
		if err == nil {
			d.Memory.wrote(c, answer)
			out := change.Properties{}
			for name, v := range answer {
				switch v := v.(type) {
				case string, bool:
					out[name] = v
				}
			}
			return out, nil
		}
		until := time.Now().Add(time.Minute)
		at := d.Memory.newest(c)
		switch {
		// What is to be removed and is not there is as it should be.
		case entra.NotYet(err) && method != http.MethodDelete && !at.IsZero():
			until = d.Memory.until(at)
		case (entra.NotYet(err) && method != http.MethodDelete || again(method, err)) && try < patience:
		default:
			return nil, err
		}
		more, failure := d.pause(ctx, fmt.Sprintf("%s: Entra is not ready for it", c.Name), until, try)
		if failure != nil {
			return nil, errors.Join(err, failure)
		}
		if !more {
			return nil, err
		}
	}
}

// revealed is a body with its secrets: they are let out where the request is made, and nowhere
// before.
func revealed(v any) any {
	switch v := v.(type) {
	case secret.Value:
		return v.Reveal()
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			out[name] = revealed(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = revealed(e)
		}
		return out
	}
	return v
}

// collected is what a collection holds.
var collected = map[string]string{
	"/applications": sortApplication, "/servicePrincipals": sortPrincipal,
	"/servicePrincipals/{id}/appRoleAssignments": sortAssignment,
}

// wrote notes what a request made or removed, and forgets what it may have changed.
func (m *Memory) wrote(c change.Command, answer map[string]any) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	method, path, _ := strings.Cut(c.Name, " ")
	touched := map[string]bool{}
	for _, v := range c.Parameters {
		if s := str(v); s != "" {
			touched[s] = true
		}
	}
	name := str(c.Parameters["displayName"])
	for _, r := range m.seen {
		if slices.ContainsFunc(r.objects, func(o map[string]any) bool {
			return touched[str(o["id"])] || touched[str(o["appId"])]
		}) {
			name = r.name
		}
	}
	maps.DeleteFunc(m.seen, func(_ string, r recalled) bool { return r.name == name })
	if m.written == nil {
		m.written = map[string]bool{}
	}
	maps.Copy(m.written, touched)
	switch method {
	case http.MethodPost:
		made := Creation{Kind: collected[path], Name: name, ID: str(answer["id"]), Properties: answer, At: time.Now()}
		if made.ID != "" && made.Kind != "" {
			m.made = append(m.made, made)
		}
	case http.MethodDelete:
		if m.gone == nil {
			m.gone = map[string]bool{}
		}
		id := str(c.Parameters["id"])
		if item := str(c.Parameters["item"]); item != "" {
			id = item
		}
		m.gone[id] = true
	}
}

// newest is when the newest of the objects was made that a request names; zero when none is known
// to be new.
func (m *Memory) newest(c change.Command) (at time.Time) {
	if m == nil {
		return at
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range c.Parameters {
		for _, made := range m.made {
			if s := str(v); s != "" && (s == made.ID || s == str(made.Properties["appId"])) && made.At.After(at) {
				at = made.At
			}
		}
	}
	return at
}
