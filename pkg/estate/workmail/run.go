package workmail

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// The parameters of the operations that change something, in the API's names.
type (
	availabilityInput struct {
		OrganizationID string          `json:"OrganizationId"`
		ClientToken    string          `json:",omitempty"`
		DomainName     string          `json:",omitempty"`
		EwsProvider    *ewsProvider    `json:",omitempty"`
		LambdaProvider *lambdaProvider `json:",omitempty"`
	}
	ewsProvider    struct{ EwsEndpoint, EwsUsername, EwsPassword string }
	lambdaProvider struct{ LambdaArn string }
	domainInput    struct {
		OrganizationID string `json:"OrganizationId"`
		ClientToken    string `json:",omitempty"`
		DomainName     string `json:",omitempty"`
	}
	entityInput struct {
		OrganizationID string `json:"OrganizationId"`
		EntityID       string `json:"EntityId,omitempty"`
		Email          string `json:",omitempty"`
	}
	roleInput struct {
		OrganizationID      string `json:"OrganizationId"`
		ClientToken         string `json:",omitempty"`
		ImpersonationRoleID string `json:"ImpersonationRoleId,omitempty"`
		Name                string `json:",omitempty"`
		Type                string `json:",omitempty"`
		Description         string `json:",omitempty"`
		Rules               []rule `json:",omitempty"`
	}
	rule struct {
		ID             string   `json:"ImpersonationRuleId"`
		Name           string   `json:",omitempty"`
		Description    string   `json:",omitempty"`
		Effect         string   `json:",omitempty"`
		TargetUsers    []string `json:",omitempty"`
		NotTargetUsers []string `json:",omitempty"`
	}
	organizationInput struct {
		ClientToken            string      `json:",omitempty"`
		Alias                  string      `json:",omitempty"`
		DirectoryID            string      `json:"DirectoryId,omitempty"`
		Domains                []newDomain `json:",omitempty"`
		EnableInteroperability bool        `json:",omitempty"`
	}
	// newDomain is a domain of a new organization. Without the zone of Route 53, AWS writes no
	// record: it would write MX and autodiscover too.
	newDomain     struct{ DomainName string }
	deletionInput struct {
		OrganizationID  string `json:"OrganizationId"`
		ClientToken     string `json:",omitempty"`
		DeleteDirectory bool
	}
	exportInput struct {
		OrganizationID string `json:"OrganizationId"`
		ClientToken    string `json:",omitempty"`
		EntityID       string `json:"EntityId,omitempty"`
		Description    string `json:",omitempty"`
		RoleARN        string `json:"RoleArn,omitempty"`
		KMSKeyARN      string `json:"KmsKeyArn,omitempty"`
		S3BucketName   string `json:",omitempty"`
		S3Prefix       string `json:",omitempty"`
	}
)

// operation is an operation that changes something.
type operation struct {
	input    func() any
	required string // parameters besides OrganizationId
	token    bool   // ClientToken: a repeated request is carried out once
}

func of[T any]() any { return new(T) }

// operations are the operations that change something, by their names in the API.
var operations = map[string]operation{
	"CreateAvailabilityConfiguration": {of[availabilityInput], "DomainName", true},
	"UpdateAvailabilityConfiguration": {of[availabilityInput], "DomainName", false},
	"DeleteAvailabilityConfiguration": {of[domainInput], "DomainName", false},
	"RegisterMailDomain":              {of[domainInput], "DomainName", true},
	"DeregisterMailDomain":            {of[domainInput], "DomainName", false},
	"RegisterToWorkMail":              {of[entityInput], "EntityId Email", false},
	"DeregisterFromWorkMail":          {of[entityInput], "EntityId", false},
	"UpdateDefaultMailDomain":         {of[domainInput], "DomainName", false},
	"CreateImpersonationRole":         {of[roleInput], "Name Type Rules", true},
	"DeleteImpersonationRole":         {of[roleInput], "ImpersonationRoleId", false},
	createOrganization:                {of[organizationInput], "Alias", true},
	"DeleteOrganization":              {of[deletionInput], "DeleteDirectory", true},
	"StartMailboxExportJob": {of[exportInput], "EntityId RoleArn KmsKeyArn S3BucketName S3Prefix",
		true},
}

