package desired

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// shellPage is the data of the template of a shell script.
type shellPage struct {
	File, Title, Digest, Next string
	Place                     string
	Organization, Region      string
	Result                    string // name of the result file, which stands beside the script that makes changes
	Undo                      bool
	Creates                   bool // the organization: there is none to ask
	Use                       []string
	Secrets                   []shellSecret
	Steps                     []shellStep
}

// shellSecret is a secret that a script reads from a file or asks for.
type shellSecret struct {
	Name, Ref, Label, Missing string
}

// shellStep is one change. Wanted and Before are words of the shell: the row that the queries show
// afterwards and before, empty for none.
type shellStep struct {
	Number, Of         int
	ID, Action         string
	Key                string // how its line in the result file begins
	What, Reason, Risk string
	Queries            []shellQuery
	Identified         bool // the writes need the identity that the place gave
	Writes             []shellWrite
	Wanted, Before     string
	// Numbers of other changes: those that it needs, or for an undoing those that need it.
	Others string
	Why    string // nothing undoes it
}

// shellQuery asks for the resource of a change: what is compared, what the result file keeps, and
// its identity.
type shellQuery struct{ Operation, Rows, Image, Identity string }

type shellWrite struct{ Operation, Input string }

var shellTemplate = sync.OnceValue(func() *form {
	return mustForm("shell/script.sh.tmpl",
		map[string]func(string) string{"quote": shellQuote, "comment": comment})
})

// shellQuote writes a text as a word of the shell. Nothing in it is ever evaluated.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shown says how a script of the AWS CLI shows the resources of a kind: the operations with a
// JMESPath that gives the one resource, its identity, the properties in its row, and where the
// answers have them under another name. {} stands for the key of the resource, {NAME} for a
// property.
var shown = map[string]struct {
	lists    [][2]string
	identity string
	row      []string
	paths    map[string]string
}{
	"WorkMailOrganization": {lists: [][2]string{{"list-organizations",
		"OrganizationSummaries[?Alias=='{}' && State!='Deleted']"}},
		identity: "OrganizationId", row: []string{"Alias", "State"}},
	"WorkMailDomain": {lists: [][2]string{{"list-mail-domains", "MailDomains[?DomainName=='{}']"}},
		identity: "DomainName", row: []string{"DomainName"}},
	"WorkMailUser": {lists: [][2]string{{"list-users", "Users[?State=='ENABLED' && Email=='{}']"}},
		identity: "Id", row: []string{"Email"}, paths: map[string]string{"EntityId": "Name"}},
	"WorkMailGroup": {lists: [][2]string{{"list-groups", "Groups[?State=='ENABLED' && Email=='{}']"}},
		identity: "Id", row: []string{"Email"}, paths: map[string]string{"EntityId": "Name"}},
	"AvailabilityConfiguration": {
		lists:    [][2]string{{"list-availability-configurations", "AvailabilityConfigurations[?DomainName=='{}']"}},
		identity: "DomainName", row: []string{"DomainName", "EwsEndpoint", "EwsUsername", "LambdaArn"},
		paths: map[string]string{"EwsEndpoint": "EwsProvider.EwsEndpoint", "EwsUsername": "EwsProvider.EwsUsername",
			"LambdaArn": "LambdaProvider.LambdaArn"}},
	"ImpersonationRole": {lists: [][2]string{{"list-impersonation-roles", "Roles[?Name=='{}']"}},
		identity: "ImpersonationRoleId", row: []string{"Name", "Type"}},
	"MailboxExport": {lists: [][2]string{{"list-mailbox-export-jobs",
		"Jobs[?EntityId=='{EntityId}' && S3BucketName=='{S3BucketName}' && " +
			"(State=='RUNNING' || State=='COMPLETED')] | [:1]"}},
		identity: "JobId", row: []string{"EntityId", "S3BucketName"}},
	"WorkMailRegistration": {lists: [][2]string{{"list-users", "Users[?State=='ENABLED' && Email=='{}']"},
		{"list-groups", "Groups[?State=='ENABLED' && Email=='{}']"}}, identity: "Id", row: []string{"Email"}},
	"DefaultMailDomain": {lists: [][2]string{{"list-mail-domains", "MailDomains[?DefaultDomain]"}},
		identity: "'default'", row: []string{"DomainName"}},
}

