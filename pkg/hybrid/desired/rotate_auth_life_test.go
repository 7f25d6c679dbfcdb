package desired

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The tenant knows a key before Exchange signs with it, every server has the certificate before it is
// published, and only the keys of earlier certificates go.
func TestAuthRotationByStage(t *testing.T) {
	set := testFacts().set(testAnswers(), worldwide(t))
	day := set.Now().UTC().Truncate(24 * time.Hour)
	made := func(serial int64, from, to time.Time) *x509.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		of := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: from, NotAfter: to,
			Subject: pkix.Name{CommonName: authTitle}}
		der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	years := func(n int) time.Time { return day.AddDate(n, 0, 0) }
	before, current := made(1, years(-6), years(1)), made(2, years(-4), years(1))
	next, short := made(3, years(-1), years(4)), made(4, years(-1), day.AddDate(0, 0, 60))
	older := made(5, years(-5), years(4))
	key := func(c *x509.Certificate, more ...string) map[string]any {
		k := map[string]any{"keyId": "of " + c.SerialNumber.String(), "key": base64.StdEncoding.EncodeToString(c.Raw)}
		for i := 0; i+1 < len(more); i += 2 {
			k[more[i]] = more[i+1]
		}
		return k
	}
	other := map[string]any{"keyId": "another's"}
	// life is a rotation in which Exchange knows these certificates and the application these keys.
	life := func(next *x509.Certificate, stores fact.Stores, keys ...any) authLife {
		a := authLife{AuthConfig: fact.AuthConfig{Current: certificate.Thumbprint(current),
			Previous: certificate.Thumbprint(before), Servers: stores}, current: current, servers: sortedKeys(stores),
			application: &fact.Dedicated{Name: "App", Application: fact.Application{ID: "object", AppID: "app",
				KeyCredentials: keys}}}
		if next != nil {
			a.Next = certificate.Thumbprint(next)
			a.next, a.lacking = a.Certificate(a.Next)
		}
		return a
	}
	all := fact.Stores{"EX1": {before, current, next}, "EX2": {before, current, next}}
	some := fact.Stores{"EX1": {current, next}, "EX2": {current}}
	stage := func(p *Planner, a authLife) error { p.stageAuth(a); return nil }
	publish := func(p *Planner, a authLife) error { p.publishAuth(a); return nil }
	clean := (*Planner).cleanAuth
	const upload, config = "entra/KeyCredential/App", "onprem/contoso/AuthConfig/config"
	for _, tt := range []struct {
		name  string
		do    func(*Planner, authLife) error
		life  authLife
		open  []string
		waits string
	}{
		{"publish", publish, life(next, all, key(current), key(next)), []string{config}, ""},
		{"a server lacks it", publish, life(next, some, key(current), key(next)), nil, "is not on EX2 yet"},
		{"the tenant does not know it", publish, life(next, all, key(current)), []string{upload}, "did not know the key"},
		{"the tenant's key has ended", publish, life(next, all, key(current), key(next, "endDateTime",
			day.AddDate(0, 0, -1).Format(time.RFC3339))), []string{upload}, "did not know the key"},

		{"one that was made and not staged", stage, life(nil, fact.Stores{"EX1": {current, next}}, key(current)),
			[]string{upload, config + " needs KeyCredential"}, ""},
		{"one that the tenant knows", stage, life(nil, fact.Stores{"EX1": {current, next}}, key(current), key(next)),
			[]string{config}, ""},
		{"one that ends soon is not staged", stage, life(nil, fact.Stores{"EX1": {current, short}}, key(current)),
			[]string{"onprem/contoso/AuthCertificate/next", upload,
				config + " needs AuthCertificate KeyCredential"}, ""},

		{"clean", clean, life(next, all, key(before), key(current), key(next), other), []string{config,
			"entra/ApplicationKeys/App needs AuthConfig keeps of 2, of 3, another's"}, ""},
		{"clean, and the next one is older", clean, life(older, fact.Stores{"EX1": {before, current, older}}, key(before),
			key(current), key(older)), []string{config, "entra/ApplicationKeys/App needs AuthConfig keeps of 2, of 5"}, ""},
		{"the tenant does not know the current one", clean, life(next, all, key(before), key(next)), nil,
			"does not know the key of the current certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Planner{Answers: set.Answers, Forest: set.Forests[0], set: set, topic: authRotation}
			if err := tt.do(p, tt.life); err != nil {
				t.Fatal(err)
			}
			var open, said []string
			for _, r := range p.out {
				id := r.ID()
				var after, kept []string
				for _, n := range r.needs {
					after = append(after, n.kind.Noun)
				}
				if len(after) > 0 {
					id += " needs " + strings.Join(after, " ")
				}
				if r.Kind == applicationKeyList {
					for _, k := range r.Properties["keyCredentials"].([]any) {
						kept = append(kept, fact.Credential(k).KeyID)
					}
					id += " keeps " + strings.Join(kept, ", ")
				}
				open = append(open, id)
			}
			for _, w := range p.waits {
				said = append(said, w.Reason.String())
			}
			if diff := cmp.Diff(tt.open, open); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := strings.Join(said, "; "); (got == "") != (tt.waits == "") || !strings.Contains(got, tt.waits) {
				t.Errorf("waits: %s", got)
			}
		})
	}

	// A certificate in the store of another server than the session's cannot be staged.
	a := life(nil, fact.Stores{"EX1": {current}, "EX2": {current, next}}, key(current))
	p := &Planner{Answers: set.Answers, Forest: set.Forests[0], set: set, topic: authRotation}
	if a.session = "EX1"; p.unused(a) != nil {
		t.Error("a certificate of EX2 would be staged at EX1")
	}
}
