package hcw

import (
	"slices"
	"strings"
)

// Command is a cmdlet with its parameters as the wizard prints them: values are nil, bool, string
// or []string. A parameter whose value is an expression is left out.
type Command struct {
	Name       string
	Parameters map[string]any
}

// Identity is the object that a command addresses: its Identity, else the Name that it gives.
func (c Command) Identity() string {
	for _, name := range []string{"Identity", "Name"} {
		if s, _ := c.Parameters[name].(string); s != "" {
			return s
		}
	}
	return ""
}

// Verb and Noun are the parts of the cmdlet's name.
func (c Command) Verb() string { verb, _, _ := strings.Cut(c.Name, "-"); return verb }

// Noun is what stands behind the verb.
func (c Command) Noun() string { _, noun, _ := strings.Cut(c.Name, "-"); return noun }

// writing are the verbs of cmdlets that change something.
var writing = []string{"New", "Set", "Remove", "Update", "Enable", "Disable", "Add", "Import", "Start", "Stop"}

// Writes reports whether the cmdlet changes something.
func (c Command) Writes() bool { return slices.Contains(writing, c.Verb()) }

// ParseCommand reads a command line; false when it begins with no name of a cmdlet.
func ParseCommand(s string) (Command, bool) {
	s = strings.TrimSpace(s)
	name, rest, _ := strings.Cut(s, " ")
	verb, noun, ok := strings.Cut(name, "-")
	if !ok || !letters(verb) || !letters(noun) {
		return Command{}, false
	}
	c := Command{Name: name, Parameters: map[string]any{}}
	p := parser{rest: rest}
	for {
		p.blanks()
		if p.rest == "" {
			return c, true
		}
		if p.rest[0] != '-' {
			p.value() // a positional argument: the wizard prints none
			continue
		}
		parameter, colon := p.parameter()
		p.blanks()
		if !colon && (p.rest == "" || p.flag()) {
			c.Parameters[parameter] = true
			continue
		}
		if v, known := p.value(); known && letters(parameter) {
			c.Parameters[parameter] = v
		}
	}
}

func letters(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

type parser struct{ rest string }

func (p *parser) blanks() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// flag reports whether the next word is a parameter.
func (p *parser) flag() bool {
	return len(p.rest) > 1 && p.rest[0] == '-' && letters(p.rest[1:2]) && (p.rest[1] < '0' || p.rest[1] > '9')
}

// parameter takes the name of a parameter, and the colon behind it.
func (p *parser) parameter() (name string, colon bool) {
	end := strings.IndexAny(p.rest, ": \t\r\n")
	if end < 0 {
		end = len(p.rest)
	}
	name, p.rest = p.rest[1:end], p.rest[end:]
	p.rest, colon = strings.CutPrefix(p.rest, ":")
	return name, colon
}

// value takes one value or a list; false for an expression.
func (p *parser) value() (any, bool) {
	var list []string
	var single any
	known, isList := true, false
	for {
		p.blanks()
		v, ok := p.element()
		known = known && ok
		if text, is := v.(string); is {
			list = append(list, text)
		}
		single = v
		p.blanks()
		if !strings.HasPrefix(p.rest, ",") {
			break
		}
		p.rest, isList = p.rest[1:], true
	}
	if isList {
		return list, known
	}
	return single, known
}

// element takes one value.
func (p *parser) element() (any, bool) {
	if p.rest == "" {
		return nil, false
	}
	switch quote := p.rest[0]; quote {
	case '\'', '"':
		var b strings.Builder
		for at := 1; at < len(p.rest); at++ {
			if p.rest[at] != quote {
				b.WriteByte(p.rest[at])
				continue
			}
			if at+1 < len(p.rest) && p.rest[at+1] == quote { // doubled: the quote itself
				b.WriteByte(quote)
				at++
				continue
			}
			p.rest = p.rest[at+1:]
			return b.String(), true
		}
		p.rest = "" // the line is cut
		return b.String(), false
	case '(', '{', '@', '[':
		p.expression()
		return nil, false
	}
	end := strings.IndexAny(p.rest, " \t\r\n,")
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	switch strings.ToLower(w) {
	case "$null":
		return nil, true
	case "$true":
		return true, true
	case "$false":
		return false, true
	}
	return w, !strings.HasPrefix(w, "$")
}

// expression skips to the end of brackets: (Get-Credential -UserName contoso\admin).
func (p *parser) expression() {
	depth := 0
	for at := range len(p.rest) {
		switch p.rest[at] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			if depth--; depth <= 0 {
				p.rest = p.rest[at+1:]
				return
			}
		}
	}
	p.rest = ""
}
