package desired

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Graph is Microsoft Graph; *entra.Client is one. Paths follow the version
// ("/applications?$filter=...").
type Graph interface {
	// Get reads one object.
	Get(ctx context.Context, path string) (map[string]any, error)
	// List reads a whole collection.
	List(ctx context.Context, path string) ([]map[string]any, error)
}

// DirectoryWriter is a directory that can be changed.
type DirectoryWriter struct {
	Directory
	// Do sends one request. The answer is the decoded body, nil when there is none.
	Do func(ctx context.Context, method, path string, body any) (map[string]any, error)
}

// MicrosoftGraph is Entra as a system. Its commands are requests named "METHOD /path": a "{name}"
// in the path is replaced by the parameter of that name, which then is not part of the body.
var MicrosoftGraph = &change.System[*Directory, *DirectoryWriter]{
	Reading: func(d *DirectoryWriter) *Directory { return &d.Directory },
	Family: change.Family{
		ID: "graph", Title: "Microsoft Graph", Role: "entra",
		Places: []change.PlaceSort{{Name: Entra, Title: "Entra", Use: func(string) []string {
			return []string{
				"Run with Microsoft Graph PowerShell, as Application Administrator and Privileged Role Administrator.",
				"Use a session of its own: this module and Exchange Online PowerShell fail in one process.",
			}
		}}},
		Script: change.Script{
			Language: "PowerShell", Look: lookRequest, Write: writeRequest, Identity: "id", Name: "displayName",
		},
	},
	Run: runRequest,
}

// Methods are what a Collection can do with its objects.
type Methods uint8

// The methods. All can be read.
const (
	Post Methods = 1 << iota
	Patch
	Delete
)

// Collection is the operations of an Entra kind, built from a collection of Microsoft Graph: POST
// creates an object. PATCH and DELETE address it as PATH/{id}.
type Collection struct {
	Path    string // "/applications"
	Methods Methods
	// Under is the property with the id of the object that the collection belongs to, {id} of the
	// path.
	Under string
	// Aspect says that the kind is one aspect of an object that another kind creates. PATCH sets
	// and empties it, at the object that the property id names.
	Aspect bool
	// Read finds the objects; none is an empty list and not an error. An object's id and
	// displayName become the live resource's identity and name.
	Read func(d Directory, ctx context.Context) ([]map[string]any, error)
	// Foreign are the properties outside the kind that others may have added to an object; see
	// change.Live.
	Foreign []string
}

// For builds the operations of a kind.
func (c Collection) For(k *Kind) change.Ops[*Directory] {
	ops := change.Ops[*Directory]{Aspect: c.Aspect}
	ops.Read = func(ctx context.Context, d *Directory) ([]change.Live, error) {
		objects, err := c.Read(*d, ctx)
		if err != nil {
			return nil, err
		}
		var out []change.Live
		for _, o := range objects {
			l := graphImage(k, o)
			l.Foreign = digest(o, c.Foreign)
			if !c.Aspect || k.Shown(l) {
				out = append(out, l)
			}
		}
		return out, nil
	}
	ops.Find = func(done change.Change) change.Command { return c.find(k, done) }
	patch := func(id any, want change.Properties) (change.Command, error) {
		parameters := sent(k, want, Property.Sent)
		for name, v := range parameters {
			if v == nil && k.Properties[name].Type.List {
				parameters[name] = []any{} // Graph refuses null for a list
			}
		}
		parameters["id"] = id
		return change.Command{Name: "PATCH " + c.Path + "/{id}", Parameters: parameters}, nil
	}
	switch {
	case c.Aspect:
		ops.Create = func(_ string, want change.Properties) (change.Command, error) { return patch(want["id"], want) }
		ops.Delete = func(live change.Live) (change.Command, error) {
			nothing := change.Properties{}
			for name := range k.Properties {
				nothing[name] = nil
			}
			return patch(live.Identity, nothing)
		}
	case c.Methods&Post != 0:
		ops.Create = func(_ string, want change.Properties) (change.Command, error) {
			parameters := sent(k, want, func(p Property) bool { return !p.Derived })
			if c.Under != "" {
				parameters["id"] = want[c.Under]
			}
			return change.Command{Name: "POST " + c.Path, Parameters: parameters}, nil
		}
	}
	if c.Methods&Patch != 0 {
		ops.Update = func(want change.Properties, live change.Live) (change.Command, error) {
			return patch(live.Identity, want)
		}
	}
	if c.Methods&Delete != 0 {
		ops.Delete = func(live change.Live) (change.Command, error) {
			if c.Under == "" {
				return change.Command{Name: "DELETE " + c.Path + "/{id}",
					Parameters: map[string]any{"id": live.Identity}}, nil
			}
			return change.Command{Name: "DELETE " + c.Path + "/{item}", Parameters: map[string]any{
				"id": live.Properties[c.Under], "item": live.Identity,
			}}, nil
		}
	}
	return ops
}

