package answers

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// WorkMail is an Amazon WorkMail organization that shares domains with Exchange (interoperability).
type WorkMail struct {
	Region       string `yaml:"region" json:"region"`
	Organization string `yaml:"organization" json:"organization"`
	// The id of the AD Connector that reads the forest. With it, a plan creates the organization where
	// the account has none with the alias. Default: none is created.
	Directory string `yaml:"directory,omitempty" json:"directory,omitempty" example:"d-906781cc3a"`
	// A profile of the AWS configuration files, one of IAM Identity Center (SSO) too. Default: what
	// the AWS environment gives.
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty" example:"workmail-admin"`
	// An access key: kind secret, the key's id as clientId, the key as secret. Default: what the
	// AWS environment gives.
	Credential Credential `yaml:"credential,omitempty" json:"credential,omitzero"`
	// The service account in WorkMail as which Exchange asks for free/busy. Any user who is enabled
	// for WorkMail will do.
	Account *WorkMailAccount `yaml:"account,omitempty" json:"account,omitempty"`
	// The addresses of the users that are registered to WorkMail. Others that are registered stay.
	Users []string `yaml:"users,omitempty" json:"users,omitempty" example:"[bob@contoso.com]"`
	// The addresses of the groups that are registered to WorkMail. Others that are registered stay.
	Groups []string `yaml:"groups,omitempty" json:"groups,omitempty" example:"[sales@contoso.com]"`
	// The addresses of users whose mail Exchange passes on to WorkMail: their mailboxes in Exchange
	// are disconnected. Each is registered to WorkMail too.
	Routed []string `yaml:"routed,omitempty" json:"routed,omitempty" example:"[bob@contoso.com]"`
	// leaving: plans lead the organization out of WorkMail, stage by stage. Default:
	// interoperability is set up and kept.
	State string `yaml:"state,omitempty" json:"state,omitempty" example:"leaving"`
	// Where the mailboxes go when the organization leaves.
	To string `yaml:"to,omitempty" json:"to,omitempty" example:"exchange"`
	// What users may lose when the organization leaves: folders that hold such items are not
	// counted. Default: nothing.
	LeaveBehind []string `yaml:"leaveBehind,omitempty" json:"leaveBehind,omitempty" example:"[tasks]"`
	// Where WorkMail exports every mailbox to before its user is deregistered.
	Export *Export `yaml:"export,omitempty" json:"export,omitempty"`
}

// DirectoryForm is the form of ids of the AWS Directory Service.
const DirectoryForm = `^d-[0-9a-f]{10}$`

// WorkMailAccount is a user of WorkMail.
type WorkMailAccount struct {
	User     string     `yaml:"user" json:"user"`
	Password secret.Ref `yaml:"password" json:"password"`
}

// Provider says how WorkMail asks a forest for free/busy: its EWS with an account, or a Lambda
// function.
type Provider struct {
	User     string     `yaml:"user,omitempty" json:"user,omitempty"`
	Password secret.Ref `yaml:"password,omitempty" json:"password,omitempty"`
	// The ARN of a Lambda function that answers in place of EWS (a custom availability provider).
	Lambda string `yaml:"lambda,omitempty" json:"lambda,omitempty" example:"arn:aws:lambda:us-east-1:123456789012:function:workmail-cap"`
}

var (
	organizationID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^m-[0-9a-f]{32}$`) })
	aliasForm      = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[0-9A-Za-z]+(-[0-9A-Za-z]+)*$`)
	})
	directoryForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(DirectoryForm) })
	lambdaForm    = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:aws:lambda:[a-z]{2}-[a-z]+-\d:\d{12}:function:[A-Za-z0-9_-]+(:(\$LATEST|[A-Za-z0-9_-]+))?$`)
	})
	workMailAddress = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-zA-Z0-9._%+-]{1,64}@[a-zA-Z0-9.-]+\.[a-zA-Z-]{2,}$`)
	})
)

// organizationName is an organization of WorkMail: its alias or its id.
func organizationName(s string) (string, error) {
	lower := strings.ToLower(s)
	switch {
	case organizationID().MatchString(lower):
		return lower, nil
	case strings.HasPrefix(lower, "m-") && len(lower) == 34:
		return "", errors.New("is not an id of an organization; it is m- and 32 hexadecimal digits")
	case strings.HasSuffix(lower, ".awsapps.com"):
		return "", errors.New("is a domain; write the alias alone: " + strings.TrimSuffix(lower, ".awsapps.com"))
	case strings.HasPrefix(lower, "d-"), len(s) > 62, !aliasForm().MatchString(s):
		return "", errors.New("is neither the alias of an organization nor its id (m-...)")
	}
	return lower, nil
}

