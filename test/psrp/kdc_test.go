// Package psrp_test runs remote PowerShell against third-party peers: MIT Kerberos as the domain's
// key distribution center and as the other side of sealed messages.
package psrp_test

import (
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

const (
	realm    = "CONTOSO.LAB"
	password = "Passw0rd! ä"
)

// kdc is a realm with the user admin, the user robot with a keytab, and the service HTTP/localhost.
type kdc struct{ *peer.KDC }

func startKDC(t *testing.T, encryption string) kdc {
	k := kdc{peer.StartKDC(t, realm, encryption)}
	k.Principal("admin", password)
	k.Keytab("robot.keytab", "robot")
	k.Keytab("http.keytab", "HTTP/localhost")
	return k
}
