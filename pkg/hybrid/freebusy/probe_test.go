package freebusy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// fixed returns the same calendar for every mailbox.
type fixed ews.Calendar

func (f fixed) Availability(_ context.Context, q ews.Query) ([]ews.Calendar, error) {
	answers := make([]ews.Calendar, len(q.Mailboxes))
	for i := range answers {
		answers[i] = ews.Calendar(f)
	}
	return answers, nil
}

// A refusal is a failed lookup. A lookup that could not be sent is unknown.
func TestProbes(t *testing.T) {
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	window := Window{Start: start, End: start.Add(24 * time.Hour)}
	overEWS := func(c ews.Calendar) func() error {
		return func() error {
			srv := httptest.NewServer(&ews.Handler{Backend: fixed(c)})
			defer srv.Close()
			_, err := alone(EWS(func(context.Context) (Calendars,
				error) {
				return &ews.Client{URL: srv.URL, HTTP: srv.Client()}, nil
			}))(t.Context(), "anna@contoso.com",
				"bob@contoso.com", window)
			return err
		}
	}
	overGraph := func(status int, body string) func() error {
		return func() error {
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}))
			defer srv.Close()
			c, err := entra.New(entra.Options{Graph: srv.URL, HTTP: srv.Client(),
				Token: func(context.Context) (string, error) { return "token", nil }})
			if err != nil {
				t.Fatal(err)
			}
			_, err = alone(Graph(func(context.Context) (Schedules, error) { return c, nil }))(t.Context(),
				"anna@contoso.com", "bob@contoso.com", window)
			return err
		}
	}
	broken := errors.New("no client")
	for _, test := range []struct {
		name     string
		ask      func() error
		no, good bool
	}{
		{"EWS tells", overEWS(ews.Calendar{}), false, true},
		{"EWS refuses the mailbox", overEWS(ews.Calendar{Err: &ews.ResponseError{Code: "ErrorMailRecipientNotFound",
			Text: "no"}}), true, false},
		{"EWS without a client", func() error {
			_, err := alone(EWS(func(context.Context) (Calendars, error) { return nil, broken }))(t.Context(), "a@x", "b@x",
				window)
			return err
		}, false, false},
		{"Graph tells", overGraph(200,
			`{"value":[{"scheduleId":"bob@contoso.com","availabilityView":"`+strings.Repeat("0", 48)+`"}]}`), false,
			true},
		{"Graph refuses the mailbox", overGraph(200,
			`{"value":[{"scheduleId":"bob@contoso.com","error":{"message":"no","responseCode":"ErrorMailRecipientNotFound"}}]}`), true, false},
		{"Graph refuses us", overGraph(403, `{"error":{"code":"ErrorAccessDenied","message":"no"}}`), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.ask()
			var no *refusal
			if (err == nil) != test.good || errors.As(err, &no) != test.no {
				t.Errorf("got %T %v", err, err)
			}
		})
	}
}

// The words of reports are stable: scripts compare them.
func TestStatusWords(t *testing.T) {
	data, err := json.Marshal([]Answer{{Status: OK}, {Status: Failed}, {Status: Unknown}})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"ok", "failed", "unknown"} {
		if !strings.Contains(string(data), `"status":"`+word+`"`) {
			t.Errorf("no %s in %s", word, data)
		}
	}
}
