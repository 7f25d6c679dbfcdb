package attack_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// victim is a deployment whose network belongs to the attacker.
type victim struct {
	answers answers.Answers
	said    []string // warnings
}

func newVictim(t *testing.T, m *middle) *victim {
	t.Helper()
	t.Setenv("HYBRIDGE_TEST_SECRET", password)
	return &victim{answers: answers.Answers{
		APIVersion: answers.APIVersion, Kind: answers.Kind, Organization: "Contoso", Network: m.network(t),
		Forests: []answers.Forest{{
			Name: "contoso", Domains: []string{"contoso.test"},
			Directory: answers.Directory{Domain: "contoso.test", Bind: answers.Credential{
				Kind: answers.CredentialPassword, User: "svc@contoso.test", Password: "env:HYBRIDGE_TEST_SECRET"}},
			Exchange: answers.Exchange{Server: "ex1.contoso.test", URL: "https://ex1.contoso.test/PowerShell/",
				Credential: answers.Credential{Kind: answers.CredentialBasic, User: "svc@contoso.test",
					Password: "env:HYBRIDGE_TEST_SECRET"}},
			Namespace: answers.Namespace{Autodiscover: "autodiscover.contoso.test", EWS: "mail.contoso.test",
				SMTP: "mail.contoso.test"},
		}},
	}}
}

// check runs one check and returns its only result.
func (v *victim) check(t *testing.T, id string) check.Result {
	t.Helper()
	d, err := deployment.Open(v.answers, deployment.Options{Dir: t.TempDir(), StateDir: t.TempDir(),
		Only: []string{id}, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(t.Context()) }()
	var mu sync.Mutex
	report, err := d.Check(t.Context(), observe.Func(func(e observe.Event) {
		mu.Lock()
		defer mu.Unlock()
		if w, is := e.(observe.Warning); is {
			v.said = append(v.said, w.Text)
		}
	}))
	if err != nil || len(report.Results) != 1 {
		t.Fatalf("%d results, %v", len(report.Results), err)
	}
	return report.Results[0]
}

// said is everything that a result tells a person.
func said(r check.Result) string { return fmt.Sprint(r) }

// A forged DNS answer, a domain controller without the right certificate and one that does not
// speak TLS get no password.
func TestRogueDirectoryServers(t *testing.T) {
	for name, test := range map[string]struct {
		target   string // of the SRV record
		security string
		prepare  func(*middle)
		says     string // empty: the domain controller gets the password
	}{
		"outside the domain":       {"dc1.evil.example.", "", nil, "outside the domain"},
		"the domain as a prefix":   {"dc1.contoso.test.evil.example.", "", nil, "outside the domain"},
		"a domain that ends alike": {"dc1.notcontoso.test.", "", nil, "outside the domain"},
		"an address":               {"127.0.0.1.", "", nil, "outside the domain"},
		"another authority": {"dc1.contoso.test.", "", func(m *middle) {
			m.distrusted["dc1.contoso.test"] = true
		}, "certificate"},
		"another's certificate": {"dc1.contoso.test.", "", func(m *middle) {
			m.named["dc1.contoso.test"] = "dc1.evil.example"
		}, "certificate"},
		"StartTLS refused": {"dc1.contoso.test.", "starttls", func(m *middle) {
			m.directory = func(conn net.Conn) { extended(conn, ldap.LDAPResultProtocolError) }
		}, ""},
		"StartTLS agreed, then clear text": {"dc1.contoso.test.", "starttls", func(m *middle) {
			m.directory = func(conn net.Conn) {
				extended(conn, ldap.LDAPResultSuccess)
				_, _ = conn.Read(make([]byte, 1<<16))
			}
		}, ""},
		// otherwise the other cases prove nothing
		"the right one": {"dc1.contoso.test.", "", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMiddle(t, http.NotFound)
			if test.prepare != nil {
				test.prepare(m)
			}
			if err := m.names.Add("_ldap._tcp.dc._msdcs.contoso.test. SRV 0 0 389 "+test.target,
				"*.contoso.test. A 127.0.0.1", "*.evil.example. A 127.0.0.1"); err != nil {
				t.Fatal(err)
			}
			v := newVictim(t, m)
			v.answers.Forests[0].Directory.Security = test.security
			r := v.check(t, "directory.reachable")
			got := m.got(password)
			if name == "the right one" {
				if !slices.Equal(got, []string{"dc1.contoso.test"}) {
					t.Errorf("the password went to %v: %v", got, said(r))
				}
				return
			}
			if len(got) > 0 || r.Status == check.StatusPass || !strings.Contains(said(r), test.says) {
				t.Errorf("the password went to %v: %v", got, said(r))
			}
			if test.security != "" && m.asked()["ldap"] == "" {
				t.Error("no domain controller was asked: this test sees nothing")
			}
		})
	}
}

