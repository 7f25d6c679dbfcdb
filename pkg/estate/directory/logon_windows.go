package directory

import "github.com/go-ldap/ldap/v3/gssapi"

// currentLogon uses the tickets of the logged-on user.
func currentLogon(*Config) (securityContext, error) { return gssapi.NewSSPIClient() }
