package ews

import (
	"strings"
	"testing"
	"time"
)

// An address is text within the request, and no part of it.
func TestAddressesAreEscaped(t *testing.T) {
	const hostile = `a"<&@contoso.com`
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	body := Request{Mailboxes: []string{hostile}, Window: Window{Start: at, End: at.Add(time.Hour)},
		Interval: 30 * time.Minute, View: DetailedMerged}.body()
	whole := string((&Client{Impersonate: hostile}).envelope(body))
	if strings.Contains(whole, hostile) || strings.Count(whole, "&lt;&amp;@contoso.com") != 2 {
		t.Errorf("got %s", whole)
	}
}