// extended answers the first request, which asks for StartTLS.
func extended(conn net.Conn, code int64) {
	request, err := ber.ReadPacket(conn)
	if err != nil || len(request.Children) < 2 {
		return
	}
	answer := ber.NewSequence("")
	answer.AppendChild(request.Children[0])
	body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedResponse, nil, "")
	body.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	for range 2 {
		body.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	}
	answer.AppendChild(body)
	_, _ = conn.Write(answer.Bytes())
}

// Remote PowerShell with a password follows a redirect only where the same owner proves itself, and
// a host whose certificate is not verified passes that on to no other host.
func TestRemotePowerShellLeadsElsewhere(t *testing.T) {
	const here = "ex1.contoso.test"
	for name, test := range map[string]struct {
		to       string
		insecure bool // ex1 has an untrusted certificate, and is among insecureHosts
		prepare  func(*middle)
		reaches  []string // beside ex1
		says     string
	}{
		"another owner": {"https://evil.example/PowerShell/", false, nil, nil, "not of the same domain"},
		"a name below another": {"https://ex1.contoso.test.evil.example/PowerShell/", false, nil, nil,
			"not of the same domain"},
		"an address":      {"https://127.0.0.1/PowerShell/", false, nil, nil, "not of the same domain"},
		"clear text":      {"http://ex1.contoso.test/PowerShell/", false, nil, nil, "from https to http"},
		"with an account": {"https://ex1.contoso.test@evil.example/", false, nil, nil, ""},
		"a server of the owner without a certificate": {"https://ex2.contoso.test/PowerShell/", true, func(m *middle) {
			m.distrusted["ex2.contoso.test"] = true
		}, nil, "certificate"},
		// otherwise the other cases prove nothing
		"a server of the owner": {"https://ex2.contoso.test/PowerShell/", true, nil, []string{"ex2.contoso.test"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMiddle(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Host != here || r.TLS == nil {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				w.Header().Set("Location", test.to)
				w.WriteHeader(http.StatusFound)
			})
			v := newVictim(t, m)
			if test.insecure {
				m.distrusted[here] = true
				v.answers.Network.InsecureHosts = []string{here}
			}
			if test.prepare != nil {
				test.prepare(m)
			}
			r := v.check(t, "access.onprem-read")
			want := append([]string{here}, test.reaches...)
			got := m.got(password)
			slices.Sort(got)
			if !slices.Equal(got, want) || r.Status == check.StatusPass || !strings.Contains(said(r), test.says) {
				t.Errorf("the password went to %v: %v", got, said(r))
			}
			if len(m.asked()) != len(want) {
				t.Errorf("asked: %v", m.asked())
			}
			if redirected := strings.Contains(strings.Join(v.said, "\n"), "ex2.contoso.test"); len(
				test.reaches) > 0 && !redirected {
				t.Errorf("the redirect was followed silently: %v", v.said)
			}
		})
	}
}

// Over plain http, an answer outside of the sealed channel may come from anyone. The rogue has the
// right ticket's traffic, and answers as IIS does: nothing is asked of another server.
func TestRemotePowerShellOverHTTP(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://ex2.contoso.test/PowerShell/")
			w.WriteHeader(http.StatusFound)
		},
		"redirect to another owner": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://evil.example/PowerShell/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"no proof": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<s:Envelope/>") },
		"use Basic": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="ex1"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"a proof that is none": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Kerberos aGVsbG8=")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMiddle(t, answer)
			domain := newRealm(t)
			kdc := newRogue(t, domain.answer)
			v := newVictim(t, m)
			v.answers.Forests[0].Exchange.URL = ""
			v.answers.Forests[0].Exchange.Credential = answers.Credential{Kind: answers.CredentialKerberos,
				User: userName + "@" + realmName, Password: "env:HYBRIDGE_TEST_SECRET", Krb5Config: kdc.config(t)}
			r := v.check(t, "access.onprem-read")
			if domain.issued == 0 || len(m.asked()) != 1 || m.asked()["ex1.contoso.test"] == "" {
				t.Errorf("%d tickets, asked: %v", domain.issued, m.asked())
			}
			if got := m.got(password); len(got) > 0 || r.Status == check.StatusPass {
				t.Errorf("the password went to %v: %v", got, said(r))
			}
			if strings.Contains(m.asked()["ex1.contoso.test"], "Basic ") {
				t.Error("Basic over plain http")
			}
		})
	}
}

