package exchange

import (
	"errors"
	"net/url"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The token goes with the request for the next page, so it stays at the service's own host.
func TestNextPageStaysAtItsHost(t *testing.T) {
	s := &AdminAPI{base: &url.URL{Scheme: "https", Host: "outlook.office365.com"}}
	for next, good := range map[string]bool{
		"https://outlook.office365.com/adminapi/beta/x?$skiptoken=1": true,
		"https://OUTLOOK.office365.com/adminapi/beta/x":              true,
		"/adminapi/beta/x?$skiptoken=2":                              true,
		"https://evil.example/adminapi":                              false,
		"//evil.example/adminapi":                                    false,
		"http://outlook.office365.com/adminapi":                      false,
		"https://user@outlook.office365.com/adminapi":                false,
	} {
		if _, err := s.link(next); (err == nil) != good || err != nil && !errors.Is(err, link.ErrUntrusted) {
			t.Errorf("%s: %v", next, err)
		}
	}
}

func TestParameterGivenTwice(t *testing.T) {
	if _, err := (Command{Name: "Set-Mailbox",
		Parameters: map[string]any{"Identity": "a", "identity": "b"}}).prepared(); err == nil {
		t.Error("which of the two counts?")
	}
}
