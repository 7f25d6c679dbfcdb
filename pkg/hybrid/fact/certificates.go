package fact

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// CertificateFile is the transport certificate that the answers name; ErrNotConfigured when they
// name none.
var CertificateFile = &Query[certificate.Bundle]{
	question: question{AtForest, []Source{{System: Files, Ask: "certificate.pfx"}}},
	ask: func(ctx context.Context, s *Side) (certificate.Bundle, error) {
		return with(ctx, s, s.Certificate, itself)
	},
}

func itself[T any](_ context.Context, v T) (T, error) { return v, nil }

// maxRevocations limits a revocation list. Those of large authorities have some megabytes.
const maxRevocations = 64 << 20

// RevocationLists are the lists of revoked certificates that authorities publish, by address. The
// signature is not verified: the caller has the issuer (certificate.VerifyRevocations).
var RevocationLists = FromNetwork(HTTP, "GET {key} (revocation list)",
	func(ctx context.Context, s *Side, address string) (*x509.RevocationList, error) {
		return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (*x509.RevocationList, error) {
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				return nil, err
			}
			client := l.Client(nil)
			defer client.CloseIdleConnections()
			resp, err := client.Do(r)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("%s: %s", address, resp.Status)
			}
			der, err := io.ReadAll(io.LimitReader(resp.Body, maxRevocations))
			if err != nil {
				return nil, err
			}
			list, err := x509.ParseRevocationList(der)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", address, err)
			}
			return list, nil
		})
	})
