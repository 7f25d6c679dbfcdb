package directory

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

var errFilter = errors.New("malformed filter")

type matcher func(*record) bool

const maxFilterDepth = 64

// compile turns the filter of a search request (RFC 4511, 4.5.1.7) into a matcher. An attribute
// that an object does not have makes a term false, and its negation true, as in Active Directory.
func compile(p *ber.Packet, depth int) (matcher, error) {
	if p == nil || p.ClassType != ber.ClassContext || depth > maxFilterDepth {
		return nil, errFilter
	}
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		var terms []matcher
		for _, c := range p.Children {
			m, err := compile(c, depth+1)
			if err != nil {
				return nil, err
			}
			terms = append(terms, m)
		}
		switch {
		case p.Tag == ldap.FilterNot && len(terms) == 1:
			return func(r *record) bool { return !terms[0](r) }, nil
		case p.Tag == ldap.FilterNot:
			return nil, errFilter
		case p.Tag == ldap.FilterAnd:
			return func(r *record) bool {
				return !slices.ContainsFunc(terms,
					func(m matcher) bool { return !m(r) })
			}, nil
		}
		return func(r *record) bool { return slices.ContainsFunc(terms, func(m matcher) bool { return m(r) }) }, nil
	case ldap.FilterPresent:
		name := content(p)
		return func(r *record) bool { return len(r.values(name)) > 0 }, nil
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		if len(p.Children) != 2 {
			return nil, errFilter
		}
		name, value := content(p.Children[0]), content(p.Children[1])
		return comparison(p.Tag, name, value), nil
	case ldap.FilterSubstrings:
		return compileSubstrings(p)
	case ldap.FilterExtensibleMatch:
		return compileExtensible(p)
	}
	return nil, errFilter
}

// content is the text of a primitive packet, whatever its class.
func content(p *ber.Packet) string {
	if p == nil || p.Data == nil {
		return ""
	}
	return p.Data.String()
}

func comparison(tag ber.Tag, name, value string) matcher {
	equal := equality(name, value)
	return func(r *record) bool {
		return slices.ContainsFunc(r.values(name), func(v string) bool {
			switch tag {
			case ldap.FilterGreaterOrEqual:
				return order(v, value) >= 0
			case ldap.FilterLessOrEqual:
				return order(v, value) <= 0
			}
			return equal(v)
		})
	}
}

// equality compares by the attribute's syntax, as far as its name or the value shows it.
func equality(name, value string) func(string) bool {
	switch strings.ToLower(name) {
	case "objectguid", "objectsid", "msexchmasteraccountsid", "msexchmailboxguid", "msexchserverinternaltlscert":
		return func(v string) bool { return v == value }
	case "objectcategory":
		// A class name stands for that class's category.
		if !strings.Contains(value, "=") {
			want := category(value)
			return func(v string) bool {
				cn, _, _ := strings.Cut(v, ",")
				return strings.EqualFold(cn, "CN="+want)
			}
		}
	}
	if dn, err := canonical(value); err == nil && strings.Contains(value, "=") {
		return func(v string) bool {
			if strings.EqualFold(v, value) {
				return true
			}
			other, err := canonical(v)
			return err == nil && other == dn
		}
	}
	return func(v string) bool { return strings.EqualFold(v, value) }
}

// order compares numbers as numbers and other values as text.
func order(a, b string) int {
	x, err1 := strconv.ParseInt(a, 10, 64)
	y, err2 := strconv.ParseInt(b, 10, 64)
	if err1 == nil && err2 == nil {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

func compileSubstrings(p *ber.Packet) (matcher, error) {
	if len(p.Children) != 2 || len(p.Children[1].Children) == 0 {
		return nil, errFilter
	}
	name := content(p.Children[0])
	var first, last string
	var middle []string
	for _, c := range p.Children[1].Children {
		part := strings.ToLower(content(c))
		switch c.Tag {
		case ldap.FilterSubstringsInitial:
			first = part
		case ldap.FilterSubstringsAny:
			middle = append(middle, part)
		case ldap.FilterSubstringsFinal:
			last = part
		default:
			return nil, errFilter
		}
	}
	return func(r *record) bool {
		return slices.ContainsFunc(r.values(name), func(v string) bool {
			v, ok := strings.CutPrefix(strings.ToLower(v), first)
			if !ok {
				return false
			}
			for _, m := range middle {
				i := strings.Index(v, m)
				if i < 0 {
					return false
				}
				v = v[i+len(m):]
			}
			return strings.HasSuffix(v, last)
		})
	}, nil
}

// Matching rules of Active Directory (MS-ADTS 3.1.1.3.4.4).
const (
	ruleBitAnd = "1.2.840.113556.1.4.803"
	ruleBitOr  = "1.2.840.113556.1.4.804"
)

func compileExtensible(p *ber.Packet) (matcher, error) {
	var rule, name, value string
	for _, c := range p.Children {
		switch c.Tag {
		case ldap.MatchingRuleAssertionMatchingRule:
			rule = content(c)
		case ldap.MatchingRuleAssertionType:
			name = content(c)
		case ldap.MatchingRuleAssertionMatchValue:
			value = content(c)
		}
	}
	bits, err := strconv.ParseInt(value, 10, 64)
	if err != nil || rule != ruleBitAnd && rule != ruleBitOr {
		return func(*record) bool { return false }, nil // undefined
	}
	return func(r *record) bool {
		return slices.ContainsFunc(r.values(name), func(v string) bool {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return false
			}
			if rule == ruleBitAnd {
				return n&bits == bits
			}
			return n&bits != 0
		})
	}, nil
}
