package entra

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// deviceCode is a sign-in that waits for a person.
type deviceCode struct {
	user, clientID, scope string
	expires               time.Time
	polls                 int
	confirmed, declined   bool
}

// publicClients are applications of Microsoft that exist in every tenant and may ask for device
// codes.
var publicClients = []string{
	"1950a258-227b-4e31-a9cf-717495945fc2", // Azure PowerShell
	"14d82eec-204b-4c2f-b7e8-296a70dab67e", // Microsoft Graph Command Line Tools
	"fb78d390-0c51-40cd-8e17-fdbfab77341b", // Exchange Online PowerShell
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46", // Azure CLI
}

// ConfirmDeviceCode approves a sign-in, as the person who types the user code does. It returns
// false when no sign-in waits for it.
func (t *Tenant) ConfirmDeviceCode(userCode string) bool { return t.decide(userCode, true) }

// DeclineDeviceCode refuses a sign-in, as the person can.
func (t *Tenant) DeclineDeviceCode(userCode string) bool { return t.decide(userCode, false) }

func (t *Tenant) decide(userCode string, confirm bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.waiting(userCode)
	if d != nil {
		d.confirmed, d.declined = confirm, !confirm
	}
	return d != nil
}

func (t *Tenant) waiting(userCode string) *deviceCode {
	for _, d := range t.devices {
		if strings.EqualFold(d.user, strings.TrimSpace(userCode)) && !d.confirmed && !d.declined &&
			t.config.Clock().Before(d.expires) {
			return d
		}
	}
	return nil
}

// newUserCode makes a user code in Entra's form: nine letters and digits, without those that are
// easily confused.
func newUserCode() string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	var b [9]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b[:])
}

func (t *Tenant) deviceCode(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	client, scope := r.PostForm.Get("client_id"), r.PostForm.Get("scope")
	for name, value := range map[string]string{"client_id": client, "scope": scope} {
		if err != nil || value == "" {
			t.refuse(w, refuse(400, "invalid_request", 900144,
				"The request body must contain the following parameter: '%s'.", name))
			return
		}
	}
	code, user := newAssignmentID(), newUserCode()
	resource, named := resourceOf(scope)
	t.mu.Lock()
	var refused *refusal
	if target, _ := t.resource(resource); named && target == nil {
		refused = refuse(400, "invalid_resource", 500011,
			"The resource principal named %s was not found in the tenant named %s.", resource, t.config.DisplayName)
	}
	if !slices.Contains(publicClients, strings.ToLower(client)) && t.state.Application(client) == nil {
		refused = refuse(400, "unauthorized_client", 700016,
			"Application with identifier '%s' was not found in the directory '%s'.", client, t.config.DisplayName)
	}
	if refused == nil && len(t.devices) < 1000 {
		t.devices[code] = &deviceCode{user: user, clientID: client, scope: scope,
			expires: t.config.Clock().Add(15 * time.Minute)}
	}
	t.mu.Unlock()
	if refused != nil {
		t.refuse(w, refused)
		return
	}
	page := t.config.DevicePage
	if page == "" {
		page = "https://" + t.config.LoginHost + "/device"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"user_code": user, "device_code": code, "verification_uri": page, "expires_in": 900, "interval": 1,
		"message": "To sign in, use a web browser to open the page " + page + " and enter the code " + user +
			" to authenticate.",
	})
}

func (t *Tenant) redeemDeviceCode(w http.ResponseWriter, form url.Values) {
	code := form.Get("device_code")
	t.mu.Lock()
	d := t.devices[code]
	var refused *refusal
	switch {
	case d == nil || d.clientID != form.Get("client_id"):
		refused = refuse(400, "invalid_grant", 70000,
			"The provided value for the 'device_code' parameter is not valid.")
	case t.config.Clock().After(d.expires):
		delete(t.devices, code)
		refused = refuse(400, "expired_token", 70020,
			"The provided value for the input parameter 'device_code' is not valid. This device code has expired.")
	case d.declined:
		delete(t.devices, code)
		refused = refuse(400, "authorization_declined", 65004, "User declined to consent to access the app.")
	default:
		d.polls++
		if !d.confirmed && (!t.config.ConfirmDeviceCodes || d.polls < 2) {
			refused = refuse(400, "authorization_pending", 70016,
				"OAuth 2.0 device flow error. Authorization is pending. Continue polling.")
			break
		}
		delete(t.devices, code)
	}
	t.mu.Unlock()
	if refused != nil {
		t.refuse(w, refused)
		return
	}
	t.answerUser(w, d.clientID, d.scope)
}

