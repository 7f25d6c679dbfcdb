package lab

import (
	"errors"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The application of another vendor acts as people of the tenant, and as no others. Applications
// of on-premises organizations act as nobody.
func TestArchiverActsAsPeopleOfTheTenant(t *testing.T) {
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	here, elsewhere := l.contoso().moved().primary, l.contoso().local().primary
	a := answering{l.tenant.premise, tenantDomain, archiverID}
	day := time.Now().UTC().Truncate(24 * time.Hour)
	for name, test := range map[string]struct{ caller, as, asked, code string }{
		"as a mailbox of the tenant": {archiverID, here, here, ""},
		// hybrid is not set up: the request leaves the tenant and finds no way
		"for a mailbox elsewhere":         {archiverID, here, elsewhere, "ErrorMailRecipientNotFound"},
		"as a mailbox elsewhere":          {archiverID, elsewhere, here, "ErrorNonExistentMailbox"},
		"as nobody":                       {archiverID, "", here, "ErrorAccessDenied"},
		"another application, as someone": {stableGUID("another"), here, elsewhere, "ErrorProxyRequestNotAllowed"},
	} {
		found, err := a.Availability(t.Context(), ews.Query{Caller: link.Caller{Scheme: "Bearer", User: test.caller},
			Impersonated: test.as, Mailboxes: []string{test.asked}, Window: ews.Window{Start: day, End: day.Add(time.Hour)}})
		if err == nil {
			err = found[0].Err
		}
		var fault *ews.Fault
		var inside *ews.ResponseError
		code := ""
		switch {
		case errors.As(err, &fault):
			code = fault.ResponseCode
		case errors.As(err, &inside):
			code = inside.Code
		case err != nil:
			code = err.Error()
		}
		if code != test.code {
			t.Errorf("%s: %q, want %q (%v)", name, code, test.code, err)
		}
	}
}
