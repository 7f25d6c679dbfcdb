package freebusy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

var (
	thursday    = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	wholeDay    = Window{thursday, thursday.Add(24 * time.Hour)}
	httpAnswers = "../../../../shared/fixtures/http-answers"
)

// raw answers every request on loopback with the same bytes, and returns the address.
func raw(t *testing.T, answer []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					r.Body.Close()
					c.Write(answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/EWS/Exchange.asmx"
}

// lookUp runs one lookup through EWS against an address.
func lookUp(t *testing.T, url string) Answer {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	ask := alone(EWS(func(context.Context) (Calendars, error) {
		return &ews.Client{URL: url, HTTP: client}, nil
	}))
	return timed(t.Context(), 5*time.Second, Answer{}, func(ctx context.Context) (string, error) {
		_, err := ask(ctx, "anna@contoso.example", "bob@fabrikam.example", wholeDay)
		return "", err
	})
}

// TestViews judges the contents of an availability answer: only free/busy that covers the window is
// OK.
func TestViews(t *testing.T) {
	view := func(inner string) []byte {
		return []byte("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n" +
			`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUserAvailabilityResponse xmlns="` + ews.Messages + `"><FreeBusyResponseArray><FreeBusyResponse>` +
			`<ResponseMessage ResponseClass="Success"><ResponseCode>NoError</ResponseCode></ResponseMessage><FreeBusyView xmlns:t="` + ews.Types + `">` + inner +
			`</FreeBusyView></FreeBusyResponse></FreeBusyResponseArray></GetUserAvailabilityResponse></s:Body></s:Envelope>`)
	}
	merged := func(slots string) string { return "<t:MergedFreeBusy>" + slots + "</t:MergedFreeBusy>" }
	event := func(start, end, busy string) string {
		return "<t:CalendarEventArray><t:CalendarEvent><t:StartTime>" + start + "</t:StartTime><t:EndTime>" + end +
			"</t:EndTime><t:BusyType>" + busy + "</t:BusyType></t:CalendarEvent></t:CalendarEventArray>"
	}
	free := strings.Repeat("0", 48)
	for _, tt := range []struct {
		name, view string
		want       Status
		says       string
	}{
		{"free", merged(free), OK, ""},
		{"free/busy of two days", merged(free + free), OK, ""},
		{"no data of old servers", merged(strings.Repeat("4", 48)), Failed, "no data"},
		{"no data of new servers", merged(strings.Repeat("5", 48)), Failed, "no data"},
		{"no data in either way", merged(strings.Repeat("45", 24)), Failed, "no data"},
		{"no data for half a day", merged(strings.Repeat("5", 24) + free[:24]), OK, ""},
		{"elsewhere for the day, with its entry",
			merged(strings.Repeat("4", 48)) + event("2026-11-26T00:00:00", "2026-11-27T00:00:00", "WorkingElsewhere"),
			OK, ""},
		{"one NoData block", "<t:FreeBusyViewType>Detailed</t:FreeBusyViewType>" +
			event("2026-11-26T00:00:00", "2026-11-27T00:00:00", "NoData"), Failed, "no data"},
		{"an hour of a day", merged("22"), Failed, "2 of 48 slots"},
		{"nothing merged", merged(""), Failed, "no free/busy"},
		{"24:00:00 is the end of the day",
			"<t:FreeBusyViewType>FreeBusy</t:FreeBusyViewType>" +
				event("2026-11-26T09:00:00", "2026-11-26T24:00:00", "Busy"), OK, ""},
		{"an entry that does not parse, beside merged times", merged(free) + event("soon", "later", "Busy"), OK, ""},
		{"an odd bias of working hours",
			merged(free) + "<t:WorkingHours><t:TimeZone><t:Bias>-2147483648</t:Bias></t:TimeZone></t:WorkingHours>", OK,
			""},
		{"working hours without times",
			merged(free) + "<t:WorkingHours><t:TimeZone><t:Bias>0</t:Bias></t:TimeZone><t:WorkingPeriodArray><t:WorkingPeriod/></t:WorkingPeriodArray></t:WorkingHours>", OK, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := lookUp(t, raw(t, view(tt.view)))
			if a.Status != tt.want || !strings.Contains(a.Error, tt.says) {
				t.Errorf("%s: %q, want %s with %q", a.Status, a.Error, tt.want, tt.says)
			}
		})
	}
}

