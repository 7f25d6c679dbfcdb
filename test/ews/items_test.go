package ews_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// calendars answers every operation about alice's calendar, and refuses every other mailbox.
type calendars struct{ organization }

func (calendars) may(q ews.Query) error {
	if len(q.Mailboxes) > 0 && q.Mailboxes[0] != "alice@contoso.test" {
		return &ews.ResponseError{Code: "ErrorAccessDenied", Text: "Access is denied."}
	}
	return nil
}

func (c calendars) Find(_ context.Context, q ews.Query) ([]ews.Appointment, error) {
	return []ews.Appointment{{ID: "AAA=", Subject: "a & b", Start: q.Window.Start, End: q.Window.End}}, c.may(q)
}

func (c calendars) Create(_ context.Context, q ews.Query, _ ews.Appointment) (string, error) {
	return "AAA=", c.may(q)
}

func (calendars) Delete(context.Context, ews.Query, string) error { return nil }

// TestAppointmentsFollowTheSchemas validates the requests about appointments and their answers.
func TestAppointmentsFollowTheSchemas(t *testing.T) {
	v := newValidator(t)
	docs := map[string][]byte{}
	handler := &ews.Handler{Backend: calendars{}}
	name := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		docs["request "+name], docs["answer "+name] = body, bytes.Clone(recorder.Body.Bytes())
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	c := &ews.Client{URL: server.URL, HTTP: server.Client(), Impersonate: "boss@contoso.test"}
	a := ews.Appointment{Subject: `<"'&>`, Body: "text", Start: window.Start, End: window.Start.Add(time.Hour)}
	for _, mailbox := range []string{"alice@contoso.test", "bob@contoso.test"} {
		refused := mailbox != "alice@contoso.test"
		name = "create " + mailbox
		if _, err := c.CreateAppointment(t.Context(), mailbox, a); (err != nil) != refused {
			t.Errorf("%s: %v", name, err)
		}
		name = "find " + mailbox
		if _, err := c.Appointments(t.Context(), mailbox, window); (err != nil) != refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	name = "delete"
	if err := c.DeleteAppointment(t.Context(), "alice@contoso.test", "AAA="); err != nil {
		t.Error(err)
	}
	v.check(t, "soap-ews.xsd", docs)
	v.check(t, "soap-ews-managed-api.xsd", docs)
}
