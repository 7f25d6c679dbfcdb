// Package metrics gives the files of --output openmetrics to readers that others wrote.
package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// hostile are names as servers may give them.
var hostile = []string{`a"b`, `c\d`, "e\nf", `g{h="i"} 1`, "# EOF", "ümlaut 漢字", "\x1b[31m\u202e", "", `\`, "j\xffk"}

func write(t *testing.T, file string, about report.About, code int, d report.Document) {
	t.Helper()
	f, known := report.Named("openmetrics")
	if !known {
		t.Fatal("there is no format openmetrics")
	}
	var b bytes.Buffer
	w := f.Open(&b, report.Options{})
	w.(report.Beginner).Begin(about)
	if d != nil {
		if err := w.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(code); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// files writes what different runs on one computer leave: checks and lookups of two deployments, a
// run that failed, a fleet.
func files(t *testing.T, dir string) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	checks := check.Report{}
	lookups := freebusy.Report{}
	var members []fleet.Deployment
	for i, name := range hostile {
		for _, s := range []check.Status{check.StatusPass, check.StatusFail, check.StatusError, check.StatusSkip} {
			checks.Results = append(checks.Results, check.Result{ID: check.ID("a." + string(s)), Scope: name, Status: s})
		}
		lookups.Matrix = append(lookups.Matrix, freebusy.Answer{From: name, To: "b@contoso.com", Direction: name,
			Probe: "ews", Status: freebusy.Failed, LatencyMS: 12})
		members = append(members, fleet.Deployment{About: report.About{Deployment: fmt.Sprint(i, name), Verb: "check",
			Time: now}, ExitCode: 3, Outcomes: []fleet.Outcome{{ID: "a.b", Place: name, Status: report.Fail}}})
	}
	for _, name := range []string{"Contoso", hostile[0]} {
		slug := fmt.Sprintf("%x", name)
		write(t, filepath.Join(dir, "check-"+slug+".prom"), report.About{Deployment: name, Verb: "check"}, 3, checks)
		write(t, filepath.Join(dir, "test-"+slug+".prom"), report.About{Deployment: name, Verb: "test"}, 3, lookups)
	}
	write(t, filepath.Join(dir, "failed.prom"), report.About{Deployment: "Fabrikam", Verb: "check"}, 9, nil)
	write(t, filepath.Join(dir, "fleet.prom"), report.About{Deployment: "fleet", Verb: "merge"}, 3,
		fleet.New(members...))
}

// Prometheus' Python client reads every file as OpenMetrics and as the older text format, and sees
// the same samples.
func TestPythonClientReadsTheFiles(t *testing.T) {
	dir := t.TempDir()
	files(t, dir)
	python := "/usr/bin/python3" // Debian's, with Debian's packages
	if err := exec.Command(python, "-c", "import prometheus_client").Run(); err != nil {
		peer.Missing(t, "Prometheus' Python client", "python3-prometheus-client")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.prom"))
	if err != nil || len(found) < 6 {
		t.Fatalf("%v %v", found, err)
	}
	for _, file := range found {
		var complaint bytes.Buffer
		c := exec.Command(python, "parse.py", file)
		c.Stderr = &complaint
		out, err := c.Output()
		if err != nil {
			text, _ := os.ReadFile(file)
			t.Errorf("%v: %s\n%s", err, complaint.String(), text)
			continue
		}
		var samples []any
		if err := json.Unmarshal(out, &samples); err != nil || len(samples) < 3 {
			t.Errorf("%s: %v, %d samples", file, err, len(samples))
		}
	}
	broken := filepath.Join(dir, "broken.prom")
	if err := os.WriteFile(broken, []byte("# TYPE a gauge\na{b=\"c} 1\n# EOF\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(python, "parse.py", broken).Run(); err == nil {
		t.Error("the parser takes a broken file: is it looking?")
	}
}

// The node exporter's textfile collector publishes all files of one folder together.
func TestNodeExporterPublishesTheFiles(t *testing.T) {
	exporter := peer.Program(t, "prometheus-node-exporter", "prometheus-node-exporter")
	dir := t.TempDir()
	files(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address := fmt.Sprintf("127.0.0.1:%d", peer.FreePort(t))
	var log bytes.Buffer
	c := exec.CommandContext(ctx, exporter, "--collector.disable-defaults", "--collector.textfile",
		"--collector.textfile.directory="+dir, "--web.listen-address="+address)
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	scrape := func() string {
		t.Helper()
		for ctx.Err() == nil {
			resp, err := http.Get("http://" + address + "/metrics")
			if err != nil {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		t.Fatalf("the exporter does not answer: %s", log.String())
		return ""
	}
	text := scrape()
	if !strings.Contains(text, "node_textfile_scrape_error 0\n") {
		t.Fatalf("a file is refused:\n%s\n%s", log.String(), text)
	}
	for _, want := range []string{
		`hybridge_run_exit_code{deployment="Contoso",verb="check"} 3`,
		`hybridge_run_exit_code{deployment="Fabrikam",verb="check"} 9`,
		`hybridge_check_state{deployment="a\"b",id="a.fail",place="c\\d",verb="check"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the exporter does not show %s", want)
		}
	}
	if n := strings.Count(text, "\nhybridge_"); n < 100 {
		t.Errorf("the exporter shows %d samples", n)
	}
	// The collector notices what is wrong.
	if err := os.WriteFile(filepath.Join(dir, "broken.prom"), []byte("a{b=\"c} 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := scrape(); !strings.Contains(text, "node_textfile_scrape_error 1\n") {
		t.Error("the exporter takes a broken file: is it looking?")
	}
}
