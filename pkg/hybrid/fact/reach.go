package fact

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// What hosts answer without credentials to requests as Exchange Online sends them, by host.
var (
	// AutodiscoverServices are asked over SOAP, as the tenant does.
	AutodiscoverServices = knock(http.MethodPost, "/autodiscover/autodiscover.svc", map[string]string{
		"Content-Type": "text/xml; charset=utf-8",
		"User-Agent":   "ASAutoDiscover/CrossForest/EmailDomain//15.20.9000.010"})

	// EWSPosts are asked with a request body: devices in front of Exchange may take GET alone.
	EWSPosts = knock(http.MethodPost, "/EWS/Exchange.asmx", map[string]string{
		"Content-Type": "text/xml; charset=utf-8", "User-Agent": "ASProxy/CrossForest/EmailDomain//15.20.9000.010"})

	// LongTokens are asked with an Authorization header as long as that of Exchange Online.
	LongTokens = knock(http.MethodGet, "/EWS/Exchange.asmx", map[string]string{"Authorization": longToken})

	// MoveProxies are asked for the replication proxy.
	MoveProxies = knock(http.MethodGet, "/EWS/mrsproxy.svc", nil)
)

// longToken looks like a token and signs nobody in. A token of Exchange Online holds a second one,
// and has 3 to 5 KB.
var longToken = "Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + strings.Repeat("aHlicmlkZ2Vf", 400) + "." +
	strings.Repeat("c2lnbmF0dXJl", 28)

// nothing is a SOAP request that asks for nothing.
const nothing = `<?xml version="1.0" encoding="utf-8"?>` +
	`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>`

// knock declares a query that sends one request to hosts.
func knock(method, path string, header map[string]string) *Keyed[ews.Front] {
	asks := method + " https://{key}" + path
	if strings.HasPrefix(header["Authorization"], "Bearer ") {
		asks += ", with a long token"
	}
	return FromNetwork(HTTP, asks, func(ctx context.Context, s *Side, host string) (ews.Front, error) {
		return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (ews.Front, error) {
			client := l.Client(nil) // presents no credential and follows no redirect
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
			defer cancel()
			var body io.Reader
			if method == http.MethodPost {
				body = strings.NewReader(nothing)
			}
			r, err := http.NewRequestWithContext(ctx, method, "https://"+host+path, body)
			if err != nil {
				return ews.Front{}, err
			}
			for name, value := range header {
				r.Header.Set(name, value)
			}
			front, err := ews.Ask(client, r)
			if err != nil && !strings.Contains(err.Error(), host) {
				err = fmt.Errorf("%s %s: %w", method, r.URL, err)
			}
			return front, err
		})
	})
}