// latin is a user name that the API of WorkMail takes.
func latin(s string) (string, error) {
	if err := plain(s); err != nil {
		return "", err
	}
	if len([]rune(s)) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r > 0xff }) {
		return "", errors.New("holds a character beyond Latin-1, or more than 256; WorkMail takes neither")
	}
	return s, nil
}

// lambda is the ARN of a function.
func lambda(s string) (string, error) {
	if !lambdaForm().MatchString(s) {
		return "", errors.New("is not the ARN of a Lambda function; " +
			"write arn:aws:lambda:REGION:ACCOUNT:function:NAME")
	}
	return s, nil
}

// registered is an address that WorkMail can hold.
func registered(s string) (string, error) {
	s, err := address(s)
	if err == nil && (!workMailAddress().MatchString(s) || len(s) > 254) {
		err = errors.New("cannot be an address in WorkMail; before the @ it takes letters, digits and . _ % + - only")
	}
	return s, err
}

func (v *validation) workMail(w *WorkMail) {
	at := func(key ...string) []string { return append([]string{"workmail"}, key...) }
	v.single(at("organization"), &w.Organization, organizationName)
	v.single(at("directory"), &w.Directory, matches(directoryForm,
		"is not the id of a directory; write d- and 10 hexadecimal digits (AWS Directory Service, Directories)"))
	switch {
	case w.Directory == "":
	case strings.HasPrefix(w.Organization, "m-"):
		v.faultAt(at("directory"), "the organization is named by its id, so that it exists",
			"name it by its alias, or remove this")
	case w.IsLeaving():
		v.faultAt(at("directory"), "the organization leaves WorkMail", "remove this, or state")
	}
	v.single(at("profile"), &w.Profile, text)
	if w.Credential.Kind != "" {
		v.credential(at("credential"), &w.Credential, workMailKinds)
		if w.Profile != "" {
			v.faultAt(at("profile"), "there is a credential too", "remove one of the two")
		}
	}
	if w.Account != nil {
		v.single(at("account", "user"), &w.Account.User, registered)
	}
	v.leaving(w)
	taken := map[string]string{}
	for _, l := range []struct {
		key       string
		addresses []string
	}{{"users", w.Users}, {"groups", w.Groups}} {
		v.list(at(l.key), l.addresses, registered)
		for i, a := range l.addresses {
			path := at(l.key, strconv.Itoa(i))
			if before, twice := taken[strings.ToLower(a)]; twice && a != "" && !v.reported[join(path)] {
				v.faultAt(path, fmt.Sprintf("%s is in %s already", quote(a), before), "list every address once")
			}
			taken[strings.ToLower(a)] = "workmail." + l.key
		}
	}
	v.list(at("routed"), w.Routed, registered)
	for i, a := range w.Routed {
		path := at("routed", strconv.Itoa(i))
		if a != "" && !v.reported[join(path)] && taken[strings.ToLower(a)] != "workmail.users" {
			v.faultAt(path, quote(a)+" is not in workmail.users", "add it there, or remove it here")
		}
	}
}

// provider checks how WorkMail asks a forest. path is that of the forest.
func (v *validation) provider(path []string, a *Answers, p *Provider) {
	if p == nil {
		return
	}
	at := func(key string) []string { return append(append([]string{}, path...), "workmail", key) }
	if a.WorkMail == nil && !v.reported["workmail"] {
		v.faultAt(append(append([]string{}, path...), "workmail"), "the file names no WorkMail organization",
			"add workmail, or remove this")
	}
	v.single(at("user"), &p.User, latin)
	v.single(at("lambda"), &p.Lambda, lambda)
	switch ews := p.User != "" || p.Password != ""; {
	case v.reported[join(at("user"))] || v.reported[join(at("password"))] || v.reported[join(at("lambda"))]:
	case ews && p.Lambda != "":
		v.faultAt(at("lambda"), "WorkMail asks by EWS (user, password) or by a Lambda function, not by both",
			"remove one of the two")
	case ews && p.User == "":
		v.faultAt(at("user"), "missing: EWS needs it", "add user")
	case ews && p.Password == "":
		v.faultAt(at("password"), "missing: EWS needs it", "add password")
	case !ews && p.Lambda == "":
		v.faultAt(at("user"), "missing, and so is lambda", "add user and password for EWS, or lambda")
	}
}
