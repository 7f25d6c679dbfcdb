package apply

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

const password = `hunter2 & "more"`

// vault is a kind with a secret, safe a place that keeps it and shows it wherever it can.
var vault = &change.Kind{
	Noun: "Vault",
	Properties: map[string]change.Property{
		"Key": {Write: change.Key}, "URL": {}, "Password": {}, "Echo": {}, "Id": {},
	},
	Command: command("Vault"),
}

type safe struct {
	*memory
	given  []string
	refuse bool
}

func (s *safe) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	if value, is := c.Parameters["Password"].(map[string]any); is {
		s.given = append(s.given, value["is"].(secret.Value).Reveal())
		delete(c.Parameters, "Password")
		c.Parameters["Echo"] = "the password is " + password
	}
	if s.refuse {
		quoted, _ := json.Marshal(password)
		return nil, refusal{fmt.Errorf("%w: bad password %s, or %s", errNo, quoted,
			base64.StdEncoding.EncodeToString([]byte(password)))}
	}
	out, err := s.memory.Run(ctx, c)
	if out != nil {
		out["Id"] = password
	}
	return out, err
}

var errNo = errors.New("no")

func vaults(key, url string) change.Resource {
	return change.Resource{Kind: vault, Target: "online", Key: key, Name: key, Properties: change.Properties{
		"Key": key, "URL": url, "Password": map[string]any{"is": change.SecretRef{Ref: "env:VAULT"}},
	}}
}

// A secret reaches the place and nothing else: no journal, report, event or error.
func TestSecretsGoNowhere(t *testing.T) {
	dir := t.TempDir()
	s := &safe{memory: &memory{name: "online", live: map[string][]change.Live{}}}
	places, kinds := map[string]change.Place{"online": s}, map[string]*change.Kind{"Vault": vault}
	var said bytes.Buffer
	note := func(v any) {
		data, err := json.Marshal(v)
		fmt.Fprintf(&said, "%s %v\n%+v\n", data, err, v)
	}
	asked := 0
	o := Options{StateDir: dir, Wait: soon,
		Secret: func(_ context.Context, ref secret.Ref, label string) (secret.Value, error) {
			asked++
			if ref != "env:VAULT" || !strings.Contains(label, "online/Vault/") {
				t.Errorf("asked for %s of %q", ref, label)
			}
			return secret.NewValue(password), nil
		}}
	obs := observe.Func(func(e observe.Event) { note(e) })
	plan := func(resources ...change.Resource) change.Plan {
		t.Helper()
		p, err := change.Make(t.Context(), places, resources, change.Options{})
		if err != nil {
			t.Fatal(err)
		}
		said.Write(p.Encode())
		return p
	}
	ended := func(r Report, err error) Report {
		note(r)
		note(err)
		fmt.Fprintf(&said, "%v %#v\n", err, err)
		return r
	}

	// Created, and found in effect; then another property differs, and the secret goes along.
	if r := ended(Run(t.Context(), places, kinds, plan(vaults("a", "https://a")), o, obs)); r.Summary.Done != 1 {
		t.Fatalf("%+v", r)
	}
	if p := plan(vaults("a", "https://a")); len(p.Changes) > 0 {
		t.Errorf("not in effect: %+v", p.Changes)
	}
	if r := ended(Run(t.Context(), places, kinds, plan(vaults("a", "https://b")), o, obs)); r.Summary.Done != 1 {
		t.Fatalf("%+v", r)
	}
	if want := []string{password, password}; !slices.Equal(s.given, want) || asked != 2 {
		t.Errorf("given %d, asked %d", len(s.given), asked)
	}
	// Set back with the reference, since the one before is not known.
	if r := ended(Rollback(t.Context(), places, kinds, "", o, obs)); r.Summary.Done != 1 || len(s.given) != 3 {
		t.Errorf("%+v, given %d", r, len(s.given))
	}
	s.refuse = true
	if r := ended(Run(t.Context(), places, kinds, plan(vaults("a", "https://a"), vaults("b", "https://b")), o,
		obs)); r.Summary.Failed != 1 {
		t.Errorf("%+v", r)
	} else if cause := r.Changes[0].Cause; !errors.Is(cause, errNo) || !refused(cause) ||
		!strings.Contains(cause.Error(), secret.Redacted) {
		t.Errorf("%v", cause)
	}
	// No resolver, or nothing found: nothing is begun.
	s.refuse = false
	for _, without := range []func(context.Context, secret.Ref, string) (secret.Value, error){
		nil,
		func(context.Context, secret.Ref, string) (secret.Value, error) { return secret.Value{}, nil },
		func(context.Context, secret.Ref, string) (secret.Value, error) { return secret.Value{}, errNo },
	} {
		o.Secret, o.StateDir = without, t.TempDir()
		r := ended(Run(t.Context(), places, kinds, plan(vaults("c", "https://c")), o, obs))
		journal, err := readJournal(r.Journal)
		if err != nil || r.Summary.Failed != 1 || journal.traces()["online/Vault/c"].begin != nil {
			t.Errorf("%v: %+v", err, r)
		}
	}

	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, readErr := os.ReadFile(path)
			said.Write(data)
			err = readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), `"$secret":"env:VAULT"`) {
		t.Error("the journal has no reference")
	}
	for _, form := range []string{"hunter2", base64.StdEncoding.EncodeToString([]byte(password))} {
		if at := strings.Index(said.String(), form); at >= 0 {
			t.Errorf("%s is in %s", form, said.String()[max(0, at-300):min(said.Len(), at+50)])
		}
	}
}

