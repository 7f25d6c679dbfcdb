package mail

import (
	"slices"
	"strings"
)

// Header is a message's header, in the order of its lines.
type Header []Field

// Field is one header field.
type Field struct{ Name, Value string }

// The prefixes of Exchange's own headers. Those of the organization do not leave it. A connector
// for cloud services mail sends them under the other prefix, and the other side takes them back.
const (
	organizationPrefix = "X-MS-Exchange-Organization-"
	crossPrefix        = "X-MS-Exchange-CrossPremises-"
)

// parseHeader splits a message. Folded lines are joined.
func parseHeader(data string) (h Header, body string) {
	text, body, _ := strings.Cut(data, "\r\n\r\n")
	for line := range strings.SplitSeq(text, "\r\n") {
		if n := len(h); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			h[n-1].Value += " " + strings.TrimSpace(line)
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			h = append(h, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
	return h, body
}

func (h Header) String() string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	return b.String()
}

func (h Header) clone() Header { return slices.Clone(h) }

// Get returns the first field of a name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// All returns the fields of a name.
func (h Header) All(name string) []string {
	var out []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value)
		}
	}
	return out
}

// Set replaces the fields of a name.
func (h *Header) Set(name, value string) {
	h.remove(func(n string) bool { return strings.EqualFold(n, name) })
	*h = append(*h, Field{name, value})
}

// Prepend puts a field before the others.
func (h *Header) Prepend(name, value string) { *h = append(Header{{name, value}}, *h...) }

func (h *Header) set(prefix, name, value string) { h.Set(prefix+name, value) }

func (h *Header) remove(is func(name string) bool) {
	*h = slices.DeleteFunc(slices.Clone(*h), func(f Field) bool { return is(f.Name) })
}

func hasPrefix(prefix string) func(string) bool {
	return func(name string) bool {
		return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
	}
}

// firewall removes Exchange's own headers from a message that arrived. With promote, those that the
// other side sent along become headers of this organization.
func (h *Header) firewall(promote bool) {
	h.remove(hasPrefix(organizationPrefix))
	is := hasPrefix(crossPrefix)
	if promote {
		for i, f := range *h {
			if is(f.Name) {
				(*h)[i].Name = organizationPrefix + f.Name[len(crossPrefix):]
			}
		}
	}
	h.remove(is)
}

// cross prepares a message for another organization: with keep, its headers go along.
func (h *Header) cross(keep bool, host string) {
	is := hasPrefix(organizationPrefix)
	h.remove(hasPrefix(crossPrefix))
	filtered := false
	for i, f := range *h {
		if is(f.Name) && keep {
			(*h)[i].Name = crossPrefix + f.Name[len(organizationPrefix):]
		}
		filtered = filtered || is(f.Name)
	}
	h.remove(is)
	if filtered && !keep {
		h.Set("X-CrossPremisesHeadersFilteredBySendConnector", host)
	}
}
