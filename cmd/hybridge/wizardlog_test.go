package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

func wizardLog(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../pkg/hybrid/hcw/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A log, a folder and a support package give the same; what is none of them is one clear error.
func TestCollectWizardLogs(t *testing.T) {
	dir := t.TempDir()
	hybridge := func(args ...string) result {
		var out, errs bytes.Buffer
		s := streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(string) string { return "" }}
		return result{runIn(t.Context(), append(args, "--non-interactive"), s, openDeployment), out.String(), errs.String()}
	}
	folder, packed := filepath.Join(dir, "logs"), filepath.Join(dir, "package.zip")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(file)
	for name, data := range map[string][]byte{
		"20240131_203800.log": wizardLog(t, "hl3.log"), "20260304_090000.log": wizardLog(t, "overwrites.log"),
		"20260304_090000.boot": []byte("boot"), "20260304_090000.hybridconnector.log": []byte("another log"),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := z.Create("..\\" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	first, second := filepath.Join(folder, "20240131_203800.log"), filepath.Join(folder, "20260304_090000.log")
	want := hybridge("collect", "--hcw-log", first, second, "-o", "json")
	for _, args := range [][]string{{folder}, {packed}, {second, "--hcw-log", first}} {
		if got := hybridge(append([]string{"collect", "-o", "json", "--hcw-log"}, args...)...); got.out != want.out {
			t.Errorf("%v: exit %d\n%s\n%s", args, got.code, got.out, got.errout)
		}
	}
	if err := validates(t, schemaComments(t), "wizard-runs", []byte(want.out)); err != nil {
		t.Error(err)
	}
	var log deployment.WizardLog
	if err := json.Unmarshal([]byte(want.out), &log); err != nil || len(log.Runs) != 2 || len(log.Runs[1].Overwritten) != 4 {
		t.Fatalf("%v: %+v", err, log)
	}
	if c := log.Runs[0].Failures[0].Cause; c == nil || c.ID != "domain.no-coexistence" {
		t.Errorf("%+v", log.Runs[0].Failures[0])
	}
	for _, format := range []string{"text", "markdown", "html"} {
		got := hybridge("collect", "--hcw-log", folder, "-o", format)
		for _, part := range []string{"HCW8001", "it stopped the wizard", "domain.no-coexistence", "smtp.contoso.com",
			"1 failed"} {
			if got.code != 0 || !strings.Contains(strings.ReplaceAll(got.out, "\u00ad", ""), part) {
				t.Errorf("%s: exit %d, %q is not in\n%s", format, got.code, part, got.out)
			}
		}
	}
	for _, args := range [][]string{
		{"collect", "--hcw-log", filepath.Join(folder, "20260304_090000.boot")}, {"collect", "--hcw-log", "nowhere.log"},
		{"collect", "--hcw-log", dir}, {"collect", "--hcw-log", first, "--only", "dns.*"},
	} {
		if got := hybridge(args...); got.code != exitUsage || !strings.Contains(got.errout, "--hcw-log") {
			t.Errorf("%v: exit %d\n%s", args, got.code, got.errout)
		}
	}
}
