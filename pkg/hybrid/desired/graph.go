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

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Graph is Microsoft Graph; *entra.Client is one. Paths follow the version
// ("/applications?$filter=...").
type Graph interface {
	// Do puts one request. The answer is the decoded body, nil when there is none.
	Do(ctx context.Context, method, path string, body any) (map[string]any, error)
	// List reads a whole collection.
	List(ctx context.Context, path string) ([]map[string]any, error)
}

// MicrosoftGraph is Entra as a system. Its commands are requests named "METHOD /path": a "{name}"
// in the path is filled with the parameter of that name, which is not part of the body then.
var MicrosoftGraph = &change.System[Directory]{
	Family: change.Family{
		ID: "graph", Title: "Microsoft Graph",
		Places: []change.PlaceSort{{Name: Entra, Title: "Entra", Use: func(string) []string {
			return []string{
				"Run in PowerShell 7 with Microsoft Graph PowerShell, signed in with:",
				"  Connect-MgGraph -Scopes Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All",
				"Run this script first: the others ask for what it prints.",
			}
		}}},
		Script: change.Script{Language: "PowerShell", Write: writeRequest, Merge: mergeProperty},
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
// makes an object, PATCH and DELETE address it as PATH/{id}.
type Collection struct {
	Path    string // "/applications"
	Methods Methods
	// Under is the property with the id of the object that the collection belongs to, {id} of the
	// path.
	Under string
	// Aspect says that the kind is one aspect of an object that another kind makes: PATCH makes and
	// empties it, at the object that the property id names.
	Aspect bool
	// Read finds the objects; none is an empty list and not an error. An object's id and
	// displayName become the live resource's identity and name.
	Read func(d Directory, ctx context.Context) ([]map[string]any, error)
	// Foreign are the properties beyond the kind's that others may have extended an object by; see
	// change.Live.
	Foreign []string
}

// For builds the operations of a kind.
func (c Collection) For(k *Kind) change.Ops[Directory] {
	var ops change.Ops[Directory]
	ops.Read = func(ctx context.Context, d Directory) ([]change.Live, error) {
		objects, err := c.Read(d, ctx)
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
	if c.Under == "" {
		ops.Show = func(id string) change.Command {
			return change.Command{Name: "GET " + c.Path + "/{id}", Parameters: map[string]any{"id": id}}
		}
	}
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

// graphImage is a live resource of what Graph gives. Beside the declared properties it keeps the
// ids, for references.
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

// Select lists: what a list must ask for, because Graph leaves some properties out otherwise.
const (
	applicationFields = "id,appId,displayName,signInAudience,requiredResourceAccess," +
		"description,notes,tags,identifierUris,passwordCredentials,appRoles,api,web,spa,publicClient"
	applicationKeyFields   = "id,appId,displayName,keyCredentials"
	servicePrincipalFields = "id,appId,displayName,accountEnabled," +
		"notes,tags,servicePrincipalNames,passwordCredentials,appRoleAssignmentRequired"
)

// named gives copies of objects a name.
func named(objects []map[string]any, name string) []map[string]any {
	out := make([]map[string]any, len(objects))
	for i, o := range objects {
		out[i] = maps.Clone(o)
		out[i]["displayName"] = name
	}
	return out
}

func each[T any](list []T, read func(T) ([]map[string]any, error)) ([]map[string]any, error) {
	var out []map[string]any
	for _, e := range list {
		found, err := read(e)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// keyList keeps of key credentials what a PATCH sends back: all of it text.
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

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// request is a plan's command as Microsoft Graph takes it: method, path with its placeholders
// filled, and body, nil when there is none.
func request(c change.Command) (method, path string, body map[string]any, err error) {
	method, template, ok := strings.Cut(c.Name, " ")
	if !ok || !strings.HasPrefix(template, "/") {
		return "", "", nil, fmt.Errorf("%q is not a request to Microsoft Graph", c.Name)
	}
	used := map[string]bool{}
	path = placeholder.ReplaceAllStringFunc(template, func(p string) string {
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
	body := maps.Clone(c.Parameters)
	var uri []string
	rest := "/v1.0" + template
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		parameter := rest[at[2]:at[3]]
		delete(body, parameter)
		uri = append(uri, exchange.Quote(rest[:at[0]]), w.Value(c.Parameters[parameter]))
		rest = rest[at[1]:]
	}
	if rest != "" {
		uri = append(uri, exchange.Quote(rest))
	}
	var lines []string
	call := []string{"    Method = " + exchange.Quote(method), "    Uri = (" + strings.Join(uri, " + ") + ")"}
	if len(body) > 0 {
		lines = append(lines, "$"+w.Name+"Body = @{")
		for _, k := range parameterOrder(body) {
			lines = append(lines, "    "+k+" = "+w.Value(body[k]))
		}
		lines = append(lines, "}")
		call = append(call,
			"    Body = (ConvertTo-Json -InputObject $"+w.Name+"Body -Depth 10)",
			"    ContentType = 'application/json'")
	}
	lines = slices.Concat(lines, []string{"$" + w.Name + " = @{"}, call, []string{"}"})
	run := "Invoke-MgGraphRequest @" + w.Name
	if w.Result != "" {
		run = "$" + w.Result + " = " + run
	} else {
		run = "$null = " + run
	}
	return append(lines, run)
}

// mergeProperty adds to a list of a Graph object.
func mergeProperty(
	k *Kind, property, live string, added []any, _ change.Command, w change.Writing,
) (check []string, list string) {
	from := cmp.Or(k.Properties[property].From, property)
	if k.Properties[property].MayHide {
		check = append(check, "if ($null -eq $"+live+"."+from+") { throw "+exchange.Quote(hiddenList)+" }")
	}
	return union(check, live+from, "$"+live+"."+from, w.Value(added))
}
