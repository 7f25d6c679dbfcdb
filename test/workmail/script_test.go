package workmail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	wholeLab "github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

type silent struct{}

func (silent) Observe(observe.Event) {}

// TestScript runs the shell script of a plan with the AWS CLI against the lab. Afterwards nothing
// is left to plan in WorkMail, and a second run changes nothing.
func TestScript(t *testing.T) {
	aws, shellcheck := peer.Program(t, "aws", "awscli"), peer.Program(t, "shellcheck", "shellcheck")
	l, err := wholeLab.Start(t.Context(), wholeLab.Options{Dir: t.TempDir(), Users: 20, Forests: 1,
		Clouds: []string{wholeLab.WorkMail}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(l.Answers())
	d, err := deployment.Open(a, deployment.Options{Dir: folder, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	plan, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	script := written(t, d, plan)
	undo := filepath.Join(filepath.Dir(script), deployment.RollbackFolder, filepath.Base(script))
	if out, err := exec.CommandContext(t.Context(), shellcheck, "--shell=sh", "--severity=style",
		script, undo).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
	text, _ := os.ReadFile(script)
	password, err := os.ReadFile(filepath.Join(folder, "secrets", "contoso-svc-availability"))
	if err != nil || bytes.Contains(text, bytes.TrimSpace(password)) {
		t.Fatalf("the script holds a password, or there is none: %v", err)
	}

	bin := t.TempDir()
	runs := runner(t, aws, bin, folder, a)
	run := func(arguments ...string) (string, error) { return runs(script, arguments...) }
	if out, err := run("--what-if"); err != nil || !strings.Contains(out, "would create") ||
		!strings.Contains(out, "0 done") {
		t.Fatalf("what if: %v\n%s", err, out)
	}
	if out, err := run("--yes"); err != nil || !strings.Contains(out, "2 done") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := run("--yes"); err != nil || !strings.Contains(out, "0 done") {
		t.Errorf("again: %v\n%s", err, out)
	}
	log, err := os.ReadFile(filepath.Join(bin, "log"))
	if err != nil || bytes.Contains(log, bytes.TrimSpace(password)) {
		t.Errorf("a command line holds the password: %v", err)
	}
	again, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range again.Changes {
		if c.Target == "workmail" {
			t.Errorf("left to do: %s", c.ID)
		}
	}

	// The history knows what the script did, and so does the script that undoes it.
	results := filepath.Join(filepath.Dir(script), apply.ResultFile) // that of PowerShell, which has not run
	state := t.TempDir()
	took := func() apply.Entry {
		t.Helper()
		done, err := apply.ReadScripted(results)
		if err != nil {
			t.Fatal(err)
		}
		e, err := apply.TakeUp(deployment.Kinds(), done, apply.Options{StateDir: state})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := took(); e.Summary.Done != 2 || e.Summary.Failed != 0 {
		t.Errorf("%+v", e)
	}
	before := registered(plan)
	if out, err := runs(undo, "--what-if"); err != nil || !strings.Contains(out, "would undo create") {
		t.Errorf("what if: %v\n%s", err, out)
	}
	out, err := runs(undo, "--yes")
	// What nothing undoes is left, and named.
	if left := strings.Contains(out, "left as it is: deregistering"); left != (before > 0) || (err != nil) != left {
		t.Errorf("undo: %v\n%s", err, out)
	}
	restored, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(p change.Plan) (out []string) {
		for _, c := range p.Changes {
			if c.Target == "workmail" && c.Kind != "WorkMailUser" {
				out = append(out, c.ID)
			}
		}
		return out
	}
	if diff := cmp.Diff(ids(plan), ids(restored)); diff != "" {
		t.Errorf("the plan before and after the rollback:\n%s", diff)
	}
	if e := took(); e.Summary.Done != before {
		t.Errorf("after the rollback: %+v", e)
	}
}

// registered counts the users that a plan registers: nothing undoes that.
func registered(p change.Plan) (n int) {
	for _, c := range p.Changes {
		if c.Kind == "WorkMailUser" {
			n++
		}
	}
	return n
}

// proxy starts an HTTP proxy that leads hosts to the lab, and returns its URL.
func proxy(t *testing.T, rules []string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, rule := range rules {
			host, address, _ := strings.Cut(rule, "=")
			if r.Method != http.MethodConnect || r.Host != host {
				continue
			}
			there, err := net.Dial("tcp", address)
			if err != nil {
				break
			}
			defer there.Close()
			here, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer here.Close()
			_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(there, here) }()
			_, _ = io.Copy(here, there)
			return
		}
		http.Error(w, "the lab has no "+r.Host, http.StatusBadGateway)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// written writes the scripts for WorkMail into a folder, with the plan, and returns the one that
// makes changes.
func written(t *testing.T, d *deployment.Deployment, plan change.Plan) (script string) {
	t.Helper()
	scripts, err := d.Scripts(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, deployment.RollbackFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, apply.PlanFile), plan.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		if !strings.HasSuffix(s.Name, ".sh") {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(s.Name))
		if err := os.WriteFile(path, s.Content, 0o600); err != nil {
			t.Fatal(err)
		}
		if !s.Rollback {
			script = path
		}
	}
	if script == "" {
		t.Fatal("the plan has no shell script")
	}
	return script
}

// runner returns what runs a script with the AWS CLI. The folder bin keeps the command lines.
func runner(t *testing.T, aws, bin, folder string, a answers.Answers) func(string, ...string) (string, error) {
	t.Helper()
	wrapper := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + filepath.Join(bin, "log") + "\nexec " + aws + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(wrapper), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(folder, "secrets", "workmail-key"))
	if err != nil {
		t.Fatal(err)
	}
	return func(script string, arguments ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "sh", append([]string{script}, arguments...)...)
		c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"),
			"AWS_ACCESS_KEY_ID="+a.WorkMail.Credential.ClientID,
			"AWS_SECRET_ACCESS_KEY="+strings.TrimSpace(string(key)), "AWS_EC2_METADATA_DISABLED=true",
			"HTTPS_PROXY="+proxy(t, a.Network.ConnectTo), "AWS_CA_BUNDLE="+
				filepath.Join(folder, "ca.pem"), "SECRET_1_FILE="+
				filepath.Join(folder, "secrets", "contoso-svc-availability"))
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what kills the script kills itself alone
		out, err := c.CombinedOutput()
		return string(out), err
	}
}

// killers are programs in the place of the AWS CLI and mv. Each kills the script once at every point
// of a write: before the request, after it, and while the result file is half written.
var killers = map[string]string{
	"aws": `#!/bin/sh
once() {
	[ ! -e "$0.$1" ] || return 0
	: >"$0.$1"
	kill -KILL 0
}
case $2 in
list-* | describe-*) exec AWS "$@" ;;
esac
once before
AWS "$@" || exit
once after
`,
	"mv": `#!/bin/sh
file=$2
[ "$1" = -f ] || exit 9
at=$(sed -n 's/.*"status":"\([a-z ]*\)".*/\1/p' "$file" | tr -d '\n ')
if [ ! -e "$0.$at" ]; then
	: >"$0.$at"
	head -c 60 "$file" >"$file.half"
	cat "$file.half" >"$file"
	rm "$file.half"
	kill -KILL 0
fi
exec MV "$@"
`,
}

// TestKilledScript kills a script at every point within one write and runs it again, until it ends.
// The change is made once, and the history has it with what was there before.
func TestKilledScript(t *testing.T) {
	aws, mv := peer.Program(t, "aws", "awscli"), peer.Program(t, "mv", "coreutils")
	l, err := wholeLab.Start(t.Context(), wholeLab.Options{Dir: t.TempDir(), Users: 20, Forests: 1,
		Clouds: []string{wholeLab.WorkMail}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	a.WorkMail.Users = nil // those who are registered stay, and the plan has one change in WorkMail
	folder, state := filepath.Dir(l.Answers()), t.TempDir()
	d, err := deployment.Open(a, deployment.Options{Dir: folder, StateDir: state,
		Only: []string{"workmail/AvailabilityConfiguration/*"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	plan, err := d.Plan(t.Context(), silent{})
	if err != nil || len(plan.Changes) != 1 {
		t.Fatalf("%+v, %v", plan.Summary, err)
	}
	script, bin := written(t, d, plan), t.TempDir()
	runs := runner(t, aws, bin, folder, a)
	for name, text := range killers {
		text = strings.NewReplacer("AWS", aws, "MV", mv).Replace(text)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	kills, out := 0, ""
	for err = errors.New("not run"); err != nil; kills++ {
		if kills == 12 {
			t.Fatalf("it does not end: %s", out)
		}
		out, err = runs(script, "--yes")
		if ended, is := errors.AsType[*exec.ExitError](err); err != nil && (!is || ended.ExitCode() != -1) {
			t.Fatalf("run %d was not killed: %v\n%s", kills+1, err, out)
		}
	}
	kills--
	points, _ := filepath.Glob(filepath.Join(bin, "*.*"))
	if kills < 4 || len(points) != kills {
		t.Errorf("%d kills: %v", kills, points)
	}
	after, err := d.Plan(t.Context(), silent{})
	if err != nil || len(after.Changes) > 0 {
		t.Errorf("%+v, %v", after.Summary, err)
	}
	results := filepath.Join(filepath.Dir(script), apply.ResultFile)
	done, err := apply.ReadScripted(results)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := apply.TakeUp(deployment.Kinds(), done, apply.Options{StateDir: state}); err != nil ||
		e.Summary.Done != 1 || e.Summary.Failed > 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{}, silent{}); err != nil {
		t.Error(err)
	}
	if again, err := d.Plan(t.Context(), silent{}); err != nil || len(again.Changes) != 1 {
		t.Errorf("after the rollback: %+v, %v", again.Summary, err)
	}

	// A computer that lost power may leave a file that ends in its middle.
	own := strings.TrimSuffix(script, ".sh") + apply.ScriptResultSuffix
	whole, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 40, len(whole) / 2, len(whole) - 2} {
		if err := os.WriteFile(own, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := runs(script, "--yes"); err == nil || !strings.Contains(out, "is cut off") {
			t.Errorf("with %d bytes of its result file: %v\n%s", n, err, out)
		}
		if now, err := os.ReadFile(own); err != nil || len(now) != n {
			t.Errorf("the file was written over: %d bytes, %v", len(now), err)
		}
	}
}

// TestCreatingScript creates the organization by the script of a plan. It waits until AWS has made
// it. The script that undoes it leaves it: that needs a consent, which a rollback takes.
func TestCreatingScript(t *testing.T) {
	aws, shellcheck := peer.Program(t, "aws", "awscli"), peer.Program(t, "shellcheck", "shellcheck")
	l, err := wholeLab.Start(t.Context(), wholeLab.Options{Dir: t.TempDir(), Users: 20, Forests: 1,
		Faults: []string{"workmail.no-organization"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(l.Answers())
	state := t.TempDir()
	d, err := deployment.Open(a, deployment.Options{Dir: folder, StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	plan, err := d.Plan(t.Context(), silent{})
	if err != nil || len(plan.Changes) != 1 {
		t.Fatalf("%+v, %v", plan.Summary, err)
	}
	script := written(t, d, plan)
	undo := filepath.Join(filepath.Dir(script), deployment.RollbackFolder, filepath.Base(script))
	if out, err := exec.CommandContext(t.Context(), shellcheck, "--shell=sh", "--severity=style",
		script, undo).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
	runs := runner(t, aws, t.TempDir(), folder, a)
	for _, step := range []struct{ script, argument, want string }{
		{script, "--what-if", "would create"}, {script, "--yes", "1 done"}, {script, "--yes", "as wanted"},
		{undo, "--yes", "hybridge rollback --accept workmail-delete-organization"},
	} {
		if out, err := runs(step.script, step.argument); !strings.Contains(out, step.want) ||
			(err != nil) != (step.script == undo) {
			t.Fatalf("%s %s: %v\n%s", filepath.Base(step.script), step.argument, err, out)
		}
	}
	after, err := d.Plan(t.Context(), silent{})
	if err != nil || slices.ContainsFunc(after.Changes, func(c change.Change) bool {
		return c.Kind == "WorkMailOrganization"
	}) || len(after.LeftOut) > 0 {
		t.Errorf("%+v, %v", after.LeftOut, err)
	}
	done, err := apply.ReadScripted(filepath.Join(filepath.Dir(script), apply.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	e, err := apply.TakeUp(deployment.Kinds(), done, apply.Options{StateDir: state})
	if err != nil || e.Summary.Done != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{Accept: []string{"workmail-delete-organization"}},
		silent{}); err != nil {
		t.Error(err)
	}
}
