package link_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Debug shows each call with its status and ids, trace its bodies; neither shows a secret, wherever
// it stands.
func TestCallsAreLogged(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJ0aWQiOiJjb250b3NvIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug, link.LevelTrace} {
		var out bytes.Buffer
		l, server := logged(t, &out, level, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("request-id", "4711")
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"hush-1","id_token":"`+token+`","displayName":"Contoso",`+
				`"keyCredentials":[{"key":"hush-2","keyId":"1"}]}`)
		})
		client := l.Client(link.Basic{User: "u", Password: secret.NewValue("hush-3")})
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodPost,
			server+"/v1.0/users?$select=mail&$filter=mail+eq+'anna'&code=hush-4",
			strings.NewReader("grant_type=client_credentials&client_secret=hush-5&client_assertion="+token))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), "hush-1") {
			t.Errorf("the caller's body is %s", b)
		}
		resp.Body.Close()
		text := out.String()
		if strings.Contains(text, "hush") || strings.Contains(text, "eyJ") {
			t.Errorf("%s: a secret is in the log:\n%s", level, text)
		}
		for want, at := range map[string]slog.Level{
			"method=POST": slog.LevelDebug, "/v1.0/users?$filter=mail eq 'anna'&$select=mail": slog.LevelDebug,
			"status=200": slog.LevelDebug, "request-id=4711": slog.LevelDebug, "took=": slog.LevelDebug,
			"grant_type=client_credentials": link.LevelTrace, "Contoso": link.LevelTrace,
		} {
			if got := strings.Contains(text, want); got != (level <= at) {
				t.Errorf("%s: %q is in the log: %t\n%s", level, want, got, text)
			}
		}
	}
}

// logged is a link whose calls are logged, and a server.
func logged(t *testing.T, out io.Writer, level slog.Level, answer http.HandlerFunc) (*link.Link, string) {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	l, err := link.New(link.Options{CAs: roots,
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))})
	if err != nil {
		t.Fatal(err)
	}
	return l, server.URL
}

func TestRedact(t *testing.T) {
	for _, test := range []struct{ kind, body, want string }{
		{"application/json", `{"password": "a\"b", "x": 1}`, `{"password": "REDACTED", "x": 1}`},
		{"application/json", `{"secretText":"a","hint":"b"}`, `{"secretText":"REDACTED","hint":"b"}`},
		{"text/xml", `<t:Password Type="x">a</t:Password><m:Name>n</m:Name>`,
			`<t:Password Type="x">REDACTED</t:Password><m:Name>n</m:Name>`},
		{"text/xml", `<SS N="p">AQI=</SS><S N="q">plain</S>`, `<SS N="p">REDACTED</SS><S N="q">plain</S>`},
		{"text/xml", `<wsse:BinarySecurityToken>a</wsse:BinarySecurityToken>`,
			`<wsse:BinarySecurityToken>REDACTED</wsse:BinarySecurityToken>`},
		// A log shows the beginning of a body, which may end within a secret.
		{"application/json", `{"x": 1, "EwsPassword": "hun`, `{"x": 1, "EwsPassword": "REDACTED"`},
		{"application/json", `{"secret":"hun\`, `{"secret":"REDACTED"`},
		{"text/xml", "<m:Name>n</m:Name><t:Password>hun", "<m:Name>n</m:Name><t:Password>REDACTED"},
		{"text/html", "<p>a\x1b[31m\n b</p>", "<p>a [31m b</p>"},
		{"application/octet-stream", "\x00\x01", "(not text)"},
		{"application/x-www-form-urlencoded", "scope=s&code=a", "code=REDACTED&scope=s"},
	} {
		got := link.Redact(test.kind, []byte(test.body))
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.body, got, test.want)
		}
	}
}
