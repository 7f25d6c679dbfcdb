package answers

import (
	"errors"
	"regexp"
	"sync"
)

// Leaving is the state of an organization that leaves WorkMail, or hybrid; ToExchange and
// ToExchangeOnline say where to.
const (
	Leaving          = "leaving"
	ToExchange       = "exchange"
	ToExchangeOnline = "exchangeOnline"
)

// ItemKinds lists the kinds of items that folders of a mailbox hold.
func ItemKinds() []string {
	return []string{"mail", "calendar", "contacts", "tasks", "notes", "journal"}
}

// Export says where WorkMail exports mailboxes to: a bucket of S3, encrypted.
type Export struct {
	// The bucket, in the region of the organization.
	Bucket string `yaml:"bucket" json:"bucket" example:"contoso-workmail-exports"`
	// The folder in the bucket. Default: workmail.
	Prefix string `yaml:"prefix,omitempty" json:"prefix,omitempty" example:"2026"`
	// The ARN of the role that lets WorkMail write to the bucket.
	Role string `yaml:"role" json:"role" example:"arn:aws:iam::123456789012:role/workmail-export"`
	// The ARN of the symmetric KMS key that encrypts the exports.
	Key string `yaml:"key" json:"key" example:"arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"`
}

// IsLeaving reports whether the organization leaves WorkMail.
func (w *WorkMail) IsLeaving() bool { return w != nil && w.State == Leaving }

var (
	roleForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:aws:iam::\d{12}:role/[\w+=,.@/-]{1,512}$`)
	})
	keyForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:aws:kms:[a-z]{2}-[a-z]+-\d:\d{12}:(key|alias)/[\w/-]{1,256}$`)
	})
	bucketForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	})
)

// matches is a rule for a form.
func matches(form func() *regexp.Regexp, otherwise string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !form().MatchString(s) {
			return "", errors.New(otherwise)
		}
		return s, nil
	}
}

// leaving checks what is said of the way out of WorkMail.
func (v *validation) leaving(w *WorkMail) {
	at := func(key ...string) []string { return append([]string{"workmail"}, key...) }
	switch {
	case w.State == "" && w.To != "":
		v.faultAt(at("to"), "the organization does not leave WorkMail", "add state: leaving, or remove this")
	case w.State == Leaving && w.To == "":
		v.faultAt(at("state"), "it is not said where the mailboxes go", "add to: exchange, or to: exchangeOnline")
	}
	if w.State == "" && (len(w.LeaveBehind) > 0 || w.Export != nil) {
		v.faultAt(at("state"), "leaveBehind and export belong to the way out of WorkMail",
			"add state: leaving, or remove both")
	}
	if w.State == Leaving && len(w.Routed) > 0 {
		v.faultAt(at("routed"), "the organization leaves WorkMail", "remove routed, or state")
	}
	if e := w.Export; e != nil {
		v.single(at("export", "bucket"), &e.Bucket, matches(bucketForm, "is not the name of a bucket of S3"))
		v.single(at("export", "prefix"), &e.Prefix, text)
		v.single(at("export", "role"), &e.Role, matches(roleForm,
			"is not the ARN of a role; write arn:aws:iam::ACCOUNT:role/NAME"))
		v.single(at("export", "key"), &e.Key, matches(keyForm,
			"is not the ARN of a KMS key; write arn:aws:kms:REGION:ACCOUNT:key/ID"))
	}
}
