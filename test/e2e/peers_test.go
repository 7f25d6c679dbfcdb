package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

type labFacts struct {
	Endpoints map[string]string
	TenantID  string
	Archiver  string
	Forests   []struct{ Name, Domain, Account, User, Remote, Password string }
}

func (e *estate) facts(t *testing.T) labFacts {
	t.Helper()
	var f labFacts
	content, err := os.ReadFile(filepath.Join(e.dir, "lab.json"))
	if err == nil {
		err = json.Unmarshal(content, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (e *estate) secret(t *testing.T, reference string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(e.dir, strings.TrimPrefix(reference, "file:")))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// TestExchangelibAgainstTheLab runs exchangelib, a third-party client. It finds EWS by autodiscover
// and requests free/busy of a person in the same forest and of one in the tenant, with Basic and
// with NTLM.
func TestExchangelibAgainstTheLab(t *testing.T) {
	e := startLab(t)
	e.must(t, 0, "apply", "--yes")
	x := startExchangelib(t, filepath.Join(e.dir, "ca.pem"))
	facts := e.facts(t)
	for _, f := range facts.Forests {
		want := ewsAnswer{"https://mail." + f.Domain + "/EWS/Exchange.asmx", map[string]string{
			f.User: lab.Merged(f.User, time.Now()), f.Remote: lab.Merged(f.Remote, time.Now()),
			"nobody@" + f.Domain: "error ErrorMailRecipientNotFound",
		}, nil}
		for _, discovery := range []string{"pox", "soap"} {
			for _, scheme := range []string{"basic", "ntlm"} {
				t.Run(f.Name+" "+discovery+" "+scheme, func(t *testing.T) {
					got := x.ask(t, ewsQuestion{Endpoints: facts.Endpoints, Discovery: discovery, Scheme: scheme, User: f.User,
						Password: e.secret(t, f.Password), Mailboxes: []string{f.User, f.Remote, "nobody@" + f.Domain}})
					got.Texts = nil
					if d := cmp.Diff(want, got); d != "" {
						t.Error(d)
					}
				})
			}
		}
	}
}

// TestKerberosAgainstTheLab opens the session to one forest's Exchange with tickets of a real KDC.
// It does so with messages sealed over plain http and again over https. The session runs the
// cmdlets of a check and of a plan.
func TestKerberosAgainstTheLab(t *testing.T) {
	k := peer.StartKDC(t, "CONTOSO.EXAMPLE", "aes256-cts-hmac-sha1-96")
	k.Principal("svc-hybridge", "correct horse")
	keytab := k.Keytab("exchange.keytab", "HTTP/ex1.contoso.example")
	robot := k.Keytab("robot.keytab", "robot")
	e := startLab(t, "--keytab", keytab)
	answers := filepath.Join(e.dir, "answers.yaml")
	original, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "secrets", "kerberos"), []byte("correct horse"), 0o600); err != nil {
		t.Fatal(err)
	}
	const basic = "        kind: basic\n        user: svc-hybridge@contoso.example\n        password: " +
		"file:secrets/contoso-svc-hybridge\n"
	for name, c := range map[string]struct{ url, credential string }{
		"password, sealed over http": {"http://ex1.contoso.example/PowerShell/",
			"        kind: password\n        user: svc-hybridge@CONTOSO.EXAMPLE\n        password: " +
				"file:secrets/kerberos\n        krb5Config: " + k.Conf + "\n"},
		"keytab, over https": {"https://ex1.contoso.example/PowerShell/",
			"        kind: keytab\n        user: robot@CONTOSO.EXAMPLE\n        keytab: " + robot +
				"\n        krb5Config: " + k.Conf + "\n"},
		"ticket cache": {"http://ex1.contoso.example/PowerShell/",
			"        kind: kerberos\n        ticketCache: " + k.TicketCache("svc-hybridge", "correct horse") +
				"\n        krb5Config: " + k.Conf + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(strings.Replace(string(original), basic, c.credential, 1),
				"https://ex1.contoso.example/PowerShell/", c.url, 1)
			if !strings.Contains(text, c.credential) {
				t.Fatal("the lab's answers look different now")
			}
			if err := os.WriteFile(answers, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			e.must(t, 0, "check")
			if len(e.plan(t).Changes) == 0 {
				t.Error("the plan is empty")
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		text := strings.Replace(string(original), basic,
			"        kind: password\n        user: svc-hybridge@CONTOSO.EXAMPLE\n        password: "+
				"file:secrets/contoso-svc-hybridge\n        krb5Config: "+k.Conf+"\n", 1)
		text = strings.Replace(text, "https://ex1.contoso.example/PowerShell/",
			"http://ex1.contoso.example/PowerShell/", 1)
		if err := os.WriteFile(answers, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// the other forest is planned
		if r := e.must(t, 9, "plan"); !strings.Contains(r.stdout, "wrong") {
			t.Errorf("it does not say that the password is wrong:\n%s", r.stdout)
		}
	})
}
