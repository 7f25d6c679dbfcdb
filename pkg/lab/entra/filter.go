package entra

import (
	"fmt"
	"net/http"
	"strings"
)

// condition is a parsed $filter: its predicate, and the properties that it reads.
type condition struct {
	holds    func(env map[string]any) bool
	reads    []string
	advanced bool // needs ConsistencyLevel: eventual and $count=true, as Entra has it
}

func unsupportedFilter() *odataError {
	return &odataError{http.StatusBadRequest, "Request_UnsupportedQuery",
		"Unsupported or invalid query filter clause specified for property."}
}

// parseFilter parses the part of OData's filters that directory objects support: and, or, not, eq,
// ne, in, startsWith, endsWith, any().
func parseFilter(text string) (*condition, *odataError) {
	if text == "" {
		return nil, nil
	}
	tokens, ok := tokenize(text)
	p := &filterParser{tokens: tokens}
	if !ok {
		return nil, p.invalid()
	}
	c, e := p.or()
	if e == nil && p.at < len(p.tokens) {
		e = p.invalid()
	}
	return c, e
}

// token is a word, a text in quotes or one of ( ) , : /
type token struct {
	text   string
	quoted bool
}

func tokenize(s string) ([]token, bool) {
	var out []token
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ':
			i++
		case strings.ContainsRune("(),:/", rune(c)):
			out = append(out, token{text: string(c)})
			i++
		case c == '\'':
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(s) {
					return nil, false // no closing quote
				}
				if s[i] == '\'' {
					if i+1 >= len(s) || s[i+1] != '\'' {
						break
					}
					i++
				}
				b.WriteByte(s[i])
			}
			i++
			out = append(out, token{b.String(), true})
		default:
			end := i
			for end < len(s) && !strings.ContainsRune(" (),:/'", rune(s[end])) {
				end++
			}
			out = append(out, token{text: s[i:end]})
			i = end
		}
	}
	return out, true
}

type filterParser struct {
	tokens []token
	at     int
	bound  []string // variables of any()
}

func (p *filterParser) invalid() *odataError {
	return &odataError{http.StatusBadRequest, "BadRequest", "Invalid filter clause: Syntax error in the query."}
}

func (p *filterParser) word() string {
	if p.at < len(p.tokens) && !p.tokens[p.at].quoted {
		return p.tokens[p.at].text
	}
	return ""
}

func (p *filterParser) accept(word string) bool {
	if strings.EqualFold(p.word(), word) {
		p.at++
		return true
	}
	return false
}

func (p *filterParser) literal() (any, bool) {
	if p.at >= len(p.tokens) {
		return nil, false
	}
	t := p.tokens[p.at]
	p.at++
	switch {
	case t.quoted:
		return t.text, true
	case t.text == "true", t.text == "false":
		return t.text == "true", true
	case t.text == "null":
		return nil, true
	case isGUID(t.text):
		return t.text, true
	}
	return nil, false
}

func (p *filterParser) or() (*condition, *odataError) { return p.chain("or", p.and) }

func (p *filterParser) and() (*condition, *odataError) { return p.chain("and", p.not) }

func (p *filterParser) chain(word string, next func() (*condition, *odataError)) (*condition, *odataError) {
	left, e := next()
	for e == nil && p.accept(word) {
		var right *condition
		if right, e = next(); e != nil {
			break
		}
		l, r := left.holds, right.holds
		joined := func(env map[string]any) bool { return l(env) && r(env) }
		if word == "or" {
			joined = func(env map[string]any) bool { return l(env) || r(env) }
		}
		left = &condition{joined, append(left.reads, right.reads...), left.advanced || right.advanced}
	}
	return left, e
}

func (p *filterParser) not() (*condition, *odataError) {
	if !p.accept("not") {
		return p.primary()
	}
	c, e := p.primary()
	if e != nil {
		return nil, e
	}
	return &condition{func(env map[string]any) bool { return !c.holds(env) }, c.reads, true}, nil
}