// The bind to a domain controller asks the same forged KDC as the sign-in to remote PowerShell: it
// ends with an error that names the cause, and neither a crash nor a proof.
func TestForgedKDCInTheDirectoryBind(t *testing.T) {
	for name, test := range forgedAnswers {
		t.Run(name, func(t *testing.T) {
			m := newMiddle(t, http.NotFound)
			if err := m.names.Add("dc1.contoso.test. A 127.0.0.1"); err != nil {
				t.Fatal(err)
			}
			answer := wants(t, test.info)
			kdc := newRogue(t, func([]byte) []byte { return answer })
			v := newVictim(t, m)
			v.answers.Forests[0].Directory = answers.Directory{Servers: []string{"dc1.contoso.test"},
				Bind: answers.Credential{Kind: answers.CredentialKerberos, User: userName + "@" + realmName,
					Password: "env:HYBRIDGE_TEST_SECRET", Krb5Config: kdc.config(t)}}
			r := v.check(t, "directory.reachable")
			kdc.mu.Lock()
			defer kdc.mu.Unlock()
			if kdc.proofs > 0 || kdc.asked == 0 || len(m.got(password)) > 0 {
				t.Errorf("asked %d times, %d proofs", kdc.asked, kdc.proofs)
			}
			if r.Status == check.StatusPass || !strings.Contains(said(r), test.says) {
				t.Errorf("got %s", said(r))
			}
		})
	}
	// otherwise the other cases prove nothing
	t.Run("a domain as it should be", func(t *testing.T) {
		m := newMiddle(t, http.NotFound)
		if err := m.names.Add("dc1.contoso.test. A 127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		domain := newRealm(t)
		kdc := newRogue(t, domain.answer)
		v := newVictim(t, m)
		v.answers.Forests[0].Directory = answers.Directory{Servers: []string{"dc1.contoso.test"},
			Bind: answers.Credential{Kind: answers.CredentialKerberos, User: userName + "@" + realmName,
				Password: "env:HYBRIDGE_TEST_SECRET", Krb5Config: kdc.config(t)}}
		r := v.check(t, "directory.reachable")
		if domain.issued != 1 || !strings.Contains(m.asked()["dc1.contoso.test"], "GSSAPI") || len(m.got(password)) > 0 {
			t.Errorf("%d tickets, %s", domain.issued, said(r))
		}
	})
}

// A closed deployment leaves nothing behind, however it was refused: no goroutine, no descriptor.
func TestNothingIsLeftOpen(t *testing.T) {
	m := newMiddle(t, http.NotFound)
	if err := m.names.Add("dc1.contoso.test. A 127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	domain := newRealm(t)
	kdc := newRogue(t, domain.answer)
	v := newVictim(t, m)
	credential := answers.Credential{Kind: answers.CredentialKerberos, User: userName + "@" + realmName,
		Password: "env:HYBRIDGE_TEST_SECRET", Krb5Config: kdc.config(t)}
	v.answers.Forests[0].Exchange.URL, v.answers.Forests[0].Exchange.Credential = "", credential
	v.answers.Forests[0].Directory = answers.Directory{Servers: []string{"dc1.contoso.test"}, Bind: credential}
	round := func() {
		v.check(t, "access.onprem-read")
		v.check(t, "directory.reachable")
	}
	round()
	goroutines, descriptors := settled(runtime.NumGoroutine, -1), settled(openFiles, -1)
	for range 5 {
		round()
	}
	if n := settled(runtime.NumGoroutine, goroutines); n > goroutines {
		t.Errorf("%d goroutines more", n-goroutines)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	if n := settled(openFiles, descriptors); n > descriptors {
		t.Errorf("%d descriptors more", n-descriptors)
	}
	if domain.issued < 12 {
		t.Errorf("%d tickets: is this test looking?", domain.issued)
	}
}

// settled is a count once it is at most a number, or after three seconds.
func settled(count func() int, most int) int {
	n := count()
	for until := time.Now().Add(3 * time.Second); n > most && time.Now().Before(until); n = count() {
		time.Sleep(20 * time.Millisecond)
	}
	return n
}

// openFiles is the number of open descriptors; 0 where the system does not list them.
func openFiles() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}
