//go:build unix

package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

const valid = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline:
  cloud: worldwide
  tenant: contoso.onmicrosoft.com
  credential: {kind: deviceCode}
forests:
  - name: contoso
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    domains: [contoso.com]
`

// TestHostileAnswers passes every wrong kind of file. The result is exit code 2 and one clear
// message within 5 s, without a panic, a stack or an escape byte.
func TestHostileAnswers(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ",") +
			"]\n"
	}
	for name, text := range map[string]string{
		"empty":        "",
		"binary":       "\x00\x01\x02\xff\xfe\x7fELF" + strings.Repeat("\x00", 200),
		"alias bomb":   bomb,
		"deep nesting": strings.Repeat("[", 100_000),
		"deep mapping": strings.Repeat("{a: ", 50_000),
		"tabs":         strings.ReplaceAll(valid, "  cloud", "\tcloud"),
		"escape sequences": strings.ReplaceAll(valid, "organization: Contoso",
			"organization: \"Con\\e[31mtoso\"\n\x1b[2Jbad: 1"),
		"escape in a key":   valid + "\"\\e]0;owned\\a\": 1\n",
		"wrong version":     strings.ReplaceAll(valid, "hybridge/v1", "hybridge/v9"),
		"wrong kind":        strings.ReplaceAll(valid, "kind: Answers", "kind: Plan"),
		"unknown key":       valid + "bogus: 1\n",
		"duplicate key":     valid + "organization: Again\n",
		"a list":            "- 1\n- 2\n",
		"a number":          "42\n",
		"wrong types":       strings.ReplaceAll(valid, "domains: [contoso.com]", "domains: contoso.com"),
		"CRLF with a fault": strings.ReplaceAll(valid+"bogus: 1\n", "\n", "\r\n"),
		"BOM with a fault":  "\ufeff" + valid + "bogus: 1\n",
		"UTF-16":            "\xff\xfea\x00p\x00i\x00",
		"a secret given plain": strings.ReplaceAll(valid, "{kind: kerberos}}\n    exchange",
			"{kind: password, user: a@contoso.com, password: hunter2}}\n    exchange"),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "answers.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			refuse(t, file)
		})
	}
	t.Run("directory", func(t *testing.T) { refuse(t, t.TempDir()) })
	t.Run("unreadable", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "answers.yaml")
		if err := os.WriteFile(file, []byte(valid), 0); err != nil {
			t.Fatal(err)
		}
		var nobody *syscall.SysProcAttr
		if os.Geteuid() == 0 { // root can read everything: run as an unprivileged user
			nobody = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			for dir := filepath.Dir(file); dir != os.TempDir(); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Dir(binary), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		refuseAs(t, file, nobody)
	})
	t.Run("missing", func(t *testing.T) { refuse(t, filepath.Join(t.TempDir(), "none.yaml")) })
	t.Run("100 MB", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "big.yaml")
		if err := os.WriteFile(file, bytes.Repeat([]byte("a: b # fill\n"), 100<<20/12), 0o600); err != nil {
			t.Fatal(err)
		}
		refuse(t, file)
	})
	t.Run("a pipe that nobody writes to", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "pipe")
		if err := exec.Command("mkfifo", file).Run(); err != nil {
			t.Fatal(err)
		}
		refuse(t, file)
	})
	t.Run("CRLF and BOM alone are fine", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "answers.yaml")
		if err := os.WriteFile(file, []byte("\ufeff"+strings.ReplaceAll(valid, "\n", "\r\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		r := finish(t, exec.Command(binary, "check", "-f", file, "--only", "no.such-check"))
		if r.code != 2 || strings.Contains(r.stderr, file) {
			t.Errorf("exit %d, want the complaint about --only alone:\n%s", r.code, r.stderr)
		}
	})
}

func refuse(t *testing.T, file string) {
	t.Helper()
	refuseAs(t, file, nil)
}

func refuseAs(t *testing.T, file string, user *syscall.SysProcAttr) {
	t.Helper()
	limit := 5 * time.Second
	if info, err := os.Stat(file); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		limit = 15 * time.Second // hybridge waits four seconds for the writer of a pipe to begin
	}
	for _, verb := range []string{"check", "plan"} {
		cmd := exec.Command(binary, verb, "-f", file, "--non-interactive")
		cmd.SysProcAttr = user
		timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		r := finish(t, cmd)
		timer.Stop()
		all := r.stdout + r.stderr
		switch {
		case r.code != 2:
			t.Errorf("%s: exit %d, want 2\n%s", verb, r.code, tail(all))
		case !strings.Contains(r.stderr, "error:"):
			t.Errorf("%s: no error: line\n%s", verb, tail(all))
		case strings.ContainsAny(all, "\x1b\x07\x00"):
			t.Errorf("%s: a control character got through: %q", verb, tail(all))
		case strings.Contains(all, "panic") || strings.Contains(all, "goroutine "):
			t.Errorf("%s: a stack\n%s", verb, tail(all))
		case strings.Contains(all, "hunter2"):
			t.Errorf("%s: the secret is repeated\n%s", verb, tail(all))
		case len(all) > 16<<10:
			t.Errorf("%s: %d bytes of message", verb, len(all))
		case r.took > limit:
			t.Errorf("%s: took %v", verb, r.took)
		}
	}
}

// TestHelpOnASilentTerminal: a terminal that does not answer queries must not delay the help. The
// library that draws the wizard queries the terminal when it is imported, and would wait five
// seconds for the answer.
func TestHelpOnASilentTerminal(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"version"}, {"check", "--help"}, {"completion", "bash"}} {
		cmd := exec.Command(binary, args...)
		cmd.Env = []string{"TERM=xterm-256color", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
		start := time.Now()
		terminal, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		io.Copy(&out, terminal) // ends with an error when the other side closes
		err = cmd.Wait()
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("%v took %v: it waits for the terminal", args, took)
		}
		if err != nil || out.Len() == 0 {
			t.Errorf("%v: %v, %d bytes", args, err, out.Len())
		}
		if bytes.ContainsRune(out.Bytes(), '\x1b') {
			t.Errorf("%v: an escape byte: %q", args, out.String())
		}
	}
}
