package exchange

import (
	"bytes"
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
	answers := map[string]Recorded{
		"Get-AcceptedDomain": {Objects: []Object{NewObject([]string{"T"}, "contoso.com", "Name", "contoso.com", "Guid",
			"1"), NewObject([]string{"T"}, "fabrikam.com", "Name", "fabrikam.com")}},
		"Get-AuthServer":   {Err: &Error{Cmdlet: "Get-AuthServer", Category: "PermissionDenied", Message: "no"}},
		"Get-RemoteDomain": {},
	}
	var text bytes.Buffer
	if err := WriteSnapshot(&text, answers); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSnapshot(&text)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if objects, err := s.Run(ctx, Command{Name: "get-accepteddomain"}); err != nil || len(objects) != 2 {
		t.Errorf("all: %v, %v", objects, err)
	}
	one, err := s.Run(ctx, Command{Name: "Get-AcceptedDomain", Parameters: map[string]any{"Identity": "CONTOSO.com"}})
	if err != nil || len(one) != 1 || one[0].Text != "contoso.com" {
		t.Errorf("one: %v, %v", one, err)
	}
	if none, err := s.Run(ctx, Command{Name: "Get-RemoteDomain"}); err != nil || len(none) != 0 {
		t.Errorf("none: %v, %v", none, err)
	}
	for _, tt := range []struct {
		cmd Command
		is  error
	}{
		{Command{Name: "Get-AcceptedDomain", Parameters: map[string]any{"Identity": "x"}}, ErrNotFound},
		{Command{Name: "Get-OrganizationConfig"}, ErrNoCmdlet},
		{Command{Name: "Set-AcceptedDomain"}, ErrReadOnly},
	} {
		if _, err := s.Run(ctx, tt.cmd); !errors.Is(err, tt.is) {
			t.Errorf("%s: %v, want %v", tt.cmd.Name, err, tt.is)
		}
	}
	var e *Error
	if _, err := s.Run(ctx, Command{Name: "Get-AuthServer"}); !errors.As(err, &e) || e.Message != "no" {
		t.Errorf("recorded error: %v", err)
	}
	allowed, err := s.Allowed(ctx, "Get-AcceptedDomain", "Get-AuthServer", "Get-OrganizationConfig")
	if err != nil || len(allowed) != 1 {
		t.Errorf("allowed: %v, %v", allowed, err)
	}
	for _, bad := range []string{"", "[]", `{"rm -rf": []}`, `{"Get-A": 7}`, `{"Get-A": {"error": null}}`} {
		if _, err := ReadSnapshot(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read as a snapshot", bad)
		}
	}
}
