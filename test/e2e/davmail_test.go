package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestDavMailAgainstTheLab requests free/busy of a person in the forest and of one in the tenant
// through DavMail, a gateway from EWS to CalDAV. DavMail opens folders first.
func TestDavMailAgainstTheLab(t *testing.T) {
	e := startLab(t)
	e.must(t, 0, "apply", "--yes")
	f := e.facts(t).Forests[0]
	status, body := e.davMail(t, f.Domain, f.User, f.Password, f.Remote)
	for _, who := range []string{f.User, f.Remote} {
		if !busy(body, who) {
			t.Errorf("no busy time of %s: %s\n%s", who, status, tail(body))
		}
	}
}

// busy reports whether an answer of DavMail shows when an attendee is busy.
func busy(body, who string) bool {
	_, answer, found := strings.Cut(body, "ATTENDEE:mailto:"+who)
	answer, _, _ = strings.Cut(answer, "END:VFREEBUSY")
	return found && strings.Contains(answer, "FREEBUSY;FBTYPE=")
}

// davMail requests free/busy of a person and of another one through DavMail at a forest's EWS.
func (e *estate) davMail(t *testing.T, domain, user, password, other string) (status, body string) {
	t.Helper()
	const jar = "/usr/share/davmail/davmail.jar"
	if _, err := os.Stat(jar); err != nil {
		peer.Missing(t, "DavMail", "davmail-server")
	}
	java, keytool := peer.Program(t, "java", "default-jre-headless"), peer.Program(t, "keytool", "default-jre-headless")
	host := "mail." + domain
	_, port, err := net.SplitHostPort(e.facts(t).Endpoints[host+":443"])
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir, dav := t.TempDir(), peer.FreePort(t)
	trust, hosts, config := filepath.Join(dir, "trust.p12"), filepath.Join(dir, "hosts"), filepath.Join(dir, "davmail")
	if out, err := exec.CommandContext(ctx, keytool, "-importcert", "-noprompt", "-alias", "lab", "-storetype",
		"PKCS12",
		"-file", filepath.Join(e.dir, "ca.pem"), "-keystore", trust, "-storepass",
		"changeit").CombinedOutput(); err != nil {
		t.Fatalf("keytool: %v\n%s", err, out)
	}
	for file, text := range map[string]string{
		hosts: "127.0.0.1 localhost " + host + "\n",
		config: fmt.Sprintf("davmail.mode=EWS\ndavmail.url=https://%s:%s/EWS/Exchange.asmx\ndavmail.caldavPort=%d\n"+
			"davmail.imapPort=\ndavmail.smtpPort=\ndavmail.popPort=\ndavmail.ldapPort=\ndavmail.bindAddress=127.0.0.1\n"+
			"davmail.server=true\ndavmail.disableUpdateCheck=true\ndavmail.logFilePath=%s\n",
			host, port, dav, filepath.Join(dir, "log")),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(ctx, java, "-Djdk.net.hosts.file="+hosts, "-Djavax.net.ssl.trustStore="+trust,
		"-Djavax.net.ssl.trustStorePassword=changeit", "-jar", jar, "-server", config)
	c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	address := fmt.Sprintf("127.0.0.1:%d", dav)
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatal("DavMail does not answer")
		}
		time.Sleep(100 * time.Millisecond)
	}

	day := time.Now().UTC().Truncate(24 * time.Hour)
	const stamp = "20060102T150405Z"
	question := strings.Join([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//lab//EN", "METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:1@lab",
		"DTSTAMP:" + day.Format(stamp), "DTSTART:" + day.Format(stamp), "DTEND:" + day.AddDate(0, 0, 7).Format(stamp),
		"ORGANIZER:mailto:" + user, "ATTENDEE:mailto:" + user, "ATTENDEE:mailto:" + other,
		"END:VFREEBUSY", "END:VCALENDAR", "",
	}, "\r\n")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/users/"+user+"/outbox",
		strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, e.secret(t, password))
	request.Header.Set("Content-Type", "text/calendar; charset=utf-8")
	request.Header.Set("Originator", "mailto:"+user)
	request.Header.Set("Recipient", "mailto:"+other)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return response.Status, string(text)
}
