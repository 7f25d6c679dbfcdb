package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Credential is the value of a PSCredential parameter.
type Credential struct {
	User     string       `json:"user"`
	Password secret.Value `json:"password"`
}

// Noun is the part of the cmdlet's name after its verb.
func (c Command) Noun() string {
	_, noun, _ := strings.Cut(c.Name, "-")
	return noun
}

// Verb is the part of the cmdlet's name before its noun.
func (c Command) Verb() string {
	verb, _, _ := strings.Cut(c.Name, "-")
	return verb
}

// Reads reports whether the cmdlet changes nothing, so that it may be run again.
func (c Command) Reads() bool {
	return strings.EqualFold(c.Verb(), "Get") || strings.EqualFold(c.Verb(), "Test") ||
		searches[strings.ToLower(c.Name)]
}

// searches are the Search cmdlets that only read. Search-Mailbox can delete.
var searches = map[string]bool{"search-adminauditlog": true, "search-unifiedauditlog": true}

// Parameter returns the value given for a parameter, its name compared without case.
func (c Command) Parameter(name string) (any, bool) {
	for n, v := range c.Parameters {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return nil, false
}

// asksForFew reports whether a warning only says that there are more results than the command asks
// for. Exchange translates its warnings, but not the name of the parameter in them.
func (c Command) asksForFew(warning string) bool {
	size, limited := c.Parameters["ResultSize"]
	return limited && !strings.EqualFold(fmt.Sprint(size), "Unlimited") && strings.Contains(warning, "ResultSize")
}

// names returns the parameter names in the order in which they are written: identity and name
// first, the rest by alphabet, the ones about the run itself last.
func (c Command) names() []string {
	rank := func(name string) int {
		switch strings.ToLower(name) {
		case "identity":
			return 0
		case "name":
			return 1
		case "confirm", "force", "domaincontroller", "erroraction":
			return 3
		}
		return 2
	}
	names := make([]string, 0, len(c.Parameters))
	for n := range c.Parameters {
		names = append(names, n)
	}
	sorting.Func(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// String renders the command for logs and errors, on one line and without secrets.
func (c Command) String() string {
	var b strings.Builder
	b.WriteString(c.Name)
	for _, name := range c.names() {
		b.WriteString(" -" + name + " " +
			Literal(c.Parameters[name], func(any) (string, bool) { return "<secret>", true }))
	}
	return link.Line(b.String())
}

// logged runs a cmdlet and logs it: the command, its duration and its outcome.
func logged(ctx context.Context, log *slog.Logger, place string, c Command, run func() ([]Object, error)) ([]Object,
	error) {
	if log == nil || !log.Enabled(ctx, slog.LevelDebug) {
		return run()
	}
	began := time.Now()
	objects, err := run()
	attributes := []slog.Attr{slog.String("place", place), slog.String("cmdlet", c.String()),
		slog.Duration("took", time.Since(began).Round(time.Millisecond)), slog.Int("objects", len(objects))}
	var record *Error
	if errors.As(err, &record) {
		attributes = append(attributes, slog.String("id", link.Line(record.FullyQualifiedID)))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", link.Line(err.Error())))
	}
	log.LogAttrs(ctx, slog.LevelDebug, "cmdlet", attributes...)
	return objects, err
}

// Value brings a parameter's value, also one that went through JSON, to one of the kinds that
// Command documents: whole numbers to int64, lists of text to []string, other lists to []any, a
// hashtable with only Add and Remove to a ListChange.
func Value(v any) (any, error) { return Convert(v, normalized) }

func normalized(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, int64, []byte, secret.Value, Credential:
		return v, nil
	case *Credential:
		if v == nil {
			return nil, nil
		}
		return *v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
		return nil, fmt.Errorf("%v is not a whole number", v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("%s is not a whole number", link.Line(v.String()))
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case []string:
		return append([]string{}, v...), nil
	case []any:
		texts := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return v, nil
			}
			texts = append(texts, s)
		}
		return texts, nil
	case ListChange:
		return v, nil
	case *ListChange:
		if v == nil {
			return nil, nil
		}
		return *v, nil
	case map[string]any:
		if change, ok := listChange(v); ok {
			return change, nil
		}
		return v, nil
	default:
		return nil, fmt.Errorf("a value of type %T cannot be given to a cmdlet", v)
	}
}

// listChange reads @{Add=...; Remove=...}, its values normalized.
func listChange(table map[string]any) (ListChange, bool) {
	var change ListChange
	if len(table) == 0 {
		return change, false
	}
	for k, v := range table {
		var list []string
		switch n := v.(type) {
		case string:
			list = []string{n}
		case []string:
			list = n
		case nil:
		default:
			return change, false
		}
		switch strings.ToLower(k) {
		case "add":
			change.Add = list
		case "remove":
			change.Remove = list
		default:
			return change, false
		}
	}
	return change, true
}

var errName = errors.New("not a cmdlet's name")

// prepared returns the command with its names checked and its values normalized.
func (c Command) prepared() (Command, error) {
	if !isCmdlet(c.Name) {
		return c, fmt.Errorf("%q: %w", link.Line(c.Name), errName)
	}
	out := Command{Name: c.Name, Parameters: make(map[string]any, len(c.Parameters))}
	given := make(map[string]bool, len(c.Parameters))
	for n, v := range c.Parameters {
		if !isWord(n) {
			return c, fmt.Errorf("%s: %q is not a parameter's name", c.Name, link.Line(n))
		}
		if given[strings.ToLower(n)] {
			return c, fmt.Errorf("%s: parameter %s is given twice", c.Name, n)
		}
		given[strings.ToLower(n)] = true
		value, err := Value(v)
		if err != nil {
			return c, fmt.Errorf("%s: parameter %s: %w", c.Name, n, err)
		}
		out.Parameters[n] = value
	}
	return out, nil
}

func isCmdlet(s string) bool {
	verb, noun, ok := strings.Cut(s, "-")
	return ok && isWord(verb) && isWord(noun)
}

// isWord reports whether s is an ASCII letter followed by letters and digits.
func isWord(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}