// find returns the request by which a script finds the object of a change.
func (c Collection) find(k *Kind, done change.Change) change.Command {
	properties := done.After
	if done.Action == change.Delete {
		properties = done.Before
	}
	if c.Under != "" {
		return change.Command{Name: "GET " + c.Path, Parameters: map[string]any{"id": properties[c.Under]}}
	}
	fields := []string{"id", "appId", "displayName"}
	for _, name := range sortedKeys(k.Properties) {
		if from := cmp.Or(k.Properties[name].From, name); !slices.Contains(fields, from) {
			fields = append(fields, from)
		}
	}
	query := "$select=" + strings.Join(fields, ",")
	id := any(done.Identity)
	if done.Action == change.Create && c.Aspect {
		id = properties["id"]
	}
	if done.Action != change.Create || c.Aspect {
		return change.Command{Name: "GET " + c.Path + "/{id}?" + query, Parameters: map[string]any{"id": id}}
	}
	for _, name := range sortedKeys(k.Properties) {
		if p := k.Properties[name]; p.Write == change.Key && !p.Derived {
			return change.Command{
				Name:       "GET " + c.Path + "?$filter=" + name + "%20eq%20'{key}'&" + query,
				Parameters: map[string]any{"key": properties[name]},
			}
		}
	}
	return change.Command{Name: "GET " + c.Path + "?" + query}
}

// graphImage converts an object of Graph to a live resource. It keeps the ids in addition to the
// declared properties, for references.
func graphImage(k *Kind, o map[string]any) change.Live {
	l := k.Image(str(o["id"]), str(o["displayName"]), func(property string) (any, error) {
		if v := o[property]; v != nil {
			return v, nil
		}
		return nil, change.ErrAbsent
	})
	for _, name := range []string{"id", "appId"} {
		if v, shown := o[name].(string); shown {
			l.Properties[name] = v
		}
	}
	return l
}

// Select lists: the properties that a list must name, because Graph otherwise omits some.
const (
	applicationFields = "id,appId,displayName,signInAudience,requiredResourceAccess," +
		"description,notes,tags,identifierUris,passwordCredentials,appRoles,api,web,spa,publicClient"
	applicationKeyFields   = "id,appId,displayName,keyCredentials"
	servicePrincipalFields = "id,appId,displayName,accountEnabled," +
		"notes,tags,servicePrincipalNames,passwordCredentials,appRoleAssignmentRequired"
)

// named returns copies of objects with a name.
func named(objects []map[string]any, name string) []map[string]any {
	out := make([]map[string]any, len(objects))
	for i, o := range objects {
		out[i] = maps.Clone(o)
		out[i]["displayName"] = name
	}
	return out
}