// refreshToken is issued by a sign-in with offline_access.
type refreshToken struct {
	clientID, scope string
	expires         time.Time
}

func (t *Tenant) refresh(w http.ResponseWriter, form url.Values) {
	text := form.Get("refresh_token")
	t.mu.Lock()
	kept, ok := t.refreshes[text]
	ended := ok && t.config.Clock().After(kept.expires)
	t.mu.Unlock()
	switch {
	case !ok || kept.clientID != form.Get("client_id"):
		t.refuse(w, refuse(400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."))
	case ended:
		t.refuse(w, refuse(400, "invalid_grant", 700082, "The refresh token has expired due to inactivity."))
	default:
		scope := kept.scope
		if asked := form.Get("scope"); asked != "" {
			scope = asked
		}
		t.answerUser(w, kept.clientID, scope)
	}
}

// answerUser answers with tokens of the administrator, signed in through a public client.
func (t *Tenant) answerUser(w http.ResponseWriter, clientID, scope string) {
	resource, ok := resourceOf(scope)
	if !ok {
		t.refuse(w, refuse(400, "invalid_scope", 70011,
			"The provided value for the input parameter 'scope' is not valid."))
		return
	}
	more := map[string]any{}
	t.mu.Lock()
	claims, refused := t.userClaims(clientID, resource)
	if refused == nil && slices.Contains(strings.Fields(scope), "offline_access") {
		text := newAssignmentID() + newAssignmentID()
		t.refreshes[text] = refreshToken{clientID, scope, t.config.Clock().AddDate(0, 0, 90)}
		more["refresh_token"] = text
	}
	t.mu.Unlock()
	if refused != nil {
		t.refuse(w, refused)
		return
	}
	identity := oauth.Claims{
		"aud": clientID, "iss": t.authority() + "/v2.0", "iat": claims["iat"], "nbf": claims["nbf"],
		"exp": claims["exp"],
		"oid": claims["oid"], "sub": claims["sub"], "tid": t.config.TenantID, "preferred_username": t.config.Admin,
		"ver": "2.0",
	}
	idToken, err := t.signer().Sign(identity)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// marshalling strings cannot fail
	info, _ := json.Marshal(map[string]any{"uid": claims["oid"], "utid": t.config.TenantID})
	more["id_token"], more["client_info"] = idToken, base64.RawURLEncoding.EncodeToString(info)
	more["scope"] = claims.String("scp") + " " + resource + "/.default"
	t.answerToken(w, claims, more)
}

// DevicePage is the page where a person enters a user code and approves or declines.
func (t *Tenant) DevicePage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		code, decision := strings.ToUpper(strings.TrimSpace(r.FormValue("code"))), r.PostFormValue("decision")
		t.mu.Lock()
		d := t.waiting(code)
		t.mu.Unlock()
		form := `<form method="post"><label>Code <input name="code" autocomplete="off" autofocus></label> <button>Next</button></form>`
		message := "Enter the code that the application shows."
		switch {
		case code == "":
		case d == nil:
			message = "That code did not work. Check the code and try again."
		case decision == "approve" && t.ConfirmDeviceCode(code):
			form, message = "", "You have signed in. You can close this window."
		case decision == "decline" && t.DeclineDeviceCode(code):
			form, message = "", "You declined. You can close this window."
		default:
			message = fmt.Sprintf("Are you trying to sign in to application %s as %s?", d.clientID, t.config.Admin)
			form = `<form method="post"><input type="hidden" name="code" value="` + html.EscapeString(code) + `">` +
				`<button name="decision" value="approve">Continue</button> <button name="decision" value="decline">Cancel</button></form>`
		}
		fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in (hybridge lab)</title>
<body style="font-family: sans-serif; max-width: 32em; margin: 4em auto"><h1>Sign in to %s</h1><p>This is the hybridge lab, not Microsoft.</p><p>%s</p>%s</body></html>
`, html.EscapeString(t.config.DisplayName), html.EscapeString(message), form)
	})
}
