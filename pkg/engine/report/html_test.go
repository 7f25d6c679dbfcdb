package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// drawn is a document with a picture: two forests, two clouds, and words that try to be markup.
func drawn(hostile string) shown {
	state := func(s report.Status, id string) report.State {
		return report.State{Status: s, ID: id, Place: "contoso"}
	}
	find := func(s report.Status, id string) report.Finding {
		return report.Finding{Status: s, ID: id, Place: "contoso", Title: msg.Plain(hostile),
			Summary: msg.Plain(hostile),
			Details: []report.Block{report.Paragraph{Label: msg.Of("fix"), Text: msg.Plain(hostile + "\nand more")},
				report.Command{Lines: []string{hostile}}, report.Path{Hops: []string{hostile, "b"}}}}
	}
	forest := func(id string) report.System {
		s := report.System{ID: id, Kind: msg.Of("forest"), Name: id + hostile}
		for i := range 7 {
			s.Parts = append(s.Parts, report.Part{Kind: msg.Plain("server" + hostile),
				Name:  fmt.Sprintf("EX%d.%s.example%s", i, id, strings.Repeat("-long", 4*i)),
				Note:  msg.Plain("15.2 " + hostile),
				State: state(report.Fail, "a.fail")})
		}
		return s
	}
	ways := []report.Way{}
	for _, f := range []string{"contoso", "fabrikam"} {
		for _, cloud := range []string{"tenant", "workmail"} {
			ways = append(ways, report.Way{From: f, To: cloud, Kind: msg.Of("mail"), Via: "mail." + f + hostile,
				State: state(report.Warn, "a.warn")},
				report.Way{From: cloud, To: f, Kind: msg.Of("lookups"), Via: "autodiscover." + f})
		}
	}
	return shown{report.View{
		Name: "check", Title: msg.Plain("Prerequisites " + hostile),
		Blocks: []report.Block{
			report.Topology{Systems: []report.System{
				forest("contoso"), forest("fabrikam"),
				{ID: "tenant", Name: "contoso.onmicrosoft.com", Cloud: true, Parts: []report.Part{{Name: hostile}}},
				{ID: "workmail", Name: "eu-west-1", Cloud: true},
			}, Ways: ways},
			find(report.Fail, "a.fail"), find(report.Warn, "a.warn"), find(report.Error, "a.error"),
			find(report.Acknowledged, "a.known"), find(report.Pass, "a.pass"), find(report.Skip, hostile),
			report.Table{Columns: []msg.Text{msg.Plain(hostile)}, Rows: [][]msg.Text{{msg.Plain(hostile)}}},
			report.Source{Text: hostile},
		},
		Summary: report.Summary{Lead: msg.Plain("Checks:"), Counts: []report.Count{{Text: msg.Plain(hostile)}}},
	}}
}

const markupInText = "\"'><img src=http://evil.example/x onerror=alert(1)><script>alert(1)</script>&amp;\x1b[31m" +
	"</style></title><a href=javascript:alert(1)>"

