package notify_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func outcome(s report.Status) report.Outcome {
	return report.Outcome{ID: "a.b", Place: "contoso", Status: s, Summary: msg.Plain(string(s))}
}

// One thing over many runs: what is reported after each.
func TestCompare(t *testing.T) {
	for _, test := range []struct {
		runs string // one letter per run; "-": it is not looked at
		want string // per run; "." nothing
	}{
		{"pppp", "...."},
		{"f", "n"},
		{"pfffp", ".n..g"},
		{"pwfwp", ".nngg"},     // worse is new, better is gone
		{"pfeefp", ".nu.sg"},   // what cannot be seen is neither gone nor new
		{"pep", ".us"},         // a short trouble with the network
		{"e-ep", "u..s"},       // never seen before: nothing to compare with
		{"pfefp", ".nusg"},     //
		{"pfep", ".nug"},       // fixed meanwhile
		{"pef", ".un"},         // broken meanwhile
		{"pf--f-p", ".n....g"}, // --only of another check
		{"fsf", "n.."},         // skipped
		{"pfafap", ".ngng."},   // acknowledged
		{"ee", "u."},           //
		{"okuk", ".nus"},       // a lookup that failed, was unknown, failed
	} {
		letters := map[rune]report.Status{'p': report.Pass, 'f': report.Fail, 'w': report.Warn, 'e': report.Error,
			's': report.Skip, 'a': report.Acknowledged, 'o': report.OK, 'k': report.Fail, 'u': report.Unknown}
		words := map[notify.Became]string{notify.New: "n", notify.Gone: "g", notify.Unseen: "u", notify.Seen: "s"}
		state, got := notify.State(nil), ""
		for _, r := range test.runs {
			var seen []report.Outcome
			if s, looked := letters[r]; looked {
				seen = append(seen, outcome(s))
			}
			var changes []notify.Change
			changes, state = notify.Compare(state, seen)
			if len(changes) == 0 {
				got += "."
			} else {
				got += words[changes[0].Change]
			}
			// The state survives its file.
			data, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			state = nil
			if err := json.Unmarshal(data, &state); err != nil {
				t.Fatal(err)
			}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.runs, got, test.want)
		}
	}
}

// Two results of one name are one, and the first look at a healthy deployment says nothing.
func TestCompareWorse(t *testing.T) {
	changes, _ := notify.Compare(nil, []report.Outcome{outcome(report.Pass), outcome(report.Fail), outcome(report.Pass)})
	if len(changes) != 1 || changes[0].Change != notify.New || changes[0].Status != report.Fail {
		t.Errorf("%+v", changes)
	}
}

// A card stays below what Teams takes (28 KB), and text of servers is no markup in it.
func TestTeams(t *testing.T) {
	hostile := `[click](https://evil.example) **bold** <at>all</at> ` + "\x1b[31m\u202e" + strings.Repeat("ü", 5000)
	var changes []notify.Change
	for i := range 500 {
		changes = append(changes, notify.Change{Change: notify.New, ID: fmt.Sprint("a.", i), Place: hostile,
			Status: report.Fail, Summary: msg.Plain(hostile)})
	}
	body, err := notify.Teams(report.About{Deployment: hostile, Verb: "check"}, changes)
	if err != nil || len(body) > 28<<10 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	var card struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct{ Type, Text string }
			}
		}
	}
	if err := json.Unmarshal(body, &card); err != nil {
		t.Fatal(err)
	}
	if card.Type != "message" || len(card.Attachments) != 1 || card.Attachments[0].Content.Type != "AdaptiveCard" ||
		card.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		t.Errorf("%s", body)
	}
	blocks := card.Attachments[0].Content.Body
	if last := blocks[len(blocks)-1].Text; last != "and 480 more" {
		t.Errorf("last: %s", last)
	}
	for _, b := range blocks {
		if b.Type != "TextBlock" || strings.Contains(b.Text, "[click]") || strings.Contains(b.Text, "**bold") ||
			strings.ContainsAny(b.Text, "\x1b\u202e") || strings.Contains(b.Text, " <at>") {
			t.Errorf("%+v", b)
		}
	}
}

// The example of the specification of Standard Webhooks.
func TestSign(t *testing.T) {
	h := http.Header{}
	err := notify.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`),
		[]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if got := h.Get("Webhook-Signature"); err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%s %v", got, err)
	}
	raw, encoded := http.Header{}, http.Header{}
	key := []byte("correct horse battery staple")
	if err := notify.Sign(raw, "msg_1", time.Unix(1, 0), []byte("x"), key); err != nil {
		t.Fatal(err)
	}
	if err := notify.Sign(encoded, "msg_1", time.Unix(1, 0), []byte("x"),
		[]byte("whsec_"+base64.StdEncoding.EncodeToString(key))); err != nil {
		t.Fatal(err)
	}
	if raw.Get("Webhook-Signature") != encoded.Get("Webhook-Signature") {
		t.Error("the two forms of a key sign differently")
	}
	if err := notify.Sign(h, "x", time.Now(), nil, []byte("whsec_!")); err == nil || strings.Contains(err.Error(), "!") {
		t.Errorf("%v", err)
	}
	bare := http.Header{}
	if err := notify.Sign(bare, "x", time.Now(), nil, nil); err != nil || bare.Get("Webhook-Signature") != "" {
		t.Errorf("%v %v", bare, err)
	}
}
