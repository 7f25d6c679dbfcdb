package deployment

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

// exportedOrganization are the files that a real Exchange 2019 server wrote.
const exportedOrganization = "../../../../shared/fixtures/clixml"

// The files of a real organization are checked and planned: what they show is judged, and what they
// lack is unknown by name, never absent and never a failure.
func TestImport(t *testing.T) {
	if _, err := os.Stat(exportedOrganization); err != nil {
		t.Skip("needs ../shared/fixtures/clixml beside the checkout")
	}
	in, err := Import(t.Context(), exportedOrganization, nil, Options{Version: "test"}, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Files) < 13 || !slices.ContainsFunc(in.Ignored, func(s string) bool {
		return strings.HasPrefix(s, "GetAcceptedDomain_Bad.xml: another file")
	}) {
		t.Errorf("read %d files: %v; ignored: %v", len(in.Files), in.Files, in.Ignored)
	}
	if !slices.Contains(in.Lacks, "Get-TransportConfig") {
		t.Errorf("lacks %v", in.Lacks)
	}
	d := recalled(t, in.Snapshot)
	r, err := d.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	judged := map[check.Status]int{}
	for _, result := range r.Results {
		judged[result.Status]++
		text := result.Summary.String()
		if result.Status == check.StatusFail && strings.Contains(text, "does not hold") {
			t.Errorf("%s fails for what is not there: %s", result.ID, text)
		}
	}
	if judged[check.StatusPass] < 15 || judged[check.StatusError] < 15 {
		t.Errorf("judged %v", judged)
	}
	plan, _ := d.Plan(t.Context(), &events{}) // an error where nothing can be planned
	for _, c := range plan.Changes {
		if !strings.HasPrefix(c.ID, "onprem/") {
			t.Errorf("%s is planned, and nothing was read there", c.ID)
		}
	}
}

// Folders without usable files are one clear error.
func TestImportOfNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"notes.xml": "x", "Get-Queue.xml": "<Objs", "read.me": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, err := Import(t.Context(), dir, nil, Options{}, &events{})
	if !errors.Is(err, ErrExported) || len(in.Ignored) != 2 {
		t.Errorf("%v, %v", err, in.Ignored)
	}
	if _, err := Import(t.Context(), filepath.Join(dir, "gone"), nil, Options{}, &events{}); err == nil {
		t.Error("a folder that is not there")
	}
}
