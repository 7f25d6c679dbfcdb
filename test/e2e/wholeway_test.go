//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The wizard on the lab, from the first question to working free/busy and a clean plan, in windows
// of three sizes. What the terminal shows is what an emulator makes of the bytes.
func TestWizardWholeWay(t *testing.T) {
	for _, at := range []struct {
		name string
		lab  []string
		// forests are those that the wizard is asked to find; none when the answers are there.
		forests []string
	}{
		{"one forest", []string{"--forests", "1"}, []string{"contoso"}},
		{"two forests", nil, []string{"contoso", "fabrikam"}},
		{"WorkMail", []string{"--forests", "1", "--cloud", "workmail"}, nil},
		{"existing hybrid", []string{"--state", "wizard"}, []string{"contoso", "fabrikam"}},
	} {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			e := startLab(t, append(at.lab, "--users", "30")...)
			for _, size := range [][2]uint16{{80, 24}, {120, 40}, {200, 60}} {
				file := filepath.Join(e.dir, "answers.yaml")
				if at.forests != nil {
					file = e.withoutForests(t, fmt.Sprintf("answers-%d.yaml", size[0]))
				}
				command := e.plainly("wizard", "-f", filepath.Base(file), "--state-dir", e.state)
				command.Dir = e.dir
				s := e.wizardOn(t, command, size[0], size[1])
				if at.forests != nil {
					s.discover(e, at.forests)
					s.press("\r")
				}
				for _, step := range []struct{ shows, keys, crumb string }{
					{"These are the answers", "\r", "Answers"},
					{"enter plan", "\r", "Prerequisites"},
					{"enter apply", "\r", "Plan"},
					{"y applies it", "y", "Apply"},
					{"enter free/busy", "\r", "Apply"},
					{"Every lookup works", "q", "Free/busy"},
				} {
					s.shows(waits, step.shows)
					s.whole(step.crumb)
					s.press(step.keys)
					if step.shows == "enter free/busy" {
						s.askers(e, at.forests)
					}
				}
				if code, _ := s.exit(10 * time.Second); code != 0 {
					t.Errorf("%v: exit code %d", size, code)
				}
				// The lab's own answers ask for no password.
				e.must(t, 0, "plan", "--detailed-exitcode")
				e.must(t, 0, "rollback", "--yes", "--accept", "removals")
			}
		})
	}
}

// waits is how long a window may take on a busy machine; with 50 changes or 130 checks to come.
const waits = time.Minute

// withoutForests are the answers of the lab without its forests: how the lab and its tenant are
// reached.
func (e *estate) withoutForests(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(e.begin(t))
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(data), "forests:")
	file := filepath.Join(e.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// password is the password of an account of a forest.
func (e *estate) password(t *testing.T, forest, account string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, "secrets", forest+"-"+account))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// discover answers the questions for forests, up to the proposals for the last.
func (s *screen) discover(e *estate, forests []string) {
	s.Helper()
	for i, forest := range forests {
		s.shows(waits, fmt.Sprintf("Where is forest %d?", i+1))
		s.press("\x15" + forest + ".example\r")
		s.shows(waits, "> Account")
		s.press("\x15svc-hybridge\r")
		s.shows(waits, "password of svc-hybridge@"+forest)
		s.press(e.password(s.T, forest, "svc-hybridge") + "\r")
		s.shows(waits, "found. Each is a proposal")
		if i < len(forests)-1 {
			s.press("f")
		}
	}
}

// askers gives the passwords of those who ask for free/busy: a person of each forest, whom discovery
// proposes. The account of hybridge is not synchronized, and Exchange Online refuses it.
func (s *screen) askers(e *estate, forests []string) {
	s.Helper()
	for range forests {
		s.shows(waits, "password of ")
		for _, forest := range forests {
			person := e.person(s.T, forest)
			if !strings.Contains(strings.Join(s.window(), "\n"), "password of "+person) {
				continue
			}
			name, _, _ := strings.Cut(person, "@")
			s.press(e.password(s.T, forest, name) + "\r")
			s.wait(waits, "still asks for the password of "+person, func(window []string) bool {
				return !strings.Contains(strings.Join(window, "\n"), "password of "+person)
			})
			break
		}
	}
}

// window are the lines that the terminal shows.
func (s *screen) window() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(s.terminal.String(), "\n")
}

// shows waits until the window shows a text.
func (s *screen) shows(limit time.Duration, text string) {
	s.Helper()
	s.wait(limit, fmt.Sprintf("never showed %q", text), func(window []string) bool {
		return strings.Contains(strings.Join(window, "\n"), text)
	})
}

// whole waits until the window is drawn from its first line to its last, under a step of the
// breadcrumb.
func (s *screen) whole(crumb string) {
	s.Helper()
	s.wait(waits, "is not whole, or not that of "+crumb, func(window []string) bool {
		rule, last := window[2], strings.TrimRight(window[len(window)-1], " ")
		return strings.HasPrefix(window[0], " hybridge  ") && strings.Contains(window[1], "["+crumb+"]") &&
			rule != "" && strings.Trim(rule, "─") == "" && window[len(window)-3] == rule &&
			strings.HasSuffix(last, " leave")
	})
}

func (s *screen) wait(limit time.Duration, what string, holds func(window []string) bool) {
	s.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		window := s.window()
		if holds(window) {
			return
		}
		if time.Since(began) > limit {
			s.Fatalf("within %s the window %s:\n%s", limit, what, strings.Join(window, "\n"))
		}
	}
}
