package desired

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// hostileTexts are names that a server can give.
var hostileTexts = []string{
	"\ue000x$(touch pl4nted)\ue000",
	"\ue000x\")\"; touch pl4nted; echo \"\ue000", "\ue000SECRET_1\ue000", "'; touch pl4nted; '", "$(touch pl4nted)",
	"`touch pl4nted`", `"; touch pl4nted; "`, "\ntouch pl4nted\n", "a\\", "a\\'b", "\\", "‘’‚‛“”", "%s%n", "-n", "é\U0001f600",
}

// No text of a server is run by a script of the AWS CLI, and each reaches the service as it is.
func TestShellWords(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, text := range hostileTexts {
		dir := t.TempDir()
		s := &script{secrets: []change.SecretRef{{Ref: "env:PLANTED"}}}
		word := s.shellJSON(map[string]any{"Name": text, text: []any{text, true, nil}, "Password": change.SecretRef{Ref: "env:PLANTED"}})
		c := exec.CommandContext(t.Context(), sh, "-c", //nolint:gosec // the attack
			`json() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }; SECRET_1='s"3\'; printf '%s' `+word)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v: %s", text, err, out)
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Errorf("%q: %v: %s", text, err, out)
			continue
		}
		list, _ := got[text].([]any)
		if got["Name"] != text || got["Password"] != `s"3\` || len(list) != 3 || list[0] != text {
			t.Errorf("%q became %q", text, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "pl4nted")); err == nil {
			t.Errorf("%q is run", text)
		}
	}
}

// A query of the AWS CLI finds the resource of that name and no other one, whatever the name.
func TestQueryLiterals(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.CommandContext(t.Context(), python, "-c", "import jmespath").Run() != nil {
		t.Skip("jmespath is not here")
	}
	for _, text := range append(hostileTexts, `\' || 'a'=='a`, "' || 'a'=='a", "a`b'c") {
		in, err := json.Marshal(map[string]any{"Users": []any{map[string]any{"Email": "other"}, map[string]any{"Email": text}}})
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), python, "-c", //nolint:gosec // the referee
			"import jmespath,json,sys; print(json.dumps(jmespath.search(sys.argv[1], json.load(sys.stdin))))",
			"Users[?Email=="+pathLiteral(text)+"].Email")
		c.Stdin = strings.NewReader(string(in))
		out, err := c.CombinedOutput()
		var got []string
		if wrong := json.Unmarshal(out, &got); err != nil || wrong != nil || len(got) != 1 || got[0] != text {
			t.Errorf("%q: %v: %s", text, err, out)
		}
	}
}
