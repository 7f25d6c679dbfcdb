package directory

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// Files of Kerberos that are damaged are an error: they are read in a goroutine, in which a panic
// would end the program.
func TestDamagedKerberosFiles(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same each time
	keys := keytab.New()
	if err := keys.AddEntry("admin", "CONTOSO.EXAMPLE", "secret", time.Now(), 1, 18); err != nil {
		t.Fatal(err)
	}
	kt, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.ReadFile("testdata/ccache")
	if err != nil {
		t.Fatal(err)
	}
	conf := []byte("[libdefaults]\n default_realm = CONTOSO.EXAMPLE\n permitted_enctypes = aes256-cts\n" +
		"[realms]\n CONTOSO.EXAMPLE = {\n  kdc = 127.0.0.1:1\n  auth_to_local = DEFAULT\n }\n[domain_realm]\n .a = B\n")
	dir := t.TempDir()
	paths := map[string]string{}
	put := func(name string, data []byte) {
		t.Helper()
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken := map[string]int{}
	for n := range 900 {
		put("keytab", kt)
		put("cache", cache)
		put("conf", conf)
		damaged := []string{"keytab", "cache", "conf"}[n%3]
		data := map[string][]byte{"keytab": kt, "cache": cache, "conf": conf}[damaged]
		if n >= 3 {
			data = append([]byte{}, data...)
			for range 1 + random.IntN(3) {
				at := random.IntN(len(data))
				switch random.IntN(3) {
				case 0:
					data = data[:at+1]
				default:
					data[at] = byte(random.IntN(256)) //nolint:gosec // a byte
				}
			}
		}
		put(damaged, data)
		bind := answers.Credential{Kind: answers.CredentialKerberos, Krb5Config: paths["conf"],
			TicketCache: paths["cache"]}
		if damaged != "cache" {
			bind = answers.Credential{Kind: answers.CredentialKeytab, User: "admin@CONTOSO.EXAMPLE",
				Krb5Config: paths["conf"], Keytab: paths["keytab"]}
		}
		sc, err := newSecurityContext(&Config{Directory: answers.Directory{Domain: "contoso.example", Bind: bind}})
		if err == nil {
			taken[damaged]++
			_ = sc.DeleteSecContext()
		} else if n < 3 {
			t.Fatalf("%s as it should be: %v", damaged, err)
		}
	}
	t.Logf("taken, of 300 each: %v", taken)
}
