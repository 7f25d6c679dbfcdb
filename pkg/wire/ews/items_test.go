package ews

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// diary keeps appointments of one mailbox.
type diary struct {
	Backend
	kept map[string]Appointment
}

func (d *diary) open(q Query) error {
	if len(q.Mailboxes) > 0 && q.Mailboxes[0] != "anna@contoso.test" {
		return &ResponseError{Code: "ErrorAccessDenied", Text: "Access is denied."}
	}
	return nil
}

func (d *diary) Find(_ context.Context, q Query) ([]Appointment, error) {
	var out []Appointment
	for id, a := range d.kept {
		if a.Start.Before(q.Window.End) && a.End.After(q.Window.Start) {
			a.ID, a.Body = id, ""
			out = append(out, a)
		}
	}
	return out, d.open(q)
}

func (d *diary) Create(_ context.Context, q Query, a Appointment) (string, error) {
	if err := d.open(q); err != nil {
		return "", err
	}
	id := strconv.Itoa(len(d.kept) + 1)
	d.kept[id] = a
	return id, nil
}

func (d *diary) Delete(_ context.Context, _ Query, id string) error {
	if _, ok := d.kept[id]; !ok {
		return &ResponseError{Code: "ErrorItemNotFound", Text: "The specified object was not found in the store."}
	}
	delete(d.kept, id)
	return nil
}

// An appointment is created, found by its window and deleted. A refusal names its code.
func TestAppointments(t *testing.T) {
	kept := &diary{kept: map[string]Appointment{}}
	server := httptest.NewServer(http.Handler(&Handler{Backend: kept}))
	t.Cleanup(server.Close)
	c := &Client{URL: server.URL, HTTP: server.Client()}
	at := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	w := Window{at, at.Add(24 * time.Hour)}
	want := Appointment{Subject: `hybridge <1> & "2"`, Body: "may be deleted", Start: at, End: at.Add(time.Hour)}
	id, err := c.CreateAppointment(t.Context(), "anna@contoso.test", want)
	if err != nil || kept.kept[id] != want {
		t.Fatalf("created %q %+v, error %v", id, kept.kept[id], err)
	}
	found, err := c.Appointments(t.Context(), "anna@contoso.test", w)
	want.ID, want.Body = id, ""
	if diff := cmp.Diff([]Appointment{want}, found); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	later := Window{w.End, w.End.Add(time.Hour)}
	if found, err := c.Appointments(t.Context(), "anna@contoso.test", later); err != nil || len(found) != 0 {
		t.Errorf("in another window %v, error %v", found, err)
	}
	for range 2 { // the second time it is gone already
		if err := c.DeleteAppointment(t.Context(), "anna@contoso.test", id); err != nil {
			t.Error(err)
		}
	}
	var no *ResponseError
	if _, err := c.CreateAppointment(t.Context(), "bob@contoso.test", want); !errors.As(err, &no) ||
		no.Code != "ErrorAccessDenied" {
		t.Errorf("another's calendar: %v", err)
	}
	if _, err := c.Appointments(t.Context(), "bob@contoso.test", w); !errors.As(err, &no) {
		t.Errorf("another's calendar: %v", err)
	}
	server.Config.Handler = &Handler{}
	if _, err := c.Appointments(t.Context(), "anna@contoso.test", w); err == nil {
		t.Error("a server without calendars answers")
	}
}
