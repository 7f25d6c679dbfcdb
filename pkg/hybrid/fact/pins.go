package fact

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// TLSA are the records that pin the certificate of a mail server, by host. dns.ErrAbsent and
// dns.ErrEmpty say that there is none.
var TLSA = FromNetwork(DNS, "TLSA _25._tcp.{key}", func(ctx context.Context, s *Side, host string) (dns.Answer, error) {
	return s.lookup(ctx, "_25._tcp."+host, dns.TLSA)
})
