package deployment

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The list of Exchange servers is what a server says. A password goes to those of the same owner and
// of the forest, whatever certificate another host has.
func TestListedServerGetsNoPassword(t *testing.T) {
	t.Setenv("HYBRIDGE_TEST_SECRET", "hunter2")
	var got atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password == "hunter2" {
			got.Add(1)
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url, domain, listed string
		trusted             bool
	}{
		"a stranger":          {"https://ex1.contoso.com/PowerShell/", "contoso.com", "evil.example.com", false},
		"the same owner":      {"https://ex1.mail.example.com/PowerShell/", "contoso.local", "ex2.example.com", true},
		"of the forest":       {"https://mail.contoso.com/PowerShell/", "example.com", "ex2.example.com", true},
		"a name that ends so": {"https://mail.contoso.com/PowerShell/", "ample.com", "ex2.example.com", false},
		"nothing of a forest": {"https://mail.contoso.com/PowerShell/", "", "ex2.example.com", false},
		"the top alone":       {"https://mail.contoso.com/PowerShell/", "contoso.com", "example.com", false},
		"a longer name":       {"https://mail.contoso.com/PowerShell/", "contoso.com", "mail.contoso.com.example.com", false},
	} {
		t.Run(name, func(t *testing.T) {
			got.Store(0)
			d, err := Open(answers.Answers{Organization: "contoso",
				Network: answers.Network{ConnectTo: []string{":443=" + server.Listener.Addr().String()}, CAFile: ca,
					Resolvers: []string{"127.0.0.1:1"}},
				Forests: []answers.Forest{{Name: "contoso", Directory: answers.Directory{Domain: tt.domain},
					Exchange: answers.Exchange{URL: tt.url, Credential: answers.Credential{Kind: answers.CredentialBasic,
						User: "admin", Password: "env:HYBRIDGE_TEST_SECRET"}}}}}, Options{Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			listed := exchange.NewSnapshot(map[string][]exchange.Object{"Get-ExchangeServer": {
				exchange.NewObject(nil, "", "Name", "EX2", "Fqdn", tt.listed, "ServerRole", "Mailbox",
					"AdminDisplayVersion", "Version 15.2 (Build 2562.17)")}})
			d.forests[0].exchange = &connection[*guarded]{open: func(context.Context) (*guarded, error) {
				return newGuarded(listed, "ex1"), nil
			}}
			facts, end := d.begin(&events{})
			defer end()
			servers, err := d.otherServers(d.forests[0], facts.Forests[0])(t.Context())
			if err != nil || len(servers) != 1 {
				t.Fatalf("%v, %v", servers, err)
			}
			_, err = servers[0].Read(t.Context(), exchange.Command{Name: "Get-AuthConfig"})
			if sent := got.Load() > 0; sent != tt.trusted {
				t.Errorf("%s got the password: %v (%v)", tt.listed, sent, err)
			}
			if !tt.trusted && (!errors.Is(err, link.ErrUntrusted) || !strings.Contains(err.Error(), tt.listed)) {
				t.Errorf("%v", err)
			}
		})
	}
}
