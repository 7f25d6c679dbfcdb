// Package notify tells others what changed between the runs of a deployment: new findings, those
// that are gone, and what can no longer be seen. It knows no Exchange and opens no connection.
package notify

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Message is the document that a webhook gets.
type Message struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always Notification.
	Kind string `json:"kind"`
	// The run that saw the changes.
	About report.About `json:"about"`
	// What changed since the last message: failures first.
	Changes []Change `json:"changes"`
}

// Change is what became of one finding or lookup.
type Change struct {
	// What became of it: new, gone, unseen (it cannot be looked at any more) or seen (it can again,
	// and is as it was).
	Change Became `json:"change"`
	// The id of the check; of a lookup, how it was asked; run for the run itself.
	ID string `json:"id"`
	// The scope of the check; of a lookup, its question.
	Place  string        `json:"place"`
	Status report.Status `json:"status"`
	// What it was before that could be seen; absent when it is looked at for the first time.
	Before  report.Status `json:"before,omitempty"`
	Summary msg.Text      `json:"summary,omitzero"`
}

// Became says what became of something.
type Became string

// What things become.
const (
	New    Became = "new"
	Gone   Became = "gone"
	Unseen Became = "unseen"
	Seen   Became = "seen"
)

// Known is what was last reported of one thing.
type Known struct {
	Status report.Status `json:"status"` // when it could be seen
	Unseen bool          `json:"unseen,omitempty"`
}

// State is what a receiver knows, by id and place. What a run does not look at stays.
type State map[string]Known

func key(o report.Outcome) string { return o.ID + "\x00" + o.Place }

// RunID is the id of the run itself: whether it ended with a report.
const RunID = "run"

// Compare says what changed between what a receiver knows and what a run saw, and what the receiver
// knows afterwards.
func Compare(known State, seen []report.Outcome) ([]Change, State) {
	after := State{}
	for k, v := range known {
		after[k] = v
	}
	worst := map[string]report.Outcome{} // of two results of one name, the worse
	var order []string
	for _, o := range seen {
		k := key(o)
		if other, twice := worst[k]; !twice {
			order = append(order, k)
		} else if other.Status.Weight() >= o.Status.Weight() {
			continue
		}
		worst[k] = o
	}
	var changes []Change
	for _, k := range order {
		o := worst[k]
		if o.Status == report.Skip {
			continue
		}
		was, before := known[k]
		is := Known{Status: o.Status}
		if o.Status == report.Error || o.Status == report.Unknown {
			is = Known{Status: was.Status, Unseen: true}
		}
		after[k] = is
		c := Change{ID: o.ID, Place: o.Place, Status: o.Status, Before: was.Status, Summary: o.Summary}
		switch weight, last := is.Status.Weight(), was.Status.Weight(); {
		case is.Unseen && !was.Unseen:
			c.Change = Unseen
		case is.Unseen:
			continue
		case bad(weight) && weight > last:
			c.Change = New
		case bad(last) && weight < last:
			c.Change = Gone
		case was.Unseen && before:
			c.Change = Seen
		default:
			continue
		}
		changes = append(changes, c)
	}
	rank := func(c Change) int {
		if c.Change == New {
			return -c.Status.Weight()
		}
		return slices.Index([]Became{Unseen, Gone, Seen}, c.Change)
	}
	sorting.Stable(changes, func(a, b Change) int { return cmp.Compare(rank(a), rank(b)) })
	return changes, after
}

// bad reports whether a weight is that of a finding.
func bad(weight int) bool { return weight >= report.Warn.Weight() }

// Webhook is the body for a receiver of JSON.
func Webhook(about report.About, changes []Change) ([]byte, error) {
	var b strings.Builder
	err := report.JSON(&b, Message{APIVersion: report.APIVersion, Kind: "Notification", About: about,
		Changes: changes})
	return []byte(b.String()), err
}

// shown is how many changes a card shows. Teams takes 28 KB.
const shown, longest = 20, 300

// Teams is the body for a workflow of Microsoft Teams: a message with one adaptive card.
func Teams(about report.About, changes []Change) ([]byte, error) {
	type object = map[string]any
	plain := func(text string, limit int) string {
		text = strings.Join(strings.Fields(report.Sanitize(text)), " ")
		if r := []rune(text); len(r) > limit {
			text = string(r[:limit]) + "…"
		}
		return escape(text)
	}
	block := func(text string, more object) object {
		o := object{"type": "TextBlock", "text": text, "wrap": true}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	count := map[Became]int{}
	for _, c := range changes {
		count[c.Change]++
	}
	body := []object{
		block(plain("hybridge "+about.Verb+": "+about.Deployment, longest),
			object{"weight": "bolder", "size": "medium"}),
		block(fmt.Sprintf("%d new, %d gone, %d unseen, %d seen again", count[New], count[Gone], count[Unseen],
			count[Seen]), object{"isSubtle": true}),
	}
	words := map[Became]string{New: "New", Gone: "Gone", Unseen: "Cannot be seen", Seen: "Seen again"}
	for _, c := range changes[:min(shown, len(changes))] {
		color := "good"
		if c.Change == New || c.Change == Unseen {
			color = map[bool]string{true: "attention", false: "warning"}[c.Status == report.Fail]
		}
		text := words[c.Change] + ": " + plain(c.ID, longest) + ", " + plain(c.Place, longest)
		body = append(body, block(text, object{"color": color, "weight": "bolder", "spacing": "medium"}))
		if summary := plain(c.Summary.String(), longest); summary != "" {
			body = append(body, block(summary, object{"spacing": "none"}))
		}
	}
	if more := len(changes) - shown; more > 0 {
		body = append(body, block(fmt.Sprintf("and %d more", more), object{"isSubtle": true}))
	}
	return json.Marshal(object{"type": "message", "attachments": []object{{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
			"version": "1.4", "msteams": object{"width": "Full"}, "body": body},
	}}})
}

// escape makes text of servers plain in a card, which reads Markdown: no link, no emphasis.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `*`, `\*`, `_`, `\_`, "`", "\\`", `<`, `\<`).Replace(s)
}

// NewID is the id of a message. Its retries have the same, so that a receiver knows them.
func NewID() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // it never fails
	return "msg_" + hex.EncodeToString(random)
}

// Sign sets the headers of Standard Webhooks: an id, a time, and with a key the HMAC-SHA256 over both
// and the body. The key is what follows whsec_ in base64, or the text as it is.
func Sign(h http.Header, id string, at time.Time, body, key []byte) error {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	if len(key) == 0 {
		return nil
	}
	if encoded, found := strings.CutPrefix(string(key), "whsec_"); found {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(decoded) == 0 {
			return errors.New("the key after whsec_ is not base64")
		}
		key = decoded
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}
