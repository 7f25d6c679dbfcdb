package psrp

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

var sameValues = cmp.Options{cmpopts.EquateNaNs()}

// shared returns the folder of recordings beside the repository, and skips the test where there is
// none.
func shared(t testing.TB, folder string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "fixtures", folder)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the recordings in ../shared/fixtures/%s are not here", folder)
	}
	return path
}

func TestUnmarshal(t *testing.T) {
	span := func(text string) TimeSpan {
		s, err := parseTimeSpan(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	inner := &Object{Types: []string{"A", "System.Object"}, Text: "a", Properties: []Property{{"Name", "x"}}}
	for _, test := range []struct {
		name, text string
		want       []any
	}{
		{"nothing", ``, []any{}},
		{"empty document", `<Objs Version="1.1.0.1"></Objs>`, []any{}},
		{"several", `<S>a</S><I32>1</I32>`, []any{"a", int64(1)}},
		{"byte order mark", "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Objs>\n <Nil />\n</Objs>\n",
			[]any{nil}},
		{"UTF-16", "\xff\xfe<\x00S\x00>\x00\xe4\x00<\x00/\x00S\x00>\x00", []any{"ä"}},
		{"numbers", `<By>255</By><SB>-1</SB><I16>-2</I16><U16>3</U16><U32>4294967295</U32><I64>-9223372036854775808</I64><U64>18446744073709551615</U64>`,
			[]any{int64(255), int64(-1), int64(-2), int64(3), int64(4294967295), int64(math.MinInt64),
				uint64(math.MaxUint64)}},
		{"fractions", `<Sg>0.5</Sg><Db>1E+20</Db><Db>INF</Db><Db>-INF</Db><Db>NaN</Db><D>79228162514264337593543950335</D>`,
			[]any{0.5, 1e20, math.Inf(1), math.Inf(-1), math.NaN(), Decimal("79228162514264337593543950335")}},
		{"truth", `<B>true</B><B>false</B>`, []any{true, false}},
		{"dates", `<DT>2019-10-01T10:20:30.1234567-05:00</DT><DT>2019-10-01T10:20:30Z</DT><DT>0001-01-01T00:00:00</DT>`,
			[]any{time.Date(2019, 10, 1, 15, 20, 30, 123456700, time.UTC),
				time.Date(2019, 10, 1, 10, 20, 30, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, Unspecified)}},
		{"spans", `<TS>PT0S</TS><TS>P1DT2H3M4.5S</TS><TS>-PT1S</TS><TS>P10675199DT2H48M5.4775807S</TS>`,
			[]any{TimeSpan(0), TimeSpan(937845000000), TimeSpan(-10000000), TimeSpan(math.MaxInt64)}},
		{"smallest span", `<TS>-P10675199DT2H48M5.4775808S</TS>`, []any{TimeSpan(math.MinInt64)}},
		{"span of months is kept by days alone", `<TS>P30D</TS>`, []any{span("P30D")}},
		{"texts", `<URI>https://a/?b&amp;c</URI><Version>15.2.1</Version><SBK>{ 1 }</SBK><XD>&lt;a/&gt;</XD><G>59ce2f71-eaa2-4ddf-a4fa-f25069d0b324</G><C>97</C><BA>AQI=</BA><SS>AQI=</SS>`,
			[]any{URI("https://a/?b&c"), Version("15.2.1"), ScriptBlock("{ 1 }"), XML("<a/>"),
				GUID{0x59, 0xce, 0x2f, 0x71, 0xea, 0xa2, 0x4d, 0xdf, 0xa4, 0xfa, 0xf2, 0x50, 0x69, 0xd0, 0xb3, 0x24},
				Char('a'), []byte{1, 2}, SecureString{1, 2}}},
		{"escapes", `<S>a_x000D__x000A_b_x005F_x0041_ _x0041 _xD83D__xDE00_ _xD83D_</S>`,
			[]any{"a\r\nb_x0041_ _x0041 😀 \ufffd"}},
		{"unknown element", `<Q>z</Q>`, []any{Other{"Q", "z"}}},
		{"object", `<Obj RefId="0"><TN RefId="0"><T>A</T><T>System.Object</T></TN><ToString>a</ToString><Props><S N="Name">x</S></Props></Obj>`, []any{inner}},
		{"references", `<Obj RefId="0"><LST><Obj RefId="1"><TN RefId="7"><T>A</T><T>System.Object</T></TN><ToString>a</ToString><Props><S N="Name">x</S></Props></Obj><Ref RefId="1"/><Obj RefId="2"><TNRef RefId="7"/></Obj></LST></Obj>`,
			[]any{&Object{Value: []any{inner, inner, &Object{Types: []string{"A", "System.Object"}}}}}},
		{"reference to what encloses it",
			`<Obj RefId="0"><Props><Obj N="Child" RefId="1"><MS><Ref N="Parent" RefId="0"/><Ref N="Self" RefId="1"/></MS></Obj></Props></Obj>`,
			[]any{&Object{Properties: []Property{{"Child",
				&Object{Extended: []Property{{"Parent", Ancestor(2)}, {"Self", Ancestor(1)}}}}}}}},
		{"collections", `<Obj><IE><S>a</S></IE></Obj><Obj><QUE/></Obj><Obj><STK><Nil/></STK></Obj>`,
			[]any{&Object{Kind: Enumerable, Value: []any{"a"}}, &Object{Kind: Queue, Value: []any{}},
				&Object{Kind: Stack, Value: []any{nil}}}},
		{"dictionary", `<Obj><DCT><En><S N="Key">b</S><I32 N="Value">1</I32></En><En><I32 N="Key">2</I32><Nil N="Value"/></En></DCT></Obj>`,
			[]any{&Object{Value: &Dict{[]Entry{{"b", int64(1)}, {int64(2), nil}}}}}},
		{"enum", `<Obj><TN RefId="0"><T>E</T></TN><ToString>Two</ToString><I32>2</I32></Obj>`,
			[]any{&Object{Types: []string{"E"}, Text: "Two", Value: int64(2)}}},
		{"object in object", `<Obj RefId="0"><ToString>o</ToString><Obj RefId="1"><ToString>i</ToString></Obj></Obj>`,
			[]any{&Object{Text: "o", Value: &Object{Text: "i"}}}},
		{"binary serialization is left out",
			`<Obj><Props><S N="A">1</S></Props><MS><BA N="SerializationData">not even base64 <S>x</S></BA><S N="B">2</S></MS></Obj>`,
			[]any{&Object{Properties: []Property{{"A", "1"}}, Extended: []Property{{"B", "2"}}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Unmarshal([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, sameValues); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
			text, err := Marshal(got...)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Unmarshal(text)
			if err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			if diff := cmp.Diff(got, again, sameValues); diff != "" {
				t.Errorf("written and read again (-first +second):\n%s\n%s", diff, text)
			}
		})
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	bomb := `<Obj RefId="0"><LST><S>a</S></LST></Obj>`
	for i := 1; i < 40; i++ {
		r := string(rune('A' + i))
		p := "0"
		if i > 1 {
			p = string(rune('A' + i - 1))
		}
		bomb += `<Obj RefId="` + r + `"><LST><Ref RefId="` + p + `"/><Ref RefId="` + p + `"/></LST></Obj>`
	}
	for _, test := range []struct{ name, text, want string }{
		{"cut off", `<Objs><S>a</S>`, "EOF"},
		{"cut off in an object", `<Obj><Props>`, "EOF"},
		{"no XML", `hello`, "outside of elements"},
		{"document type", `<!DOCTYPE a [<!ENTITY b "c">]><S>&b;</S>`, "document type"},
		{"unknown entity", `<S>&b;</S>`, "entity"},
		{"unknown reference", `<Obj><LST><Ref RefId="9"/></LST></Obj>`, "unknown object"},
		{"unknown type names", `<Obj><TNRef RefId="9"/></Obj>`, "unknown type names"},
		{"two values", `<Obj><STK><S>a</S></STK><I32>1</I32></Obj>`, "a second value"},
		{"number", `<I32>one</I32>`, "whole number"},
		{"number out of range", `<I64>9223372036854775808</I64>`, "whole number"},
		{"truth", `<B>maybe</B>`, "truth value"},
		{"date", `<Obj><Props><DT N="When">today</DT></Props></Obj>`, `property "When": not a date`},
		{"span", `<TS>PT</TS>`, "time span"},
		{"span too long", `<TS>P99999999999D</TS>`, "time span"},
		{"GUID", `<G>1</G>`, "GUID"},
		{"element in text", `<S><S>a</S></S>`, "within"},
		{"no entry in a dictionary", `<Obj><DCT><S>a</S></DCT></Obj>`, "dictionary"},
		{"too deep", strings.Repeat(`<Obj><LST>`, 200), "deeper"},
		{"references that explode", bomb, "elements"},
		{"too many elements", "<Obj><LST>" + strings.Repeat("<Nil/>", maxNodes), "elements"},
		{"too many type names", "<Obj><TN>" + strings.Repeat("<T/>", maxNodes), "elements"},
		{"too many entries", "<Obj><DCT>" + strings.Repeat("<En/>", maxNodes), "elements"},
		{"a tag without end", "<S" + strings.Repeat(` a=""`, maxTag), "a tag of more than"},
		{"a tag without end, seemingly ended", "<S" + strings.Repeat(` a=">" b='">'`, maxTag), "a tag of more than"},
		{"a large document", strings.Repeat(" ", maxDocument+1), "larger than"},
		{"invalid UTF-8", "<S>\xff</S>", "UTF-8"},
		{"odd UTF-16", "\xff\xfe<", "UTF-16"},
		{"other encoding", `<?xml version="1.0" encoding="ibm037"?><S/>`, "encoding"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Unmarshal([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestMarshalRefuses(t *testing.T) {
	loop := &Object{}
	loop.Value = loop
	for _, v := range []any{loop, struct{}{}, secret.NewValue("hush"), Credential{User: "u"}, Ancestor(1),
		Other{Tag: "a b"}, &Object{Kind: "X", Value: []any{}}} {
		if text, err := Marshal(v); err == nil {
			t.Errorf("wrote %T as %s", v, text)
		}
	}
}

// TestRecordedObjects reads what a real Exchange server printed. Nothing but the binary
// serialization may get lost: the count of elements of the value is that of the file.
func TestRecordedObjects(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared(t, "clixml"), "*.xml"))
	if len(files) < 24 {
		t.Fatalf("%d recordings, want at least 24", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			values, err := Unmarshal(data)
			if err != nil {
				t.Fatal(err)
			}
			if data, err = toUTF8(data); err != nil { // some are UTF-16
				t.Fatal(err)
			}
			c, seen := census{}, map[*Object]bool{}
			for _, v := range values {
				c.walk(v, seen)
			}
			for tag, want := range map[string]int{
				"Nil": count(data, "<Nil "), "B": count(data, "<B ", "<B>"), "S": count(data, "<S ", "<S>"),
				"Obj": count(data, "<Obj "), "G": count(data, "<G ", "<G>"),
				"DT": count(data, "<DT ", "<DT>"), "int": count(data, "<I32", "<I64", "<By", "<U32"),
				"BA": count(data, "<BA ", "<BA>") - count(data, `N="SerializationData"`),
			} {
				if c[tag] != want {
					t.Errorf("%d of %s, the file has %d", c[tag], tag, want)
				}
			}
			text, err := Marshal(values...)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Unmarshal(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(values, again, sameValues); diff != "" {
				t.Errorf("written and read again (-first +second):\n%s", diff)
			}
		})
	}
}

func count(data []byte, starts ...string) (n int) {
	for _, s := range starts {
		n += bytes.Count(data, []byte(s))
	}
	return n
}

type census map[string]int

func (c census) walk(v any, seen map[*Object]bool) {
	switch v := v.(type) {
	case nil:
		c["Nil"]++
	case bool:
		c["B"]++
	case string:
		c["S"]++
	case int64:
		c["int"]++
	case GUID:
		c["G"]++
	case time.Time:
		c["DT"]++
	case []byte:
		c["BA"]++
	case *Object:
		if seen[v] {
			return
		}
		seen[v] = true
		c["Obj"]++
		switch value := v.Value.(type) {
		case nil:
		case []any:
			for _, item := range value {
				c.walk(item, seen)
			}
		case *Dict:
			for _, e := range value.Entries {
				c.walk(e.Key, seen)
				c.walk(e.Value, seen)
			}
		default:
			c.walk(value, seen)
		}
		for _, p := range append(append([]Property{}, v.Properties...), v.Extended...) {
			c.walk(p.Value, seen)
		}
	}
}

func TestTimeSpanString(t *testing.T) {
	for span, want := range map[TimeSpan]string{0: "00:00:00", 937845000000: "1.02:03:04.5000000",
		-10000000: "-00:00:01", math.MaxInt64: "10675199.02:48:05.4775807"} {
		if got := span.String(); got != want {
			t.Errorf("%d is %s, want %s", int64(span), got, want)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`<Objs><Obj RefId="0"><TN RefId="0"><T>A</T></TN><ToString>a</ToString><Props><I32 N="b">1</I32></Props><MS><Ref N="c" RefId="0"/></MS></Obj></Objs>`))
	f.Add([]byte(`<Obj RefId="0"><DCT><En><S N="Key">a_x000A_</S><TS N="Value">P1DT1S</TS></En></DCT></Obj><DT>2019-10-01T10:20:30.1-05:00</DT><Db>1e5</Db>`))
	f.Add([]byte(`<Obj RefId="0"><STK><BA>AQ==</BA><C>65</C><G>59ce2f71-eaa2-4ddf-a4fa-f25069d0b324</G></STK></Obj><Obj RefId="1"><Ref RefId="0"/></Obj>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := Unmarshal(data)
		if err != nil {
			return
		}
		text, err := Marshal(values...)
		if err != nil {
			if strings.Contains(err.Error(), "no element name") || strings.Contains(err.Error(), "deeper") {
				return
			}
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := Unmarshal(text)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, text)
		}
		if diff := cmp.Diff(values, again, sameValues); diff != "" {
			t.Fatalf("(-first +second):\n%s\n%s", diff, text)
		}
	})
}
