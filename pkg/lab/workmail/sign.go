package workmail

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxBody limits a request. Those of the API are small.
const maxBody = 1 << 20

// skew is how far a signature's time may be from the clock.
const skew = 5 * time.Minute

// verify reads a request and checks its signature (AWS Signature Version 4). It returns the body
// and the access key's id.
func (s *Service) verify(r *http.Request, service string) (body []byte, key string, refused *apiError) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, "", fail("SerializationException", "the request cannot be read")
	}
	algorithm, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if algorithm != "AWS4-HMAC-SHA256" {
		return nil, "", denied("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	parts := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	signed := strings.Split(parts["SignedHeaders"], ";")
	if len(scope) != 5 || parts["Signature"] == "" || !slices.Contains(signed, "host") {
		return nil, "", denied("IncompleteSignatureException", "Authorization header requires 'Credential', "+
			"'Signature' and 'SignedHeaders' with 'host'.")
	}
	if scope[2] != s.Region || scope[3] != service || scope[4] != "aws4_request" {
		return nil, "", denied("InvalidSignatureException", fmt.Sprintf("Credential should be scoped to a valid "+
			"region and to service %s, not '%s/%s'.", service, scope[2], scope[3]))
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	now := s.Clock()
	if err != nil || !strings.HasPrefix(stamp, scope[1]) || at.Before(now.Add(-skew)) || at.After(now.Add(skew)) {
		return nil, "", denied("InvalidSignatureException", "Signature expired or not yet current: "+stamp)
	}
	account, known := s.Keys[scope[0]]
	if !known {
		return nil, "", denied("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	want := signature(r, body, account.Secret, scope, signed, stamp)
	if !hmac.Equal([]byte(want), []byte(parts["Signature"])) {
		return nil, "", denied("InvalidSignatureException", "The request signature we calculated does not match the "+
			"signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	return body, scope[0], nil
}

// signature computes the signature of a request.
func signature(r *http.Request, body []byte, secret string, scope, signed []string, stamp string) string {
	var canonical bytes.Buffer
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, path(r.URL),
		strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20"))
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", strings.Join(signed, ";"), digest(body))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, strings.Join(scope[1:], "/"),
		digest(canonical.Bytes())}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range scope[1:] {
		key = sum(key, part)
	}
	return hex.EncodeToString(sum(key, text))
}

func path(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

func digest(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
