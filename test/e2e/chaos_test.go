package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The network faults. Each hits one exchange of one connection.
const (
	unsent  = "the request is lost"
	torn    = "half of the request gets through"
	unheard = "the answer is lost"
	cut     = "the answer is cut"
	reset   = "the connection is reset within the answer"
	down    = "the server is gone from here on"
	trickle = "the answer trickles"
	stall   = "the answer does not come"
)

var wounds = []string{unsent, torn, unheard, cut, reset, down}

// chaos is a proxy between hybridge and the lab. It has one listener per name that the answers lead
// to the lab.
type chaos struct {
	answers string

	mu        sync.Mutex
	exchanges map[string]int // by name, since calm or strike
	name, how string         // of the fault to come
	at        int            // the exchange that it hits, from 1
	hit       bool
}

// meddle writes a second answers file that leads through a chaos.
func meddle(t *testing.T, e *estate) *chaos {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, "answers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := &chaos{answers: filepath.Join(e.dir, "chaos.yaml"), exchanges: map[string]int{}}
	lines := strings.Split(string(text), "\n")
	found := false
	for i, line := range lines {
		name, target, mapped := strings.Cut(strings.TrimPrefix(line, "    - "), "=")
		if !mapped || !strings.HasPrefix(target, "127.0.0.1:") {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go c.carry(name, conn, target)
			}
		}()
		lines[i], found = "    - "+name+"="+listener.Addr().String(), true
	}
	if !found {
		t.Fatal("the answers lead nowhere")
	}
	if err := os.WriteFile(c.answers, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// strike arms a fault.
func (c *chaos) strike(name string, at int, how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exchanges, c.name, c.at, c.how, c.hit = map[string]int{}, name, at, how, false
}

// calm ends all faults. It returns the number of exchanges with each name, and whether the fault
// occurred.
func (c *chaos) calm() (exchanges map[string]int, hit bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	exchanges, hit = c.exchanges, c.hit
	c.exchanges, c.how, c.hit = map[string]int{}, "", false
	return exchanges, hit
}

// next counts an exchange and returns the fault that hits it.
func (c *chaos) next(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exchanges[name]++
	if c.how == "" || c.name != name || c.exchanges[name] < c.at || c.hit && c.how != down {
		return ""
	}
	c.hit = true
	return c.how
}

// carry forwards both directions. An exchange begins when the client sends after an answer. With
// TLS, the handshake counts as one or two.
func (c *chaos) carry(name string, client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	var mu sync.Mutex
	asking, how := false, ""
	go func() { // what the client sends
		defer server.Close()
		defer client.Close()
		buffer := make([]byte, 32<<10)
		for {
			n, err := client.Read(buffer)
			if n > 0 {
				mu.Lock()
				if !asking {
					asking, how = true, c.next(name)
				}
				now := how
				mu.Unlock()
				switch now {
				case unsent, down:
					return
				case torn:
					_, _ = server.Write(buffer[:n/2])
					return
				}
				if _, err := server.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if n > 0 {
			mu.Lock()
			asking = false
			now := how
			if now != stall {
				how = ""
			}
			mu.Unlock()
			switch now {
			case unheard:
				return
			case cut, reset:
				_, _ = client.Write(buffer[:n/2])
				if now == reset {
					_ = client.(*net.TCPConn).SetLinger(0)
				}
				return
			case stall:
				continue
			case trickle:
				for _, b := range buffer[:min(n, 200)] {
					if _, err := client.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(100 * time.Microsecond)
				}
				if n > 200 {
					_, err = client.Write(buffer[200:n])
				}
			default:
				_, err = client.Write(buffer[:n])
			}
			if err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// through runs hybridge through the chaos. It must end, and must not crash.
func (c *chaos) through(t *testing.T, e *estate, args ...string) run {
	t.Helper()
	cmd := e.command(append(args, "--non-interactive")...)
	cmd.Args[slices.Index(cmd.Args, "-f")+1] = c.answers
	kill := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	r := finish(t, cmd)
	if !kill.Stop() {
		t.Fatalf("%s: still at work after three minutes\n%s", strings.Join(args, " "), tail(r.stderr))
	}
	if strings.Contains(r.stderr, "goroutine ") {
		t.Fatalf("%s: a crash\n%s", strings.Join(args, " "), tail(r.stderr))
	}
	return r
}

// TestNetworkFaults breaks connections at moments that a seed chooses, with every name that
// hybridge connects to in turn. CHAOS=20 runs twenty rounds, and SEED sets the seed. A fault makes
// only the affected results unknown. A change in progress is neither lost nor done twice.
func TestNetworkFaults(t *testing.T) {
	rounds, seed := 1, uint64(1)
	if n, err := strconv.Atoi(os.Getenv("CHAOS")); err == nil {
		rounds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = n
	}
	for round := range rounds {
		ok := t.Run(fmt.Sprintf("seed %d", seed+uint64(round)), func(t *testing.T) { //nolint:gosec // small
			breakNetwork(t, rand.New(rand.NewPCG(seed+uint64(round), 0)),
				rounds > 1) //nolint:gosec // small, and no secret
		})
		if !ok {
			return
		}
	}
}

func breakNetwork(t *testing.T, random *rand.Rand, thorough bool) {
	e := startLab(t) // one per round: a cut session leaves its shell open, and a user may have 18
	e.wait = "3s"
	c := meddle(t, e)
	saved := filepath.Join(t.TempDir(), "plan.json")
	before := e.plan(t)

	// A run without faults counts the exchanges.
	usual := map[string]map[string]int{}
	calm := func(verb string, args ...string) {
		t.Helper()
		c.calm()
		if r := c.through(t, e, args...); r.code != 0 {
			t.Fatalf("%s without faults: exit %d\n%s", verb, r.code, tail(r.stderr))
		}
		usual[verb], _ = c.calm()
	}
	calm("check", "check")
	calm("plan", "plan", "--out", saved)
	calm("apply", "apply", saved, "--yes")
	calm("test", "test")
	calm("rollback", "rollback", "--yes")
	if d := cmp.Diff(before, e.plan(t)); d != "" {
		t.Fatalf("rollback without faults:\n%s", d)
	}

	// faulty runs a verb with a fault, at a random exchange with a name.
	faulty := func(verb, name, how string, args ...string) (r run, what string) {
		t.Helper()
		at := 1 + random.IntN(usual[verb][name])
		what = fmt.Sprintf("%s, exchange %d of %d with %s: %s", verb, at, usual[verb][name], name, how)
		c.strike(name, at, how)
		r = c.through(t, e, args...)
		if _, hit := c.calm(); !hit {
			what += " (did not come about)"
		}
		what = fmt.Sprintf("%s\nexit %d, %v\n%s%s", what, r.code, r.took, tail(r.stdout), tail(r.stderr))
		if testing.Verbose() {
			t.Log(what)
		}
		return r, what
	}
	names := func(verb string) []string {
		var list []string
		for name := range usual[verb] {
			list = append(list, name)
		}
		slices.Sort(list)
		return list
	}
	// requests to the admin API are retried for 15 seconds, at each change
	patient := func(name, how string) bool {
		return how == down && strings.HasPrefix(name, "outlook.")
	}
	each := func(verb string, do func(name, how string)) {
		for i, name := range names(verb) {
			for j, how := range append(slices.Clone(wounds), trickle) {
				if (thorough || j == (i+random.IntN(2))%len(wounds)) && !patient(name, how) {
					do(name, how)
				}
			}
		}
	}

	each("check", func(name, how string) {
		r, what := faulty("check", name, how, "check", "-o", "json")
		report := decode[struct {
			Results []struct{ ID, Status, Detail string }
		}](t, r.stdout)
		if r.code != 0 && r.code != 9 || len(report.Results) == 0 || how == trickle && r.code != 0 {
			t.Fatal(what)
		}
		for _, result := range report.Results {
			if strings.EqualFold(result.Status, "fail") {
				t.Fatalf("%s fails for what could not be checked\n%s", result.ID, what)
			}
		}
	})
	each("plan", func(name, how string) {
		os.Remove(saved)
		r, what := faulty("plan", name, how, "plan", "--out", saved, "-o", "json")
		_, err := os.Stat(saved)
		switch {
		case r.code == 0 && err == nil:
			if d := cmp.Diff(before, decode[plan](t, r.stdout)); d != "" {
				t.Fatalf("a plan on what was not read:\n%s\n%s", d, what)
			}
		case r.code != 9 || !os.IsNotExist(err) || how == trickle:
			t.Fatal(what)
		}
	})

	e.must(t, 0, "plan", "--out", saved)
	each("apply", func(name, how string) {
		r, what := faulty("apply", name, how, "apply", saved, "--yes")
		if r.code != 0 {
			if r.code != 6 && r.code != 9 || how == trickle {
				t.Fatal(what)
			}
			if again := e.run(t, "apply", saved, "--yes"); again.code != 0 {
				t.Fatalf("%s\nand again: exit %d\n%s", what, again.code, tail(again.stderr))
			}
		}
		if after := e.plan(t); len(after.Changes) != 0 ||
			after.Summary.Unchanged != before.Summary.Unchanged+len(before.Changes) {
			t.Fatalf("%s\nthen: %+v", what, after.Summary)
		}
		back := names("rollback")
		name, how = back[random.IntN(len(back))], wounds[random.IntN(len(wounds))]
		if patient(name, how) {
			how = unheard
		}
		r, undone := faulty("rollback", name, how, "rollback", "--yes")
		what += "\n" + undone
		if r.code != 0 {
			if r.code != 6 && r.code != 9 {
				t.Fatal(what)
			}
			if again := e.run(t, "rollback", "--yes"); again.code != 0 {
				t.Fatalf("%s\nand again: exit %d\n%s", what, again.code, tail(again.stderr))
			}
		}
		if d := cmp.Diff(before, e.plan(t)); d != "" {
			t.Fatalf("%s\nnot what was there before:\n%s", what, d)
		}
	})

	// A server that accepts the request and never answers: the time limit ends the run at any
	// stage.
	for _, verb := range []string{"check", "plan", "apply", "rollback"} {
		if !thorough && (verb == "check" || verb == "plan") {
			continue
		}
		list := names(verb)
		args := map[string][]string{"check": {"check"}, "plan": {"plan"}, "apply": {"apply", saved, "--yes"},
			"rollback": {"rollback", "--yes"}}[verb]
		r, what := faulty(verb, list[random.IntN(len(list))], stall, append(args, "--timeout", "1s")...)
		if r.code != 0 && r.code != 8 && r.code != 9 {
			t.Fatal(what)
		}
		if verb == "apply" || verb == "rollback" {
			if r.code != 0 {
				e.must(t, 0, args...)
			}
			if want, p := map[string]int{"apply": 0,
				"rollback": len(before.Changes)}[verb], e.plan(t); len(p.Changes) != want {
				t.Fatalf("%s\nthen %d changes are pending, want %d", what, len(p.Changes), want)
			}
		}
	}

	if !thorough {
		return
	}
	e.must(t, 0, "apply", saved, "--yes")
	each("test", func(name, how string) {
		r, what := faulty("test", name, how, "test", "-o", "json")
		// A lookup may fail at the cut itself: that is a correct result.
		if r.code != 0 && r.code != 3 && r.code != 9 || how == trickle && r.code != 0 {
			t.Fatal(what)
		}
	})
}
