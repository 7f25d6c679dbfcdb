package snapshot

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// kept records an answer, writes the snapshot, and answers from what was written.
func kept[T any](t *testing.T, v T, err error) (T, error) {
	t.Helper()
	tape := Record(nil)
	ask := func(tape *Tape, live func(context.Context) (T, error)) (T, error) {
		return Read(t.Context(), tape, "contoso", "DNS", "A x", live)
	}
	got, gotErr := ask(tape, func(context.Context) (T, error) { return v, err })
	if fmt.Sprint(got, gotErr) != fmt.Sprint(v, err) {
		t.Fatalf("the recording itself answers %v, %v", got, gotErr)
	}
	raw, wrong := json.Marshal(tape.Readings())
	if wrong != nil {
		t.Fatal(wrong)
	}
	var readings []Reading
	if err := json.Unmarshal(raw, &readings); err != nil {
		t.Fatal(err)
	}
	return ask(Replay(Snapshot{Readings: readings}, nil), func(context.Context) (T, error) {
		t.Error("a snapshot asked a system")
		return v, nil
	})
}

func TestValuesCome(t *testing.T) {
	type inner struct {
		Names []string
		Empty []string
		None  []string
		At    time.Time
		Wait  time.Duration
		Err   error
		Ahead *time.Duration
		By    map[string][]byte
	}
	second := time.Second
	in := inner{Names: []string{"a", "<b>"}, Empty: []string{}, At: time.Unix(1700000000, 5).UTC(), Wait: time.Minute,
		Err: fmt.Errorf("look: %w", dns.ErrEmpty), Ahead: &second, By: map[string][]byte{"k": {0, 255}}}
	out, err := kept(t, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(out.Err, dns.ErrEmpty) || out.Err.Error() != in.Err.Error() {
		t.Errorf("error %v", out.Err)
	}
	in.Err, out.Err = nil, nil
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}

	object := exchange.NewObject([]string{"T"}, "text", "Name", "n", "Null", nil, "List", []any{int64(1), "x"})
	objects, err := kept(t, []exchange.Object{object}, nil)
	if err != nil || len(objects) != 1 || objects[0].Text != "text" || !objects[0].Null("Null") {
		t.Errorf("objects %v, %v", objects, err)
	}
	for _, body := range []string{`{"a":[1,2.5,null]}`, `<html>`, ``} {
		got, err := kept(t, json.RawMessage(body), nil)
		if err != nil || string(got) != body {
			t.Errorf("%q came back as %q, %v", body, got, err)
		}
	}
	address := netip.MustParseAddr("192.0.2.1")
	if got, err := kept(t, address, nil); got != address || err != nil {
		t.Errorf("address %v, %v", got, err)
	}
	if _, err := kept(t, map[string]any{"n": int64(7), "f": 1.5, "l": []any{"x"}}, nil); err != nil {
		t.Error(err)
	}
	if c, err := kept(t, (*x509.Certificate)(nil), nil); c != nil || err != nil {
		t.Errorf("no certificate: %v, %v", c, err)
	}
}

// An error that comes back has its text, its classes, its hint, and what code asks of its type.
func TestErrorsCome(t *testing.T) {
	host := &link.HostError{Host: "mail.contoso.com", Err: link.ErrUntrusted}
	record := &exchange.Error{Cmdlet: "Get-X", Message: "no",
		ExceptionType: "System.Management.Automation.ParameterBindingException"}
	for _, err := range []error{
		fmt.Errorf("contoso: %w", host), fmt.Errorf("contoso: %w", record), dns.ErrAbsent, context.DeadlineExceeded,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true},
		&smtp.StepError{Address: "mail:25", Step: smtp.Connect, Waited: time.Second, Err: fmt.Errorf("dial: %w",
			os.ErrDeadlineExceeded)},
		&smtp.StepError{Address: "mail:25", Step: smtp.StartTLS, Err: &smtp.ReplyError{Command: "STARTTLS", Code: 454}},
		fmt.Errorf("w: %w", &workmail.Error{Operation: "Get", Code: "ResourceNotFoundException", Status: 400}),
		&exchange.Error{Cmdlet: "Get-Y", ExceptionType: "ManagementObjectNotFoundException"},
	} {
		_, got := kept(t, "", err)
		if got == nil || got.Error() != err.Error() {
			t.Errorf("%v came back as %v", err, got)
		}
		for name, class := range classes {
			if errors.Is(err, class) != errors.Is(got, class) {
				t.Errorf("%v: class %s differs", err, name)
			}
		}
		var a, b *exchange.Error
		if errors.As(err, &a) != errors.As(got, &b) || a != nil && *a != *b {
			t.Errorf("%v: record %v, want %v", err, b, a)
		}
		var h, g *link.HostError
		if errors.As(err, &h) != errors.As(got, &g) || h != nil && h.Host != g.Host {
			t.Errorf("%v: host differs", err)
		}
		var amazon, told *workmail.Error
		if errors.As(err, &amazon) != errors.As(got, &told) || amazon != nil && *amazon != *told {
			t.Errorf("%v: WorkMail's error %v, want %v", err, told, amazon)
		}
		var step, after *smtp.StepError
		if errors.As(err, &step) != errors.As(got, &after) || step != nil && (step.Step != after.Step ||
			step.Silent() != after.Silent() || step.Err.Error() != after.Err.Error()) {
			t.Errorf("%v: step differs", err)
		}
		var reply, again *smtp.ReplyError
		if errors.As(err, &reply) != errors.As(got, &again) || reply != nil && *reply != *again {
			t.Errorf("%v: reply differs", err)
		}
		var n, m *net.DNSError
		if errors.As(err, &n) != errors.As(got, &m) || n != nil && n.IsNotFound != m.IsNotFound {
			t.Errorf("%v: name error differs", err)
		}
	}
	alert := &net.OpError{Op: "remote error", Err: errAlert(40)}
	if _, got := kept(t, "", error(alert)); got == nil {
		t.Error("no error")
	} else if code, ok := link.RemoteAlert(got); !ok || code != 40 {
		t.Errorf("alert %d, %v", code, ok)
	}
}

