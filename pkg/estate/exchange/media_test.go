package exchange

import "testing"

// What says that it is JSON is read, and a portal's page is not.
func TestJSONMedia(t *testing.T) {
	for media, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true,
		"Application/JSON;odata.metadata=minimal": true, "application/problem+json": true,
		"text/html": false, "text/json+html": false, "": false, "json": false, "application/jsonl": false,
	} {
		if got := jsonMedia(media); got != want {
			t.Errorf("%q: %t", media, got)
		}
	}
}
