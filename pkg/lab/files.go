package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// write writes the files that lead to the lab into its directory. lab.json is last: its presence
// means that the lab is running.
func (l *Lab) write() error {
	if err := writeFile(filepath.Join(l.dir, "ca.pem"), l.authority.pem()); err != nil {
		return err
	}
	a := answers.Answers{
		APIVersion: answers.APIVersion, Kind: answers.Kind, Organization: "Contoso",
		Network: answers.Network{Resolvers: []string{l.zone.Address()}, CAFile: "ca.pem",
			ConnectTo: slices.Sorted(slices.Values(l.network.connectTo))},
	}
	if l.tenant != nil {
		pfx, password, err := l.pfx("automation", l.tenant.automation)
		if err != nil {
			return err
		}
		a.ExchangeOnline = &answers.ExchangeOnline{Cloud: "worldwide", Tenant: tenantDomain, RichCoexistence: "auto",
			Credential: answers.Credential{Kind: answers.CredentialCertificate, ClientID: l.tenant.automationID,
				PFX:      pfx,
				Password: password}}
	}
	if l.left {
		a.Hybrid = &answers.Hybrid{State: answers.Leaving}
	}
	if l.workMail != nil {
		a.WorkMail = l.workMail.answers()
	}
	for _, f := range l.forests {
		forest := answers.Forest{
			Name: f.name, Domains: []string{f.domain},
			Directory: answers.Directory{Servers: []string{f.controller},
				Bind: answers.Credential{Kind: answers.CredentialPassword, User: f.account(),
					Password: f.reference("svc-hybridge")}},
			Exchange: answers.Exchange{
				Server: f.server, URL: "https://" + f.server + "/PowerShell/",
				Credential: answers.Credential{Kind: answers.CredentialBasic, User: f.account(),
					Password: f.reference("svc-hybridge")},
				EWS: &answers.Credential{Kind: answers.CredentialNTLM, User: f.local().primary,
					Password: f.reference(f.local().account)},
			},
			Namespace: answers.Namespace{Autodiscover: f.autodiscover, EWS: f.mail, SMTP: f.mail},
		}
		if f.edge != nil {
			forest.Edge = []string{f.edge.host}
		}
		for name, c := range map[string]*issued{"transport": f.transport, "auth": f.authCertificate} {
			pfx, password, err := l.pfx(f.name+"-"+name, c)
			if err != nil {
				return err
			}
			kept := &answers.Certificate{PFX: pfx, Password: password}
			if name == "transport" {
				forest.Certificate = kept
			} else {
				forest.AuthCertificate = kept
			}
		}
		if l.workMail != nil && (f == l.workMail.forest || f.sharing) {
			forest.WorkMail = l.workMail.provider(f)
		}
		forest.Lookups = f.lookups()
		a.Forests = append(a.Forests, forest)
		for _, elsewhere := range []*mailbox{f.moved(), f.amazon()} {
			if elsewhere != nil {
				a.Tests.Pairs = append(a.Tests.Pairs, answers.Pair{From: f.local().primary, To: elsewhere.primary},
					answers.Pair{From: elsewhere.primary, To: f.local().primary})
			}
		}
	}
	a.Tests.Pairs = append(a.Tests.Pairs, l.pairsBetween()...)
	if err := a.Save(l.Answers()); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return l.writeFacts()
}

// reference is the secret reference of an account's password.
func (f *forest) reference(account string) secret.Ref {
	return secret.Ref("file:secrets/" + f.name + "-" + account)
}

// pfx keeps a certificate with its key as PKCS#12.
func (l *Lab) pfx(name string, c *issued) (file string, password secret.Ref, err error) {
	text, err := l.credentials.password(name + ".password")
	if err != nil {
		return "", "", err
	}
	content, err := pkcs12.Modern.Encode(c.key, c.cert, c.chain, text)
	if err != nil {
		return "", "", fmt.Errorf("lab: %s.pfx: %w", name, err)
	}
	return "secrets/" + name + ".pfx", secret.Ref("file:secrets/" + name + ".password"), l.credentials.keep(name+".pfx",
		content)
}

// facts is lab.json.
type facts struct {
	PID       int               `json:"pid"`
	CA        string            `json:"ca"`
	DNS       string            `json:"dns"`
	Endpoints map[string]string `json:"endpoints"` // HOST:PORT -> where it is
	Tenant    string            `json:"tenant,omitempty"`
	TenantID  string            `json:"tenantId,omitempty"`
	Archiver  string            `json:"archiver,omitempty"` // an application that acts as people in EWS of the tenant
	Forests   []forestFacts     `json:"forests"`
}

type forestFacts struct {
	Name     string `json:"name"`
	Domain   string `json:"domain"`
	Account  string `json:"account"` // its password and the user's are in secrets/
	User     string `json:"user"`
	Remote   string `json:"remote,omitempty"`   // a mailbox that was moved to the tenant
	WorkMail string `json:"workmail,omitempty"` // a mailbox that was moved to WorkMail
	People   int    `json:"people"`
	Password string `json:"password"` // reference to the user's password
}

func (l *Lab) writeFacts() error {
	f := facts{PID: os.Getpid(), CA: filepath.Join(l.dir, "ca.pem"), DNS: l.zone.Address(),
		Endpoints: map[string]string{}}
	if l.tenant != nil {
		f.Tenant, f.TenantID, f.Archiver = tenantDomain, l.tenant.id, archiverID
	}
	for _, rule := range l.network.connectTo {
		name, address := cutRule(rule)
		f.Endpoints[name] = address
	}
	for _, site := range l.forests {
		forest := forestFacts{
			Name: site.name, Domain: site.domain, Account: site.account(), User: site.local().primary,
			People: len(site.users), Password: string(site.reference(site.local().account)),
		}
		if moved := site.moved(); moved != nil {
			forest.Remote = moved.primary
		}
		if moved := site.amazon(); moved != nil {
			forest.WorkMail = moved.primary
		}
		f.Forests = append(f.Forests, forest)
	}
	content, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return writeFile(filepath.Join(l.dir, "lab.json"), append(content, '\n'))
}
