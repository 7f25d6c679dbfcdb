package organization

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/templates"
)

//go:embed nouns.txt.gz
var nounsGzip []byte

// noun is a kind of object, as nouns.txt declares it.
type noun struct {
	name, class, container string
	netType, version       string
	bases                  []string // .NET types, without namespace
	classes                []string // of the directory, below top
	single, server, local  bool
	named                  string
	also, unique           []string
	from                   map[string]string   // parameter (lower case) to property
	ignore, ask            []string            // parameters
	union                  []string            // nouns
	prints                 []string            // properties
	hidden                 map[string][]string // switch to properties
	properties             []property
}

// property is one property of a noun.
type property struct {
	name    string
	kind    string // "bool", "enum:X", "SmtpDomain", ...
	list    bool
	initial any
	side    exchange.Side // where it exists; both when empty
	// least and most bound a number; it has no bounds when most is 0.
	least, most int64
}

var nouns = sync.OnceValue(func() map[string]*noun {
	n, err := parseNouns(string(templates.Unpack(nounsGzip)))
	if err != nil {
		panic("organization: nouns.txt: " + err.Error()) // a test covers it
	}
	return n
})

func parseNouns(text string) (map[string]*noun, error) {
	out := map[string]*noun{}
	var n *noun
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		fields := strings.Fields(rest)
		if word == "noun" {
			n = &noun{name: rest, version: "0.20 (15.0.0.0)", from: map[string]string{}, hidden: map[string][]string{}}
			out[strings.ToLower(rest)] = n
			continue
		}
		if n == nil {
			return nil, fmt.Errorf("line %d: before the first noun", number)
		}
		switch word {
		case "type":
			n.netType = rest
		case "class":
			n.classes = fields
			n.class = fields[len(fields)-1]
		case "bases":
			n.bases = fields
		case "version":
			n.version = rest
		case "in":
			n.container = rest
		case "single":
			n.single = true
		case "server":
			n.server = true
		case "local":
			n.local = true
		case "named":
			n.named = rest
		case "also":
			n.also = fields
		case "unique":
			n.unique = fields
		case "ignore":
			n.ignore = fields
		case "ask":
			n.ask = fields
		case "union":
			n.union = fields
		case "prints":
			n.prints = fields
		case "from":
			if len(fields) != 2 {
				return nil, fmt.Errorf("line %d: from PARAMETER PROPERTY", number)
			}
			n.from[strings.ToLower(fields[0])] = fields[1]
		case "hidden":
			if len(fields) < 2 {
				return nil, fmt.Errorf("line %d: hidden PARAMETER PROPERTY", number)
			}
			n.hidden[fields[0]] = fields[1:]
		default:
			p, err := parseProperty(word, rest)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			n.properties = append(n.properties, p)
		}
	}
	return out, nil
}

func parseProperty(name, rest string) (property, error) {
	kind, initial, _ := strings.Cut(rest, " ")
	if kind == "" {
		return property{}, fmt.Errorf("%s has no type", name)
	}
	p := property{name: name, kind: strings.TrimSuffix(kind, "[]"), list: strings.HasSuffix(kind, "[]")}
	if bounds, ok := strings.CutPrefix(kind, "int:"); ok {
		p.kind = "int"
		if _, err := fmt.Sscanf(bounds, "%d-%d", &p.least, &p.most); err != nil {
			return p, fmt.Errorf("%s: bounds %q", name, bounds)
		}
	}
	for _, side := range []exchange.Side{exchange.OnPremises, exchange.Online} {
		if before, ok := strings.CutSuffix(" "+initial, " "+string(side)); ok {
			p.side, initial = side, strings.TrimSpace(before)
		}
	}
	switch {
	case initial == "null":
	case p.list && initial == "":
		p.initial = []string{}
	case p.list:
		p.initial = strings.Split(initial, ",")
	case p.kind == "bool":
		p.initial = initial == "true"
	case p.kind == "int" && initial != "":
		v, err := strconv.ParseInt(initial, 10, 64)
		if err != nil {
			return p, err
		}
		p.initial = v
	case p.kind == "string" || initial != "":
		p.initial = initial
	}
	return p, nil
}

// property finds a property of the noun that exists on a side.
func (n *noun) property(name string, side exchange.Side) (property, bool) {
	for _, p := range n.properties {
		if strings.EqualFold(p.name, name) && p.on(side) {
			return p, true
		}
	}
	return property{}, false
}

// recipient reports whether objects of the noun have addresses.
func (n *noun) recipient() bool { return n.class == "user" || n.class == "group" }

func (p property) on(side exchange.Side) bool { return p.side == "" || p.side == side }

func (n *noun) ignores(parameter string) bool {
	return containsFold(n.ignore, parameter) || containsFold(about, parameter)
}

// about are parameters of every noun that say how a cmdlet runs.
var about = []string{"Confirm", "WhatIf", "DomainController", "Identity"}

// looks are parameters of Get cmdlets that do not change the result here.
var looks = []string{"DomainController", "ResultSize", "SortBy", "ReadFromDomainController", "IgnoreDefaultScope"}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}