// resultOf is the name of the result file that a shell script writes. Scripts of PowerShell share
// one; this one may run on another computer.
func resultOf(file string) string { return strings.TrimSuffix(file, ".sh") + apply.ScriptResultSuffix }

// renderShell writes the script of a batch for the AWS CLI.
func (s *script) renderShell() []byte {
	sort, name := sortOf(s.place)
	d := shellPage{File: s.file, Title: sort.Named(name), Digest: s.plan.Digest, Next: s.next, Place: s.place,
		Organization: s.site.Organization, Region: s.site.Region, Use: sort.Use(name), Result: resultOf(s.file),
		Undo: s.undoes, Creates: s.creates()}
	for i, c := range s.changes {
		step := s.shellStep(i+1, c)
		commands := c.Commands()
		if k := kindNamed(c.Kind); s.undoes {
			u := s.undo(k, c)
			commands, step.Why = u.commands, u.why
		}
		if step.Why == "" {
			s.write(&step, commands)
		}
		d.Steps = append(d.Steps, step)
	}
	for i, r := range s.secrets {
		name := "SECRET_" + strconv.Itoa(i+1)
		d.Secrets = append(d.Secrets, shellSecret{Name: name, Ref: r.String(), Label: "the secret from " + r.String(),
			Missing: "the secret from " + r.String() + " is missing: set " + name + "_FILE"})
	}
	return shellTemplate().fill(d)
}

// creates reports whether the script creates the organization that it works in. It does nothing else
// then.
func (s *script) creates() bool { return s.site.Organization == apply.Unmade }

// write adds commands to a step.
func (s *script) write(step *shellStep, commands []change.Command) {
	for _, command := range commands {
		parameters := map[string]any{}
		if !s.creates() {
			parameters["OrganizationId"] = s.site.Organization
		}
		for name, v := range command.Parameters {
			parameters[name] = v
			step.Identified = step.Identified || v == liveIdentity
		}
		for _, r := range change.Secrets(command.Parameters) {
			if !slices.Contains(s.secrets, r) {
				s.secrets = append(s.secrets, r)
			}
		}
		step.Writes = append(step.Writes, shellWrite{kebab(command.Name), s.shellJSON(parameters)})
	}
}

func (s *script) shellStep(number int, c change.Change) shellStep {
	how := shown[c.Kind]
	step := shellStep{
		Number: number, Of: len(s.changes), ID: c.ID, Action: string(c.Action), Risk: c.Risk,
		What: fmt.Sprintf("%s %s %q", c.Action, c.Kind, c.Name), Reason: c.Reason.String(),
		Key: plainJSON(c.ID) + ":{", Wanted: "''", Before: "''",
	}
	if s.undoes {
		step.Reason, step.Risk = "", ""
	}
	all := maps.Clone(c.Before) // after the change
	if all == nil {
		all = change.Properties{}
	}
	maps.Copy(all, c.After)
	k := kindNamed(c.Kind)
	var rows, image []string
	for _, name := range how.row {
		rows = append(rows, cmp.Or(how.paths[name], name))
	}
	for _, name := range sortedKeys(k.Properties) {
		if path := how.paths[name]; path != "" || slices.Contains(how.row, name) {
			image = append(image, name+":"+cmp.Or(path, name))
		}
	}
	for _, l := range how.lists {
		list := slots().ReplaceAllStringFunc(l[1], func(part string) string {
			value := key(c)
			if name := strings.Trim(part, "'{}"); name != "" {
				value, _ = all[name].(string)
			}
			return pathLiteral(value)
		})
		step.Queries = append(step.Queries, shellQuery{l[0], list + ".[" + strings.Join(rows, ",") + "]",
			list + " | [0].{identity:" + how.identity + ",name:" + rows[0] + ",properties:{" +
				strings.Join(image, ",") + "}}", list + ".[" + how.identity + "]"})
	}
	if c.Action != change.Create {
		step.Before = row(k, c, how.row, c.Before)
	}
	if c.Action != change.Delete {
		step.Wanted = row(k, c, how.row, all)
	}
	var others []string
	for i, other := range s.changes {
		if !s.undoes && slices.Contains(c.Needs, other.ID) || s.undoes && slices.Contains(other.Needs, c.ID) {
			others = append(others, strconv.Itoa(i+1))
		}
	}
	step.Others = strings.Join(others, " ")
	return step
}

