package ews_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// validator checks documents against Exchange's published schemas by xmllint.
type validator struct{ lint, dir string }

func newValidator(t *testing.T) validator {
	t.Helper()
	return validator{program(t, "xmllint", "libxml2-utils"), reference(t, "reference", "schemas", "ews")}
}

// check validates documents by name in one run, because reading the schema takes most of the time.
func (v validator) check(t *testing.T, schema string, docs map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--schema", filepath.Join(v.dir, schema)}
	for name, doc := range docs {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".xml")
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(t.Context(), v.lint, args...).CombinedOutput()
	if err != nil || bytes.Count(out, []byte(" validates")) != len(docs) {
		t.Errorf("%s: %v\n%s", schema, err, out)
	}
}

// TestValidatorRefuses: a validator that accepts everything would prove nothing.
func TestValidatorRefuses(t *testing.T) {
	v := newValidator(t)
	file := filepath.Join(t.TempDir(), "bad.xml")
	doc := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:GetUserAvailabilityRequest xmlns:m="` + ews.Messages + `"><m:Nonsense/></m:GetUserAvailabilityRequest></s:Body></s:Envelope>`
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), v.lint, "--noout", "--nonet", "--schema",
		filepath.Join(v.dir, "soap-ews.xsd"), file).Run(); err == nil {
		t.Error("nonsense was accepted")
	}
}

// TestWhatWeSend validates our requests, against both schemas, and the answers to them.
func TestWhatWeSend(t *testing.T) {
	v := newValidator(t)
	var request, answer []byte
	handler := ewsHandler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(request))
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		answer = recorder.Body.Bytes()
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(server.Close)
	berlin := ews.TimeZone{Bias: -60,
		Standard: ews.Transition{Time: 3 * time.Hour, Order: 5, Month: time.October, Weekday: time.Sunday},
		Daylight: ews.Transition{Bias: -60, Time: 2 * time.Hour, Order: 5, Month: time.March, Weekday: time.Sunday},
	}
	docs := map[string][]byte{}
	for _, view := range []ews.View{ews.MergedOnly, ews.FreeBusy, ews.FreeBusyMerged, ews.Detailed,
		ews.DetailedMerged} {
		for _, zone := range []ews.TimeZone{{}, berlin} {
			c := &ews.Client{URL: server.URL, HTTP: server.Client(), Impersonate: "boss@contoso.test"}
			_, err := c.Availability(t.Context(),
				ews.Request{Mailboxes: []string{"alice@contoso.test", "bob@contoso.test", `o'"<&>nobody@x.test`},
					Window: window, View: view, Zone: zone, Interval: 15 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s bias %d", view, zone.Bias)
			docs["request "+name], docs["answer "+name] = request, answer
		}
	}
	c := &ews.Client{URL: server.URL, HTTP: server.Client()}
	tips, err := c.MailTips(t.Context(), "alice@contoso.test", []string{"alice@contoso.test", `o'"<&>nobody@x.test`})
	if err != nil || len(tips) != 2 || tips[0].Full == nil || tips[0].Replies == nil || tips[1].Err == nil {
		t.Fatal(err, tips)
	}
	docs["request mailtips"], docs["answer mailtips"] = request, answer
	v.check(t, "soap-ews.xsd", docs)
	v.check(t, "soap-ews-managed-api.xsd", docs)
}

// TestRecordedClients replays recorded requests of exchangelib and DavMail. The handlers treat the
// caller as authenticated.
func TestRecordedClients(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(reference(t, "fixtures", "ews-captures"), "*-[0-9][0-9]-*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	find := &autodiscover.Handler{Backend: organization{base: "https://mail.contoso.test"}}
	seen := map[string]int{}
	for _, file := range files {
		name := filepath.Base(file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := bytes.Cut(data, []byte("\n\n"))
		if i := bytes.Index(data, []byte("\r\n\r\n")); i >= 0 {
			head, body = data[:i], data[i+4:]
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(bytes.ReplaceAll(bytes.ReplaceAll(head,
			[]byte("\r"), nil), []byte("\n"), []byte("\r\n")), "\r\n\r\n"...))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r = r.WithContext(link.WithCaller(t.Context(), link.Caller{User: `CONTOSO\alice`}))
		w := httptest.NewRecorder()
		if strings.EqualFold(r.URL.Path, "/EWS/Exchange.asmx") {
			ewsHandler().ServeHTTP(w, r)
		} else {
			find.ServeHTTP(w, r)
		}
		wantStatus, wantText := http.StatusOK, "NoError"
		switch {
		case bytes.Contains(body, []byte(`Version="Exchange2019"`)):
			wantStatus, wantText = http.StatusInternalServerError, "ErrorInvalidServerVersion"
		case bytes.Contains(body, []byte(`Id="DUMMY"`)), bytes.Contains(body, []byte(`Id="AAAAroot"`)):
			wantText = "ErrorInvalidIdMalformed" // the id is of another server
		case bytes.Contains(body, []byte("DUMMY@example.com")):
			wantText = "InvalidUser"
		case strings.HasSuffix(strings.ToLower(r.URL.Path), ".xml"):
			wantText = "https://mail.contoso.test/EWS/Exchange.asmx"
		}
		if w.Code != wantStatus || !strings.Contains(w.Body.String(), wantText) {
			t.Errorf("%s: HTTP %d, want %d with %s\n%s", name, w.Code, wantStatus, wantText, w.Body)
		}
		seen[wantText]++
		// The client falls back to an older version and repeats the request.
		if wantText == "ErrorInvalidServerVersion" {
			r.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte("Exchange2019"),
				[]byte("Exchange2016"))))
			w = httptest.NewRecorder()
			ewsHandler().ServeHTTP(w, r)
			if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "Fault") {
				t.Errorf("%s, asked again: HTTP %d\n%s", name, w.Code, w.Body)
			}
		}
	}
	for _, want := range []string{"NoError", "ErrorInvalidServerVersion", "ErrorInvalidIdMalformed",
		"https://mail.contoso.test/EWS/Exchange.asmx"} {
		if seen[want] == 0 {
			t.Errorf("no recording got %s", want)
		}
	}
}

