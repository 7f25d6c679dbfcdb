package apply

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// hidden are the secrets that a run has read. All output of a place passes through it before it is
// kept or shown. The zero value is ready for use.
type hidden struct {
	mu sync.Mutex
	// forms holds each secret as it stands in text, JSON, XML, URLs, PowerShell and base64.
	forms []string
}

func (h *hidden) add(v secret.Value) {
	text := v.Reveal()
	if text == "" {
		return
	}
	quoted, _ := json.Marshal(text)
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text))
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, form := range []string{
		text, string(quoted[1 : len(quoted)-1]), escaped.String(), url.QueryEscape(text), url.PathEscape(text),
		strings.ReplaceAll(text, "'", "''"), base64.StdEncoding.EncodeToString([]byte(text)),
		base64.RawURLEncoding.EncodeToString([]byte(text)),
	} {
		if !slices.Contains(h.forms, form) {
			h.forms = append(h.forms, form)
		}
	}
	// The longest come first: replacing a part of another form would leave the rest of it.
	sorting.Func(h.forms, func(a, b string) int { return len(b) - len(a) })
}

// holds reports whether a text shows a secret.
func (h *hidden) holds(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.forms, func(form string) bool { return strings.Contains(text, form) })
}

// within reports whether a value shows a secret anywhere.
func (h *hidden) within(v any) bool {
	switch v := v.(type) {
	case string:
		return h.holds(v)
	case secret.Value:
		return true
	case change.Unreadable:
		return h.holds(v.Reason)
	case []string:
		return slices.ContainsFunc(v, h.holds)
	case []any:
		return slices.ContainsFunc(v, h.within)
	case change.Properties:
		return h.within(map[string]any(v))
	case map[string]any:
		for key, element := range v {
			if h.holds(key) || h.within(element) {
				return true
			}
		}
	}
	return false
}

// shortest is the length from which a secret is cut out of a text. A text that holds a shorter one
// is withheld: the gaps would show what is missing.
const shortest = 4

// text is a text without the secrets in it.
func (h *hidden) text(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, form := range h.forms {
		if !strings.Contains(text, form) {
			continue
		}
		if len(form) < shortest {
			return secret.Redacted
		}
		text = strings.ReplaceAll(text, form, secret.Redacted)
	}
	return text
}

// error is an error whose text shows no secret. It keeps its classes.
func (h *hidden) error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := h.text(text); clean != text {
		return &redacted{clean, err}
	}
	return err
}

// redacted is an error that showed a secret. The error within is not handed out.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string        { return e.text }
func (e *redacted) Is(target error) bool { return errors.Is(e.err, target) }
func (e *redacted) Answered() bool       { return answered(e.err) }

// properties are outputs less those that show a secret.
func (h *hidden) properties(p change.Properties) change.Properties {
	out := change.Properties{}
	for name, value := range p {
		if !h.within(value) {
			out[name] = value
		}
	}
	return out
}

// reveal readies commands to run: references to secrets become the secrets.
func (x *execution) reveal(ctx context.Context, s *step, commands []change.Command) ([]change.Command, error) {
	out := slices.Clone(commands)
	for i, c := range commands {
		if len(change.Secrets(c.Parameters)) == 0 {
			continue
		}
		parameters, err := change.Reveal(c.Parameters, func(r change.SecretRef) (secret.Value, error) {
			if x.options.Secret == nil {
				return secret.Value{}, fmt.Errorf("%s: no way to read the secret %s", s.outcome.ID, r)
			}
			v, err := x.options.Secret(ctx, secret.Ref(r.Ref), "secret for "+s.outcome.ID)
			if err != nil {
				return v, fmt.Errorf("secret %s: %w", r, err)
			}
			if v.IsZero() {
				return v, fmt.Errorf("secret %s is empty", r)
			}
			x.secrets.add(v)
			return v, nil
		})
		if err != nil {
			return nil, err
		}
		out[i].Parameters = parameters.(map[string]any)
	}
	return out, nil
}

// answered reports whether an error is the place's refusal of the command. After any other error
// the command may have run and only its answer was lost.
func answered(err error) bool {
	var a interface{ Answered() bool }
	return errors.As(err, &a) && a.Answered()
}
