package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// unzipped are the files of a zip by name.
func unzipped(t *testing.T, path string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := map[string][]byte{}
	for _, f := range z.File {
		if f.Modified.Month() != 1 || f.Modified.Day() != 1 {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		in.Close()
	}
	return out
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{"": {}, "72h": now.Add(-72 * time.Hour),
		"2026-11-20": time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local)} {
		if got, err := moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-72h", "72", "20.11.2026"} {
		if got, err := moment(text, now); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// No secret of the lab is in a plan, a journal, a log, a script, a snapshot or a bundle. A bundle
// names what is in it before it is written, and holds no name of the organization.
func TestSupportBundle(t *testing.T) {
	dir := t.TempDir()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	work := t.TempDir()
	at := func(name string) string { return filepath.Join(work, name) }
	hybridge := func(args ...string) result {
		var out, errs bytes.Buffer
		s := streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(name string) string {
			return map[string]string{"HOME": dir, "LocalAppData": dir}[name]
		}}
		args = append(args, "--non-interactive", "--state-dir", at("state"))
		return result{runIn(t.Context(), args, s, openDeployment), out.String(), errs.String()}
	}
	for _, args := range [][]string{
		{"plan", "-f", l.Answers(), "--out", at("plan.json"), "--scripts", at("scripts")},
		{"apply", at("plan.json"), "-f", l.Answers(), "--yes", "-o", "jsonl", "--log-level", "trace", "--log-file",
			at("run.log"), "--output-file", at("apply.jsonl")},
		{"collect", "-f", l.Answers(), "--output-file", at("snapshot.json")},
	} {
		if got := hybridge(args...); got.code > 3 {
			t.Fatalf("%v: %d\n%s", args, got.code, got.errout)
		}
	}
	if err := os.WriteFile(at("old.log"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-99 * time.Hour)
	if err := os.Chtimes(at("old.log"), long, long); err != nil {
		t.Fatal(err)
	}
	const ids = `msg=failed error="no (request id 1b2c3d4e-1111-4222-8333-000011112222)" where=ex1.contoso.example` + "\n"
	if err := os.WriteFile(at("more.log"), []byte(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	got := hybridge("support-bundle", at("run.log"), at("more.log"), at("apply.jsonl"), at("old.log"), "--snapshot",
		at("snapshot.json"), "--since", "72h", "--out", at("bundle.zip"))
	if got.code != 0 {
		t.Fatalf("support-bundle: %d\n%s", got.code, got.errout)
	}
	asked := streams{In: strings.NewReader("n\n"), Out: io.Discard, Err: io.Discard, InTTY: true, ErrTTY: true,
		Env: func(name string) string { return map[string]string{"HOME": dir, "LocalAppData": dir}[name] }}
	runIn(t.Context(), []string{"support-bundle", "--snapshot", at("snapshot.json"), "--out", at("refused.zip")}, asked,
		openDeployment)
	if _, err := os.Stat(at("refused.zip")); err == nil {
		t.Error("a bundle is written against the answer of a person")
	}
	files := unzipped(t, at("bundle.zip"))
	for _, name := range []string{"snapshot.json", "check.json", "plan.json", "versions.txt", "request-ids.txt",
		"timings.json", "files/run.log", "files/apply.jsonl"} {
		if len(files[name]) == 0 || !strings.Contains(got.errout, name) {
			t.Errorf("%s is not in the bundle, or not in the list:\n%s", name, got.errout)
		}
	}
	if list, wrote := strings.Index(got.errout, "snapshot.json"), strings.Index(got.errout, "wrote "); list < 0 || wrote < list {
		t.Errorf("the contents are not listed before:\n%s", got.errout)
	}
	if files["files/old.log"] != nil {
		t.Error("a file of before --since is in the bundle")
	}
	if !bytes.Contains(files["request-ids.txt"], []byte("1b2c3d4e-1111-4222-8333-000011112222")) {
		t.Errorf("request ids: %s", files["request-ids.txt"])
	}
	journals := 0
	for name, data := range files {
		if strings.HasPrefix(name, "journals/") {
			journals++
		}
		for _, word := range []string{"contoso", "fabrikam"} {
			if i := bytes.Index(bytes.ToLower(data), []byte(word)); i >= 0 {
				t.Errorf("%s is in %s: %s", word, name, data[max(0, i-80):min(len(data), i+80)])
			}
		}
	}
	if journals == 0 {
		t.Error("no journal is in the bundle")
	}

	// The secrets, over everything that was written.
	written := map[string][]byte{}
	err = filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		written[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		written["bundle: "+name] = data
	}
	secrets, _ := filepath.Glob(filepath.Join(dir, "secrets", "*"))
	looked := 0
	for _, path := range secrets {
		planted, err := os.ReadFile(path)
		s := strings.TrimSpace(string(planted))
		if err != nil || len(s) < 6 || len(s) > 200 {
			continue // certificates with their keys are not text
		}
		looked++
		for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s)), url.QueryEscape(s)} {
			for name, data := range written {
				if bytes.Contains(data, []byte(form)) {
					t.Errorf("the secret of %s is in %s", filepath.Base(path), name)
				}
			}
		}
	}
	if looked == 0 || len(written) < 15 {
		t.Errorf("%d secrets looked for in %d files: is this test looking?", looked, len(written))
	}
	for _, wrong := range [][]string{
		{"support-bundle", "--snapshot", at("snapshot.json"), "--since", "yesterday"},
		{"support-bundle", "--snapshot", at("snapshot.json"), at("gone.log")},
		{"support-bundle", "--snapshot", at("plan.json")},
	} {
		if got := hybridge(wrong...); got.code != exitUsage {
			t.Errorf("%v: %d\n%s", wrong, got.code, got.errout)
		}
	}
	if left, _ := filepath.Glob(".hybridge-support.zip-*"); len(left) > 0 {
		t.Errorf("a bundle that was not written leaves %v", left)
	}
}

// A file that is not there is named before anything is contacted.
func TestBundleOfAMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &scripted{}
	got := executeOn(t.Context(), t, s, "support-bundle", "gone.log")
	if got.code != exitUsage || !strings.Contains(got.errout, "gone.log: there is no such file") || len(s.called) > 0 {
		t.Errorf("exit %d, %v: %s", got.code, s.called, got.errout)
	}
}
