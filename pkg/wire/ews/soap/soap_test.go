package soap

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

func utf16LE(s string) []byte {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		text string // of the root
		err  error
	}{
		{"plain", []byte(`<a>x</a>`), "x", nil},
		{"declared", []byte(`<?xml version="1.0" encoding="utf-8"?><!-- c --><a> x <b/> y </a>`), "x  y", nil},
		{"byte order mark", []byte("\xEF\xBB\xBF<a>x</a>"), "x", nil},
		{"UTF-16", utf16LE(`<?xml version="1.0" encoding="utf-16"?><a>ü</a>`), "ü", nil},
		{"latin 1", []byte("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><a>\xfc</a>"), "ü", nil},
		{"control characters", []byte("<a>x\x1b&#x1B;&#27;&#2;y&#10;z</a>"), "x\uFFFD\uFFFD\uFFFD\uFFFDy\nz", nil},
		{"surrogate", []byte("<a>&#xD800;&#xFFFFFFFFF;&#x1F600;</a>"), "\uFFFD\uFFFD\U0001F600", nil},
		{"CDATA", []byte("<a><![CDATA[<x>]]></a>"), "<x>", nil},
		{"empty", nil, "", ErrNotXML},
		{"text", []byte("hello"), "", ErrNotXML},
		{"HTML", []byte("<!DOCTYPE html><html></html>"), "", ErrNotXML},
		{"entities", []byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`), "", ErrNotXML},
		{"unknown entity", []byte(`<a>&b;</a>`), "", ErrNotXML},
		{"open", []byte(`<a>`), "", ErrNotXML},
		{"crossed", []byte(`<a><b></a></b>`), "", ErrNotXML},
		{"two roots", []byte(`<a/><b/>`), "", ErrNotXML},
		{"trailing", []byte(`<a/>x`), "", ErrNotXML},
		{"encoding", []byte(`<?xml version="1.0" encoding="ebcdic"?><a/>`), "", ErrNotXML},
		{"deep", []byte(strings.Repeat("<a>", 65) + strings.Repeat("</a>", 65)), "", ErrLimit},
		{"as deep as may be", []byte(strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64)), "", nil},
	} {
		e, err := Parse(tt.in, Limits{})
		if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		} else if err == nil && e.Text != tt.text {
			t.Errorf("%s: %q, want %q", tt.name, e.Text, tt.text)
		}
	}
	if _, err := Parse([]byte("<a><b/><b/></a>"), Limits{Elements: 2}); !errors.Is(err, ErrLimit) {
		t.Errorf("elements: %v", err)
	}
	if _, err := Read(strings.NewReader("<a>xxxxxxxx</a>"), Limits{Bytes: 14}); !errors.Is(err, ErrLimit) {
		t.Errorf("bytes: %v", err)
	}
}

func TestLookups(t *testing.T) {
	e, err := Parse([]byte(`<p:a xmlns:p="urn:x" xmlns:q="urn:y" q:k="no" k="yes"><q:b><c>1</c></q:b><b/></p:a>`),
		Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !e.Is("urn:x", "a") || e.Is("urn:y", "a") {
		t.Error("the namespace of the root")
	}
	if v, ok := e.Get("k"); !ok || v != "yes" {
		t.Errorf("attribute %q", v)
	}
	if e.Value("b", "c") != "1" || e.Value("b", "d", "e") != "" || len(e.All("b")) != 2 {
		t.Error("children")
	}
	var none *Element
	if _, ok := none.Get("x"); ok || none.Child("x") != nil || none.All("x") != nil || none.Value("x") != "" ||
		none.Is("", "") {
		t.Error("a nil element has something")
	}
	if _, err := Open(e); !errors.Is(err, ErrNotSOAP) {
		t.Errorf("Open: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`<a b="c">d</a>`, "<a>&#x1;</a>", "\xFF\xFE<\x00a\x00/\x00>\x00",
		`<?xml version="1.0" encoding="latin1"?><a/>`, "<!DOCTYPE a>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b, Limits{Bytes: 1 << 20, Depth: 8, Elements: 100})
		if err != nil {
			return
		}
		// What was read can be written and read again. Go's escaping keeps carriage returns, its
		// reader folds them.
		again, err := Parse([]byte("<t>"+Escape(e.Text)+"</t>"), Limits{})
		if err != nil || again.Text != strings.TrimSpace(e.Text) {
			t.Fatalf("%q came back as %q, %v", e.Text, again.Text, err)
		}
	})
}
