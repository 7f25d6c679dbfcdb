package deployment

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Two receivers of one kind know each what they were told: one that refused gets it with the next run.
func TestTwoReceiversOfOneKind(t *testing.T) {
	a, b := receive(t), receive(t)
	d := notifying(t, a, io.Discard, answers.Receiver{Kind: "webhook", URL: a.URL + "/a"},
		answers.Receiver{Kind: "webhook", URL: b.URL + "/b"})
	about := report.About{Deployment: "Contoso", Verb: "check", Time: time.Now().UTC()}
	a.statuses = []int{403}
	if err := d.Notify(t.Context(), about, seen(report.Fail)); err == nil || a.got() != 1 || b.got() != 1 {
		t.Errorf("%v, %d and %d", err, a.got(), b.got())
	}
	if err := d.Notify(t.Context(), about, seen(report.Fail)); err != nil || a.got() != 2 || b.got() != 1 {
		t.Errorf("%v, %d and %d", err, a.got(), b.got())
	}
}

// What another version wrote is not read: receivers would hear of what they know, or of nothing.
func TestReceiversOfAnotherVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), notifyFile)
	for text, readable := range map[string]bool{`{"apiVersion":"hybridge/v1","receivers":{}}`: true,
		`{"apiVersion":"hybridge/v1"}`: true, `{"apiVersion":"hybridge/v9","receivers":{}}`: false, `{`: false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if known, err := readReceivers(path); (err == nil) != readable || known.Receivers == nil {
			t.Errorf("%s: %+v, %v", text, known, err)
		}
	}
}
