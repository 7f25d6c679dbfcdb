package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestGettersTellApart(t *testing.T) {
	when := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	o := NewObject([]string{"Microsoft.Exchange.Thing"}, "thing",
		"Empty", "", "Null", nil, "Text", "x", "Yes", true, "TextYes", "True", "Number", 7, "TextNumber", "8", "Half",
		1.5,
		"None", []any{}, "List", []string{"a", "b"}, "Single", "a", "When", when, "TextWhen", "2026-11-22T10:00:00",
		"Raw", []byte{1, 2}, "TextRaw", "AQI=",
		"Odd", Unreadable{"blob"}, "Inner", NewObject(nil, "inner", "A",
			1), "Table", map[string]any{"k": "v"}, "Nested", []any{[]any{"x"}})
	str := func(name string) func() (any, error) { return func() (any, error) { return o.String(name) } }
	boolean := func(name string) func() (any, error) { return func() (any, error) { return o.Bool(name) } }
	number := func(name string) func() (any, error) { return func() (any, error) { return o.Int(name) } }
	list := func(name string) func() (any, error) { return func() (any, error) { return o.Strings(name) } }
	timed := func(name string) func() (any, error) { return func() (any, error) { return o.Time(name) } }
	raw := func(name string) func() (any, error) { return func() (any, error) { return o.Bytes(name) } }
	tests := []struct {
		name string
		get  func() (any, error)
		want any
		err  error
	}{
		{"text", str("text"), "x", nil},
		{"empty text is a value", str("Empty"), "", nil},
		{"null text", str("Null"), "", ErrNull},
		{"absent text", str("Gone"), "", ErrAbsent},
		{"unreadable text", str("Odd"), "", ErrUnreadable},
		{"list as text", str("List"), "", ErrUnreadable},
		{"table as text", str("Table"), "", ErrUnreadable},
		{"object as text", str("Inner"), "inner", nil},
		{"number as text", str("Number"), "7", nil},
		{"Boolean", boolean("Yes"), true, nil},
		{"Boolean from text", boolean("TextYes"), true, nil},
		{"Boolean from other text", boolean("Text"), false, ErrUnreadable},
		{"null Boolean", boolean("Null"), false, ErrNull},
		{"number", number("Number"), int64(7), nil},
		{"number from text", number("TextNumber"), int64(8), nil},
		{"no whole number", number("Half"), int64(0), ErrUnreadable},
		{"list", list("List"), []string{"a", "b"}, nil},
		{"empty list", list("None"), []string{}, nil},
		{"null list", list("Null"), []string(nil), nil},
		{"absent list", list("Gone"), []string(nil), ErrAbsent},
		{"list of one", list("Single"), []string{"a"}, nil},
		{"list of lists", list("Nested"), []string(nil), ErrUnreadable},
		{"time", timed("When"), when, nil},
		{"time from text", timed("TextWhen"), when, nil},
		{"no time", timed("Text"), time.Time{}, ErrUnreadable},
		{"bytes", raw("Raw"), []byte{1, 2}, nil},
		{"bytes from text", raw("TextRaw"), []byte{1, 2}, nil},
		{"no bytes", raw("Yes"), []byte(nil), ErrUnreadable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.get()
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if s, err := Optional(o.String("Null")); s != "" || err != nil {
		t.Errorf("Optional: %q, %v", s, err)
	}
	if _, err := Optional(o.String("Gone")); !errors.Is(err, ErrAbsent) {
		t.Errorf("Optional hides an absent property: %v", err)
	}
	if !o.Has("NULL") || !o.Null("null") || o.Has("Gone") || o.Null("Gone") || o.Null("Empty") {
		t.Error("Has or Null is wrong")
	}
}

func TestObjectPrintsNoValues(t *testing.T) {
	o := NewObject([]string{"T\x1b[31m"}, "name\x1b]0;x\a\u202e", "Secret", "hunter2")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "o", o)
	for _, s := range []string{fmt.Sprint(o), fmt.Sprintf("%v", o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o),
		fmt.Sprintf("%s", o), fmt.Sprintf("%q", o), log.String()} {
		if strings.Contains(s, "hunter2") || strings.ContainsAny(s, "\x1b\a\u202e") {
			t.Errorf("prints %q", s)
		}
	}
}

// values generates what an Object can hold.
func values(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(v bool) any { return v }),
		rapid.Map(rapid.Int64(), func(v int64) any { return v }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(v float64) any { return v }),
		rapid.Map(rapid.String(), func(v string) any { return v }),
		rapid.Map(rapid.Int64Range(0, 4e9), func(v int64) any { return time.Unix(v, 0).UTC() }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(v []byte) any { return append([]byte{}, v...) }),
		rapid.Map(rapid.String(), func(v string) any { return Unreadable{v} }),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return values(depth - 1) }), 0, 3),
				func(v []any) any { return append([]any{}, v...) }),
			rapid.Map(rapid.MapOfN(rapid.String(),
				rapid.Deferred(func() *rapid.Generator[any] { return values(depth - 1) }), 0, 3),
				func(v map[string]any) any { return v }),
			rapid.Map(rapid.Deferred(func() *rapid.Generator[any] { return values(depth - 1) }),
				func(v any) any { return NewObject([]string{"Inner"}, "text", "P", v) }))
	}
	return rapid.OneOf(kinds...)
}

func TestObjectJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pairs []any
		for i := range rapid.IntRange(0, 5).Draw(t, "n") {
			pairs = append(pairs, fmt.Sprintf("P%d", i), values(2).Draw(t, "v"))
		}
		want := NewObject([]string{"A", "B"}, rapid.String().Draw(t, "text"), pairs...)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Object
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Object{}),
			cmp.Comparer(func(a, b float64) bool { return a == b })); d != "" {
			t.Fatalf("%s\n%s", text, d)
		}
	})
}

func FuzzObjectJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"$types":["A"],"$text":"x","P":{"$time":"2026-01-01T00:00:00Z"}}`,
		`{"a":[[[1]]]}`, `{"a":{"$hashtable":{"b":null}}}`, `{"a":1e400}`, strings.Repeat(`{"a":`, 100)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var o Object
		if json.Unmarshal(text, &o) != nil {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatalf("%q was read but cannot be written: %v", text, err)
		}
		var second Object
		if err := json.Unmarshal(again, &second); err != nil {
			t.Fatalf("%q was written as %q, which cannot be read: %v", text, again, err)
		}
	})
}

func TestSnapshot(t *testing.T) {
	s := NewSnapshot(map[string][]Object{
		"Get-AcceptedDomain": {NewObject([]string{"T"}, "contoso.com", "Name", "contoso.com", "Guid", "1"),
			NewObject([]string{"T"}, "fabrikam.com", "Name", "fabrikam.com")},
		"Get-ExchangeCertificate": {NewObject(nil, "", "Identity", "ex1.contoso.com\\0A"),
			NewObject(nil, "", "Identity", "EX2\\0B")},
		"Get-RemoteDomain": nil,
	})
	ctx := t.Context()
	for _, tt := range []struct {
		cmd  Command
		want int
		is   error
	}{
		{Command{Name: "get-accepteddomain"}, 2, nil},
		{Command{Name: "Get-AcceptedDomain", Parameters: map[string]any{"Identity": "CONTOSO.com"}}, 1, nil},
		{Command{Name: "Get-AcceptedDomain", Parameters: map[string]any{"DomainController": "dc1"}}, 2, nil},
		{Command{Name: "Get-RemoteDomain"}, 0, nil},
		{Command{Name: "Get-ExchangeCertificate", Parameters: map[string]any{"Server": "EX1"}}, 1, nil},
		{Command{Name: "Get-ExchangeCertificate", Parameters: map[string]any{"Server": "EX3"}}, 0, ErrNotRecorded},
		{Command{Name: "Get-AcceptedDomain", Parameters: map[string]any{"Identity": "x"}}, 0, ErrNotRecorded},
		{Command{Name: "Get-OrganizationConfig"}, 0, ErrNotRecorded},
		{Command{Name: "Set-AcceptedDomain"}, 0, ErrReadOnly},
	} {
		got, err := s.Run(ctx, tt.cmd)
		if !errors.Is(err, tt.is) || len(got) != tt.want {
			t.Errorf("%s: %v, %v, want %d, %v", tt.cmd, got, err, tt.want, tt.is)
		}
	}
	if got, err := s.Allowed(ctx, "Get-X", "New-X"); err != nil || got["Get-X"].Untold || !got["New-X"].Untold {
		t.Errorf("allowed: %v, %v", got, err)
	}
}

// The names of files, as HealthChecker and admins write them.
func TestCmdletOfFile(t *testing.T) {
	for name, want := range map[string]string{
		"GetAcceptedDomain": "Get-AcceptedDomain true", "Get-ExchangeCertificate-EX1": "Get-ExchangeCertificate false",
		"EX1_Get-Queue": "Get-Queue false", "GetSettingOverride1": "Get-SettingOverride false",
		"get-mailboxdatabase": "Get-MailboxDatabase true", "GetMailboxesOfAll": " false", "TestServiceHealth": " false",
		"targets": " false",
	} {
		cmdlet, exact := Catalogue().CmdletOf(name, OnPremises)
		if got := fmt.Sprint(cmdlet, " ", exact); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// FuzzReadCLIXML reads a file that admins send.
func FuzzReadCLIXML(f *testing.F) {
	f.Add([]byte(`<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj RefId="0"><TN RefId="0">` +
		`<T>Deserialized.X</T></TN><ToString>x</ToString><Props><S N="Name">a</S></Props></Obj></Objs>`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		objects, err := ReadCLIXML(data)
		if err != nil {
			return
		}
		_, _ = NewSnapshot(map[string][]Object{"Get-Queue": objects}).Run(context.Background(),
			Command{Name: "Get-Queue", Parameters: map[string]any{"Server": "a"}})
	})
}
