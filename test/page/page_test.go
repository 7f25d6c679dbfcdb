// Package page shows HTML reports in Chromium: at the width of a phone and of a desk, in the dark,
// printed, and filtered.
package page

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// markup is what a server could say.
const markup = `"'><img src=http://evil.example/x.png onerror="fetch('http://evil.example/y')"><script>alert(1)</script>` +
	`</style></script><link rel=stylesheet href=http://evil.example/z.css><a href="javascript:alert(1)">x</a>`

// written writes the page of a report with three forests, two clouds and words that try to be
// markup.
func written(t *testing.T) string {
	t.Helper()
	r := check.Report{APIVersion: report.APIVersion, Kind: "CheckReport"}
	statuses := []check.Status{check.StatusFail, check.StatusWarn, check.StatusError, check.StatusPass,
		check.StatusSkip}
	for _, forest := range []string{"contoso", "fabrikam", "adatum"} {
		for i, s := range statuses {
			r.Results = append(r.Results, check.Result{ID: check.ID(fmt.Sprintf("servers.number-%d", i)), Scope: forest,
				Status: s, Title: "Servers " + markup, Summary: msg.Plain("EX1 of " + forest + " says " + markup),
				Remedy: check.Remedy{Text: msg.Plain(markup), Commands: []string{"Get-ExchangeServer " + markup}}})
		}
		system := report.System{ID: forest, Kind: msg.Of("forest"), Name: forest}
		for _, name := range []string{"EX1", "mail." + forest + ".example",
			"a-very-long-autodiscover-name.of." + forest +
				".in.a.long.domain.example", markup} {
			system.Parts = append(system.Parts, report.Part{Kind: msg.Plain("certificate of a server"), Name: name,
				Note:  msg.Plain("Version 15.2 (Build 2562.17)"),
				State: report.State{Status: report.Fail, ID: "servers.number-0", Place: forest}})
		}
		r.Picture.Systems = append(r.Picture.Systems, system)
		for _, cloud := range []string{"tenant", "workmail"} {
			r.Picture.Ways = append(r.Picture.Ways,
				report.Way{From: forest, To: cloud, Kind: msg.Of("lookups"), Via: "mail." + forest + ".example"},
				report.Way{From: cloud, To: forest, Kind: msg.Of("mail"),
					Via: "a.host.with.a.long.name." + forest + ".example"})
		}
	}
	r.Picture.Systems = append(r.Picture.Systems,
		report.System{ID: "tenant", Kind: msg.Plain("Exchange Online"), Name: "contoso.onmicrosoft.com", Cloud: true},
		report.System{ID: "workmail", Kind: msg.Plain("Amazon WorkMail"), Name: "eu-west-1", Cloud: true})
	r.Summary = check.Count(r.Results)
	path := filepath.Join(t.TempDir(), "check.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	format, _ := report.Named("html")
	if err := format.Open(f, report.Options{Version: "test"}).Write(r); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// browser is one page in Chromium, driven by the DevTools protocol.
type browser struct {
	t      *testing.T
	socket *websocket.Conn
	last   int
	events []event // everything that happened
}

type event struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
}

// open starts Chromium, whose every request goes to a proxy, and opens an empty page.
func open(t *testing.T, proxy string) *browser {
	t.Helper()
	program := peer.Program(t, "chromium", "chromium")
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) }) // what still writes to it may hold a part back
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--user-data-dir="+profile, "--proxy-server="+proxy, "--proxy-bypass-list=<-loopback>",
		"--remote-debugging-port=0", "--remote-allow-origins=*", "about:blank")
	c.WaitDelay = 5 * time.Second
	out, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = c.Wait() })
	address := make(chan string, 1)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if _, url, found := strings.Cut(s.Text(), "DevTools listening on ws://"); found {
				host, _, _ := strings.Cut(url, "/")
				address <- host
			}
		}
	}()
	select {
	case host := <-address:
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/json/new?about:blank",
			nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var target struct{ WebSocketDebuggerURL string }
		if err := json.NewDecoder(answer.Body).Decode(&target); err != nil {
			t.Fatal(err)
		}
		socket, err := websocket.Dial(target.WebSocketDebuggerURL, "", "http://"+host)
		if err != nil {
			t.Fatal(err)
		}
		socket.MaxPayloadBytes = 64 << 20
		t.Cleanup(func() { _ = socket.Close() })
		b := &browser{t: t, socket: socket}
		for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
			b.do(domain+".enable", nil)
		}
		return b
	case <-time.After(time.Minute):
		t.Fatal("Chromium names no address of its DevTools")
		return nil
	}
}

// do sends a command and returns its result.
func (b *browser) do(method string, params map[string]any) json.RawMessage {
	b.t.Helper()
	b.last++
	if params == nil {
		params = map[string]any{}
	}
	if err := websocket.JSON.Send(b.socket,
		map[string]any{"id": b.last, "method": method, "params": params}); err != nil {
		b.t.Fatal(err)
	}
	for {
		e := b.next()
		if e.ID == b.last {
			if e.Error != nil {
				b.t.Fatalf("%s: %s", method, e.Error.Message)
			}
			return e.Result
		}
	}
}

func (b *browser) next() event {
	b.t.Helper()
	_ = b.socket.SetReadDeadline(time.Now().Add(time.Minute))
	var e event
	if err := websocket.JSON.Receive(b.socket, &e); err != nil {
		b.t.Fatal(err)
	}
	if e.Method != "" {
		b.events = append(b.events, e)
	}
	return e
}

