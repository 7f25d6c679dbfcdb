package secret

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/zalando/go-keyring"
	"go.yaml.in/yaml/v4"
)

const planted = "Zebra-Hunter2"

// Holder has a secret that encoders may see.
type Holder struct{ V Value }

// TestNothingLeaks prints and encodes a secret in every known way, also as a field that the printer
// reaches by reflection.
func TestNothingLeaks(t *testing.T) {
	v := NewValue(planted)
	type holder struct {
		Name   string
		Open   Value
		hidden Value
		list   []Value
	}
	h := holder{"h", v, v, []Value{v}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T", "%10.3s", "%c",
		"%U", "%e"} {
		for _, x := range []any{v, &v, h, &h, []Value{v}, map[string]Value{"a": v}, map[Value]int{v: 1}, [1]Value{v},
			struct{ any }{v}} {
			fmt.Fprintf(&out, verb+"\n", x)
		}
	}
	fmt.Fprintln(&out, v, h, errors.New(v.String()), fmt.Errorf("x %v", v))
	for _, encode := range []func(any) ([]byte, error){
		json.Marshal, xml.Marshal, yaml.Marshal,
		func(x any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(x)
			return b.Bytes(), err
		},
	} {
		for _, x := range []any{v, &v, Holder{v}} {
			data, err := encode(x)
			if err != nil {
				t.Errorf("%T: %v", x, err)
			}
			out.Write(data)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler)
		log.Info("x", "v", v, "p", &v, "h", h, "group", slog.GroupValue(slog.Any("v", v)))
		log.With("v", v).Info("y")
	}
	out.WriteString(cmp.Diff(v, NewValue("other")))
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, planted) {
			t.Logf("leaking line: %.300q", line)
		}
	}
	for _, form := range []string{planted, fmt.Sprintf("%x", planted), fmt.Sprintf("%X", planted),
		fmt.Sprintf("%d", []byte(planted))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("leaked as %s", form)
		}
	}
	if !strings.Contains(out.String(), Redacted) || v.Reveal() != planted {
		t.Error("nothing was printed at all")
	}
}

func TestValue(t *testing.T) {
	if (NewValue("") != Value{}) || !NewValue("").IsZero() || NewValue("a").IsZero() || Value.Reveal(Value{}) != "" {
		t.Error("the empty secret is the zero Value")
	}
	if !NewValue("a").Equal(NewValue("a")) || NewValue("a").Equal(NewValue("b")) || NewValue("a").Equal(Value{}) {
		t.Error("Equal compares texts")
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Source{
		"prompt": Prompt, "file:a b/c": File, `file:C:\x`: File, "env:PW_1": Env, "keyring:hybridge/app": Keyring,
		"keyring:a/b/c@d": Keyring,
		"":                "", planted: "", "file:": "", "env:": "", "env:1A": "", "env:" + planted: "",
		"keyring:a":  "",
		"keyring:/a": "", "keyring:a/": "", "prompt:x": "",
		"File:x": "", "plain:" + planted: "", "file:a\nb": "", " prompt": "",
	} {
		r, err := Parse(text)
		source, _, ok := r.Source()
		if source != want && want != "" || ok != (want != "") || (err == nil) != ok {
			t.Errorf("%q: %v %v %v", text, source, ok, err)
		}
		if err != nil && strings.Contains(fmt.Sprintf("%v %v %#v %+v", err, r, r, struct{ R Ref }{r}), planted) {
			t.Errorf("%q is shown: %v", text, err)
		}
	}
}

func TestResolve(t *testing.T) {
	keyring.MockInit()
	var stored []byte
	for _, unit := range utf16.Encode([]rune("Pä ß€𐍈")) {
		stored = append(stored, byte(unit), byte(unit>>8))
	}
	if err := keyring.Set("hybridge", "cmdkey", string(stored)); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Set("hybridge", "app", planted); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	file("lf", planted+"\n", 0o600)
	file("crlf", "\ufeff"+planted+"\r\n", 0o600)
	file("blanks", " "+planted+" \n\n", 0o600)
	file("open", planted, 0o644)
	file("group", planted, 0o640)
	file("empty", "\n", 0o600)
	file("utf16", "Z\x00e\x00", 0o600)
	file("big", strings.Repeat(planted, MaxFile/len(planted)+1), 0o600)
	t.Setenv("HYBRIDGE_TEST_SECRET", planted)
	t.Setenv("HYBRIDGE_TEST_EMPTY", "")
	asked := ""
	var warnings []string
	r := Resolver{Dir: dir, Warn: func(s string) { warnings = append(warnings, s) },
		Prompt: func(_ context.Context, label string) (Value, error) {
			asked = label
			return NewValue(planted), nil
		}}
	for _, test := range []struct {
		ref  Ref
		want string // the secret, or with ! an error's text
	}{
		{"", ""},
		{"prompt", planted},
		{"env:HYBRIDGE_TEST_SECRET", planted},
		{"env:HYBRIDGE_TEST_EMPTY", "!env:HYBRIDGE_TEST_EMPTY holds an empty secret"},
		{"env:HYBRIDGE_TEST_UNSET", "!environment variable HYBRIDGE_TEST_UNSET is not set"},
		{"file:lf", planted},
		{"file:crlf", planted},
		{"file:blanks", " " + planted + " \n"}, // one line break is the editor's, all else may be the secret's
		{"file:open", planted},
		{"file:group", planted},
		{Ref("file:" + filepath.Join(dir, "lf")), planted},
		{"file:empty", "!holds an empty secret"},
		{"file:utf16", "!binary data (or UTF-16 text)"},
		{"file:big", "!holds the secret alone"},
		{"file:absent", "!does not exist"},
		{"file:.", "!is a directory"},
		{"keyring:hybridge/app", planted},
		{"keyring:hybridge/cmdkey", "Pä ß€𐍈"}, // as Windows' own tools store it
		{"keyring:hybridge/other", "!the keyring holds no item of account other at service hybridge"},
		{planted, "!by reference, never as a value"},
	} {
		v, err := r.Resolve(t.Context(), test.ref, "password of svc@contoso.com")
		if want, isError := strings.CutPrefix(test.want, "!"); isError {
			if err == nil || !strings.Contains(err.Error(), want) ||
				!strings.HasPrefix(err.Error(), "password of svc@contoso.com: ") {
				t.Errorf("%v: got %v, want %q", test.ref, err, want)
			}
			if err != nil && strings.Contains(err.Error(), planted) {
				t.Errorf("%v: the secret is in the error", test.ref)
			}
			continue
		}
		if err != nil || v.Reveal() != test.want {
			t.Errorf("%v: got %q, %v", test.ref, v.Reveal(), err)
		}
	}
	if asked != "password of svc@contoso.com" {
		t.Errorf("asked for %q", asked)
	}
	if runtime.GOOS != "windows" &&
		(len(warnings) != 2 || !strings.Contains(warnings[0], "chmod 600") ||
			!strings.Contains(warnings[1], "mode 0640")) {
		t.Errorf("warnings: %q", warnings)
	}
	if _, err := (Resolver{}).Resolve(t.Context(), "prompt", "x"); !errors.Is(err, ErrNobodyToAsk) {
		t.Errorf("got %v", err)
	}
	keyring.MockInitWithError(errors.New(`exec: "dbus-launch": not found`))
	if _, err := r.Resolve(t.Context(), "keyring:hybridge/app", "x"); err == nil ||
		!strings.Contains(err.Error(), "name file:PATH or env:NAME instead") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Resolve(ctx, "file:lf", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
