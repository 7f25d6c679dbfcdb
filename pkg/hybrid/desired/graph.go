package desired

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// Graph is Microsoft Graph; *entra.Client is one. Paths follow the version ("/applications?$filter=...").
type Graph interface {
	// Do puts one request. The answer is the decoded body, nil when there is none.
	Do(ctx context.Context, method, path string, body any) (map[string]any, error)
	// List reads a whole collection.
	List(ctx context.Context, path string) ([]map[string]any, error)
}

// EntraPlace is a tenant's directory as the engine sees it. It reads only the dedicated applications it is told the names of, what
// belongs to them, and the names of Exchange Online's service principal: nothing else in the tenant is hybridge's business.
type EntraPlace struct {
	Graph        func(ctx context.Context) (Graph, error)
	Applications func(ctx context.Context) ([]string, error) // their display names
	// NotYet tells whether an error means that the directory does not know a new object yet; nil: never. Such a
	// request is put again for a while, since Entra's replicas lag.
	NotYet func(error) bool
	// Pause is how long to wait before such a request is put again; 2 s when 0.
	Pause time.Duration
}

var _ change.Place = (*EntraPlace)(nil)

// Select lists: what a list must ask for, because Graph leaves some properties out otherwise.
const (
	applicationFields      = "id,appId,displayName,signInAudience,requiredResourceAccess,keyCredentials"
	servicePrincipalFields = "id,appId,displayName,accountEnabled"
)

// Read returns the live resources of a kind that belong to the place's applications or to Exchange Online's service principal.
func (p *EntraPlace) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	kind, err := kindOf(k)
	if err != nil {
		return nil, err
	}
	if kind.Read == nil {
		return nil, fmt.Errorf("kind %s is not kept in Entra", k.Noun)
	}
	return kind.Read(ctx, p)
}

// perApplication reads a kind at each of the place's applications.
func perApplication(read func(ctx context.Context, graph Graph, application map[string]any) ([]change.Live, error)) func(context.Context, *EntraPlace) ([]change.Live, error) {
	return func(ctx context.Context, p *EntraPlace) ([]change.Live, error) {
		graph, err := p.Graph(ctx)
		if err != nil {
			return nil, err
		}
		names, err := p.Applications(ctx)
		if err != nil {
			return nil, err
		}
		var out []change.Live
		for _, name := range names {
			applications, err := ApplicationsNamed(ctx, graph, name)
			if err != nil {
				return nil, err
			}
			for _, a := range applications {
				live, err := read(ctx, graph, a)
				if err != nil {
					return nil, err
				}
				out = append(out, live...)
			}
		}
		return out, nil
	}
}

// perPrincipal reads a kind at the service principals of each of the place's applications; name is the application's.
func perPrincipal(read func(ctx context.Context, graph Graph, name string, principal map[string]any) ([]change.Live, error)) func(context.Context, *EntraPlace) ([]change.Live, error) {
	return perApplication(func(ctx context.Context, graph Graph, a map[string]any) ([]change.Live, error) {
		principals, err := graph.List(ctx, "/servicePrincipals?"+entra.Filter("appId", str(a["appId"]))+"&$select="+servicePrincipalFields)
		if err != nil {
			return nil, err
		}
		var out []change.Live
		for _, sp := range principals {
			live, err := read(ctx, graph, str(a["displayName"]), sp)
			if err != nil {
				return nil, err
			}
			out = append(out, live...)
		}
		return out, nil
	})
}

// ApplicationsNamed finds the applications of exactly that display name.
func ApplicationsNamed(ctx context.Context, graph Graph, name string) ([]map[string]any, error) {
	return graph.List(ctx, "/applications?"+entra.Filter("displayName", name)+"&$select="+applicationFields)
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// keyList keeps of key credentials what a PATCH sends back: all of it text.
func keyList(v any) []any {
	return fields(v, keyFields...)
}

var keyFields = []string{"customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage"}

// KeyCredentials reads an application's key credentials, and RequiredResourceAccess what it asks for, as Facts hold them.
func KeyCredentials(app map[string]any) []any { return keyList(app["keyCredentials"]) }

// RequiredResourceAccess is what an application asks for.
func RequiredResourceAccess(app map[string]any) []any {
	return accessList(app["requiredResourceAccess"])
}

func accessList(v any) []any {
	out := []any{}
	for _, e := range elements(v) {
		m, ok := e.(map[string]any)
		if ok {
			out = append(out, map[string]any{"resourceAppId": str(m["resourceAppId"]), "resourceAccess": fields(m["resourceAccess"], "id", "type")})
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

// Request is a plan's command as Microsoft Graph takes it: method, path with its placeholders filled, and body, nil when there is none.
func Request(c change.Command) (method, path string, body map[string]any, err error) {
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

// patience is how many times a request is put again because the directory does not know a new object yet.
const patience = 15

// Run puts one request. Its answer's properties are what references may ask for.
func (p *EntraPlace) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	graph, err := p.Graph(ctx)
	if err != nil {
		return nil, err
	}
	method, path, body, err := Request(c)
	if err != nil {
		return nil, err
	}
	pause := p.Pause
	if pause == 0 {
		pause = 2 * time.Second
	}
	for try := 0; ; try++ {
		var send any
		if body != nil {
			send = body
		}
		answer, err := graph.Do(ctx, method, path, send)
		if err == nil {
			out := change.Properties{}
			for name, v := range answer {
				switch v := v.(type) {
				case string, bool:
					out[name] = v
				}
			}
			return out, nil
		}
		// What is to be removed and is not there is as it should be.
		if p.NotYet == nil || !p.NotYet(err) || method == "DELETE" || try == patience {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		}
	}
}