// TestDiverted asks an address where something other than EWS answers. The lookup is unknown, and
// the text says what answered.
func TestDiverted(t *testing.T) {
	for _, tt := range []struct {
		name, head, body string
		want             Status
		says             string
	}{
		{"log-on page", "200 OK\r\nContent-Type: text/html",
			`<!DOCTYPE html><title>Outlook</title><form action="/owa/auth.owa">`, Unknown,
			"a log-on page (\"Outlook\")"},
		{"redirect to a log-on page", "302 Found\r\nLocation: https://sts.contoso.example/adfs/ls/?wa=secret", "",
			Unknown, "redirects to the log-on page https://sts.contoso.example/adfs/ls/"},
		{"redirect elsewhere", "301 Moved Permanently\r\nLocation: http://www.contoso.example/", "", Unknown,
			"redirects to http://www.contoso.example/"},
		{"absent", "404 Not Found\r\nContent-Type: text/html",
			"<html><title>404 - File or directory not found.</title>", Unknown, "File or directory not found"},
		{"method refused", "405 Method Not Allowed", "", Unknown, "HTTP 405"},
		{"media type refused", "415 Unsupported Media Type", "", Unknown, "does not take text/xml"},
		{"too many requests", "429 Too Many Requests\r\nRetry-After: 30", "", Unknown, "HTTP 429"},
		{"forms sign-in", "440 Login Timeout", "", Unknown, "log-on form"},
		{"account blocked", "456 ", "", Unknown, "multi-factor"},
		{"help page", "200 OK\r\nContent-Type: text/html", "<HTML><TITLE>Service</TITLE>You have created a service.",
			Unknown, "You have created a service"},
		{"JSON", "200 OK\r\nContent-Type: application/json", `{"error":{"code":"x"}}`, Unknown, "a JSON document"},
		{"empty", "200 OK\r\nContent-Type: text/xml", "", Unknown, "an empty answer"},
		{"cut off", "200 OK\r\nContent-Type: text/xml",
			`<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>`, Unknown,
			"cut off"},
		{"error page of ASP.NET", "500 Internal Server Error\r\nContent-Type: text/html",
			"<html><title>Runtime Error</title>", Unknown, "Runtime Error"},
		{"refused by something on the way", "403 Forbidden", "", Unknown, "HTTP 403"},
		{"refused by Exchange", "403 Forbidden\r\nX-MS-Diagnostics: 4010002;reason=\"EWS is disabled\"", "", Failed,
			"EWS is disabled (x-ms-diagnostics 4010002)"},
		{"sign-in refused", "401 Unauthorized\r\nX-MS-Diagnostics: " +
			"2000000;reason=\"x\";error_category=\"invalid_token\"", "", Unknown, "x (x-ms-diagnostics 2000000)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := lookUp(t, raw(t, []byte("HTTP/1.1 "+tt.head+"\r\nConnection: close\r\n\r\n"+tt.body)))
			if a.Status != tt.want || !strings.Contains(a.Error, tt.says) || strings.Contains(a.Error, "secret") {
				t.Errorf("%s: %q, want %s with %q", a.Status, a.Error, tt.want, tt.says)
			}
		})
	}
}

// TestServerBusy repeats a lookup after the delay that the server names.
func TestServerBusy(t *testing.T) {
	fault := func(wait string) []byte {
		return []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n" +
			`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>busy</faultstring><detail>` +
			`<e:ResponseCode xmlns:e="` + ews.Errors + `">ErrorServerBusy</e:ResponseCode><t:MessageXml xmlns:t="` +
			ews.Types + `"><t:Value Name="BackOffMilliseconds">` + wait +
			`</t:Value></t:MessageXml></detail></s:Fault></s:Body></s:Envelope>`)
	}
	start := time.Now()
	if a := lookUp(t, raw(t, fault("40"))); a.Status != Unknown || !strings.Contains(a.Error, "ErrorServerBusy") ||
		time.Since(start) < 120*time.Millisecond {
		t.Errorf("after %s: %s %q, want unknown after three waits", time.Since(start), a.Status, a.Error)
	}
	start = time.Now()
	if a := lookUp(t, raw(t, fault("297749"))); a.Status != Unknown || time.Since(start) > time.Minute {
		t.Errorf("after %s: %s %q, want unknown at once", time.Since(start), a.Status, a.Error)
	}
}

// TestRecordedAnswers judges the unusual answers that are recorded beside the checkout.
func TestRecordedAnswers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(httpAnswers, "ews", "*.http"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the recorded answers in ../shared/fixtures/http-answers are not here")
	}
	failed := map[string]bool{
		"h02-403-ewsdisabled": true, "s03-nodata4": true, "s04-nodata5": true, "s05-emptymerged": true,
		"s06-none": true, "s07-nofreebusyview": true, "s08-short": true,
		"s09-nodata-events": true, "s18-twoanswers": true,
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		want := OK
		switch {
		case failed[name]:
			want = Failed
		case strings.HasPrefix(name, "h"):
			want = Unknown
		}
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if a := lookUp(t, raw(t, data)); a.Status != want {
				t.Errorf("%s: %q, want %s", a.Status, a.Error, want)
			}
		})
	}
}
