package directory

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Setup is what Exchange's setup prepared in a forest, and what old versions left behind.
type Setup struct {
	// SchemaVersion is rangeUpper of ms-Exch-Schema-Version-Pt; 0 when the schema was never
	// extended.
	SchemaVersion int
	// HybridContainer is the place where Microsoft's wizard keeps its record.
	HybridContainer bool
	// OldGroups are the DNs of groups of Exchange 2000 and 2003 that have more rights than any
	// present one.
	OldGroups []string
}

// oldGroups are their names.
var oldGroups = []string{"Exchange Domain Servers", "Exchange Enterprise Servers"}

// Setup reads it. The groups are looked for in the domain of the server that is asked.
func (f *Forest) Setup(ctx context.Context) (Setup, error) {
	var s Setup
	var err error
	if s.SchemaVersion, err = f.schemaVersion(ctx); err != nil {
		return Setup{}, err
	}
	found, err := f.search(ctx, "the container of the hybrid configuration", query{
		base: "CN=Services," + f.root.Configuration, scope: ldap.ScopeWholeSubtree, filter: "(cn=Hybrid Configuration)",
		attributes: []string{"objectGUID"},
	})
	if err != nil {
		return Setup{}, err
	}
	s.HybridContainer = len(found) > 0
	var names strings.Builder
	for _, name := range oldGroups {
		fmt.Fprintf(&names, "(cn=%s)", ldap.EscapeFilter(name))
	}
	found, err = f.search(ctx, "groups of old versions", query{
		base: f.root.DefaultNamingContext, scope: ldap.ScopeWholeSubtree,
		filter: "(&(objectClass=group)(|" + names.String() + "))", attributes: []string{"objectGUID"},
	})
	if err != nil {
		return Setup{}, err
	}
	for _, o := range found {
		s.OldGroups = append(s.OldGroups, o.dn)
	}
	return s, nil
}
