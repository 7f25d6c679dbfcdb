package wizard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// An older state of the answers never comes over a newer one.
func TestSaveLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.yaml")
	f := newFile(path)
	for _, step := range []struct {
		edits      int
		name, want string
	}{{2, "Second", "Second"}, {1, "First", "Second"}, {2, "Again", "Second"}, {3, "Third", "Third"}} {
		d, err := answers.NewDocument(path, []byte("organization: "+step.name+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if s := f.save(d, step.edits, answers.Undecided); s.err != nil || s.conflict != nil {
			t.Fatal(s.err, s.conflict)
		}
		if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), step.want) {
			t.Errorf("after %s: %v: %s", step.name, err, data)
		}
	}
}

func edit(t *testing.T, old, new string) {
	t.Helper()
	data, err := os.ReadFile("answers.yaml")
	if err != nil || !strings.Contains(string(data), old) {
		t.Fatalf("no %q in the file: %v", old, err)
	}
	if err := os.WriteFile("answers.yaml", []byte(strings.Replace(string(data), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func onDisk(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("answers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What an editor changed meanwhile is taken in before anything runs with the answers, and the
// person reads it in the status line.
func TestChangedMeanwhile(t *testing.T) {
	engine := newFake()
	b, _ := open[*formScreen](t, given{engine: engine})
	b.walk(step{"<ctrl+u>Fabrikam", "Fabrikam"})
	edit(t, "tenant: contoso.onmicrosoft.com", "tenant: other.onmicrosoft.com")
	b.walk(step{"<ctrl+s>", "was changed by another program"}, step{"", "other.onmicrosoft.com"})
	if got := onDisk(t); !strings.Contains(got, "organization: Fabrikam\n") || !strings.Contains(got,
		"tenant: other.onmicrosoft.com") {
		t.Errorf("merged:\n%s", got)
	}
	edit(t, "tenant: other.onmicrosoft.com", "tenant: third.onmicrosoft.com")
	b.walk(step{"<enter>", checkSummary})
	if b.m.answers.ExchangeOnline.Tenant != "third.onmicrosoft.com" || !b.m.fresh() {
		t.Errorf("checked with tenant %s", b.m.answers.ExchangeOnline.Tenant)
	}
	// What makes the answers invalid leads to the form.
	edit(t, "tenant: third.onmicrosoft.com", "tenant: https://x")
	b.walk(step{"r", "is a URL"})
}

// What both changed is asked.
func TestConflict(t *testing.T) {
	for key, want := range map[string]string{"m": "Fabrikam", "t": "Adatum"} {
		b, _ := open[*formScreen](t, given{})
		b.walk(step{"<ctrl+u>Fabrikam", "Fabrikam"})
		edit(t, "organization: Contoso", "organization: Adatum # by hand")
		edit(t, "cloud: worldwide", "cloud: gcc-high")
		edit(t, "contoso.onmicrosoft.com", "contoso.onmicrosoft.us")
		b.walk(step{"<ctrl+s>", "in answers that you changed too"})
		b.goldens("conflict")
		b.walk(step{"x", "m keep mine"}, step{key, "Organization  " + want})
		b.wait("never saved", func() bool {
			got := onDisk(t)
			return strings.Contains(got, "organization: "+want+" # by hand") && strings.Contains(got, "cloud: gcc-high")
		})
	}
}

// On leaving, no person can decide: the answers go to another file beside it.
func TestConflictOnLeaving(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.walk(step{"<ctrl+u>Fabrikam", "Fabrikam"})
	edit(t, "organization: Contoso", "organization: Adatum")
	b.press("<ctrl+c>")
	b.left()
	if err := b.m.save(); err != nil || b.m.file.name() != "answers.yaml.new.yaml" || !strings.Contains(onDisk(t),
		"Adatum") {
		t.Errorf("%s, %v:\n%s", b.m.file.name(), err, onDisk(t))
	}
	if !strings.Contains(strings.Join(b.m.farewell(nil), "\n"), "answers.yaml.new.yaml") {
		t.Error("the farewell does not say where")
	}
}

// A file that cannot be read any more is left alone.
func TestBrokenMeanwhile(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.walk(step{"<ctrl+u>Fabrikam", "Fabrikam"})
	edit(t, "organization: Contoso", "organization: [")
	b.walk(step{"<ctrl+s>", "cannot be read any more"})
	if data, err := os.ReadFile("answers.yaml.new.yaml"); err != nil || !strings.Contains(string(data),
		"Fabrikam") || !strings.Contains(onDisk(t), "organization: [") {
		t.Errorf("%v: %s", err, data)
	}
}
