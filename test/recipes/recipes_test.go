// Package recipes gives what hybridge shows to other services to the code of others: recipes to
// GitHub's own parser of workflows, notifications to the library of Standard Webhooks.
package recipes

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/test/peer"
)

type message struct {
	Secret  string            `json:"secret"`
	Raw     bool              `json:"raw"`
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
}

type question struct {
	Workflow string    `json:"workflow,omitempty"`
	Messages []message `json:"messages,omitempty"`
}

type answer struct {
	Jobs, Errors, Verified []string
}

// installed is the folder with the referee and its npm packages, as pinned by the lock file.
var installed = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "recipes")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(folder, os.DirFS("testdata")); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return folder, exec.CommandContext(ctx, "npm", "ci", "--prefix", folder, "--no-audit", "--no-fund",
		"--ignore-scripts").Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, _ := installed(); folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

func ask(t *testing.T, q question) answer {
	t.Helper()
	node := peer.Program(t, "node", "nodejs")
	peer.Program(t, "npm", "npm")
	folder, err := installed()
	if err != nil {
		t.Logf("npm ci: %v", err)
		peer.Missing(t, "@actions/workflow-parser with standardwebhooks", "them from npm")
	}
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, node, filepath.Join(folder, "referee.mjs"))
	var stderr bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(data), &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return a
}

// GitHub's own parser takes the workflow of docs/fleet.md.
func TestGitHubReadsTheWorkflow(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile("(?ms)^### GitHub Actions\n.*?^```yaml\n(.*?)^```$").FindSubmatch(page)
	if section == nil {
		t.Fatal("docs/fleet.md has no workflow")
	}
	workflow := string(section[1])
	a := ask(t, question{Workflow: workflow})
	if len(a.Errors) > 0 || !slices.Equal(a.Jobs, []string{"check", "merge"}) {
		t.Errorf("%+v", a)
	}
	for _, wrong := range [][2]string{{"runs-on:", "runs_on:"}, {"needs: check", "needs: chekc"},
		{"fail-fast: false", "fail-fast: [1]"}, {"${{ matrix.shard }}", "${{ matrx.shard }}"}} {
		if a := ask(t, question{Workflow: strings.Replace(workflow, wrong[0], wrong[1], 1)}); len(a.Errors) == 0 {
			t.Errorf("the parser takes %s: is it looking?", wrong[1])
		}
	}
}

// The library of Standard Webhooks takes the signature of a notification, and no other.
func TestStandardWebhooksVerifies(t *testing.T) {
	body := []byte(`{"kind":"Notification","place":"漢字"}` + "\n")
	sign := func(key string, at time.Time) map[string]string {
		t.Helper()
		h := http.Header{}
		if err := notify.Sign(h, notify.NewID(), at, body, []byte(key)); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for k := range h {
			out[strings.ToLower(k)] = h.Get(k)
		}
		return out
	}
	const encoded, raw = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "correct horse battery staple"
	now := time.Now()
	forged := sign(encoded, now)
	forged["webhook-id"] = "msg_other"
	a := ask(t, question{Messages: []message{
		{Secret: encoded, Body: string(body), Headers: sign(encoded, now)},
		{Secret: raw, Raw: true, Body: string(body), Headers: sign(raw, now)},
		{Secret: encoded, Body: string(body) + " ", Headers: sign(encoded, now)},
		{Secret: encoded, Body: string(body), Headers: sign(raw, now)},
		{Secret: encoded, Body: string(body), Headers: forged},
		{Secret: encoded, Body: string(body), Headers: sign(encoded, now.Add(-time.Hour))},
	}})
	for i, complaint := range a.Verified {
		if good := i < 2; good != (complaint == "") {
			t.Errorf("message %d: %q", i, complaint)
		}
	}
	if len(a.Verified) != 6 {
		t.Errorf("%d answers", len(a.Verified))
	}
}