// The page of every document is whole: its policy allows its own style sheet and script and nothing
// else, no attribute makes a request, every link leads to a finding, and no text became markup.
func TestHTML(t *testing.T) {
	all := documents()
	all["picture"] = drawn("")
	all["hostile"] = drawn(markupInText)
	for name, d := range all {
		t.Run(name, func(t *testing.T) {
			out := written(t, "html", report.Options{Version: "1.2.3"}, d)
			safe(t, out, false)
			root, err := html.Parse(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			elements := map[string]int{}
			var ids, links []string
			var policy, style, script string
			for n := range root.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				elements[n.Data]++
				for _, a := range n.Attr {
					switch {
					case a.Key == "id":
						if slices.Contains(ids, a.Val) {
							t.Errorf("the id %s is given twice", a.Val)
						}
						ids = append(ids, a.Val)
					case a.Key == "href":
						links = append(links, a.Val)
					case a.Key == "content" && strings.Contains(a.Val, "default-src"):
						policy = a.Val
					case a.Key == "src", a.Key == "style", strings.HasPrefix(a.Key,
						"on"), a.Key == "srcset", a.Key == "action":
						t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
					}
				}
				switch n.Data {
				case "style":
					style = n.FirstChild.Data
				case "script":
					script = n.FirstChild.Data
				}
			}
			for _, l := range links {
				if !strings.HasPrefix(l, "#") || !slices.Contains(ids, l[1:]) {
					t.Errorf("a link leads to %q", l)
				}
			}
			hash := func(s string) string {
				sum := sha256.Sum256([]byte(s))
				return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
			}
			want := "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
				"; base-uri 'none'; form-action 'none'"
			if policy != want {
				t.Errorf("the policy is %s, want %s", policy, want)
			}
			if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
				t.Error("the style sheet loads something")
			}
			if elements["script"] != 1 || elements["style"] != 1 || elements["img"] != 0 || elements["h1"] != 1 ||
				elements["main"] != 1 {
				t.Errorf("elements: %v", elements)
			}
			if name == "picture" || name == "hostile" {
				if elements["svg"] != 2 || elements["article"] != 6 || len(links) < 30 {
					t.Errorf("elements: %v, %d links", elements, len(links))
				}
			}
			if name == "picture" || name == "check" || name == "plan" {
				golden(t, name+".html", out)
			}
		})
	}
	// Formats that cannot draw leave the picture out, without a trace.
	for _, format := range []string{"text", "markdown"} {
		with := drawn("")
		without := drawn("")
		without.view.Blocks = without.view.Blocks[1:]
		if a, b := written(t, format, report.Options{}, with), written(t, format, report.Options{},
			without); !bytes.Equal(a, b) {
			t.Errorf("%s shows the picture: %s", format, a)
		}
	}
}

// Nothing in a picture overlaps: the boxes have room between them, what belongs to a box is inside
// it, and no line of text has a place that another has.
func TestPictureHasRoom(t *testing.T) {
	out := written(t, "html", report.Options{}, drawn(""))
	root, err := html.Parse(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	type rect struct{ x, y, width, height int }
	for svg := range root.Descendants() {
		if svg.Data != "svg" {
			continue
		}
		var class string
		var boxes []rect
		at := map[[2]int]string{}
		number := func(n *html.Node, key string) (v int) {
			for _, a := range n.Attr {
				if a.Key == key {
					fmt.Sscan(a.Val, &v)
				}
			}
			return v
		}
		var width, height int
		for _, a := range svg.Attr {
			switch a.Key {
			case "class":
				class = a.Val
			case "viewBox", "viewbox":
				fmt.Sscanf(a.Val, "0 0 %d %d", &width, &height)
			}
		}
		texts := 0
		for n := range svg.Descendants() {
			switch n.Data {
			case "rect":
				boxes = append(boxes, rect{number(n, "x"), number(n, "y"), number(n, "width"), number(n, "height")})
			case "text":
				if n.Type != html.ElementNode || n.FirstChild == nil {
					continue
				}
				texts++
				place := [2]int{number(n, "x"), number(n, "y")}
				if other, taken := at[place]; taken {
					t.Errorf("%s: two texts at %v: %s", class, place, other)
				}
				at[place] = n.FirstChild.Data
				if place[0] < 0 || place[0] > width || place[1] < 0 || place[1] > height {
					t.Errorf("%s: a text at %v, outside of %dx%d", class, place, width, height)
				}
			}
		}
		for i, a := range boxes {
			if a.x < 0 || a.y < 0 || a.x+a.width > width || a.y+a.height > height {
				t.Errorf("%s: box %v is outside of %dx%d", class, a, width, height)
			}
			for _, b := range boxes[:i] {
				if a.x < b.x+b.width && b.x < a.x+a.width && a.y < b.y+b.height && b.y < a.y+a.height {
					t.Errorf("%s: boxes %v and %v overlap", class, a, b)
				}
			}
		}
		if len(boxes) != 4 || texts < 40 {
			t.Errorf("%s: %d boxes and %d texts", class, len(boxes), texts)
		}
	}
}

// The first hop that does not work stands out, in words as well.
func TestHTMLMarksTheBrokenHop(t *testing.T) {
	out := string(written(t, "html", report.Options{}, shown{report.View{Name: "test", Blocks: []report.Block{
		report.Path{Hops: []string{"contoso", "autodiscover <https://x>", "bob"}, Broken: 2}}}}))
	if !strings.Contains(out, `contoso → <span class="bad">autodiscover &lt;https://x&gt; (broken here)</span> → bob`) {
		t.Error(out)
	}
}