type errAlert uint8

func (errAlert) Error() string { return "tls: handshake failure" }

// What a snapshot lacks, and what another version wrote differently, is unknown and never absent.
func TestWhatIsMissingIsUnknown(t *testing.T) {
	ask := func(tape *Tape) error {
		_, err := Read(t.Context(), tape, "contoso", "DNS", "A x", func(context.Context) (string, error) { return "", nil })
		return err
	}
	old := Snapshot{Readings: []Reading{{Place: "contoso", System: "DNS", Ask: "A x", Shape: "other",
		Answer: json.RawMessage(`"1"`)}}}
	for name, s := range map[string]Snapshot{"nothing": {}, "another version": old} {
		err := ask(Replay(s, nil))
		if !errors.Is(err, ErrNotHeld) || errors.Is(err, dns.ErrAbsent) || errors.Is(err, exchange.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cancelled question is not kept: the next one gets an answer.
func TestCancelledIsNotKept(t *testing.T) {
	tape := Record(nil)
	ctx, cancel := context.WithCancel(t.Context())
	_, _ = Read(ctx, tape, "contoso", "DNS", "A x", func(context.Context) (string, error) {
		cancel()
		return "", context.Canceled
	})
	got, err := Read(t.Context(), tape, "contoso", "DNS", "A x",
		func(context.Context) (string, error) { return "192.0.2.1", nil })
	if got != "192.0.2.1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Secrets that are planted wherever a server can say something are in no reading.
func TestSecretsAreNotKept(t *testing.T) {
	const password = `Pa55"wörd\with<specials>`
	token := "eyJhbGciOiJub25lIn0." + strings.Repeat("YWJj", 10) + "." + strings.Repeat("c2ln", 10)
	object := exchange.NewObject(nil, "", "Name", "c", "Comment", "set with "+password,
		"Credential", exchange.NewObject(nil, "", "UserName", "relay", "Password", "planted-1"),
		"SharedSecret", "planted-2", "Notes", "-----BEGIN RSA PRIVATE KEY-----\nplanted-3\n-----END",
		"Url", "https://user:planted-4@contoso.com/", "PasswordExpires", true, "Token", token)
	tape := Record(nil)
	for ask, live := range map[string]func(context.Context) (any, error){
		"1": func(context.Context) (any, error) { return object, nil },
		"2": func(context.Context) (any, error) {
			return nil, fmt.Errorf("Authorization: Bearer planted-5-%s: %s", strings.Repeat("x", 20), password)
		},
		"3": func(context.Context) (any, error) {
			return map[string]any{"passwordCredentials": []any{map[string]any{"keyId": "kept", "hint": "pl6",
				"secretText": "planted-7"}}}, nil
		},
	} {
		_, _ = Read(t.Context(), tape, "contoso", "DNS", ask, live)
	}
	readings := WithoutSecrets(tape.Readings(), []secret.Value{secret.NewValue(password)})
	raw, err := json.Marshal(readings)
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"planted-", "pl6", "Pa55", token} {
		if bytes.Contains(raw, []byte(planted)) {
			t.Errorf("%s is in the snapshot:\n%s", planted, raw)
		}
	}
	for _, stays := range []string{"kept", "relay", "PasswordExpires"} {
		if !bytes.Contains(raw, []byte(stays)) {
			t.Errorf("%s is missing:\n%s", stays, raw)
		}
	}
}

// FuzzDecode reads what somebody sends as a snapshot.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"hybridge/v1","kind":"Snapshot","takenAt":"2026-11-27T00:00:00Z","answers":{},"readings":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		tape := Replay(s, nil)
		for _, r := range s.Readings {
			var objects []exchange.Object
			r.Shape = shape(reflect.TypeOf(objects))
			_ = tape.recallInto(r, reflect.ValueOf(&objects).Elem())
		}
		if _, err := Decode(bytes.NewReader(s.Encode())); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
