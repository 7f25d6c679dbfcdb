package deployment

import (
	"context"
	"slices"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// directory opens the tenant's directory for reading. It reads the dedicated applications of all
// forests whose organization is known. Nothing is planned for the others.
func (d *Deployment) directory(f *fact.Set, o apply.Options) func(context.Context) (*desired.Directory, error) {
	memory := &desired.Memory{
		Patience:  o.Wait,
		Creations: func() ([]desired.Creation, error) { return d.madeInEntra(o.StateDir) },
		Waiting: func(what string, until time.Time) {
			d.Observe(observe.Waiting{Stage: "entra", ID: desired.PlaceEntra, What: what, Until: until})
		},
		Self: func(ctx context.Context) (string, bool) {
			token, err := d.token(ctx)
			if err != nil {
				return "", false
			}
			claims, err := oauth.AccessToken{Value: secret.NewValue(token)}.Claims()
			return claims.String("oid"), err == nil
		},
	}
	return func(ctx context.Context) (*desired.Directory, error) {
		graph, err := d.graph(ctx)
		if err != nil {
			return nil, err
		}
		return &desired.Directory{
			Graph: readingGraph{graph}, Memory: memory, Now: f.Now,
			Applications: d.applications(f, o.StateDir),
		}, nil
	}
}

// directoryWriter opens the tenant's directory for changes.
func (d *Deployment) directoryWriter(f *fact.Set, o apply.Options) func(context.Context) (*desired.DirectoryWriter,
	error) {
	open := d.directory(f, o)
	return func(ctx context.Context) (*desired.DirectoryWriter, error) {
		reading, err := open(ctx)
		if err != nil {
			return nil, err
		}
		graph, err := d.graph(ctx)
		if err != nil {
			return nil, err
		}
		return &desired.DirectoryWriter{Directory: *reading, Do: graph.Do}, nil
	}
}

// madeInEntra returns the Entra objects that journals record.
func (d *Deployment) madeInEntra(stateDir string) ([]desired.Creation, error) {
	made, err := d.creations(context.Background(), stateDir)
	var out []desired.Creation
	for _, c := range made {
		if c.Target == desired.PlaceEntra {
			out = append(out, desired.Creation{Kind: c.Kind, Name: c.Name, ID: c.Identity, Properties: c.Properties,
				At: c.At})
		}
	}
	return out, err
}

// applications returns the dedicated applications of the forests, and those that hybridge made for
// forests that have left the answers.
func (d *Deployment) applications(f *fact.Set, stateDir string) func(context.Context) ([]fact.Dedicated, error) {
	of := desired.ApplicationsOf(f)
	return func(ctx context.Context) ([]fact.Dedicated, error) {
		out, err := of(ctx)
		if err != nil {
			return out, err
		}
		made, err := d.creations(ctx, stateDir)
		if err != nil {
			return nil, err
		}
		for _, app := range desired.Abandoned(f, made) {
			if !slices.ContainsFunc(out, func(a fact.Dedicated) bool { return a.Name == app.Name }) {
				out = append(out, app)
			}
		}
		return out, nil
	}
}
