package deployment

import (
	"encoding/json"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// SignIns keeps the sign-in of a person for the deployments that are opened one after the other
// while answers change. It holds one sign-in, in memory only. A deployment gets it when all that it
// depends on is the same; else the person signs in again, and the earlier one is forgotten. The
// zero value is empty.
type SignIns struct {
	mu       sync.Mutex
	with     string // what the sign-in depends on
	identity *entra.Identity
}

// signedInWith is what a sign-in depends on: who signs in where, which hosts get its tokens, and
// the way to these hosts.
func signedInWith(online answers.ExchangeOnline, c cloud.Cloud, way answers.Network) string {
	credential := online.Credential
	way.EHLOName = "" // mail alone
	data, err := json.Marshal([]any{online.Tenant, credential.Kind, credential.ClientID, c, way})
	if err != nil {
		return "" // fits no sign-in
	}
	return string(data)
}

// get returns the sign-in that was made with the same, or the one that open makes. The only
// sign-ins that are kept are those that ask a person.
func (s *SignIns) get(with string, kind answers.CredentialKind, open func() (*entra.Identity, error)) (*entra.Identity,
	error) {
	if s == nil || kind != answers.CredentialDeviceCode || with == "" {
		return open()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identity != nil && s.with == with {
		return s.identity, nil
	}
	s.with, s.identity = "", nil
	identity, err := open()
	if err != nil {
		return nil, err
	}
	s.with, s.identity = with, identity
	return identity, nil
}

// forget forgets the sign-in: it was refused. The next one may be that of another person.
func (s *SignIns) forget() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.with, s.identity = "", nil
}
