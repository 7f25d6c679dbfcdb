package lab_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// Another account may have prepared the directory: the lab writes through no link, puts no secret
// into a file that the other account can read, and takes back the rights on what is there.
func TestLabWritesThroughNoLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("rights are not in the mode there")
	}
	dir, victims := t.TempDir(), t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	if err := os.Mkdir(secrets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(secrets, 0o777); err != nil { //nolint:gosec // the attack
		t.Fatal(err)
	}
	victim := func(name string) string {
		t.Helper()
		path := filepath.Join(victims, name)
		if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil { //nolint:gosec // the attack
			t.Fatal(err)
		}
		return path
	}
	for at, plant := range map[string]func(from, to string) error{
		"ca.pem": os.Symlink, "lab.json": os.Symlink, "lab.json.new": os.Symlink, "answers.yaml": os.Symlink,
		"secrets/contoso-svc-hybridge": os.Symlink, "secrets/automation.pfx": os.Link,
		"secrets/automation.password": os.Link,
	} {
		if err := plant(victim(strings.ReplaceAll(at, "/", "-")), filepath.Join(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	open := filepath.Join(secrets, "fabrikam-svc-hybridge")
	if err := os.WriteFile(open, nil, 0o666); err != nil { //nolint:gosec // the attack
		t.Fatal(err)
	}
	reader, err := os.Open(open) // and keeps it open
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	files, _ := filepath.Glob(filepath.Join(victims, "*"))
	if len(files) != 7 {
		t.Fatal(files)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
			t.Errorf("the lab wrote to %s: %.40q, %v", filepath.Base(file), data, err)
		}
	}
	if data := make([]byte, 10); true {
		if n, _ := reader.Read(data); n > 0 {
			t.Errorf("a file that was open before holds %q", data[:n])
		}
	}
	if info, err := os.Stat(secrets); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("secrets: %v, %v", info.Mode(), err)
	}
	written := 0
	for _, pattern := range []string{"*", "secrets/*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, file := range found {
			info, err := os.Lstat(file)
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() || strings.HasSuffix(file, ".new") { // the lab does not write this one
				continue
			}
			written++
			if info.Mode() != 0o600 {
				t.Errorf("%s: mode %v", file, info.Mode())
			}
		}
	}
	if written < 10 {
		t.Errorf("%d files", written)
	}
}

func TestLabRefusesASecretsLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "secrets")); err != nil {
		t.Skip(err)
	}
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 5})
	if err == nil {
		_ = l.Close()
		t.Fatal("no error")
	}
	if found, _ := os.ReadDir(elsewhere); len(found) > 0 || !strings.Contains(err.Error(), "is not a directory") {
		t.Errorf("%v, %d files", err, len(found))
	}
}
