package fact

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
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
