package answers

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Receiver is who gets a message when findings change. It names url or urlSecret.
type Receiver struct {
	// What the address takes: webhook, a JSON document; teams, a card for a workflow of Microsoft
	// Teams.
	Kind string `yaml:"kind" json:"kind" example:"webhook"`
	// The https address, when it contains no key.
	URL string `yaml:"url,omitempty" json:"url,omitempty" example:"https://hooks.contoso.com/hybridge"`
	// Where the address is kept, when it contains a key: that of a workflow of Teams does.
	URLSecret secret.Ref `yaml:"urlSecret,omitempty" json:"urlSecret,omitempty" example:"keyring:hybridge/teams"`
	// Where the key is kept that signs the messages, as Standard Webhooks describes.
	Secret secret.Ref `yaml:"secret,omitempty" json:"secret,omitempty" example:"keyring:hybridge/webhook"`
}

// Values of notify[].kind.
const (
	NotifyWebhook = "webhook"
	NotifyTeams   = "teams"
)

// ReceiverURL checks the address of a receiver. Its errors do not contain the address: it may be a
// secret.
func ReceiverURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is not a URL; write it with https:// and the host")
	case u.Scheme != "https":
		return errors.New("is not https: the messages name findings")
	case u.User != nil:
		return errors.New("holds a user name or a password; remove the part before the @")
	}
	return nil
}

// secureURL is the https address of a receiver without a key.
func secureURL(s string) (string, error) {
	if err := ReceiverURL(s); err != nil {
		return "", err
	}
	return webURL(s)
}

// notify checks the receivers of messages.
func (v *validation) notify(a *Answers) {
	type target struct{ url, from string }
	first := map[target]int{}
	for i := range a.Notify {
		r := &a.Notify[i]
		at := func(key string) []string { return []string{"notify", strconv.Itoa(i), key} }
		if strings.ContainsAny(r.URL, "?#") && r.Kind != NotifyTeams { // not with its value: it may be a key
			v.faultAt(at("url"), "the address has a query or a fragment, which may be a key",
				"keep the whole address where secrets are, and name the place with urlSecret")
			continue
		}
		if r.Kind != NotifyTeams {
			v.single(at("url"), &r.URL, secureURL)
		}
		if slices.ContainsFunc([]string{"kind", "url", "urlSecret"},
			func(key string) bool { return v.reported[join(at(key))] }) {
			continue
		}
		switch {
		case r.URL == "" && r.URLSecret == "":
			v.faultAt(at("url"), "missing: the address of the receiver", "add url, or urlSecret when it contains a key")
		case r.URL != "" && r.URLSecret != "":
			v.faultAt(at("urlSecret"), "the receiver has two addresses", "keep url or urlSecret")
		case r.Kind == NotifyTeams && r.URL != "":
			v.faultAt(at("url"), "the address of a workflow of Teams contains its key",
				"keep it where secrets are, and name the place with urlSecret: "+secret.Forms)
		default:
			same := target{r.URL, string(r.URLSecret)}
			if before, twice := first[same]; twice {
				v.faultAt(at("kind"), fmt.Sprintf("this address was given before, on line %d",
					v.line([]string{"notify"}, before, "kind")), "keep one of the two")
				continue
			}
			first[same] = i
		}
	}
}
