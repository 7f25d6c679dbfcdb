package desired

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The types of properties.
var (
	boolean = Type{Name: "Boolean", Read: readBool, Compare: equal, Script: "Boolean"}
	// unlessOff is a switch that is on where it is not set.
	unlessOff = Type{Name: "Boolean; not set counts as on", Read: readBool, Compare: isOn, Script: "UnlessOff"}
	text      = Type{Name: "String", Read: readText, Compare: foldEqual, Script: "Text"}
	guid      = Type{Name: "GUID", Read: readText, Compare: sameGUID, Script: "Guid"}
	// someText is a text that is set only where there is none. Any other text is left as it is.
	someText = Type{
		Name: "String, given where there is none", Read: readText, Compare: filled,
		Script: "SomeText",
	}
	// level is how much of calendars or MailTips is shown. A lower level that was set by hand stays.
	level = Type{
		Name: "access level; AvailabilityOnly and Limited are left as they are", Read: readText, Compare: shows,
		Script: "Level",
	}
	// address is a URL: scheme and host are compared without case, one slash at the end does not
	// count.
	address = Type{Name: "URL", Read: readText, Compare: sameURL, Script: "Url"}
	// domains is a set of SMTP domains.
	domains = Type{
		Name: "set of domains", Read: readTexts, Compare: containsAll(normalDomain), List: true,
		Script: "DomainList",
	}
	// identifiers is a set of GUIDs that the place keeps as one string, separated by commas.
	identifiers = Type{
		Name: "set of GUIDs", Read: readJoined, Compare: containsAll(normalGUID), List: true,
		Script: "GuidList",
	}
	// principalNames is a set of service principal names; a slash at the end of a URL does not
	// count.
	principalNames = Type{
		Name: "set of service principal names", Read: readTexts, Compare: containsAll(normalPrincipalName), List: true,
		Script: "PrincipalNameList",
	}
	// settings is a list of NAME=VALUE.
	settings = Type{
		Name: "list of NAME=VALUE", Read: readTexts, Compare: sameSet(strings.ToLower), List: true,
		Script: "SettingList",
	}
	// servers is a set of server names.
	servers = Type{
		Name: "set of server names", Read: readTexts, Compare: sameSet(strings.ToLower), List: true,
		Script: "SettingList",
	}
	// keys is a list of key credentials: the same by keyId, or by certificate.
	keys = Type{
		Name: "list of key credentials", Read: keyList, Compare: containsKeys, List: true,
		Script: "KeyList",
	}
	// accesses is an application's required resource access.
	accesses = Type{
		Name: "list of required permissions", Read: accessList, Compare: containsAccesses, List: true,
		Script: "AccessList",
	}
)

func readBool(v any) any {
	if s, ok := v.(string); ok {
		switch strings.ToLower(s) {
		case "true":
			return true
		case "false":
			return false
		}
	}
	return v
}

func readText(v any) any {
	if s, ok := v.(string); ok && s == "" {
		return nil // Exchange prints an unset string either way
	}
	return v
}

func readTexts(v any) any {
	switch v := v.(type) {
	case nil:
		return []string{}
	case string:
		if v == "" {
			return []string{}
		}
		return []string{v}
	case []any, []string:
		return texts(v)
	}
	return v
}

