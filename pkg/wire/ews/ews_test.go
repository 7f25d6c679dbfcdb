package ews

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var (
	day    = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	window = Window{day, day.Add(24 * time.Hour)}
)

func at(hours float64) time.Time { return day.Add(time.Duration(hours * float64(time.Hour))) }

// calendars is a backend of fixed calendars, by address.
type calendars struct {
	all   map[string]Calendar
	err   error
	asked []Query
}

func (c *calendars) Availability(_ context.Context, q Query) ([]Calendar, error) {
	c.asked = append(c.asked, q)
	if c.err != nil {
		return nil, c.err
	}
	var answers []Calendar
	for _, m := range q.Mailboxes {
		answer, ok := c.all[strings.ToLower(m)]
		if !ok {
			answer = Calendar{Err: &ResponseError{Code: "ErrorMailRecipientNotFound",
				Text: "Unable to resolve e-mail address " + m + " to an Active Directory object.", LinkKey: "7",
				Detail: "deep\x01er"}}
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

var berlin = europe(-60)

func backend() *calendars {
	events := []Event{
		{Start: at(9), End: at(10), Busy: Busy,
			Details: &Details{ID: "1", Subject: "Budget <b>&\x02", Location: "R1", Meeting: true}},
		{Start: at(13), End: at(15), Busy: Tentative, Details: &Details{ID: "2", Subject: "secret", Private: true}},
		{Start: at(14.5), End: at(16), Busy: OutOfOffice},
		{Start: at(30), End: at(31), Busy: Busy}, // outside
	}
	hours := &WorkingHours{Zone: berlin, Periods: []WorkingPeriod{{[]time.Weekday{1, 2, 3, 4, 5}, 480, 1020}}}
	return &calendars{all: map[string]Calendar{
		"alice@contoso.test": {Events: events, Hours: hours},
		"bob@contoso.test":   {Events: events, Hours: hours, Limit: FreeBusy},
		"empty@contoso.test": {},
	}}
}

func client(t *testing.T, h http.Handler) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &Client{URL: s.URL + "/EWS/Exchange.asmx", HTTP: s.Client()}
}

func TestAvailability(t *testing.T) {
	b := backend()
	c := client(t, &Handler{Backend: b})
	c.Impersonate = "boss@contoso.test"
	request := Request{Mailboxes: []string{"alice@contoso.test", "bob@contoso.test", "empty@contoso.test",
		"nobody@contoso.test"}, Window: window}
	for _, zone := range []TimeZone{{}, berlin, {Bias: -330}} {
		request.Zone = zone
		got, err := c.Availability(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		events := []Event{
			{Start: at(9), End: at(10), Busy: Busy,
				Details: &Details{ID: "1", Subject: "Budget <b>&\uFFFD", Location: "R1", Meeting: true}},
			{Start: at(13), End: at(15), Busy: Tentative, Details: &Details{ID: "2", Private: true}},
			{Start: at(14.5), End: at(16), Busy: OutOfOffice},
		}
		var times []Event
		for _, e := range events {
			times = append(times, Event{Start: e.Start, End: e.End, Busy: e.Busy})
		}
		const merged = "000000000000000000220000001113330000000000000000"
		hours := &WorkingHours{Zone: berlin, Periods: []WorkingPeriod{{[]time.Weekday{1, 2, 3, 4, 5}, 480, 1020}}}
		want := []Mailbox{
			{Address: "alice@contoso.test", View: DetailedMerged, Merged: merged, HasMerged: true, Events: events,
				HasEvents: true, WorkingHours: hours},
			{Address: "bob@contoso.test", View: FreeBusyMerged, Merged: merged, HasMerged: true, Events: times,
				HasEvents: true, WorkingHours: hours},
			{Address: "empty@contoso.test", View: DetailedMerged, Merged: strings.Repeat("0", 48), HasMerged: true,
				HasEvents: true},
			{Address: "nobody@contoso.test", Err: &ResponseError{
				Address: "nobody@contoso.test", Code: "ErrorMailRecipientNotFound", LinkKey: "7",
				Detail: "deep\uFFFDer",
				Text:   "Unable to resolve e-mail address nobody@contoso.test to an Active Directory object.",
			}},
		}
		if diff := cmp.Diff(want, got.Mailboxes); diff != "" {
			t.Errorf("zone %+v: %s", zone, diff)
		}
		if got.Server.String() != "15.2.1544.9" {
			t.Errorf("server %s", got.Server)
		}
		q := b.asked[len(b.asked)-1]
		wantQuery := Query{Impersonated: "boss@contoso.test", AnchorMailbox: "alice@contoso.test",
			RequestID: got.RequestID, Mailboxes: request.Mailboxes, Window: window, View: DetailedMerged}
		if diff := cmp.Diff(wantQuery, q); diff != "" {
			t.Error(diff)
		}
	}
}

func TestViews(t *testing.T) {
	c := client(t, &Handler{Backend: backend()})
	for view, want := range map[View][3]bool{ // merged, events, details
		MergedOnly: {true, false, false}, FreeBusy: {false, true, false}, FreeBusyMerged: {true, true, false},
		Detailed: {false, true, true}, DetailedMerged: {true, true, true},
	} {
		got, err := c.Availability(t.Context(),
			Request{Mailboxes: []string{"alice@contoso.test"}, Window: window, View: view, Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		m := got.Mailboxes[0]
		if have := [3]bool{m.HasMerged, m.HasEvents, len(m.Events) > 0 && m.Events[0].Details != nil}; have != want ||
			m.View != view {
			t.Errorf("%s: %v as %s, want %v", view, have, m.View, want)
		}
		if slots, ok := m.Slots(window, time.Hour); !ok || slots != "000000000200013300000000" {
			t.Errorf("%s: slots %q %t", view, slots, ok)
		}
	}
}

// TestManyMailboxes asks for more than one request may hold; the answers keep the order.
func TestManyMailboxes(t *testing.T) {
	b := backend()
	c := client(t, &Handler{Backend: b})
	var all []string
	for i := range 250 {
		address := fmt.Sprintf("user%d@contoso.test", i)
		all = append(all, address)
		b.all[address] = Calendar{Events: []Event{{Start: at(float64(i) / 250), End: at(24), Busy: Busy}}}
	}
	got, err := c.Availability(t.Context(), Request{Mailboxes: all, Window: window, View: FreeBusy})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got.Mailboxes {
		if m.Address != all[i] || !m.Events[0].Start.Equal(at(float64(i)/250).Truncate(time.Second)) {
			t.Fatalf("answer %d is %+v", i, m)
		}
	}
	var sizes []int
	for _, q := range b.asked {
		sizes = append(sizes, len(q.Mailboxes))
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" || len(got.Mailboxes) != 250 {
		t.Errorf("%d answers: %s", len(got.Mailboxes), diff)
	}
}

func TestRequestRefused(t *testing.T) {
	c := &Client{URL: "https://never.asked/"}
	for name, r := range map[string]Request{
		"nobody":         {Window: window},
		"no address":     {Mailboxes: []string{"alice"}, Window: window},
		"backwards":      {Mailboxes: []string{"a@b"}, Window: Window{window.End, window.Start}},
		"short interval": {Mailboxes: []string{"a@b"}, Window: window, Interval: time.Minute},
		"long interval": {Mailboxes: []string{"a@b"}, Window: Window{day, day.Add(time.Hour)},
			Interval: 2 * time.Hour},
		"view": {Mailboxes: []string{"a@b"}, Window: window, View: "Everything"},
	} {
		if _, err := c.Availability(t.Context(), r); err == nil || !strings.HasPrefix(err.Error(), "free/busy: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestServerRefuses sends requests that this package's client would not, and reads the response
// codes.
func TestServerRefuses(t *testing.T) {
	h := &Handler{Backend: backend()}
	request := func(change func(string) string) (int, string) {
		r := Request{Mailboxes: []string{"alice@contoso.test"}, Window: window, Interval: 30 * time.Minute,
			View: FreeBusy}
		w := httptest.NewRecorder()
		text := change(string((&Client{}).envelope(r.body())))
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/EWS/Exchange.asmx", strings.NewReader(text)))
		code := regexp.MustCompile(`<e:ResponseCode[^>]*>([^<]*)<`).FindStringSubmatch(w.Body.String())
		if code == nil {
			return w.Code, ""
		}
		return w.Code, code[1]
	}
	replace := func(old, with string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("%q is not in the request", old)
			}
			return strings.ReplaceAll(s, old, with)
		}
	}
	mailbox := regexp.MustCompile(`<t:MailboxData>.*</t:MailboxData>`)
	for name, tt := range map[string]struct {
		change func(string) string
		code   string
	}{
		"version":      {replace("Exchange2013_SP1", "Exchange2019"), "ErrorInvalidServerVersion"},
		"not XML":      {func(string) string { return "hello" }, "ErrorSchemaValidation"},
		"DTD":          {replace(`<s:Envelope`, `<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope`), "ErrorSchemaValidation"},
		"SOAP 1.2":     {replace(soap.Namespace, "http://www.w3.org/2003/05/soap-envelope"), "ErrorSchemaValidation"},
		"operation":    {replace("GetUserAvailabilityRequest", "DeleteEverything"), "ErrorSchemaValidation"},
		"view":         {replace(">FreeBusy<", ">Everything<"), "ErrorInvalidFreeBusyViewType"},
		"interval":     {replace(">30<", ">4<"), "ErrorInvalidMergedFreeBusyInterval"},
		"window":       {replace("2026-11-24T", "2026-11-22T"), "ErrorInvalidTimeInterval"},
		"time":         {replace("2026-11-24T", "soon"), "ErrorInvalidTimeInterval"},
		"long window":  {replace("2026-11-24T", "2027-11-24T"), "ErrorTimeIntervalTooBig"},
		"bias":         {replace("<t:TimeZone><t:Bias>0", "<t:TimeZone><t:Bias>9000"), "ErrorTimeZone"},
		"no mailboxes": {func(s string) string { return mailbox.ReplaceAllString(s, "") }, "ErrorMissingRecipients"},
		"101 mailboxes": {func(s string) string {
			return mailbox.ReplaceAllStringFunc(s, func(m string) string { return strings.Repeat(m, 101) })
		}, "ErrorExceededMaxRecipientLimit"},
		"deep": {func(s string) string {
			return strings.Replace(s, "<s:Body>", "<s:Body>"+strings.Repeat("<x>", 1000), 1)
		}, "ErrorSchemaValidation"},
		"fine": {func(s string) string { return s }, ""},
		"other prefixes": {func(s string) string {
			return strings.NewReplacer("<t:", "<y:", "</t:", "</y:", "xmlns:t", "xmlns:y", "<s:", "<z:", "</s:", "</z:",
				"xmlns:s", "xmlns:z").Replace(s)
		}, ""},
	} {
		status, code := request(tt.change)
		if code != tt.code || (status == 500) != (tt.code != "") {
			t.Errorf("%s: HTTP %d %s, want %s", name, status, code, tt.code)
		}
	}
}

// TestForeignAnswers reads what is not an answer, and what only nearly is.
func TestForeignAnswers(t *testing.T) {
	envelope := func(body string) string {
		return `<S:Envelope xmlns:S="` + soap.Namespace + `"><S:Body>` + body + `</S:Body></S:Envelope>`
	}
	one := func(inner string) string {
		return envelope(`<GetUserAvailabilityResponse xmlns="` + Messages +
			`"><FreeBusyResponseArray><FreeBusyResponse>` + inner +
			`</FreeBusyResponse></FreeBusyResponseArray></GetUserAvailabilityResponse>`)
	}
	const noError = `<ResponseMessage ResponseClass="Success"><ResponseCode>NoError</ResponseCode></ResponseMessage>`
	for _, tt := range []struct {
		name, body, contentType string
		status                  int
		header                  map[string]string
		class                   error
		text                    string
		check                   func(*testing.T, error)
	}{
		{name: "log-on page", status: 200, contentType: "text/html",
			body: "<html><head><title>Outlook\x1b[2J</title><body>", class: ErrNotEWS, text: `"Outlook [2J"`},
		{name: "nothing", status: 200, class: ErrNotEWS, text: "an empty answer"},
		{name: "unauthorized", status: 401, class: link.ErrAccess, text: "HTTP 401"},
		{name: "forbidden", status: 403, body: "EWS is not enabled", class: link.ErrAccess,
			text: "HTTP 403 Forbidden: EWS is not enabled"},
		{name: "gateway", status: 502, class: link.ErrUnreachable, text: "HTTP 502"},
		{name: "redirect", status: 302,
			header: map[string]string{"Location": "https://mail/owa/auth/logon.aspx?url=secret"},
			text:   "redirects to the log-on page https://mail/owa/auth/logon.aspx"},
		{name: "other service", status: 200, body: envelope(`<x xmlns="urn:x"/>`), class: ErrNotEWS,
			text: "the body is x"},
		{name: "empty body", status: 200, body: envelope(""), class: ErrNotEWS, text: "the body is empty"},
		{name: "too few", status: 200, body: envelope(`<GetUserAvailabilityResponse xmlns="` + Messages + `"/>`),
			text: "asked for 1 mailboxes, answered for 0"},
		{name: "no view", status: 200, body: one(noError), text: "without FreeBusyView"},
		{name: "bad time", status: 200,
			body: one(noError + `<FreeBusyView><CalendarEventArray><CalendarEvent><StartTime>soon</StartTime></CalendarEvent></CalendarEventArray></FreeBusyView>`), text: `"soon" is not a time`},
		{name: "bad merged", status: 200,
			body: one(noError + `<FreeBusyView><MergedFreeBusy>00x</MergedFreeBusy></FreeBusyView>`),
			text: "not made of digits"},
		{name: "DTD", status: 200, body: `<!DOCTYPE a [<!ENTITY x "y">]>` + envelope(""), class: ErrNotEWS},
		{name: "bare fault", status: 500,
			body: envelope(`<S:Fault><faultcode>SOAP:Server</faultcode><faultstring>Unknown request.</faultstring></S:Fault>`), text: "SOAP fault Server: Unknown request."},
		{
			name: "busy", status: 500, body: envelope(FaultBodyForTest(&Fault{ResponseCode: "ErrorServerBusy",
				Message: "The server cannot service this request right now. Try again later.",
				BackOff: 297_749 * time.Millisecond})),
			text: "ErrorServerBusy: The server cannot service this request right now. Try again later. (asks to wait " +
				"4m57.749s)",
			check: func(t *testing.T, err error) {
				var f *Fault
				if !errors.As(err, &f) || !f.Temporary() || f.BackOff != 297_749*time.Millisecond {
					t.Errorf("%+v", f)
				}
			},
		},
		{name: "Retry-After", status: 500, header: map[string]string{"Retry-After": "30"},
			body: envelope(`<S:Fault><faultcode>a:X</faultcode></S:Fault>`), text: "asks to wait 30s"},
		{name: "access denied", status: 500,
			body:  envelope(FaultBodyForTest(&Fault{ResponseCode: "ErrorAccessDenied", Message: "Access is denied."})),
			class: link.ErrAccess},
		{name: "fault in 200", status: 200,
			body: envelope(FaultBodyForTest(&Fault{ResponseCode: "ErrorImpersonateUserDenied"})), class: link.ErrAccess,
			text: "ErrorImpersonateUserDenied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/xml")
				if tt.contentType != "" {
					w.Header().Set("Content-Type", tt.contentType)
				}
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			c.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			answer, err := c.Availability(t.Context(), Request{Mailboxes: []string{"a@contoso.test"}, Window: window})
			if err == nil {
				err = answer.Mailboxes[0].Err
			}
			if err == nil || tt.class != nil && !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.text) ||
				strings.ContainsAny(err.Error(), "\x1b") || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %v, want %v with %q", err, tt.class, tt.text)
			}
			if tt.check != nil {
				tt.check(t, err)
			}
		})
	}
}

// FaultBodyForTest is FaultBody with the prefix that the test's envelope binds.
func FaultBodyForTest(f *Fault) string {
	return strings.NewReplacer("<s:", "<S:", "</s:", "</S:").Replace(FaultBody(f))
}

func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name     string
		events   []Event
		interval time.Duration
		window   Window
		want     string
	}{
		{"none", nil, time.Hour, Window{at(0), at(3)}, "000"},
		{"touching is not overlapping", []Event{{Start: at(1), End: at(2), Busy: Busy}}, time.Hour,
			Window{at(0), at(3)}, "020"},
		{"a minute fills its slot", []Event{{Start: at(1.99), End: at(2.01), Busy: Busy}}, time.Hour,
			Window{at(0), at(3)}, "022"},
		{"strongest wins", []Event{{Start: at(0), End: at(3), Busy: Busy},
			{Start: at(1), End: at(2), Busy: OutOfOffice}, {Start: at(0), End: at(3), Busy: WorkingElsewhere}},
			time.Hour, Window{at(0), at(3)}, "232"},
		{"elsewhere is weaker than tentative",
			[]Event{{Start: at(0), End: at(2), Busy: WorkingElsewhere}, {Start: at(1), End: at(2), Busy: Tentative}},
			time.Hour, Window{at(0), at(3)}, "410"},
		{"free event", []Event{{Start: at(0), End: at(2), Busy: Free}}, time.Hour, Window{at(0), at(3)}, "000"},
		{"last slot is short", []Event{{Start: at(2.1), End: at(9), Busy: Busy}}, time.Hour, Window{at(0), at(2.5)},
			"002"},
		{"begins before", []Event{{Start: at(-9), End: at(0.5), Busy: Busy}}, 15 * time.Minute, Window{at(0), at(1)},
			"2200"},
		{"no window", []Event{{Start: at(0), End: at(1), Busy: Busy}}, time.Hour, Window{at(1), at(1)}, ""},
	} {
		if got := Merge(tt.events, tt.window, tt.interval); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestTimeZones compares Windows' rules with the time zone database, an hour at a time, through the
// years of one rule.
func TestTimeZones(t *testing.T) {
	for id, name := range map[string]string{
		"W. Europe Standard Time": "Europe/Berlin", "GMT Standard Time": "Europe/London",
		"FLE Standard Time": "Europe/Helsinki", "Eastern Standard Time": "America/New_York",
		"Pacific Standard Time": "America/Los_Angeles", "India Standard Time": "Asia/Kolkata",
		"Tokyo Standard Time": "Asia/Tokyo", "AUS Eastern Standard Time": "Australia/Sydney", "UTC": "UTC",
	} {
		location, err := time.LoadLocation(name)
		if err != nil {
			t.Skipf("no time zone database: %v", err)
		}
		zone, ok := zoneByID(id)
		if !ok {
			t.Fatalf("%s is missing", id)
		}
		for at := time.Date(2024, 1, 1, 0, 30, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(time.Hour) {
			wall := at.In(location)
			got := zone.zone.Local(at)
			if got.Format(time.DateTime) != wall.Format(time.DateTime) {
				t.Fatalf("%s at %s: clocks show %s, not %s", name, at, wall.Format(time.DateTime),
					got.Format(time.DateTime))
			}
			back := zone.zone.UTC(got)
			if !back.Equal(at) && !zone.zone.Local(back).Equal(got) {
				t.Fatalf("%s: %s is read as %s, not %s", name, got, back, at)
			}
			if back.After(at) {
				t.Fatalf("%s: of two moments the later one: %s, not %s", name, back, at)
			}
		}
	}
}

// TestOtherServer reads answers that another implementation (gromox) gave.
func TestOtherServer(t *testing.T) {
	answer := func(name string) http.Handler {
		data := fixture(t, name)
		head, body, _ := strings.Cut(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n\n")
		status := 200
		_, _ = fmt.Sscanf(head, "HTTP/1.1 %d", &status)
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	ask := Request{Mailboxes: []string{"a@contoso.test", "b@contoso.test", "c@contoso.test"},
		Window: Window{at(0), at(48)}, Interval: time.Hour}
	got, err := client(t, answer("gromox-resp-gua-ok.txt")).Availability(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	events := []Event{{Start: at(9), End: at(10), Busy: Busy}, {Start: at(13), End: at(15), Busy: Tentative},
		{Start: at(32), End: at(41), Busy: OutOfOffice}}
	want := Response{
		Server: ServerVersion{15, 0, 847, 4040, "V2017_07_11"}, RequestID: got.RequestID,
		Mailboxes: []Mailbox{
			{Address: "a@contoso.test", View: Detailed, HasEvents: true},
			{Address: "b@contoso.test", View: FreeBusy, HasEvents: true, Events: events},
			{Address: "c@contoso.test", View: FreeBusy, HasEvents: true, Events: events},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if slots, ok := got.Mailboxes[1].Slots(ask.Window, time.Hour); !ok ||
		slots != "000000000200011000000000"+"000000003333333330000000" {
		t.Errorf("slots %q", slots)
	}
	var fault *Fault
	if _, err := client(t, answer("gromox-resp-unknown-op.txt")).Availability(t.Context(), ask); !errors.As(err,
		&fault) || fault.String != "Unknown request 'GetServerTimeZones'." || fault.Code != "Server" {
		t.Errorf("got %v", err)
	}
}

// fixture reads a recording of another implementation, which the project does not carry.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above")
		}
		dir = filepath.Dir(dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, "..", "shared", "fixtures", "ews-captures", name))
	if err != nil {
		t.Skipf("the recordings are not here: %v", err)
	}
	return data
}

func FuzzAnswer(f *testing.F) {
	h := &Handler{Backend: backend()}
	r := Request{Mailboxes: []string{"alice@contoso.test"}, Window: window, Interval: 30 * time.Minute,
		View: DetailedMerged}
	request := (&Client{}).envelope(r.body())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(request))))
	f.Add(w.Body.Bytes())
	f.Add(request)
	f.Add([]byte(FaultBody(&Fault{ResponseCode: "ErrorServerBusy", BackOff: time.Second})))
	f.Add([]byte("<html><title>x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := soap.Parse(b, soap.Limits{})
		if err != nil {
			return
		}
		envelope, err := soap.Open(root)
		if err != nil {
			return
		}
		_ = serverVersion(envelope.Header)
		for _, e := range envelope.Body.Child("FreeBusyResponseArray").All("FreeBusyResponse") {
			if m, err := parseMailbox(e, "a@b", TimeZone{}); err == nil {
				_, _ = m.Slots(window, 5*time.Minute)
			}
		}
	})
}

func FuzzHandler(f *testing.F) {
	h := &Handler{Backend: backend()}
	r := Request{Mailboxes: []string{"alice@contoso.test"}, Window: window, Interval: 30 * time.Minute,
		View: DetailedMerged, Zone: berlin}
	c := &Client{Impersonate: "x@y"}
	for _, body := range []string{
		r.body(), `<m:ConvertId DestinationFormat="EwsId"><m:SourceIds><t:AlternateId Format="EwsId" Id="x" Mailbox="y"/></m:SourceIds></m:ConvertId>`,
		`<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="root"/></m:FolderIds></m:GetFolder>`,
		`<m:GetServerTimeZones ReturnFullTimeZoneData="true"><m:Ids><t:Id>UTC</t:Id></m:Ids></m:GetServerTimeZones>`,
		`<m:GetFolder/>`,
	} {
		f.Add(string(c.envelope(body)))
	}
	f.Fuzz(func(t *testing.T, request string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(request)))
		if w.Code != 200 && w.Code != 500 {
			t.Fatalf("HTTP %d", w.Code)
		}
		root, err := soap.Parse(w.Body.Bytes(), soap.Limits{})
		if err != nil {
			t.Fatalf("an answer that cannot be read: %v\n%s", err, w.Body)
		}
		if _, err := soap.Open(root); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDuration(t *testing.T) {
	for minutes, want := range map[int]string{0: "PT0S", 60: "PT1H", -60: "-PT1H", -330: "-PT5H30M", 45: "PT45M",
		570: "PT9H30M"} {
		if got := duration(minutes); got != want {
			t.Errorf("%d: %s, want %s", minutes, got, want)
		}
	}
}
