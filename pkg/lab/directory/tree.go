package directory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
)

// tree is the whole forest at one moment.
type tree struct {
	root     *record // root DSE
	records  []*record
	byKey    map[string]*record
	contexts []namingContext // naming contexts, longest key first
}

type namingContext struct{ dn, key string }

// tree builds the forest from the configuration's functions.
func (s *Server) tree() (*tree, error) {
	schema := s.layout.schema
	t := &tree{byKey: map[string]*record{}}
	for _, dn := range []string{s.layout.domain, s.layout.configuration, schema, "DC=DomainDnsZones," + s.layout.domain,
		"DC=ForestDnsZones," + s.layout.domain} {
		key, err := canonical(dn)
		if err != nil {
			return nil, err
		}
		t.contexts = append(t.contexts, namingContext{dn, key})
	}
	sorting.Func(t.contexts, func(a, b namingContext) int { return len(b.key) - len(a.key) })
	entries := s.cfg.base(s.layout)
	for i, u := range s.users() {
		e := u.Entry(s.layout.domain)
		if len(e.Attributes["objectSid"]) == 0 {
			e.add("objectSid", sid(s.cfg.Domain, uint32(1100+i)))
		}
		// Attributes that a domain controller writes itself.
		e.add("whenCreated", "20200101080000.0Z")
		e.add("whenChanged", "20260901080000.0Z")
		entries = append(entries, e)
	}
	if s.cfg.Exchange != nil {
		if o := s.cfg.Exchange(); o != nil {
			more, err := o.Entries(s.layout.configuration, s.cfg.Domain)
			if err != nil {
				return nil, err
			}
			entries = append(entries, more...)
		}
	}
	if s.cfg.Entries != nil {
		entries = append(entries, s.cfg.Entries()...)
	}
	for _, e := range entries {
		r, err := prepare(e, schema)
		if err != nil {
			return nil, err
		}
		if e.DN == "" {
			t.root = r
			continue
		}
		if err := t.insert(r, schema); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// insert adds r, and containers for the parents that it lacks. An entry with the name of another
// replaces it.
func (t *tree) insert(r *record, schema string) error {
	for _, c := range t.contexts {
		if below(r.key, c.key) {
			r.context = c.key
			break
		}
	}
	if r.context == "" {
		return fmt.Errorf("entry %q is in no naming context of the forest", r.dn)
	}
	if at, ok := t.byKey[r.key]; ok {
		*at = *r
		return nil
	}
	if _, ok := t.byKey[parent(r.key)]; !ok && r.key != r.context {
		up := parentDN(r.dn)
		class := "container"
		if strings.HasPrefix(parent(r.key), "ou=") {
			class = "organizationalUnit"
		}
		p, err := prepare(NewEntry(up, "objectClass", class), schema)
		if err != nil {
			return err
		}
		if err := t.insert(p, schema); err != nil {
			return err
		}
	}
	t.byKey[r.key] = r
	t.records = append(t.records, r)
	return nil
}

// find runs a search. References are the naming contexts below the base that the search does not
// enter.
func (t *tree) find(q searchRequest) (found []*record, references []string, fault *outcome) {
	if q.base == "" && q.scope == ldap.ScopeBaseObject {
		return []*record{t.root}, nil, nil
	}
	base, err := canonical(q.base)
	if err != nil {
		return nil, nil, &outcome{code: ldap.LDAPResultInvalidDNSyntax,
			text: "0000208F: NameErr: DSID-03100225, problem 2006 (BAD_NAME), data 8350, best match of:\n\t'" + q.base +
				"'\n"}
	}
	start, ok := t.byKey[base]
	if !ok {
		return nil, nil, t.noObject(base)
	}
	for _, r := range t.records {
		if r.context != start.context {
			continue
		}
		switch q.scope {
		case ldap.ScopeBaseObject:
			ok = r.key == base
		case ldap.ScopeSingleLevel:
			ok = r.key != base && parent(r.key) == base
		default:
			ok = below(r.key, base)
		}
		if ok && q.match(r) {
			found = append(found, r)
		}
	}
	if q.scope != ldap.ScopeBaseObject {
		for _, c := range t.contexts {
			if c.key != start.context && below(c.key, base) && parent(c.key) == start.context {
				references = append(references, c.dn)
			}
		}
		slices.Sort(references)
	}
	return found, references, nil
}

func (t *tree) noObject(base string) *outcome {
	best := parent(base)
	for best != "" {
		if r, ok := t.byKey[best]; ok {
			return &outcome{code: ldap.LDAPResultNoSuchObject, matched: r.dn,
				text: "0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'" + r.dn +
					"'\n"}
		}
		best = parent(best)
	}
	// The URL names the host by the DN's domain components, as a domain controller guesses it.
	var labels []string
	for part := range strings.SplitSeq(base, ",") {
		if label, ok := strings.CutPrefix(part, "dc="); ok {
			labels = append(labels, label)
		}
	}
	return &outcome{code: ldap.LDAPResultReferral, referral: "ldap://" + strings.Join(labels, ".") + "/" + base,
		text: "0000202B: RefErr: DSID-03100835, data 0, 1 access points\n\tref 1: '" + strings.ToLower(base) + "'\n"}
}

// parentDN removes the first component and leaves the rest as written.
func parentDN(dn string) string {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',':
			return strings.TrimSpace(dn[i+1:])
		}
	}
	return ""
}
