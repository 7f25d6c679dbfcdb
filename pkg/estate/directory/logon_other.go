//go:build !windows

package directory

import (
	"fmt"
	"os"

	"github.com/go-ldap/ldap/v3/gssapi"
)

// currentLogon uses the ticket cache that kinit fills.
func currentLogon(cfg *Config) (securityContext, error) {
	own := *cfg
	own.Directory.Bind.TicketCache = os.Getenv("KRB5CCNAME")
	if own.Directory.Bind.TicketCache == "" {
		own.Directory.Bind.TicketCache = fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid())
	}
	c, _, err := kerberosClient(&own)
	if err != nil {
		return nil, err
	}
	return &gssapi.Client{Client: c}, nil
}