func (p *filterParser) primary() (*condition, *odataError) {
	if p.accept("(") {
		c, e := p.or()
		if e == nil && !p.accept(")") {
			e = p.invalid()
		}
		return c, e
	}
	for _, f := range []struct {
		name string
		hit  func(s, part string) bool
	}{{"startswith", strings.HasPrefix}, {"endswith", strings.HasSuffix}} {
		if !strings.EqualFold(p.word(), f.name) {
			continue
		}
		p.at++
		if !p.accept("(") {
			return nil, p.invalid()
		}
		value, c, e := p.path()
		if e != nil {
			return nil, e
		}
		ok := p.accept(",")
		want, fine := p.literal()
		part, isText := want.(string)
		if !ok || !fine || !isText || !p.accept(")") {
			return nil, p.invalid()
		}
		c.holds = func(env map[string]any) bool {
			s, _ := value(env).(string)
			return f.hit(strings.ToLower(s), strings.ToLower(part))
		}
		c.advanced = f.name == "endswith"
		return c, nil
	}
	value, c, e := p.path()
	if e != nil || c.holds != nil { // any()
		return c, e
	}
	switch {
	case p.accept("eq"), p.accept("ne"):
		negated := strings.EqualFold(p.tokens[p.at-1].text, "ne")
		want, ok := p.literal()
		if !ok {
			return nil, p.invalid()
		}
		c.holds = func(env map[string]any) bool { return equal(value(env), want) != negated }
		c.advanced = negated
		return c, nil
	case p.accept("in"):
		if !p.accept("(") {
			return nil, p.invalid()
		}
		var wanted []any
		for {
			want, ok := p.literal()
			if !ok {
				return nil, p.invalid()
			}
			wanted = append(wanted, want)
			if !p.accept(",") {
				break
			}
		}
		if !p.accept(")") {
			return nil, p.invalid()
		}
		if len(wanted) > 15 {
			return nil, badRequest("Too many child clauses specified in search filter expression containing 'OR' "+
				"operators: %d. Max allowed: 15.", len(wanted))
		}
		c.holds = func(env map[string]any) bool {
			have := value(env)
			for _, want := range wanted {
				if equal(have, want) {
					return true
				}
			}
			return false
		}
		return c, nil
	}
	return nil, unsupportedFilter()
}

func equal(have, want any) bool {
	a, isText := have.(string)
	b, alsoText := want.(string)
	if isText && alsoText {
		return strings.EqualFold(a, b)
	}
	return have == want
}

// path reads a property, a property of a complex one, or LIST/any(x: ...), whose condition is then
// complete.
func (p *filterParser) path() (func(env map[string]any) any, *condition, *odataError) {
	name := p.word()
	if name == "" || strings.ContainsAny(name, "(),:/") {
		return nil, nil, p.invalid()
	}
	p.at++
	c := &condition{}
	get := func(env map[string]any) any { return env[name] }
	bound := false
	for _, b := range p.bound {
		bound = bound || b == name
	}
	if !bound {
		c.reads = []string{name}
	}
	for p.accept("/") {
		next := p.word()
		p.at++
		if next == "any" {
			return nil, c, p.any(get, c)
		}
		if next == "" || next == "$count" {
			return nil, nil, unsupportedFilter()
		}
		from := get
		get = func(env map[string]any) any {
			m, _ := from(env).(map[string]any)
			return m[next]
		}
	}
	return get, c, nil
}

func (p *filterParser) any(list func(env map[string]any) any, c *condition) *odataError {
	if !p.accept("(") {
		return p.invalid()
	}
	variable := p.word()
	p.at++
	if variable == "" || !p.accept(":") {
		return p.invalid()
	}
	p.bound = append(p.bound, variable)
	inner, e := p.or()
	p.bound = p.bound[:len(p.bound)-1]
	if e != nil {
		return e
	}
	if !p.accept(")") {
		return p.invalid()
	}
	c.reads = append(c.reads, inner.reads...)
	c.advanced = c.advanced || inner.advanced
	c.holds = func(env map[string]any) bool {
		elements, _ := list(env).([]any)
		for _, element := range elements {
			if inner.holds(map[string]any{variable: element}) {
				return true
			}
		}
		return false
	}
	return nil
}

func unknownProperty(name, kind string) *odataError {
	return &odataError{http.StatusBadRequest, "BadRequest",
		fmt.Sprintf("Parsing OData Select and Expand failed: Could not find a property named '%s' on type "+
			"'microsoft.graph.%s'.", name, kind)}
}