// show opens a file at a width.
func (b *browser) show(path string, width int, phone bool) {
	b.t.Helper()
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1,
		"mobile": phone})
	b.do("Page.navigate", map[string]any{"url": "file://" + path})
	for b.next().Method != "Page.loadEventFired" {
	}
}

// value evaluates an expression.
func (b *browser) value(expression string) string {
	b.t.Helper()
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails any
	}
	raw := b.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
	if err := json.Unmarshal(raw, &result); err != nil || result.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s, %v", expression, raw, err)
	}
	return fmt.Sprint(result.Result.Value)
}

// outside lists the texts of the visible picture that leave their box, as they are drawn.
const outside = `(() => {
  const svg = [...document.querySelectorAll(".picture svg")].find(s => getComputedStyle(s).display !== "none");
  const boxes = [...svg.querySelectorAll("rect")].map(r => r.getBBox());
  const bad = [];
  for (const text of svg.querySelectorAll("text")) {
    const t = text.getBBox();
    const box = boxes.find(b => t.x >= b.x && t.x <= b.x + b.width && t.y >= b.y && t.y <= b.y + b.height);
    if (box && t.x + t.width > box.x + box.width + 1) bad.push(text.textContent);
    if (!box) for (const b of boxes)
      if (t.x < b.x && t.x + t.width > b.x + 1 && t.y < b.y + b.height && t.y + t.height > b.y) bad.push(text.textContent);
  }
  return bad.join("; ");
})()`

func TestPageInChromium(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.Host)
		http.Error(w, "no", http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	path := written(t)
	b := open(t, proxy.URL)
	display := func(selector string) string {
		return b.value(`getComputedStyle(document.querySelector(` + "`" + selector + "`" + `)).display`)
	}
	is := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	shown := func() string {
		return b.value(`[...document.querySelectorAll(".finding")].filter(f => !f.hidden).length`)
	}
	click := func(status string) {
		b.value(`document.querySelector("button[data-status=` + status + `]").click()`)
	}

	for _, screen := range []struct {
		name         string
		width        int
		phone        bool
		wide, narrow string
	}{{"phone", 390, true, "none", "block"}, {"tablet", 800, true, "block", "none"},
		{"desk", 1440, false, "block", "none"}} {
		b.show(path, screen.width, screen.phone)
		if b.value(`document.documentElement.scrollWidth > innerWidth`) == "true" {
			t.Errorf("%s: the page is %s wide", screen.name, b.value(`document.documentElement.scrollWidth`))
		}
		is(screen.name+": the wide picture", display(".picture svg.wide"), screen.wide)
		is(screen.name+": the narrow picture", display(".picture svg.narrow"), screen.narrow)
		is(screen.name+": texts outside of their boxes", b.value(outside), "")
		is(screen.name+": findings", shown(), "15")
		is(screen.name+": the filters", display(".filters"), "flex")
	}

	// Filters: by status, place and text; a line of the picture leads to its finding all the same.
	click("pass")
	click("skip")
	is("without pass and skip", shown(), "9")
	is("the count", b.value(`document.querySelector("output").textContent`), "9 / 15")
	b.value(`(() => { const s = document.querySelector("select"); s.value = "fabrikam"; s.dispatchEvent(new Event("change")); })()`)
	is("of fabrikam", shown(), "3")
	b.value(`(() => { const s = document.querySelector("input"); s.value = "Number-1"; s.dispatchEvent(new Event("input")); })()`)
	is("with a text", shown(), "1")
	b.value(`document.querySelector(".picture svg.wide a").dispatchEvent(new MouseEvent("click", {bubbles: true}))`)
	b.value(`new Promise(r => setTimeout(r, 200))`)
	is("the target of a link", b.value(`document.querySelector(location.hash.replaceAll(".", "\\.")).hidden`), "false")

	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme",
		"value": "dark"}}})
	is("in the dark", b.value(`getComputedStyle(document.body).backgroundColor`), "rgb(20, 24, 28)")
	b.do("Emulation.setEmulatedMedia", map[string]any{"media": "print", "features": []map[string]string{
		{"name": "prefers-color-scheme", "value": "dark"}}})
	is("printed", b.value(`getComputedStyle(document.body).backgroundColor`), "rgb(255, 255, 255)")
	is("printed filters", display(".filters"), "none")

	// No request left the page, and no word of a server was carried out.
	is("images", b.value(`document.querySelectorAll("img, link, iframe").length`), "0")
	is("scripts", b.value(`document.scripts.length`), "1")
	for _, e := range b.events {
		switch e.Method {
		case "Page.javascriptDialogOpening":
			t.Errorf("a word of a server was carried out: %s", e.Params)
		case "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			if err := json.Unmarshal(e.Params, &p); err != nil || !strings.HasPrefix(p.Request.URL, "file://"+path) {
				t.Errorf("the page asks for %s", p.Request.URL)
			}
		case "Log.entryAdded", "Runtime.exceptionThrown":
			t.Errorf("%s: %s", e.Method, e.Params)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, a := range asked {
		if strings.Contains(a, "evil.example") {
			t.Errorf("the proxy was asked: %s", a)
		}
	}
	t.Logf("Chromium's own requests: %v", asked)
}