var slots = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`'\{\w*\}'`) })

// pathLiteral writes a text as a literal of JMESPath. One in single quotes has no form for every
// backslash.
func pathLiteral(s string) string {
	if !strings.ContainsAny(s, `'\`) {
		return "'" + s + "'"
	}
	return "`" + strings.ReplaceAll(plainJSON(s), "`", `\u0060`) + "`"
}

// key is the key of the resource of a change, in the form in which the place shows it.
func key(c change.Change) string {
	return c.ID[strings.LastIndex(c.ID, "/")+1:]
}

// row is what a query shows of a resource, as a word of the shell.
func row(k *Kind, c change.Change, names []string, p change.Properties) string {
	fields := make([]string, len(names))
	for i, name := range names {
		fields[i] = "None" // of a value that is not there
		if text, is := p[name].(string); is && text != "" {
			fields[i] = text
		} else if k.Properties[name].Write == change.Key {
			fields[i] = key(c)
		}
	}
	return strings.Join(mapped(fields, shellQuote), `"$TAB"`)
}

// plainJSON is a value as JSON, without escapes for HTML.
func plainJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // texts, and maps of texts
	return strings.TrimSpace(b.String())
}

func mapped[T any](in []T, f func(T) T) []T {
	out := make([]T, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

// shellJSON writes parameters as a word of the shell. A secret is a variable in it.
func (s *script) shellJSON(parameters map[string]any) string {
	w := shellWord{secrets: s.secrets}
	w.value(parameters)
	w.flush()
	return w.out.String()
}

// shellWord writes JSON as a word of the shell. It writes a value where it meets it: no text that a
// server gave can stand for a variable.
type shellWord struct {
	secrets []change.SecretRef
	text    strings.Builder // not quoted yet
	out     strings.Builder
}

func (w *shellWord) flush() {
	w.out.WriteString(shellQuote(w.text.String()))
	w.text.Reset()
}

// variable is the text of a variable, inside a string of JSON.
func (w *shellWord) variable(name string) {
	w.text.WriteByte('"')
	w.flush()
	w.out.WriteString(`"$(json "$` + name + `")"`)
	w.text.WriteByte('"')
}

func (w *shellWord) value(v any) {
	switch v := v.(type) {
	case change.SecretRef:
		w.variable("SECRET_" + strconv.Itoa(slices.Index(w.secrets, v)+1))
	case string:
		if v == liveIdentity {
			w.variable("identity")
			return
		}
		w.text.WriteString(plainJSON(v))
	case map[string]any:
		w.text.WriteByte('{')
		for i, name := range sortedKeys(v) {
			if i > 0 {
				w.text.WriteByte(',')
			}
			w.text.WriteString(plainJSON(name) + ":")
			w.value(v[name])
		}
		w.text.WriteByte('}')
	case []any:
		w.text.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				w.text.WriteByte(',')
			}
			w.value(element)
		}
		w.text.WriteByte(']')
	default:
		w.text.WriteString(plainJSON(v))
	}
}

var upper = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`([a-z])([A-Z])`) })

// kebab is the name of an operation in the AWS CLI.
func kebab(operation string) string {
	return strings.ToLower(upper().ReplaceAllString(operation, "$1-$2"))
}