func readJoined(v any) any {
	var out []string
	for _, s := range texts(readTexts(v)) {
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	if out == nil {
		out = []string{}
	}
	return out
}

// texts returns the strings of a list, or of one string; what is not a string is left out.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// nothing reports whether a value is what Exchange and Graph print for an unset property: null, an
// empty text or an empty list.
func nothing(v any) bool { return len(elements(v)) == 0 }

func equal(want, live any) bool { return change.Equal(want, live) }

func isOn(want, live any) bool { return equal(want, live) || want == true && live == nil }

func foldEqual(want, live any) bool {
	w, ok1 := want.(string)
	l, ok2 := live.(string)
	if ok1 && ok2 {
		return strings.EqualFold(w, l)
	}
	return equal(want, live)
}

func filled(want, live any) bool { return nothing(want) || !nothing(live) }

func shows(want, live any) bool {
	return foldEqual(want, live) || foldEqual("AvailabilityOnly", live) || foldEqual("Limited", live)
}

func sameGUID(want, live any) bool {
	w, ok1 := want.(string)
	l, ok2 := live.(string)
	if !ok1 || !ok2 {
		return equal(want, live)
	}
	return normalGUID(w) == normalGUID(l)
}

func sameURL(want, live any) bool {
	w, ok1 := want.(string)
	l, ok2 := live.(string)
	if !ok1 || !ok2 {
		return equal(want, live)
	}
	return normalURL(w) == normalURL(l)
}

func normalURL(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" {
		return s
	}
	host := strings.ToLower(u.Hostname())
	scheme := strings.ToLower(u.Scheme)
	if p := u.Port(); p != "" && scheme+p != "https443" && scheme+p != "http80" {
		host += ":" + p
	}
	// IIS and Exchange treat paths without case.
	return scheme + "://" + host + strings.ToLower(strings.TrimSuffix(u.EscapedPath(), "/")) + queryOf(u)
}

func queryOf(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.RawQuery
}

func normalDomain(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.TrimPrefix(s, "smtp:")
	s, _, _ = strings.Cut(s, ";")
	return strings.TrimSuffix(s, ".")
}

func normalPrincipalName(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "/"))
}

func normalGUID(s string) string {
	return strings.ToLower(strings.Trim(strings.TrimSpace(s), "{}"))
}

// members returns the elements of a set, texts in their normal form.
func members(v any, normal func(string) string) map[string]bool {
	out := map[string]bool{}
	for _, e := range elements(v) {
		if s, isText := e.(string); isText {
			out[normal(s)] = true
		} else {
			out[change.Text(e)] = true
		}
	}
	return out
}

// containsAll is satisfied when every wanted element is live, whatever else is. A Ref among the
// wanted ones is not live by definition.
func containsAll(normal func(string) string) change.Comparison {
	return func(want, live any) bool {
		have := members(live, normal)
		for e := range members(want, normal) {
			if !have[e] {
				return false
			}
		}
		return true
	}
}

func sameSet(normal func(string) string) change.Comparison {
	return func(want, live any) bool { return maps.Equal(members(want, normal), members(live, normal)) }
}

func elements(v any) []any { return change.Elements(v) }

// containsKeys is satisfied when every wanted key is there: by its id, or by its certificate.
func containsKeys(want, live any) bool {
	for _, w := range elements(want) {
		if !slices.ContainsFunc(elements(live), func(l any) bool { return sameKey(w, l) }) {
			return false
		}
	}
	return true
}

func sameKey(a, b any) bool {
	x, y := fact.Credential(a), fact.Credential(b)
	switch {
	case x.KeyID != "" && strings.EqualFold(x.KeyID, y.KeyID):
		return true
	case len(x.Key) > 0:
		return y.Of(x.Key)
	case len(y.Key) > 0:
		return x.Of(y.Key)
	case x.KeyID != "" && y.KeyID != "":
		return false
	case x.Thumbprint() != "":
		return x.Thumbprint() == y.Thumbprint()
	}
	return equal(a, b)
}

// containsAccesses is satisfied when every wanted permission is there.
func containsAccesses(want, live any) bool {
	have := permissions(live)
	for p := range permissions(want) {
		if !have[p] {
			return false
		}
	}
	return true
}

type permission struct{ resource, id, kind string }

func permissions(v any) map[permission]bool {
	out := map[permission]bool{}
	for _, e := range elements(v) {
		m, _ := e.(map[string]any)
		resource, _ := m["resourceAppId"].(string)
		for _, a := range elements(m["resourceAccess"]) {
			am, _ := a.(map[string]any)
			id, _ := am["id"].(string)
			kind, _ := am["type"].(string)
			out[permission{normalGUID(resource), normalGUID(id), kind}] = true
		}
	}
	return out
}
