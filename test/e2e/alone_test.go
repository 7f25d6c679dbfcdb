//go:build linux

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// A person types hybridge and nothing else, where the servers have their ports, the computer its DNS,
// and the authorities are trusted: the network of an administrator. Two forests take 12 answers and
// 150 keystrokes at the most, from the first screen to the checks; an answer ends with Enter or is
// one key. The person signs in to the tenant in a browser.
func TestWizardAlone(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		if out, err := exec.Command("unshare", "-rnm", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			missing := t.Skipf
			if os.Getenv("CI") == "true" {
				missing = t.Fatalf
			}
			missing("no network namespace, so the answers and keystrokes with hybridge alone are NOT counted: %v: %s", err, out)
		}
		again := exec.Command("unshare", "-rnm", os.Args[0], "-test.run", "^TestWizardAlone$", "-test.v")
		again.Env = append(os.Environ(), inNamespace+"="+binary)
		out, err := again.CombinedOutput()
		t.Logf("%s", tail(string(out)))
		if err != nil {
			t.Error(err)
		}
		return
	}
	setUp(t, "ip", "link", "set", "lo", "up")
	e := startLab(t)
	a, err := answers.Load(t.Context(), filepath.Join(e.dir, "answers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	authorities := filepath.Join(e.dir, a.Network.CAFile)
	onStandardPorts(t, a)
	home := t.TempDir()
	command := e.plainly()
	command.Dir = home
	command.Env = append(command.Env, "HOME="+home, "SSL_CERT_FILE="+authorities, "SSL_CERT_DIR=/nowhere",
		"KRB5_CONFIG=/dev/null")
	s := e.wizardOn(t, command, 100, 30)
	browser := &person{screen: s, pool: pool(t, authorities)}
	answered, keys := 0, 0
	answer := func(shows, typed string) {
		t.Helper()
		browser.until(shows)
		s.press(typed)
		answered, keys = answered+1, keys+len(strings.ReplaceAll(typed, "\x1b[B", "d"))
	}
	answer("Which organization", "\x1b[B\r") // two forests
	answer("Where is forest 1?", "\r")       // the domain of this computer is there already
	answer("> Account", "svc-hybridge\r")
	answer("password of svc-hybridge@contoso", e.password(t, "contoso", "svc-hybridge")+"\r")
	answer("found. Each is a proposal", "\r") // the next forest
	answer("Where is forest 2?", "fabrikam.example\r")
	answer("> Account", "\r")
	answer("password of svc-hybridge@fabrikam", e.password(t, "fabrikam", "svc-hybridge")+"\r")
	answer("found. Each is a proposal", "\r")
	answer("These are the answers", "\r")
	browser.until(" pass, ")
	t.Logf("%d answers, %d keystrokes, %d sign-ins in the browser", answered, keys, len(browser.entered))
	if answered > 12 || keys > 150 {
		t.Errorf("%d answers with %d keystrokes; 12 and 150 are the limit", answered, keys)
	}
	s.press("q")
	s.exit(10 * time.Second)
	written, err := os.ReadFile(filepath.Join(home, "answers.yaml"))
	if err != nil || !strings.Contains(string(written), "server: ex1.fabrikam.example") {
		t.Errorf("%v:\n%s", err, written)
	}
}

// A person who has signed in to the tenant in a browser changes an answer and checks again. The
// sign-in still counts.
func TestWizardSignsInOnce(t *testing.T) {
	e := startLab(t)
	file := filepath.Join(e.dir, "answers.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, credential, found := strings.Cut(string(text), "    kind: certificate\n")
	_, after, ends := strings.Cut(credential, "  richCoexistence:")
	if !found || !ends {
		t.Fatalf("the answers of the lab:\n%s", text)
	}
	text = []byte(before + "    kind: deviceCode\n  richCoexistence:" + after)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := e.wizard(t, 100, 30)
	browser := &person{screen: s}
	browser.until("These are the answers")
	s.press("\r")
	browser.until("enter plan")
	entered := len(browser.entered)
	s.press("\x1b")
	browser.until("These are the answers")
	s.press("e")
	browser.until("for reports")
	s.press("\x15Adatum\x13")
	browser.until("These are the answers")
	s.press("\r")
	browser.until("Checking the prerequisites")
	browser.until("enter plan")
	if n := len(browser.entered); entered == 0 || n != entered {
		t.Errorf("%d sign-ins before the answer changed, %d after", entered, n-entered)
	}
	s.press("q")
	s.exit(10 * time.Second)
}

func setUp(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
}

// onStandardPorts gives every host of the lab an address of its own on loopback, with its ports, and
// makes the lab's zone, with these addresses, the DNS of the namespace.
func onStandardPorts(t *testing.T, a answers.Answers) {
	t.Helper()
	hosts := map[string]net.IP{}
	for _, rule := range a.Network.ConnectTo {
		from, to, _ := strings.Cut(rule, "=")
		host, port, err := net.SplitHostPort(from)
		if err != nil || host == "" || port == "" {
			t.Fatalf("rule %q", rule)
		}
		if hosts[host] == nil {
			n := len(hosts) + 1
			hosts[host] = net.IPv4(127, 77, byte(n>>8), byte(n))
		}
		l, err := net.Listen("tcp", net.JoinHostPort(hosts[host].String(), port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					d, err := net.Dial("tcp", to)
					if err != nil {
						return
					}
					defer d.Close()
					go func() { _, _ = io.Copy(d, c); _ = d.(*net.TCPConn).CloseWrite() }()
					_, _ = io.Copy(c, d)
				}()
			}
		}()
	}
	zone := a.Network.Resolvers[0]
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		c := &dns.Client{Net: "tcp"}
		reply, _, err := c.Exchange(r, zone)
		if err != nil {
			reply = new(dns.Msg).SetRcode(r, dns.RcodeServerFailure)
		}
		q := r.Question[0]
		if ip := hosts[strings.ToLower(strings.TrimSuffix(q.Name, "."))]; ip != nil &&
			(q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA) {
			reply = new(dns.Msg).SetReply(r)
			if q.Qtype == dns.TypeA {
				head := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}
				reply.Answer = []dns.RR{&dns.A{Hdr: head, A: ip}}
			}
		}
		for _, rr := range reply.Answer { // behind an alias
			if a, ok := rr.(*dns.A); ok {
				if ip := hosts[strings.ToLower(strings.TrimSuffix(a.Hdr.Name, "."))]; ip != nil {
					a.A = ip
				}
			}
		}
		_ = w.WriteMsg(reply)
	})
	for _, network := range []string{"udp", "tcp"} {
		up := make(chan struct{})
		server := &dns.Server{Addr: "127.0.0.53:53", Net: network, Handler: handler, NotifyStartedFunc: func() { close(up) }}
		go func() { _ = server.ListenAndServe() }()
		t.Cleanup(func() { _ = server.Shutdown() })
		select {
		case <-up:
		case <-time.After(10 * time.Second):
			t.Fatalf("no DNS server by %s", network)
		}
	}
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 127.0.0.53\nsearch contoso.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	setUp(t, "mount", "--bind", file, "/etc/resolv.conf")
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(data)
	return p
}

// person is who sits at the wizard, with a browser beside it for the codes that it shows.
type person struct {
	*screen
	pool    *x509.CertPool
	entered []string
}

var (
	shownCode = regexp.MustCompile(`(?m)^\s+([A-Z2-9]{9})\s*$`)
	shownPage = regexp.MustCompile(`https?://\S+`)
)

// until waits for a text and signs in meanwhile.
func (p *person) until(text string) {
	p.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		shown := strings.Join(p.window(), "\n")
		if strings.Contains(shown, text) {
			return
		}
		if time.Since(began) > 2*time.Minute {
			p.Fatalf("it never showed %q:\n%s", text, shown)
		}
		code := shownCode.FindStringSubmatch(shown)
		if !strings.Contains(shown, "Sign in to") || code == nil || slices.Contains(p.entered, code[1]) {
			continue
		}
		trusts := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.pool}}
		client := http.Client{Timeout: 20 * time.Second, Transport: trusts}
		resp, err := client.PostForm(shownPage.FindString(shown), url.Values{"code": {code[1]}, "decision": {"approve"}})
		if err != nil {
			p.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(body), "You have signed in") {
			p.Fatalf("%s: %s", code[1], body)
		}
		p.entered = append(p.entered, code[1])
	}
}
