package desired

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/templates"
)

// shellPage is the data of the template of a shell script.
type shellPage struct {
	File, Title, Digest, Next string
	Organization, Region      string
	Use                       []string
	Secrets                   []shellSecret
	Steps                     []shellStep
}

// shellSecret is a secret that a script reads from a file or asks for.
type shellSecret struct {
	Name, Ref, Label, Missing string
}

// shellStep is one change. Wanted and Before are words of the shell: the row that the query shows
// afterwards and before, empty for none.
type shellStep struct {
	Number, Of       int
	ID, Action       string
	What, Why, Risk  string
	Look, Query      string
	Operation, Input string
	Wanted, Before   string
}

var shellTemplate = sync.OnceValue(func() *form {
	return mustForm(templates.Shell, "shell/script.sh.tmpl",
		map[string]func(string) string{"quote": shellQuote, "comment": comment})
})

// shellQuote writes a text as a word of the shell. Nothing in it is ever evaluated.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shown says how a script of the AWS CLI shows the resources of a kind: an operation, a query for
// the one resource, and the properties in its row. {} stands for the key of the resource.
var shown = map[string]struct {
	operation, query string
	row              []string
}{
	"WorkMailDomain": {"list-mail-domains", "MailDomains[?DomainName=='{}'].[DomainName]", []string{"DomainName"}},
	"WorkMailUser":   {"list-users", "Users[?State=='ENABLED' && Email=='{}'].[Email]", []string{"Email"}},
	"WorkMailGroup":  {"list-groups", "Groups[?State=='ENABLED' && Email=='{}'].[Email]", []string{"Email"}},
	"AvailabilityConfiguration": {"list-availability-configurations",
		"AvailabilityConfigurations[?DomainName=='{}'].[DomainName,EwsProvider.EwsEndpoint,EwsProvider.EwsUsername," +
			"LambdaProvider.LambdaArn]", []string{"DomainName", "EwsEndpoint", "EwsUsername", "LambdaArn"}},
}

// renderShell writes the script of a batch for the AWS CLI.
func (s *script) renderShell() []byte {
	sort, name := sortOf(s.place)
	d := shellPage{File: s.file, Title: sort.Named(name), Digest: s.plan.Digest, Next: s.next,
		Organization: s.site.Organization, Region: s.site.Region, Use: sort.Use(name)}
	for i, c := range s.changes {
		for _, command := range c.Commands() {
			for _, r := range change.Secrets(command.Parameters) {
				if !slices.Contains(s.secrets, r) {
					s.secrets = append(s.secrets, r)
				}
			}
		}
		d.Steps = append(d.Steps, s.shellStep(i+1, c))
	}
	for i, r := range s.secrets {
		name := "SECRET_" + strconv.Itoa(i+1)
		d.Secrets = append(d.Secrets, shellSecret{Name: name, Ref: r.String(), Label: "the secret from " + r.String(),
			Missing: "the secret from " + r.String() + " is missing: set " + name + "_FILE"})
	}
	return shellTemplate().fill(d)
}

func (s *script) shellStep(number int, c change.Change) shellStep {
	how := shown[c.Kind]
	step := shellStep{
		Number: number, Of: len(s.changes), ID: c.ID, Action: string(c.Action), Risk: c.Risk,
		What: fmt.Sprintf("%s %s %q", c.Action, c.Kind, c.Name), Why: c.Reason.String(), Look: how.operation,
		Query:     strings.ReplaceAll(how.query, "{}", strings.ReplaceAll(key(c), "'", `\'`)),
		Operation: kebab(c.Command.Name), Wanted: "''", Before: "''",
	}
	if c.Action != change.Create {
		step.Before = row(c, how.row, c.Before)
	}
	if c.Action != change.Delete {
		all := change.Properties{}
		for _, name := range how.row {
			all[name] = c.Before[name]
			if v, written := c.After[name]; written {
				all[name] = v
			}
		}
		step.Wanted = row(c, how.row, all)
	}
	parameters := map[string]any{"OrganizationId": s.site.Organization}
	for name, v := range c.Command.Parameters {
		parameters[name] = v
	}
	step.Input = s.shellJSON(parameters)
	return step
}

// key is the key of the resource of a change, in the form in which the place shows it.
func key(c change.Change) string {
	return c.ID[strings.LastIndex(c.ID, "/")+1:]
}

// row is what a query shows of a resource, as a word of the shell.
func row(c change.Change, names []string, p change.Properties) string {
	fields := make([]string, len(names))
	for i, name := range names {
		fields[i] = "None" // of a value that is not there
		if text, is := p[name].(string); is && text != "" {
			fields[i] = text
		}
		if i == 0 {
			fields[i] = key(c)
		}
	}
	return strings.Join(mapped(fields, shellQuote), `"$TAB"`)
}

func mapped(in []string, f func(string) string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

// shellJSON writes parameters as a word of the shell. A secret is a variable in it.
func (s *script) shellJSON(parameters map[string]any) string {
	const mark = "\ue000" // of the private use area: no answer holds it
	var marked func(v any) any
	marked = func(v any) any {
		switch v := v.(type) {
		case change.SecretRef:
			return mark + strconv.Itoa(slices.Index(s.secrets, v)+1) + mark
		case map[string]any:
			out := make(map[string]any, len(v))
			for name, element := range v {
				out[name] = marked(element)
			}
			return out
		}
		return v
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(marked(parameters)) // texts and maps of texts
	var out strings.Builder
	for i, part := range strings.Split(strings.TrimSpace(b.String()), mark) {
		if i%2 == 0 {
			out.WriteString(shellQuote(part))
		} else {
			out.WriteString(`"$(json "$SECRET_` + part + `")"`)
		}
	}
	return out.String()
}

var upper = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`([a-z])([A-Z])`) })

// kebab is the name of an operation in the AWS CLI.
func kebab(operation string) string {
	return strings.ToLower(upper().ReplaceAllString(operation, "$1-$2"))
}