// TestWhatWeAnswer validates every answer of the server half.
func TestWhatWeAnswer(t *testing.T) {
	v := newValidator(t)
	envelope := func(body string) string {
		return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="` + ews.Messages +
			`" xmlns:t="` + ews.Types + `"><s:Header><t:RequestServerVersion Version="Exchange2016"/></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
	}
	folder := func(shape, ids string) string {
		return `<m:GetFolder><m:FolderShape><t:BaseShape>` + shape + `</t:BaseShape></m:FolderShape><m:FolderIds>` +
			ids + `</m:FolderIds></m:GetFolder>`
	}
	docs := map[string][]byte{}
	const rootID = "Zm9sZGVyOnJvb3Q="
	for name, body := range map[string]string{
		"time zones":           `<m:GetServerTimeZones ReturnFullTimeZoneData="true"/>`,
		"names of time zones":  `<m:GetServerTimeZones ReturnFullTimeZoneData="false"/>`,
		"one time zone":        `<m:GetServerTimeZones><m:Ids><t:Id>W. Europe Standard Time</t:Id></m:Ids></m:GetServerTimeZones>`,
		"no such time zone":    `<m:GetServerTimeZones><m:Ids><t:Id>Mars</t:Id></m:Ids></m:GetServerTimeZones>`,
		"convert id":           `<m:ConvertId DestinationFormat="EwsId"><m:SourceIds><t:AlternateId Format="EwsId" Id="` + rootID + `" Mailbox="blah@blah.com"/></m:SourceIds></m:ConvertId>`,
		"convert malformed id": `<m:ConvertId DestinationFormat="EntryId"><m:SourceIds><t:AlternateId Id="DUMMY" Format="EwsId" Mailbox="DUMMY"/></m:SourceIds></m:ConvertId>`,
		"folder ids": folder("IdOnly",
			`<t:DistinguishedFolderId Id="root"/><t:DistinguishedFolderId Id="calendar"/>`),
		"folders": folder("Default",
			`<t:DistinguishedFolderId Id="root"/><t:DistinguishedFolderId Id="calendar"/><t:DistinguishedFolderId Id="contacts"/><t:DistinguishedFolderId Id="tasks"/><t:FolderId Id="`+rootID+`"/>`),
		"folders that are not":    folder("Default", `<t:DistinguishedFolderId Id="voicemail"/><t:FolderId Id="x"/>`),
		"operation that is not":   `<m:DeleteItem/>`,
		"one name":                `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>bob</m:UnresolvedEntry></m:ResolveNames>`,
		"several names":           `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>b</m:UnresolvedEntry></m:ResolveNames>`,
		"no name":                 `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>zoe</m:UnresolvedEntry></m:ResolveNames>`,
		"own automatic replies":   `<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>alice@contoso.test</t:Address></t:Mailbox></m:GetUserOofSettingsRequest>`,
		"other automatic replies": `<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>bob@contoso.test</t:Address></t:Mailbox></m:GetUserOofSettingsRequest>`,
		"suggestions": `<m:GetUserAvailabilityRequest><m:MailboxDataArray><t:MailboxData><t:Email><t:Address>alice@contoso.test</t:Address></t:Email><t:AttendeeType>Required</t:AttendeeType></t:MailboxData></m:MailboxDataArray>` +
			`<t:FreeBusyViewOptions><t:TimeWindow><t:StartTime>2026-11-23T00:00:00</t:StartTime><t:EndTime>2026-11-24T00:00:00</t:EndTime></t:TimeWindow><t:MergedFreeBusyIntervalInMinutes>30</t:MergedFreeBusyIntervalInMinutes><t:RequestedView>FreeBusy</t:RequestedView></t:FreeBusyViewOptions>` +
			`<t:SuggestionsViewOptions><t:MaximumResultsByDay>5</t:MaximumResultsByDay><t:DetailedSuggestionsWindow><t:StartTime>2026-11-23T00:00:00</t:StartTime><t:EndTime>2026-11-25T00:00:00</t:EndTime></t:DetailedSuggestionsWindow></t:SuggestionsViewOptions></m:GetUserAvailabilityRequest>`,
		"request without anybody": `<m:GetUserAvailabilityRequest/>`,
	} {
		w := httptest.NewRecorder()
		request := envelope(body)
		if !strings.Contains(name, "that is not") && !strings.Contains(name, "without") &&
			name != "folders that are not" {
			docs["the test's own request "+name] = []byte(request)
		}
		ewsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/EWS/Exchange.asmx",
			strings.NewReader(request)))
		docs[name] = w.Body.Bytes()
		if name == "convert id" && !strings.Contains(w.Body.String(), `Mailbox="alice@contoso.test"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	v.check(t, "soap-ews.xsd", docs)
}
