package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// The commands of the guide: check and plan give the same bytes from a snapshot as from the
// systems, also where these are gone. No secret of the lab is in the file.
func TestCollect(t *testing.T) {
	dir := t.TempDir()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 20, Faults: []string{"directory.upn-differs"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	hybridge := func(args ...string) result {
		var out, errs bytes.Buffer
		s := streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(name string) string {
			return map[string]string{"HOME": dir, "LocalAppData": dir}[name]
		}}
		return result{runIn(t.Context(), append(args, "--non-interactive"), s, openDeployment), out.String(), errs.String()}
	}
	live := []result{hybridge("check", "-f", l.Answers()), hybridge("plan", "-f", l.Answers())}
	file := filepath.Join(dir, "snapshot.json")
	if got := hybridge("collect", "-f", l.Answers(), "--output-file", file); got.code != 0 ||
		!strings.Contains(got.errout, "next: hybridge check --snapshot") {
		t.Fatalf("collect: %d\n%s", got.code, got.errout)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, verb := range []string{"check", "plan"} {
		got := hybridge(verb, "--snapshot", file)
		if got.code != live[i].code || got.out != live[i].out {
			t.Errorf("%s: exit %d, want %d\n%s\nwant\n%s\n%s", verb, got.code, live[i].code, got.out, live[i].out, got.errout)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	comments := schemaComments(t)
	if err := validates(t, comments, "snapshot", data); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the snapshot: %v, %v", info.Mode(), err)
	}
	secrets, _ := filepath.Glob(filepath.Join(dir, "*.password"))
	more, _ := filepath.Glob(filepath.Join(dir, "secrets", "*"))
	if len(secrets)+len(more) == 0 {
		t.Fatal("the lab has no secrets: is this test looking?")
	}
	for _, path := range append(secrets, more...) {
		planted, err := os.ReadFile(path)
		if s := bytes.TrimSpace(planted); err == nil && len(s) > 5 && bytes.Contains(data, s) {
			t.Errorf("the secret of %s is in the snapshot", filepath.Base(path))
		}
	}
	for _, form := range []string{"PRIVATE KEY", "Bearer ey"} {
		if bytes.Contains(data, []byte(form)) {
			t.Errorf("%s is in the snapshot", form)
		}
	}

	// A redacted one is no snapshot of the lab by name, and the file of names leads back.
	redacted, names := filepath.Join(dir, "redacted.json"), filepath.Join(dir, "names.json")
	again, err := lab.Start(t.Context(), lab.Options{Dir: filepath.Join(dir, "again"), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	if got := hybridge("collect", "-f", again.Answers(), "--redact", "--names", names, "--output-file", redacted); got.code != 0 {
		t.Fatalf("collect --redact: %d\n%s", got.code, got.errout)
	}
	if data, err := os.ReadFile(redacted); err != nil || bytes.Contains(bytes.ToLower(data), []byte("contoso")) {
		t.Errorf("contoso is in the redacted snapshot, or %v", err)
	} else if err := validates(t, comments, "snapshot", data); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(names); err != nil || !bytes.Contains(data, []byte(`"contoso":`)) {
		t.Errorf("the names have no contoso, or %v", err)
	}
	if got := hybridge("check", "--snapshot", redacted); got.code != 0 || strings.Contains(got.out, "contoso") {
		t.Errorf("check of the redacted snapshot: %d\n%s", got.code, got.out)
	}

	// Files of Export-Clixml: what they lack is unknown.
	exports := filepath.Join(dir, "exports")
	if err := os.Mkdir(exports, 0o700); err != nil {
		t.Fatal(err)
	}
	domain := `<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj RefId="0"><TN RefId="0">` +
		`<T>Deserialized.Microsoft.Exchange.Data.Directory.SystemConfiguration.AcceptedDomain</T></TN><Props>` +
		`<S N="Name">contoso.example</S><S N="DomainName">contoso.example</S><B N="Default">true</B>` +
		`<S N="DomainType">Authoritative</S></Props></Obj></Objs>`
	if err := os.WriteFile(filepath.Join(exports, "GetAcceptedDomain.xml"), []byte(domain), 0o600); err != nil {
		t.Fatal(err)
	}
	imported := filepath.Join(dir, "imported.json")
	if got := hybridge("collect", "--import", exports, "--output-file", imported); got.code != 0 ||
		!strings.Contains(got.errout, "not there, so unknown: ") {
		t.Fatalf("collect --import: %d\n%s", got.code, got.errout)
	}
	if got := hybridge("check", "--snapshot", imported); got.code != exitInconclusive ||
		!strings.Contains(got.out, "the snapshot does not hold it") {
		t.Errorf("check of imported files: %d\n%s", got.code, got.out)
	}

	// What cannot be a snapshot, and what a snapshot cannot be asked, is one clear error.
	damaged := filepath.Join(dir, "damaged.json")
	if err := os.WriteFile(damaged, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range [][]string{
		{"check", "--snapshot", damaged}, {"check", "--snapshot", l.Answers()}, {"plan", "--snapshot", "nowhere.json"},
		{"collect", "-f", l.Answers(), "--only", "dns.*"}, {"collect", "--import", "no-snapshots", "--output-file", "-"},
	} {
		if got := hybridge(wrong...); got.code != exitUsage || !strings.Contains(got.errout, "snapshot") {
			t.Errorf("%v: exit %d: %s", wrong, got.code, got.errout)
		}
	}
}

// With -f, a snapshot is judged by those answers and not by its maker's.
func TestSnapshotWithOtherAnswers(t *testing.T) {
	dir := t.TempDir()
	file, snapshot := filepath.Join(dir, "answers.yaml"), filepath.Join(dir, "snapshot.json")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, strings.Replace(answersFile, "organization: Contoso", "organization: Maker", 1))
	maker, err := answers.Load(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(maker)
	if err != nil {
		t.Fatal(err)
	}
	write(file, answersFile)
	write(snapshot, `{"apiVersion":"hybridge/v1","kind":"Snapshot","takenAt":"2026-11-27T00:00:00Z","answers":`+string(raw)+
		`,"readings":[]}`)
	opened := ""
	var errs bytes.Buffer
	code := runIn(t.Context(), []string{"check", "-f", file, "--snapshot", snapshot}, streams{In: strings.NewReader(""),
		Out: io.Discard, Err: &errs, Env: func(name string) string {
			return map[string]string{"HOME": dir, "LocalAppData": dir}[name]
		}}, func(a answers.Answers, o deployment.Options) (deployed, error) {
		opened = a.Organization
		if o.Snapshot == nil {
			t.Error("without the snapshot")
		}
		return &scripted{check: checked(check.Result{ID: "a.b", Status: check.StatusPass})}, nil
	})
	if code != exitFine || opened != "Contoso" {
		t.Errorf("exit %d, of %q: %s", code, opened, errs.String())
	}
}