func TestHidden(t *testing.T) {
	var h hidden
	h.add(secret.NewValue("x1"))
	h.add(secret.NewValue("it's <me>"))
	for text, want := range map[string]string{
		"nothing":                     "nothing",
		"about it's <me>!":            "about " + secret.Redacted + "!",
		"quoted 'it''s <me>'":         "quoted '" + secret.Redacted + "'",
		"url=it%27s+%3Cme%3E":         "url=" + secret.Redacted,
		"<p>it&#39;s &lt;me&gt;":      "<p>" + secret.Redacted,
		`{"p":"it's \u003cme\u003e"}`: `{"p":"` + secret.Redacted + `"}`,
		"short x1 shows by a gap":     secret.Redacted,
	} {
		if got := h.text(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if !h.within(map[string]any{"a": []any{"b", change.Properties{"x1": 1}}}) || h.within([]string{"a"}) {
		t.Error("within")
	}
}

// A value that shows a secret is withheld from the journal. A rollback knows that it does not know
// it, and does not write emptiness in its place.
func TestWithheldValueIsNotSetBackToNothing(t *testing.T) {
	s := &safe{memory: &memory{name: "online", live: map[string][]change.Live{"Vault": {{Identity: "1", Name: "a",
		Properties: change.Properties{"Key": "a", "URL": "https://old/?" + password, "Id": "old"}}}}}}
	places, kinds := map[string]change.Place{"online": s}, map[string]*change.Kind{"Vault": vault}
	wanted := vaults("a", "https://new/")
	wanted.Properties["Id"] = "new"
	p, err := change.Make(t.Context(), places, []change.Resource{wanted}, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{StateDir: t.TempDir(), Wait: soon,
		Secret: func(context.Context, secret.Ref, string) (secret.Value, error) {
			return secret.NewValue(password), nil
		}}
	if _, err := Run(t.Context(), places, kinds, p, o, nil); err != nil {
		t.Fatal(err)
	}
	_, err = Rollback(t.Context(), places, kinds, "", o, nil)
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "what URL was before is not known") {
		t.Errorf("got %v", err)
	}
	if got := s.live["Vault"][0].Properties; got["URL"] != "https://new/" || got["Id"] != "old" {
		t.Errorf("set back to %v", got)
	}
}
