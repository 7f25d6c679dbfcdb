package workmail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/workmail"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// operation runs one operation of the API with parameters under their names in the API.
type operation func(ctx context.Context, c *workmail.Client, parameters []byte) error

// call makes an operation of a method of the SDK. The SDK's fields have the API's names.
func call[I, O any](method func(*workmail.Client, context.Context, *I, ...func(*workmail.Options)) (*O,
	error)) operation {
	return func(ctx context.Context, c *workmail.Client, parameters []byte) error {
		input := new(I)
		d := json.NewDecoder(bytes.NewReader(parameters))
		d.DisallowUnknownFields()
		if err := d.Decode(input); err != nil {
			return &unsendable{err}
		}
		_, err := method(c, ctx, input)
		return err
	}
}

// unsendable is a command that the API does not have in this form.
type unsendable struct{ error }

// Answered reports that nothing was sent.
func (*unsendable) Answered() bool { return true }

// operations are the operations that change something, by their names in the API.
var operations = map[string]operation{
	"CreateAvailabilityConfiguration": call((*workmail.Client).CreateAvailabilityConfiguration),
	"UpdateAvailabilityConfiguration": call((*workmail.Client).UpdateAvailabilityConfiguration),
	"DeleteAvailabilityConfiguration": call((*workmail.Client).DeleteAvailabilityConfiguration),
	"RegisterMailDomain":              call((*workmail.Client).RegisterMailDomain),
	"DeregisterMailDomain":            call((*workmail.Client).DeregisterMailDomain),
	"RegisterToWorkMail":              call((*workmail.Client).RegisterToWorkMail),
	"DeregisterFromWorkMail":          call((*workmail.Client).DeregisterFromWorkMail),
	"UpdateDefaultMailDomain":         call((*workmail.Client).UpdateDefaultMailDomain),
	"CreateImpersonationRole":         call((*workmail.Client).CreateImpersonationRole),
	"DeleteImpersonationRole":         call((*workmail.Client).DeleteImpersonationRole),
	"StartMailboxExportJob":           call((*workmail.Client).StartMailboxExportJob),
}

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
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return err
	}
	full := map[string]any{"OrganizationId": *id}
	for key, value := range parameters {
		full[key] = revealed(value)
	}
	body, err := json.Marshal(full)
	if err != nil {
		return &unsendable{fmt.Errorf("WorkMail: %s: %w", name, err)}
	}
	return failure(ctx, name, run(ctx, c.api, body))
}

// revealed replaces secrets by their text. The result goes to the SDK alone.
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