func each[T any](list []T, read func(T) ([]map[string]any, error)) ([]map[string]any, error) {
	found := make([][]map[string]any, len(list))
	var g errgroup.Group
	g.SetLimit(graphAtOnce)
	for i, e := range list {
		g.Go(func() (err error) {
			defer broken.Into(&err, "read from Microsoft Graph")
			found[i], err = read(e)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// graphAtOnce limits the requests to Microsoft Graph at the same time.
const graphAtOnce = 16

func str(v any) string {
	s, _ := v.(string)
	return s
}

// keyList keeps the fields of key credentials that a PATCH sends back. All of them are texts.
func keyList(v any) any { return fields(v, keyFields...) }

var keyFields = []string{
	"customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage",
}

func accessList(v any) any {
	out := []any{}
	for _, e := range elements(v) {
		m, ok := e.(map[string]any)
		if ok {
			out = append(out, map[string]any{
				"resourceAppId": str(m["resourceAppId"]), "resourceAccess": fields(m["resourceAccess"], "id", "type"),
			})
		}
	}
	return out
}

// fields keeps the named texts of a list of objects.
func fields(v any, names ...string) []any {
	out := []any{}
	for _, e := range elements(v) {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		kept := map[string]any{}
		for _, n := range names {
			if s, ok := m[n].(string); ok {
				kept[n] = s
			}
		}
		out = append(out, kept)
	}
	return out
}

var placeholder = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{(\w+)\}`)
})

// request converts a plan's command to a request of Microsoft Graph: method, path with its
// placeholders filled, and body. The body is nil when there is none.
func request(c change.Command) (method, path string, body map[string]any, err error) {
	method, template, ok := strings.Cut(c.Name, " ")
	if !ok || !strings.HasPrefix(template, "/") {
		return "", "", nil, fmt.Errorf("%q is not a request to Microsoft Graph", c.Name)
	}
	used := map[string]bool{}
	path = placeholder().ReplaceAllStringFunc(template, func(p string) string {
		name := p[1 : len(p)-1]
		used[name] = true
		value := str(c.Parameters[name])
		if value == "" {
			err = fmt.Errorf("%s: %s is not known", c.Name, name)
		}
		return url.PathEscape(value)
	})
	if err != nil {
		return "", "", nil, err
	}
	for k, v := range c.Parameters {
		if !used[k] {
			if body == nil {
				body = map[string]any{}
			}
			body[k] = v
		}
	}
	return method, path, body, nil
}

// writeRequest writes one request of Microsoft Graph PowerShell.
func writeRequest(c change.Command, w change.Writing) []string {
	method, template, _ := strings.Cut(c.Name, " ")
	uri, body := location(template, c.Parameters, w)
	call := "Send-Graph -Method " + exchange.Quote(method) + " -Uri " + uri
	if len(body) == 0 {
		return []string{call}
	}
	return append(table(w.Name, body, w.Value), call+" -Body $"+w.Name)
}

func lookRequest(find change.Command, w change.Writing) (before []string, expression string) {
	_, template, _ := strings.Cut(find.Name, " ")
	uri, _ := location(template, find.Parameters, w)
	expression = "Read-Graph -Uri " + uri
	if _, fields, filtered := strings.Cut(template, "&$select="); filtered {
		expression += " -ById " + exchange.Quote(fields)
	}
	return nil, expression
}

// location returns an expression for the address of a request, and the parameters that are not part
// of it.
func location(template string, parameters map[string]any, w change.Writing) (uri string, rest map[string]any) {
	rest = maps.Clone(parameters)
	var parts []string
	left := "/v1.0" + template
	for {
		at := placeholder().FindStringSubmatchIndex(left)
		if at == nil {
			break
		}
		parameter := left[at[2]:at[3]]
		delete(rest, parameter)
		parts = append(parts, exchange.Quote(left[:at[0]]), w.Value(parameters[parameter]))
		left = left[at[1]:]
	}
	if left != "" {
		parts = append(parts, exchange.Quote(left))
	}
	return "(" + strings.Join(parts, " + ") + ")", rest
}
