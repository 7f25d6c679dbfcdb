package workmail

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/templates"
)

// model.json holds the operations that the lab has, without their documentation: from the API model
// of Amazon WorkMail (botocore, Apache License 2.0). A test makes it, and `go test ./templates
// -update` compresses it.
//
//go:embed model.json.gz
var modelGzip []byte

// model is a part of the API model.
type model struct {
	Operations map[string]operationModel `json:"operations"`
	Shapes     map[string]*shape         `json:"shapes"`
}

type operationModel struct {
	Input  string   `json:"input"`
	Output string   `json:"output,omitempty"`
	Errors []string `json:"errors,omitempty"`
}

// shape is a type of the API.
type shape struct {
	Type     string            `json:"type"`
	Members  map[string]string `json:"members,omitempty"` // name to shape
	Required []string          `json:"required,omitempty"`
	Element  string            `json:"element,omitempty"` // of a list
	Min      *float64          `json:"min,omitempty"`
	Max      *float64          `json:"max,omitempty"`
	Pattern  string            `json:"pattern,omitempty"`
	Enum     []string          `json:"enum,omitempty"`

	form func() (*regexp.Regexp, bool) // of Pattern, and whether it refuses the prefix d-
}

var theModel = sync.OnceValue(func() *model {
	m := &model{}
	if err := json.Unmarshal(templates.Unpack(modelGzip), m); err != nil {
		panic("workmail: model.json: " + err.Error()) // a test covers it
	}
	for _, s := range m.Shapes {
		s.form = sync.OnceValues(s.compile)
	}
	return m
})

var codePoint = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`) })

// compile makes the pattern one of Go. The service compares whole values.
func (s *shape) compile() (form *regexp.Regexp, notDirectory bool) {
	pattern := s.Pattern
	if strings.Contains(pattern, "(?!d-)") {
		pattern, notDirectory = strings.Replace(pattern, "(?!d-)", "", 1), true
	}
	// Go's counts end at 1000. The limits of the length hold anyway.
	pattern = strings.NewReplacer("{0,1023}", "*", "{1,1024}", "+").Replace(pattern)
	pattern = codePoint().ReplaceAllString(pattern, `\x{$1}`)
	return regexp.MustCompile(`^(?s:` + pattern + `)$`), notDirectory
}

// check compares a decoded value of JSON with a shape.
func (m *model) check(name string, v any, at string) error {
	s := m.Shapes[name]
	if s == nil {
		return fmt.Errorf("%s: no shape %s", at, name)
	}
	wrong := func(what string, args ...any) error { return fmt.Errorf("%s: %s", at, fmt.Sprintf(what, args...)) }
	within := func(n float64) error {
		if s.Min != nil && n < *s.Min || s.Max != nil && n > *s.Max {
			return wrong("%s is outside of the limits of %s", strconv.FormatFloat(n, 'f', -1, 64), name)
		}
		return nil
	}
	switch s.Type {
	case "structure":
		members, ok := v.(map[string]any)
		if !ok {
			return wrong("is no structure")
		}
		for _, r := range s.Required {
			if members[r] == nil {
				return wrong("Member must not be null: %s", r)
			}
		}
		var errs []error
		for key, element := range members {
			of, known := s.Members[key]
			if !known {
				errs = append(errs, wrong("has no member %s", key))
			} else if element != nil {
				errs = append(errs, m.check(of, element, at+"."+key))
			}
		}
		return errors.Join(errs...)
	case "list":
		list, ok := v.([]any)
		if !ok {
			return wrong("is no list")
		}
		for i, element := range list {
			if err := m.check(s.Element, element, at+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
		return within(float64(len(list)))
	case "string":
		text, ok := v.(string)
		if !ok {
			return wrong("is no string")
		}
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
			return wrong("Member must satisfy enum value set: [%s]", strings.Join(s.Enum, ", "))
		}
		if s.Pattern != "" {
			if form, notDirectory := s.form(); !form.MatchString(text) || notDirectory &&
				strings.HasPrefix(text, "d-") {
				return wrong("Member must satisfy regular expression pattern: %s", s.Pattern)
			}
		}
		return within(float64(len([]rune(text))))
	case "integer", "long":
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) {
			return wrong("is no integer")
		}
		return within(n)
	case "timestamp":
		if _, ok := v.(float64); !ok {
			return wrong("is no timestamp in seconds")
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return wrong("is no boolean")
		}
	default:
		return wrong("the lab knows no type %s", s.Type)
	}
	return nil
}
