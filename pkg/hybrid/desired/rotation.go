package desired

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Rotation is the change of a certificate that the command rotate plans.
type Rotation struct {
	Forest    string // of the answers; empty: every forest
	Transport *TransportCertificate
	Auth      AuthStage
}

// TransportCertificate is the new transport certificate of a forest.
type TransportCertificate struct {
	certificate.Bundle
	File     string     // its absolute path
	Password secret.Ref // of the file; empty: it has none
	Services []string   // of Exchange that it is enabled for
}

// AuthStage is a step in the life of an auth certificate.
type AuthStage string

// The stages of an auth certificate.
const (
	StageAuth   AuthStage = "stage"
	PublishAuth AuthStage = "publish"
	CleanAuth   AuthStage = "clean"
)

// Rotate derives what a rotation changes: the resources of its topic, with the properties that hold
// the certificate and no other.
func Rotate(ctx context.Context, set *fact.Set, r Rotation) (Derived, error) {
	p := &Planner{Answers: set.Answers, set: set, rotation: r}
	if err := p.consistent(ctx); err != nil {
		return Derived{}, err
	}
	topic := transportRotation
	if r.Transport == nil {
		topic = authRotation
	}
	for _, forest := range set.Forests {
		if r.Forest != "" && forest.Name() != r.Forest {
			continue
		}
		if err := p.derive(ctx, topic, forest); err != nil {
			return Derived{}, err
		}
	}
	return p.derived()
}

// storedCertificate is an image of a certificate in a store of Exchange. Over remote PowerShell,
// Exchange shows the certificate itself and nothing else: no services, no friendly name.
func storedCertificate(server string, o exchange.Object) (change.Live, bool) {
	der, err := o.Bytes("RawData")
	if err != nil {
		return change.Live{}, false
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return change.Live{}, false // Go cannot read every certificate of a store; it can read these
	}
	thumbprint := certificate.ThumbprintOf(der)
	return change.Live{Identity: server + `\\` + thumbprint, Name: thumbprint + " at " + server,
		Properties: change.Properties{"Server": server, "Thumbprint": thumbprint,
			"RawData": base64.StdEncoding.EncodeToString(der), "Subject": certificate.Subject(c),
			"NotAfter": c.NotAfter.UTC().Format(time.RFC3339)}}, true
}

// stores reads the certificates of every Mailbox server, in the sequence of the servers.
func stores(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
	servers, err := fact.Get(ctx, session, exchange.Command{Name: "Get-ExchangeServer"})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range servers {
		role, _ := s.String("ServerRole")
		name, err := s.String("Name")
		if err == nil && strings.Contains(role, "Mailbox") && !strings.Contains(role, "Edge") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []change.Live
	for _, name := range names {
		objects, err := fact.Get(ctx, session, exchange.Command{Name: "Get-ExchangeCertificate",
			Parameters: map[string]any{"Server": name}})
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", name, err)
		}
		for _, o := range objects {
			if l, ok := storedCertificate(name, o); ok {
				out = append(out, l)
			}
		}
	}
	return out, nil
}

// declared are the images with the properties that a kind declares.
func declared(live []change.Live, properties ...string) []change.Live {
	out := make([]change.Live, 0, len(live))
	for _, l := range live {
		l.Properties = maps.Clone(l.Properties)
		maps.DeleteFunc(l.Properties, func(name string, _ any) bool { return !slices.Contains(properties, name) })
		out = append(out, l)
	}
	return out
}

// ofStore are the parameters that name a certificate at a server.
func ofStore(l change.Live) map[string]any {
	return map[string]any{"Server": l.Properties["Server"], "Thumbprint": l.Properties["Thumbprint"]}
}

