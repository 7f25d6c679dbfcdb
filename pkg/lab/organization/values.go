package organization

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// normal converts a value to the property's type, as Exchange stores it.
func (p property) normal(value any) (any, error) {
	wrong := func() error { return fmt.Errorf("property %s of type %s cannot hold %T", p.name, p.kind, value) }
	if p.list {
		var list []string
		switch v := value.(type) {
		case nil:
			return p.none(), nil
		case string:
			if v == "" {
				return p.none(), nil
			}
			list = []string{v}
		case []string:
			list = v
		case []any:
			for _, e := range v {
				s, ok := e.(string)
				if !ok {
					return nil, wrong()
				}
				list = append(list, s)
			}
		default:
			return nil, wrong()
		}
		out := make([]string, 0, len(list))
		for _, e := range list {
			e, err := p.form(e)
			if err != nil {
				return nil, err
			}
			if !containsFold(out, e) {
				out = append(out, e)
			}
		}
		return out, nil
	}
	switch p.kind {
	case "bool":
		switch v := value.(type) {
		case nil, bool:
			return v, nil
		}
		return nil, wrong()
	case "int":
		n := int64(0)
		switch v := value.(type) {
		case nil:
			return nil, nil
		case int64:
			n = v
		case int:
			n = int64(v)
		case string:
			var err error
			if n, err = strconv.ParseInt(v, 10, 64); err != nil {
				return nil, err
			}
		default:
			return nil, wrong()
		}
		if p.most > 0 && (n < p.least || n > p.most) {
			return nil, fmt.Errorf("Property validation failed. Property = %s Error = The value %d isn't between %d "+
				"and %d.", p.name, n, p.least, p.most)
		}
		return n, nil
	case "bytes":
		switch v := value.(type) {
		case nil, []byte:
			return v, nil
		}
		return nil, wrong()
	case "time":
		switch v := value.(type) {
		case nil, time.Time:
			return v, nil
		case string:
			return time.Parse(time.RFC3339, v)
		}
		return nil, wrong()
	}
	switch v := value.(type) {
	case nil:
		if p.kind == "string" && p.initial != nil {
			return "", nil
		}
		return nil, nil
	case string:
		if v == "" && p.kind != "string" {
			return nil, nil
		}
		return p.form(v)
	case []string: // several flags of an enumeration
		if strings.HasPrefix(p.kind, "enum:") {
			return p.form(strings.Join(v, ", "))
		}
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	return nil, wrong()
}

// none is the value of a list without members: some properties show null then.
func (p property) none() any {
	if p.initial == nil {
		return nil
	}
	return []string{}
}

// relative are the properties of type uri that hold names such as outlook.com, too.
var relative = []string{"TargetApplicationUri", "ApplicationUri"}

// formError is a text that does not convert to its property's type: the parameter binder refuses it
// before the cmdlet runs.
type formError struct{ error }

// form writes one text in the format of its type.
func (p property) form(s string) (string, error) {
	if kind, enum := strings.CutPrefix(p.kind, "enum:"); enum {
		return enumText(kind, s)
	}
	if read, ok := measures[p.kind]; ok && s != "" {
		text, err := read(s)
		if err != nil {
			return "", &formError{fmt.Errorf("Cannot convert value \"%s\" to type \"%s\". Error: \"%w.\"", s,
				fullType(p.kind), err)}
		}
		return text, nil
	}
	switch p.kind {
	case "uri":
		u, err := url.Parse(s)
		if err != nil {
			return "", fmt.Errorf("property %s: %q is not a URI", p.name, s)
		}
		if u.Scheme != "" && u.Host != "" {
			u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
			if u.Path == "" {
				u.Path = "/"
			}
			return u.String(), nil
		}
		if u.Scheme == "" && !containsFold(relative, p.name) {
			return "", fmt.Errorf("property %s: the URI %q isn't of kind Absolute", p.name, s)
		}
	case "SmtpDomain", "SmtpDomainWithSubdomains":
		if err := exchange.CheckText(p.kind, s); err != nil {
			return "", &formError{err}
		}
	case "AddressSpace":
		// smtp:contoso.com;1 is the full form of contoso.com
		kind, rest, ok := strings.Cut(s, ":")
		if !ok {
			kind, rest = "smtp", s
		}
		if !strings.Contains(rest, ";") {
			rest += ";1"
		}
		return kind + ":" + rest, nil
	case "guid":
		return strings.ToLower(strings.Trim(s, "{}")), nil
	case "SmtpX509Identifier":
		if err := exchange.CheckText(p.kind, s); err != nil {
			return "", &formError{err}
		}
		if i := strings.Index(strings.ToLower(s), "<s>"); i >= 0 && s[0] == '<' {
			return "<I>" + s[3:i] + "<S>" + s[i+3:], nil
		}
	case "SmtpReceiveDomainCapabilities":
		return domainCapabilities(s)
	case "ProxyAddressTemplate":
		if !strings.Contains(s, ":") {
			return "smtp:" + s, nil
		}
	case "ProxyAddress":
		if !strings.Contains(s, ":") {
			return "SMTP:" + s, nil
		}
	}
	return s, nil
}

// shown is a property of a record with the type that it is printed in.
type shown struct {
	property
	value any
}

// show lists what Get prints of a record, in Exchange's order: the noun's own properties, then
// those of every configuration object.
func (r *Record) show(online bool, asked map[string]any) []shown {
	var out []shown
	secret := map[string]bool{}
	for parameter, names := range r.noun.hidden {
		if on, _ := asked[parameter].(bool); on {
			continue
		}
		for _, n := range names {
			secret[strings.ToLower(n)] = true
		}
	}
	for _, p := range r.noun.properties {
		if p.name == "Name" || !p.on(r.org.c.Side) || secret[strings.ToLower(p.name)] {
			continue
		}
		out = append(out, shown{p, r.get(p.name)})
	}
	for _, name := range r.extra {
		if !secret[strings.ToLower(name)] && !strings.EqualFold(name, "DistinguishedName") {
			out = append(out, shown{property{name: name, kind: kindOf(r.get(name)), list: isList(r.get(name))},
				r.get(name)})
		}
	}
	text := func(name, kind string, v any) { out = append(out, shown{property{name: name, kind: kind}, v}) }
	changed, _ := r.get("WhenChanged").(time.Time)
	created, _ := r.get("WhenCreated").(time.Time)
	if r.noun.class == "-" && len(r.noun.prints) == 0 { // no object of the directory
		if !r.noun.single {
			text("Name", "string", r.text("Name"))
			text("Guid", "guid", r.text("Guid"))
		}
		text("Identity", "string", r.identity())
		text("IsValid", "bool", true)
		text("ObjectState", "enum:ObjectState", "New")
		return out
	}
	if !strings.HasPrefix(r.noun.netType, "Microsoft.Exchange.Data.Directory.Management.") {
		text("AdminDisplayName", "string", "")
	}
	text("ExchangeVersion", "ExchangeObjectVersion", r.noun.version)
	text("Name", "string", r.text("Name"))
	text("DistinguishedName", "string", r.distinguishedName())
	text("Identity", "ADObjectId", r.identity())
	text("Guid", "guid", r.text("Guid"))
	if r.noun.class != "-" {
		if r.org.c.Side == exchange.OnPremises {
			text("ObjectCategory", "ADObjectId",
				r.org.c.FQDN+"/Configuration/Schema/"+schemaName(r.noun.class))
		}
		class := append([]string{"top"}, r.noun.classes...)
		out = append(out, shown{property{name: "ObjectClass", kind: "string", list: true}, class})
	}
	text("WhenChanged", "time", changed)
	text("WhenCreated", "time", created)
	text("WhenChangedUTC", "time", changed)
	text("WhenCreatedUTC", "time", created)
	if online {
		text("ExchangeObjectId", "guid", r.text("Guid"))
		text("OrganizationalUnitRoot", "string", r.org.c.Name)
	}
	text("OrganizationId", "OrganizationId", "")
	text("Id", "ADObjectId", r.identity())
	text("OriginatingServer", "string", r.org.c.Server)
	text("IsValid", "bool", true)
	text("ObjectState", "enum:ObjectState", "Unchanged")
	return out
}

// schemaName is the name of a class's object in the schema: msExchRoutingSMTPConnector is
// ms-Exch-Routing-SMTP-Connector.
func schemaName(class string) string {
	var b strings.Builder
	for i := range len(class) {
		upper := func(at int) bool { return at < len(class) && class[at] >= 'A' && class[at] <= 'Z' }
		// A word begins at a capital behind a small letter, or at the last capital of a row.
		if i > 0 && upper(i) && (!upper(i-1) || i+1 < len(class) && !upper(i+1)) {
			b.WriteByte('-')
		}
		b.WriteByte(class[i])
	}
	return b.String()
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "bool"
	case int64:
		return "int"
	case []byte:
		return "bytes"
	case time.Time:
		return "time"
	}
	return "string"
}

func isList(v any) bool { _, ok := v.([]string); return ok }

// object is a record as a session's Run gives it.
func (r *Record) object(asked map[string]any) exchange.Object {
	list := r.show(r.org.c.Side == exchange.Online, asked)
	pairs := make([]any, 0, 2*len(list))
	for _, p := range list {
		pairs = append(pairs, p.name, clone(p.value))
	}
	return exchange.NewObject([]string{r.noun.netType}, r.identity(), pairs...)
}