// createOrganization is the one operation that is not about an organization that exists.
const createOrganization = "CreateOrganization"

// encode makes the request of an operation. A parameter that the API does not have is an error.
func (o operation) encode(name string, parameters map[string]any) (any, error) {
	for _, required := range strings.Fields(o.required) {
		if v, given := parameters[required]; !given || v == "" {
			return nil, &unsendable{fmt.Errorf("WorkMail: %s: %s is missing", name, required)}
		}
	}
	full := map[string]any{}
	if o.token {
		full["ClientToken"] = rand.Text()
	}
	for key, value := range parameters {
		if p, is := value.(map[string]any); is {
			// The answer of AWS to such a password would show it.
			if password, is := p["EwsPassword"].(secret.Value); is && PasswordFault(password) != "" {
				return nil, &unsendable{fmt.Errorf("WorkMail: %s: the password of %v cannot be stored: %s", name,
					p["EwsUsername"], PasswordFault(password))}
			}
		}
		full[key] = revealed(value)
	}
	body, err := json.Marshal(full)
	if err != nil {
		return nil, &unsendable{fmt.Errorf("WorkMail: %s: %w", name, err)}
	}
	input := o.input()
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(input); err != nil {
		return nil, &unsendable{fmt.Errorf("WorkMail: %s: %w", name, err)}
	}
	return input, nil
}

// unsendable is a command that the API does not have in this form.
type unsendable struct{ error }

func (e *unsendable) Unwrap() error { return e.error }

// Answered reports that nothing was sent.
func (*unsendable) Answered() bool { return true }

// Operations lists the names of the operations that Run knows.
func Operations() []string {
	var names []string
	for name := range operations {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Run runs one operation that changes something. Parameters have their names in the API;
// OrganizationId is added. Secrets are secret.Value.
func (c *Client) Run(ctx context.Context, name string, parameters map[string]any) error {
	run, known := operations[name]
	if !known {
		return &unsendable{fmt.Errorf("WorkMail: %s is not among the operations that change something here: %s", name,
			strings.Join(Operations(), ", "))}
	}
	full := map[string]any{}
	if name != createOrganization {
		id, err := c.organization(ctx)
		if err != nil {
			return err
		}
		full["OrganizationId"] = id
	}
	maps.Copy(full, parameters)
	input, err := run.encode(name, full)
	if err != nil {
		return err
	}
	err = c.do(ctx, workMail, name, input, nil)
	if e, refused := errors.AsType[*Error](err); refused && name == createOrganization && e.closed() {
		err = fmt.Errorf("AWS takes no new customers of WorkMail since %s, and refuses the organization: an account "+
			"without WorkMail cannot get it any more (AWS Support Center > Create case > WorkMail answers questions): %w",
			NewCustomersEnd.Format(time.DateOnly), err)
	}
	return err
}

// closed reports whether AWS refuses the account as a customer of the service. Its answer to new
// customers is not documented.
func (e *Error) closed() bool {
	text := strings.ToLower(e.Message)
	return e.Code == "OptInRequired" || e.Code == "SubscriptionRequiredException" ||
		strings.Contains(text, "new customer") || strings.Contains(text, "no longer available")
}

// mostPassword is how long a password of a provider may be.
const mostPassword = 256

// PasswordFault says why the API takes no such password for a provider; empty when it does. It says
// nothing of what the password is.
func PasswordFault(password secret.Value) string {
	text := password.Reveal()
	switch n := len([]rune(text)); {
	case n == 0:
		return "it is empty"
	case n > mostPassword:
		return fmt.Sprintf("it has %d characters, and WorkMail takes %d", n, mostPassword)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > 0xff }):
		return "it holds a character beyond Latin-1, or a control character; WorkMail takes neither"
	}
	return ""
}

// revealed replaces secrets by their text. The result goes into the request alone.
func revealed(v any) any {
	switch v := v.(type) {
	case secret.Value:
		return v.Reveal()
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			out[key] = revealed(element)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = revealed(element)
		}
		return out
	}
	return v
}
