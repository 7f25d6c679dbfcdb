package deployment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// exports writes files without objects, each an hour older than the one before.
func exports(t *testing.T, names ...string) (dir string, newest time.Time) {
	t.Helper()
	dir, newest = t.TempDir(), time.Now().Truncate(time.Second)
	for i, name := range names {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(`<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">`+
			`<S>x</S></Objs>`), 0o600); err != nil {
			t.Fatal(err)
		}
		at := newest.Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return dir, newest
}

// The clock of an import is that of its newest file.
func TestClockOfAnImport(t *testing.T) {
	dir, newest := exports(t, "GetAcceptedDomain.xml", "GetSendConnector.xml", "GetRemoteDomain.xml")
	e, err := (&Imported{}).readFolder(dir)
	if err != nil || !e.newest.Equal(newest) || len(e.objects) != 3 {
		t.Errorf("%v, %v of %d", err, e.newest, len(e.objects))
	}
}

// Files beside each other are of one forest: with two in the answers, which one is not known.
func TestImportForTwoForests(t *testing.T) {
	dir, _ := exports(t, "GetAcceptedDomain.xml")
	a := answers.Answers{Organization: "Contoso", Forests: []answers.Forest{{Name: "contoso"}, {Name: "fabrikam"}}}
	if _, err := Import(t.Context(), dir, &a, Options{}, &events{}); !errors.Is(err, ErrExported) ||
		!strings.Contains(err.Error(), "name 2 forests") {
		t.Error(err)
	}
}
