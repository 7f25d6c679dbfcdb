package link

import (
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"strings"
)

// Alerts of TLS that name the cause (RFC 8446 section 6).
const (
	AlertHandshakeFailure     = 40
	AlertBadCertificate       = 42
	AlertUnknownCA            = 48
	AlertAccessDenied         = 49
	AlertProtocolVersion      = 70
	AlertInsufficientSecurity = 71
	AlertInternalError        = 80
	AlertUnrecognizedName     = 112
	AlertCertificateRequired  = 116
)

// RemoteAlert is the alert that the other side sent. crypto/tls exports no type for it: it is a
// number of type uint8 in a net.OpError.
func RemoteAlert(err error) (alert uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(v.Uint()), true //nolint:gosec // the kind is uint8
}

// AlertName is an alert in words: "handshake failure".
func AlertName(alert uint8) string { return strings.TrimPrefix(tls.AlertError(alert).Error(), "tls: ") }

// meanings explain alerts of the other side to a person.
var meanings = map[uint8]string{
	AlertCertificateRequired:  "the server requires a client certificate, which this program does not send",
	AlertBadCertificate:       "the server requires a client certificate, which this program does not send",
	AlertUnknownCA:            "the server does not accept this client's certificate",
	AlertHandshakeFailure:     "the server accepts none of the ciphers offered, or requires a client certificate",
	AlertProtocolVersion:      "the server offers no TLS 1.2 or better",
	AlertInsufficientSecurity: "the server demands stronger ciphers than this program offers",
	AlertUnrecognizedName:     "the server has no certificate for this host name (SNI)",
	AlertAccessDenied:         "the server refuses this client",
	AlertInternalError:        "the server's TLS failed, by its own word",
}

// alertSentence is the sentence for an alert of the other side; empty when err is none.
func alertSentence(err error) string {
	alert, ok := RemoteAlert(err)
	if !ok {
		return ""
	}
	if meaning := meanings[alert]; meaning != "" {
		return meaning + " (TLS alert: " + AlertName(alert) + ")"
	}
	return "the server ended TLS with the alert: " + AlertName(alert)
}
