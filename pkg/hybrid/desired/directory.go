package desired

import (
	"cmp"
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

// Directory is a tenant's directory as the kinds see it. They read only the dedicated applications,
// what belongs to these, and the names of Exchange Online's service principal. hybridge reads
// nothing else in the tenant.
type Directory struct {
	Graph
	// Applications are the forests' dedicated applications, as the run read them first. One without
	// an AppID is read by its name.
	Applications func(ctx context.Context) ([]fact.Dedicated, error)
	Now          func() time.Time // a key that has ended by then does not count; time.Now when nil
	// Pause is the wait before a retry when the directory is not ready for a request; 2 s when 0.
	Pause time.Duration
	// Memory is what is known in addition to lists; nil: nothing.
	Memory *Memory
}

// entraPatience limits the delay until Entra shows a new object: usually 30 to 60 seconds, at times
// minutes.
const entraPatience = 5 * time.Minute

// Creation is an object that a run made, or, without an id, may have made.
type Creation struct {
	Kind, Name string
	ID         string
	Properties change.Properties
	At         time.Time
}

// Memory is what a run knows of a tenant in addition to lists. Entra's lists lag behind by minutes.
// Reading every forest's application again after each write would take requests in the square of
// the number of forests.
type Memory struct {
	Creations func() ([]Creation, error)               // of earlier runs; nil: none
	Patience  time.Duration                            // entraPatience when 0
	Waiting   func(what string, until time.Time)       // is called at each pause; may be nil
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

// nameOf is the property that keeps the planned name of a forest's application in objects: the
// application itself may have another name.
const nameOf = "dedicated"

// Sorts of objects that Memory keeps.
const (
	sortApplication = "Application"
	sortPrincipal   = "ServicePrincipal"
	sortAssignment  = "AppRoleAssignment"
)

// recall returns what the run read before, unless the read is for this application.
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

// isOf reports whether the name of a resource is or begins with that of an application.
func isOf(name, application string) bool {
	return application != "" && (name == application || strings.HasPrefix(name, application+" "))
}

// creations returns the objects of a sort that were made for an application.
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

// until returns the time by which an object that was made at the given time must show.
func (m *Memory) until(at time.Time) time.Time {
	if m.Patience > 0 {
		return at.Add(m.Patience)
	}
	return at.Add(entraPatience)
}

// pause waits for an object that does not show yet. It returns false when the time is over.
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

// complete reads a list and adds objects that were made and are not on it yet. It waits for an
// object that may have been made and does not show: otherwise it would be made twice.
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
					continue // removed by another program
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

// get reads one object. For a new object, "not found" means not visible yet.
func (d Directory) get(ctx context.Context, path string, c Creation) (map[string]any, error) {
	for try := 0; ; try++ {
		o, err := d.Get(ctx, path)
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

// marked returns copies of objects with the name under nameOf.
func marked(objects []map[string]any, name string) []map[string]any {
	out := make([]map[string]any, len(objects))
	for i, o := range objects {
		out[i] = maps.Clone(o)
		out[i][nameOf] = name
	}
	return out
}

// of reads the objects that belong to each dedicated application, or to its service principal.
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

// ownedApplications returns the applications with their owners, except the account itself, and
// their federated credentials. An account that makes an application becomes its owner a moment
// later.
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
	day := d.day()
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

// day returns the date: a plan does not depend on the time of day.
func (d Directory) day() time.Time {
	now := time.Now()
	if d.Now != nil {
		now = d.Now()
	}
	return now.UTC().Truncate(24 * time.Hour)
}

// fresh reports whether this run has not written to an object yet.
func (m *Memory) fresh(id string) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.written[id]
}

// creation returns what is known of the creation of an object.
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

// Properties that others may add to an object without touching what its kind declares.
var (
	foreignToApplication = []string{
		"description", "notes", "tags", "identifierUris", "passwordCredentials", "appRoles", "api", "web", "spa",
		"publicClient", "owners", "federated",
	}
	foreignToPrincipal = []string{"notes", "tags", "servicePrincipalNames", "passwordCredentials",
		"appRoleAssignmentRequired"}
)

// digest returns a hash of properties of an object. Absent, null, empty and false are the same.
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

// substance removes empty values. It returns nil when nothing is left. The order of a list does not
// count.
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

// again reports whether a failed request can be sent again at once. A PATCH writes whole values: a
// second one has the same effect as the first. A POST must not have been carried out: 412, and a
// conflict with another write, say so. After 503 and 504 the engine reads back before it sends a
// POST again.
func again(method string, err error) bool {
	var e *entra.Error
	if !errors.As(err, &e) {
		return false
	}
	switch method {
	case http.MethodPatch:
		return slices.Contains([]int{http.StatusConflict, http.StatusPreconditionFailed,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout}, e.Status)
	case http.MethodPost:
		return e.Status == http.StatusPreconditionFailed ||
			e.Status == http.StatusConflict && strings.Contains(e.Code, "Concurrency")
	}
	return false
}

func isStatus(err error, status int) bool {
	var e *entra.Error
	return errors.As(err, &e) && e.Status == status
}

// patience limits the attempts of a request for an object that is not known to be new.
const patience = 15

// runRequest sends one request. References may use the properties of its answer.
func runRequest(ctx context.Context, d *DirectoryWriter, c change.Command) (change.Properties, error) {
	method, path, body, err := request(c)
	if err != nil {
		return nil, err
	}
	var send any
	if body != nil {
		send = revealed(body)
	}
	tag := ""
	if method == http.MethodPatch || method == http.MethodDelete {
		if tag = d.Memory.tag(cmp.Or(str(c.Parameters["item"]), str(c.Parameters["id"]))); tag != "" {
			ctx = entra.IfMatch(ctx, tag)
		}
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
		case tag != "" && isStatus(err, http.StatusPreconditionFailed):
			return nil, fmt.Errorf("changed by another program since it was read: %w", err)
		// A DELETE does not wait for a missing object: that is the desired state.
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

// revealed returns a body with its secrets in clear text. They are revealed only where the request
// is made.
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

// collected maps a collection to the sort of its objects.
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

// tag returns the @odata.etag with which an object was read last, where Graph gives one.
func (m *Memory) tag(id string) string {
	if m == nil || id == "" {
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.seen {
		for _, o := range r.objects {
			if t := str(o["@odata.etag"]); t != "" && str(o["id"]) == id {
				return t
			}
		}
	}
	return ""
}

// newest returns the creation time of the newest object that a request names. It is zero when none
// is known to be new.
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