// findInStore looks for a certificate at the server of a change.
func findInStore(c change.Change) change.Command {
	find := change.Command{Name: "Get-ExchangeCertificate", Parameters: map[string]any{}}
	server := cmp.Or(str(c.After["Server"]), str(c.Before["Server"]))
	if server == "" {
		server, _, _ = strings.Cut(c.Identity, `\`)
	}
	if server != "" {
		find.Parameters["Server"] = server
	}
	return find
}

var serverCertificate = Exchange.Declare(Kind{
	Noun:  "ServerCertificate",
	Title: "Transport certificate in the store of a server",
	Why: "Exchange looks for the certificate of a connector by issuer and subject, in the store of the server, and " +
		"takes the one that ends last. An imported certificate with the issuer and the subject of the present one is " +
		"used at once.",
	Places: []string{OnPremises},
	// Find asks the server of the change. What Exchange shows of a certificate does not name it.
	Recognizes: "{Thumbprint?}",
	Properties: map[string]Property{
		"Server":     {Type: text, Write: change.Key},
		"Thumbprint": {Type: text, Write: change.Key},
		"FileData":   {Type: text, Write: change.CreateOnly},
		"Password":   {Type: text, Write: change.CreateOnly},
		"Services":   {Type: text, Write: change.CreateOnly},
	},
	Risk: "with the issuer and the subject of the present certificate, it is the one that other mail servers see from " +
		"then on",
}, change.Ops[exchange.Reader]{
	Read: func(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
		live, err := stores(ctx, session)
		return declared(live, "Server", "Thumbprint"), err
	},
	Create: func(_ string, want change.Properties) (change.Command, error) {
		c := change.Command{Name: "Import-ExchangeCertificate",
			Parameters: map[string]any{"Server": want["Server"], "FileData": want["FileData"]}}
		if want["Password"] != nil {
			c.Parameters["Password"] = want["Password"]
		}
		if services := str(want["Services"]); services != "" {
			// Connectors that name no certificate use those that are enabled for SMTP. Without Force, the
			// question of Exchange whether to replace the server's own certificate is a refusal.
			c.Then = []change.Command{{Name: "Enable-ExchangeCertificate", Parameters: map[string]any{
				"Server": want["Server"], "Thumbprint": want["Thumbprint"], "Services": services, "Confirm": false}}}
		}
		if want["FileData"] == nil { // of a before-image: the key is not there
			return c, fmt.Errorf("the file of the certificate is not known: %w", change.ErrNoOperation)
		}
		return c, nil
	},
	Delete: func(live change.Live) (change.Command, error) {
		parameters := ofStore(live)
		parameters["Confirm"] = false
		return change.Command{Name: "Remove-ExchangeCertificate", Parameters: parameters}, nil
	},
	Find:   findInStore,
	Reads:  []string{"Get-ExchangeCertificate", "Get-ExchangeServer"},
	Writes: []string{"Enable-ExchangeCertificate", "Import-ExchangeCertificate", "Remove-ExchangeCertificate"},
})

// authTitle is the friendly name that Microsoft gives to auth certificates.
const authTitle = "Microsoft Exchange Server Auth Certificate"

var newAuthCertificate = Exchange.Declare(Kind{
	Noun:  "AuthCertificate",
	Title: "New auth certificate",
	Why: "With the key of its auth certificate, an Exchange organization signs in to the tenant. The key is made on a " +
		"server, and Exchange distributes it to the others.",
	Places: []string{OnPremises},
	Match: func(want change.Properties, live change.Live) bool {
		return str(live.Properties["NotAfter"]) > str(want["EndsAfter"])
	},
	Recognizes: "$_.Subject -eq 'CN=" + authTitle + "' -and $_.NotAfter -gt [datetime] {EndsAfter}",
	Properties: map[string]Property{
		"EndsAfter":  {Type: text, Write: change.Key, Derived: true},
		"Server":     {Type: text, Write: change.CreateOnly},
		"NotAfter":   {Type: text, Write: change.CreateOnly, Derived: true},
		"Thumbprint": {Type: text, Write: change.CreateOnly, Derived: true},
		"RawData":    {Type: text, Write: change.CreateOnly, Derived: true},
	},
	Risk: "nothing uses it before it is published",
}, change.Ops[exchange.Reader]{
	Read: func(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
		live, err := stores(ctx, session)
		var out []change.Live
		for _, l := range live {
			copied := slices.ContainsFunc(out,
				func(o change.Live) bool { return o.Properties["Thumbprint"] == l.Properties["Thumbprint"] })
			if !copied && l.Properties["Subject"] == "CN="+authTitle {
				out = append(out, l)
			}
		}
		return declared(out, "Server", "NotAfter", "Thumbprint", "RawData"), err
	},
	Create: func(_ string, want change.Properties) (change.Command, error) {
		return change.Command{Name: "New-ExchangeCertificate", Parameters: map[string]any{
			"Server": want["Server"], "FriendlyName": authTitle, "SubjectName": "CN=" + authTitle,
			"KeySize": int64(2048), "PrivateKeyExportable": true, "Services": "None", "Confirm": false}}, nil
	},
	Delete: func(live change.Live) (change.Command, error) {
		parameters := ofStore(live)
		parameters["Confirm"] = false
		return change.Command{Name: "Remove-ExchangeCertificate", Parameters: parameters}, nil
	},
	Find:   findInStore,
	Reads:  []string{"Get-ExchangeCertificate", "Get-ExchangeServer"},
	Writes: []string{"New-ExchangeCertificate", "Remove-ExchangeCertificate"},
})

// effectiveDate is the day on which Exchange publishes a certificate. Servers show it in a time
// zone of their own, and not always to the second.
var effectiveDate = Type{
	Name: "DateTime, within two days", Read: readText, Script: "SomeText",
	Compare: func(want, live any) bool {
		a, wanted := time.Parse(time.RFC3339, str(want))
		b, shown := time.Parse(time.RFC3339, str(live))
		if wanted != nil || shown != nil {
			return foldEqual(want, live)
		}
		return a.Sub(b).Abs() < 48*time.Hour
	},
}

var authConfig = Exchange.Declare(Kind{
	Noun:  "AuthConfig",
	Title: "Auth certificates of the organization",
	Why: "Names the certificate with which Exchange signs now, the one that comes next, and the one before, which " +
		"servers still accept.",
	Places:     []string{OnPremises},
	Match:      func(change.Properties, change.Live) bool { return true }, // there is one
	Recognizes: "$true",
	Properties: map[string]Property{
		"CurrentCertificateThumbprint":  {Type: text},
		"NextCertificateThumbprint":     {Type: text},
		"NextCertificateEffectiveDate":  {Type: effectiveDate},
		"PreviousCertificateThumbprint": {Type: text},
	},
	Risk: "lookups in the tenant fail while the tenant does not know the key of the current certificate",
}, change.Ops[exchange.Reader]{
	Read: func(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
		found, err := fact.Get(ctx, session, exchange.Command{Name: "Get-AuthConfig"})
		var out []change.Live
		for _, o := range found {
			const name = "Auth Configuration"
			l := change.Live{Identity: name, Name: name, Properties: change.Properties{}}
			for _, which := range []string{"Current", "Next", "Previous"} {
				value, err := exchange.Optional(o.String(which + "CertificateThumbprint"))
				if err != nil {
					return nil, err
				}
				l.Properties[which+"CertificateThumbprint"] = readText(certificate.NormalThumbprint(value))
			}
			if at, err := o.Time("NextCertificateEffectiveDate"); err == nil && !at.IsZero() {
				l.Properties["NextCertificateEffectiveDate"] = at.UTC().Format(time.RFC3339)
			}
			out = append(out, l)
		}
		return out, err
	},
	Update: func(want change.Properties, live change.Live) (change.Command, error) {
		c := change.Command{Name: "Set-AuthConfig", Parameters: map[string]any{"Confirm": false}}
		// Confirm does not answer what Exchange asks of a certificate that is to be used within two days, or
		// at once: Force does.
		next, staged := want["NextCertificateThumbprint"]
		current, published := want["CurrentCertificateThumbprint"]
		switch {
		case staged && nothing(next):
			return c, fmt.Errorf("no documented cmdlet of Exchange takes a staged auth certificate back: stage "+
				"another one, or let it become current: %w", change.ErrNoOperation)
		case staged:
			c.Parameters["NewCertificateThumbprint"], c.Parameters["Force"] = next, true
			c.Parameters["NewCertificateEffectiveDate"] = cmp.Or(str(want["NextCertificateEffectiveDate"]),
				str(live.Properties["NextCertificateEffectiveDate"]))
		case published && foldEqual(current, live.Properties["NextCertificateThumbprint"]):
			c.Parameters["PublishCertificate"] = true
		case published:
			c.Parameters["CertificateThumbprint"], c.Parameters["Force"] = current, true
		default:
			if !nothing(want["PreviousCertificateThumbprint"]) {
				return c, fmt.Errorf("the previous auth certificate is set by Exchange itself: %w", change.ErrOneWay)
			}
			c.Parameters["ClearPreviousCertificate"] = true
		}
		return c, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "Get-AuthConfig"} },
	Reads:  []string{"Get-AuthConfig"},
	Writes: []string{"Set-AuthConfig"},
})

var applicationKeyList = MicrosoftGraph.Declare(Kind{
	Noun:     "ApplicationKeys",
	Patience: entraPatience,
	Title:    "Keys of the hybrid application, without earlier ones",
	Why: "The holder of an earlier auth certificate's key can act as the application. After a rotation nothing uses " +
		"it any more.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"id":             {Type: guid, Write: change.Key},
		"keyCredentials": {Type: wholeKeys},
	},
	Risk: "a server that still signs with an earlier certificate gets no tokens any more",
	Consents: map[change.Action]change.Consent{change.Update: {ID: "earlier-auth-keys",
		Title: "remove the keys of earlier auth certificates from the hybrid application"}},
}, Collection{Path: "/applications", Aspect: true, Methods: Patch, Read: Directory.applicationKeys})

// wholeKeys is a list of key credentials that holds no others.
var wholeKeys = Type{
	Name: "list of key credentials, whole", Read: keyList, List: true, Script: "KeySet",
	Compare: func(want, live any) bool { return containsKeys(want, live) && containsKeys(live, want) },
}

// errNoMailFlow leaves out a rotation that has nothing to start from.
var errNoMailFlow = errors.New("no connector names a certificate: set mail flow up first " +
	"(hybridge plan, hybridge apply)")

// sayObsolete says how certificates are removed that nothing uses any more.
func (p *Planner) sayObsolete(old map[string][]string) {
	var commands []string
	for _, thumbprint := range sortedKeys(old) {
		for _, server := range old[thumbprint] {
			commands = append(commands, "Remove-ExchangeCertificate -Server "+exchange.Quote(server)+" -Thumbprint "+
				exchange.Quote(thumbprint))
		}
	}
	if len(commands) > 0 {
		p.Note(msg.Of("the earlier certificate stays in the stores; a rotation back needs it; when hybridge test shows "+
			"lookups and mail OK, a person may remove it"), commands...)
	}
}
