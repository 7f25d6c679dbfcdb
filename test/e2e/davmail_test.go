package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestDavMailAgainstTheLab requests free/busy of a person in the forest and of one in the tenant
// through DavMail, a gateway from EWS to CalDAV. DavMail opens folders first.
func TestDavMailAgainstTheLab(t *testing.T) {
	e := startLab(t)
	e.must(t, 0, "apply", "--yes")
	facts := e.facts(t)
	f := facts.Forests[0]
	host := "mail." + f.Domain
	d := startDavMail(t, filepath.Join(e.dir, "ca.pem"), host)
	d.lead(facts.Endpoints[host+":443"])
	status, seen := d.ask(t, f.User, e.secret(t, f.Password), f.User, f.Remote)
	for _, who := range []string{f.User, f.Remote} {
		if want := lab.Merged(who, time.Now()); seen[who] != want {
			t.Errorf("%s: %q, want %q: %s\n%s", who, seen[who], want, status, d.said())
		}
	}
}

// davMail is one process of DavMail. It learns the address of its server at its start, so a relay
// stands between: the next lab listens elsewhere.
type davMail struct {
	address, log string
	read         int // of the log
	mu           sync.Mutex
	target       string
	open         []net.Conn
}

// startDavMail starts DavMail for a host's EWS, and stops it when the test ends. ca is a file.
func startDavMail(t *testing.T, ca, host string) *davMail {
	t.Helper()
	const jar = "/usr/share/davmail/davmail.jar"
	if _, err := os.Stat(jar); err != nil {
		peer.Missing(t, "DavMail", "davmail-server")
	}
	java, keytool := peer.Program(t, "java", "default-jre-headless"), peer.Program(t, "keytool", "default-jre-headless")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// Others take the free ports of 127.0.0.1 at any moment.
	dir, port := t.TempDir(), peer.FreePort(t)
	at := fmt.Sprintf("127.%d.%d.1", 1+rand.IntN(254), rand.IntN(256))
	d := &davMail{address: fmt.Sprintf("%s:%d", at, port), log: filepath.Join(dir, "log")}
	relay, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = relay.Close()
		d.lead("")
	})
	go d.relay(relay)
	trust, hosts, config := filepath.Join(dir, "trust.p12"), filepath.Join(dir, "hosts"), filepath.Join(dir, "davmail")
	if out, err := exec.CommandContext(ctx, keytool, "-importcert", "-noprompt", "-alias", "lab", "-storetype",
		"PKCS12", "-file", ca, "-keystore", trust, "-storepass", "changeit").CombinedOutput(); err != nil {
		t.Fatalf("keytool: %v\n%s", err, out)
	}
	for file, text := range map[string]string{
		hosts: "127.0.0.1 localhost " + host + "\n",
		config: fmt.Sprintf("davmail.mode=EWS\ndavmail.url=https://%s:%d/EWS/Exchange.asmx\ndavmail.caldavPort=%d\n"+
			"davmail.imapPort=\ndavmail.smtpPort=\ndavmail.popPort=\ndavmail.ldapPort=\ndavmail.bindAddress=%s\n"+
			"davmail.server=true\ndavmail.disableUpdateCheck=true\ndavmail.logFilePath=%s\n",
			host, relay.Addr().(*net.TCPAddr).Port, port, at, d.log),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(java, "-Xmx256m", "-XX:+UseSerialGC", "-Djdk.net.hosts.file="+hosts,
		"-Djavax.net.ssl.trustStore="+trust, "-Djavax.net.ssl.trustStorePassword=changeit", "-jar", jar, "-server",
		config)
	c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
		if err == nil {
			_ = conn.Close()
			return d
		}
		if ctx.Err() != nil {
			t.Fatalf("DavMail does not answer\n%s", d.said())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// lead leads DavMail to another address, and ends its connections to the one before. Where the
// address is empty, no server listens.
func (d *davMail) lead(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = target
	for _, c := range d.open {
		_ = c.Close()
	}
	d.open = nil
}

func (d *davMail) relay(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		server, err := net.Dial("tcp", d.target)
		if err != nil {
			_ = client.Close()
			d.mu.Unlock()
			continue
		}
		d.open = append(d.open, client, server)
		d.mu.Unlock()
		for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
			go func() {
				_, _ = io.Copy(to, from)
				_ = to.Close()
			}()
		}
	}
}

// said is what DavMail has written into its log since the last call.
func (d *davMail) said() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	news := text[min(d.read, len(text)):]
	d.read = len(text)
	return tail(string(news))
}

// ask asks for the calendars of some mailboxes in the name of a person. seen holds those that
// DavMail shows: today in half hours, as lab.Merged has it.
func (d *davMail) ask(t *testing.T, user, password string, mailboxes ...string) (status string,
	seen map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	day := time.Now().UTC().Truncate(24 * time.Hour)
	lines := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//lab//EN", "METHOD:REQUEST", "BEGIN:VFREEBUSY",
		"UID:1@lab", "DTSTAMP:" + day.Format(stamp), "DTSTART:" + day.Format(stamp),
		"DTEND:" + day.AddDate(0, 0, 1).Format(stamp), "ORGANIZER:mailto:" + user}
	for _, m := range mailboxes {
		lines = append(lines, "ATTENDEE:mailto:"+m)
	}
	lines = append(lines, "END:VFREEBUSY", "END:VCALENDAR", "")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.address+"/users/"+user+"/outbox",
		strings.NewReader(strings.Join(lines, "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.SetBasicAuth(user, password)
	request.Header.Set("Content-Type", "text/calendar; charset=utf-8")
	request.Header.Set("Originator", "mailto:"+user)
	request.Header.Set("Recipient", "mailto:"+mailboxes[0])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("DavMail: %v\n%s", err, d.said())
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	seen = map[string]string{}
	for _, m := range mailboxes {
		if merged, found := shown(string(text), m, day); found {
			seen[m] = merged
		}
	}
	return response.Status, seen
}

const stamp = "20060102T150405Z"

// shown is the day of an attendee in an answer of DavMail, in half hours.
func shown(body, who string, day time.Time) (merged string, found bool) {
	_, answer, found := strings.Cut(body, "ATTENDEE:mailto:"+who)
	answer, _, _ = strings.Cut(answer, "END:VFREEBUSY")
	slots := bytes.Repeat([]byte("0"), 48)
	for line := range strings.Lines(answer) {
		kind, spans, _ := strings.Cut(strings.TrimSpace(line), ":")
		kind, isBusy := strings.CutPrefix(kind, "FREEBUSY;FBTYPE=")
		if !isBusy {
			continue
		}
		digit, known := map[string]byte{"BUSY-TENTATIVE": '1', "BUSY": '2', "BUSY-UNAVAILABLE": '3'}[kind]
		if !known {
			digit = '?'
		}
		for span := range strings.SplitSeq(spans, ",") {
			from, to, _ := strings.Cut(span, "/")
			start, err := time.Parse(stamp, from)
			end, err2 := time.Parse(stamp, to)
			if err != nil || err2 != nil {
				return line, true
			}
			for at := start; at.Before(end); at = at.Add(30 * time.Minute) {
				if n := int(at.Sub(day) / (30 * time.Minute)); n >= 0 && n < len(slots) {
					slots[n] = digit
				}
			}
		}
	}
	return string(slots), found
}
