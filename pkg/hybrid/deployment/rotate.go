package deployment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

// Rotation says which certificate to change: the transport certificate of a forest for that of a
// file, or the auth certificates of one forest or of all.
type Rotation struct {
	Forest   string // a name of the answers; empty: the only one, or for auth certificates all
	PFX      string // absolute path
	Password secret.Ref
	Services []string // of Exchange that the new transport certificate is enabled for
	Auth     string   // one of AuthStages
}

// AuthStages are the stages of an auth certificate, in their sequence.
func AuthStages() []string {
	return []string{string(desired.StageAuth), string(desired.PublishAuth), string(desired.CleanAuth)}
}

// ErrRotation says that a rotation is not possible with what was given.
var ErrRotation = errors.New("cannot rotate")

// Rotate plans the change of a certificate. What waits is in the plan's LeftOut.
func (d *Deployment) Rotate(ctx context.Context, r Rotation, obs observe.Observer) (change.Plan, error) {
	facts, end := d.begin(obs)
	defer end()
	forest, err := d.rotated(r)
	if err != nil {
		return change.Plan{}, err
	}
	wanted := desired.Rotation{Forest: forest, Auth: desired.AuthStage(r.Auth)}
	if r.Auth == "" {
		if wanted.Transport, err = d.newTransport(ctx, r); err != nil {
			return change.Plan{}, err
		}
	}
	d.warm(ctx, facts)
	derived, err := desired.Rotate(ctx, facts, wanted)
	if err != nil {
		return change.Plan{}, err
	}
	places := d.readers(facts)
	plan, err := change.Make(ctx, places, derived.Resources, change.Options{
		Parallel: d.options.Parallel, Only: d.options.Only, Skip: d.options.Skip, Observer: d,
		LeftOut: derived.LeftOut, Notes: derived.Notes,
	})
	d.rotation = plan.Digest
	return plan, err
}

// rotated is the forest of a rotation; empty: all.
func (d *Deployment) rotated(r Rotation) (string, error) {
	if d.answers.ExchangeOnline == nil {
		return "", fmt.Errorf("%w: the answers file names no tenant (exchangeOnline)", ErrRotation)
	}
	var names []string
	for _, f := range d.answers.Forests {
		names = append(names, f.Name)
	}
	switch {
	case r.Forest != "" && !slices.Contains(names, r.Forest):
		return "", fmt.Errorf("%w: the answers file has no forest %q; it has %s", ErrRotation, r.Forest,
			strings.Join(names, ", "))
	case r.Forest != "" || r.Auth != "":
		return r.Forest, nil
	case len(names) > 1:
		return "", fmt.Errorf("%w: name the forest with --forest: %s", ErrRotation, strings.Join(names, ", "))
	}
	return names[0], nil
}

// newTransport opens the file of a new transport certificate.
func (d *Deployment) newTransport(ctx context.Context, r Rotation) (*desired.TransportCertificate, error) {
	password, err := d.secret(ctx, r.Password, "password of "+r.PFX)
	if err != nil {
		return nil, err
	}
	b, err := certificate.Load(r.PFX, password)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRotation, err)
	}
	content, err := os.ReadFile(r.PFX)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRotation, err)
	}
	if bytes.Contains(content, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%w: %s is PEM, and Exchange imports PKCS#12: "+
			"openssl pkcs12 -export -in FILE -out new.pfx", ErrRotation, r.PFX)
	}
	if b.Bare {
		d.warnExposed(r.PFX, "a private key without a password")
	}
	return &desired.TransportCertificate{Bundle: b, File: r.PFX, Password: r.Password, Services: r.Services}, nil
}
