package apply

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// A command that the place refused, or that was never sent, was not carried out. After any other
// error it may have been.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{refusal{errors.New("no")}, true},
		{fmt.Errorf("online: %w", link.ErrAccess), true},
		{fmt.Errorf("online: %w", link.ErrUntrusted), true},
		{fmt.Errorf("online: %w", link.ErrUnreachable), false},
		{context.DeadlineExceeded, false},
		{errors.New("connection reset"), false},
	} {
		if got := refused(tt.err); got != tt.want {
			t.Errorf("%v: refused is %v", tt.err, got)
		}
	}
}

// blindAfter refuses one command, and cannot be read right after it.
type blindAfter struct {
	*memory
	on    string
	blind bool
}

func (b *blindAfter) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	if c.Name == b.on {
		b.on, b.blind = "", true
		return nil, refusal{errors.New("no")}
	}
	return b.memory.Run(ctx, c)
}

func (b *blindAfter) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	if b.blind {
		b.blind = false
		return nil, errors.New("connection reset")
	}
	return b.memory.Read(ctx, k)
}

// Where a refusal cannot be read back, nothing else of the kind is written before that is looked at.
func TestRefusalThatCannotBeReadBack(t *testing.T) {
	w := newWorld()
	places := map[string]change.Place{"online": &blindAfter{memory: w.online, on: "New-Thing"},
		"onprem/contoso": w.onprem}
	report, err := Run(t.Context(), places, kinds, w.plan(t),
		Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, ErrPartial) {
		t.Fatal(err)
	}
	for _, o := range report.Changes {
		if o.ID == "online/Thing/new" && (o.Status != Failed || !o.Uncertain) {
			t.Errorf("%+v", o)
		}
		if o.ID == "online/Thing/delete" && o.Status != Pending {
			t.Errorf("another one of the kind: %+v", o)
		}
	}
}

// A value that shows a secret is not kept for later changes, wherever it comes from.
func TestSecretsAreNotKeptForReferences(t *testing.T) {
	const id, password = "online/Thing/new", "correct horse"
	note := change.Ref{Change: id, Property: "Note"}
	x := &execution{keep: map[change.Ref]bool{note: true}}
	x.secrets.add(secret.NewValue(password))
	live := &change.Live{Properties: change.Properties{"Note": "made with " + password}}
	if kept, err := x.kept(id, nil, live); err != nil || len(kept) > 0 {
		t.Errorf("kept %v, %v", kept, err)
	}
}
