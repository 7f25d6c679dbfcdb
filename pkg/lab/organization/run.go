package organization

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// output is one object that a cmdlet printed: a record, or what a handler made.
type output struct {
	record *Record
	list   []shown // of the record, as it was when it was printed
	object exchange.Object
}

// Run runs a cmdlet as a caller. The error, when it is the cmdlet's, is an *exchange.Error with
// Exchange's category, exception and words.
func (o *Organization) Run(ctx context.Context, caller Caller, cmd exchange.Command) (objects []exchange.Object,
	warnings []string, err error) {
	out, warnings, err := o.run(ctx, caller, cmd)
	for _, e := range out {
		objects = append(objects, e.object)
	}
	return objects, warnings, err
}

func (o *Organization) run(ctx context.Context, caller Caller, cmd exchange.Command) ([]output, []string, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	o.mu.Lock()
	o.runs[strings.ToLower(cmd.Name)]++
	may := o.allowed(caller, cmd.Name)
	withheld := o.denied[strings.ToLower(cmd.Name)]
	handler := o.handlers[strings.ToLower(cmd.Name)]
	o.mu.Unlock()

	if !may {
		// A cmdlet outside the caller's roles does not exist in the session.
		cmd.Parameters = nil
		_, err := exchange.Catalogue().Bind(exchange.Command{Name: cmd.Name + "0"}, o.c.Side)
		var e *exchange.Error
		if errors.As(err, &e) {
			e.Cmdlet, e.Target, e.Message = cmd.Name, cmd.Name, strings.ReplaceAll(e.Message, cmd.Name+"0", cmd.Name)
		}
		return nil, nil, err
	}
	for name := range cmd.Parameters {
		if containsFold(withheld, name) {
			return nil, nil, &exchange.Error{Cmdlet: cmd.Name, Category: "InvalidArgument",
				FullyQualifiedID: "NamedParameterNotFound," + cmd.Name, Target: name,
				ExceptionType: "System.Management.Automation.ParameterBindingException",
				Message:       fmt.Sprintf("A parameter cannot be found that matches parameter name '%s'.", name)}
		}
	}
	bound, err := exchange.Catalogue().Bind(cmd, o.c.Side)
	if err != nil {
		return nil, nil, err
	}
	spec, _ := exchange.Catalogue().Find(cmd.Name)
	if err := o.refuse(spec, cmd.Parameters, bound); err != nil {
		return nil, nil, o.complete(spec.Name, caller, err)
	}
	var warnings []string
	call := Call{Organization: o, Caller: caller, Cmdlet: spec.Name, Parameters: bound,
		Warn: func(text string) { warnings = append(warnings, text) }}
	var out []output
	var failure error
	defer func() { o.audit(call, failure) }()
	if handler != nil {
		objects, err := handler(ctx, call)
		failure = err
		for _, e := range objects {
			out = append(out, output{object: e})
		}
		return out, warnings, o.complete(spec.Name, caller, err)
	}
	out, changed, err := o.task(ctx, call)
	failure = err
	if err != nil {
		return nil, warnings, o.complete(spec.Name, caller, err)
	}
	if changed != nil {
		o.mu.Lock()
		hooks := slices.Clone(o.onChange)
		o.mu.Unlock()
		for _, f := range hooks {
			f(*changed)
		}
	}
	return out, warnings, nil
}

// complete adds the fields that every task's error has.
func (o *Organization) complete(cmdlet string, caller Caller, err error) error {
	var e *exchange.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	full := *e
	full.Cmdlet = cmdlet
	if full.FullyQualifiedID == "" {
		_, short, _ := cutLast(full.ExceptionType, ".")
		_, name, _ := strings.Cut(cmdlet, "-")
		tasks := "SystemConfigurationTasks"
		if n, ok := nouns()[strings.ToLower(name)]; ok && n.recipient() {
			tasks = "RecipientTasks"
		}
		full.FullyQualifiedID = fmt.Sprintf("[Server=%s,RequestId=%s,TimeStamp=%s] [FailureCategory=Cmdlet-%s] "+
			"%X,Microsoft.Exchange.Management."+tasks+".%s",
			strings.ToUpper(firstLabel(cmp.Or(caller.Host, o.c.Host))), numbered(cmdlet, full.Message, 0),
			o.c.Clock().UTC().Format("1/2/2006 3:04:05 PM"), short,
			checksum(short), strings.ReplaceAll(cmdlet, "-", ""))
	}
	return &full
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

func firstLabel(host string) string { label, _, _ := strings.Cut(host, "."); return label }

// checksum is the short code that Exchange puts before an error's task; only Exchange knows its
// meaning.
func checksum(s string) uint32 {
	var h uint32 = 2166136261
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

func (o *Organization) notFound(identity string) error {
	// Real errors end in "(:)": they name no target.
	return &exchange.Error{Category: "NotSpecified",
		ExceptionType: "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
		Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found on '%s'.",
			identity, o.c.Server)}
}

// unsimulated is a refusal that Exchange would not give. It names what this simulation lacks.
func unsimulated(format string, args ...any) error {
	return &exchange.Error{Category: "NotImplemented", ExceptionType: "System.NotImplementedException",
		Message: "The lab doesn't simulate this: " + fmt.Sprintf(format, args...)}
}

// task runs the verbs that all nouns share.
func (o *Organization) task(ctx context.Context, c Call) ([]output, *Change, error) {
	verb, name, _ := strings.Cut(c.Cmdlet, "-")
	n, ok := nouns()[strings.ToLower(name)]
	if !ok {
		return nil, nil, unsimulated("%s", c.Cmdlet)
	}
	if arbitration, _ := c.Parameters["Arbitration"].(bool); arbitration && n.name == "Mailbox" {
		n = nouns()["arbitrationmailbox"]
	}
	switch verb {
	case "Get":
		out, err := o.find(n, c)
		return out, nil, err
	case "Add": // of a noun without Set: the verb by which it is made
		verb = "New"
	case "Update":
		identity, _ := c.Parameters["Identity"].(string)
		policy := o.Object(n.name, identity)
		if policy == nil {
			return nil, nil, o.notFound(identity)
		}
		if n.name != "EmailAddressPolicy" {
			return nil, nil, unsimulated("%s", c.Cmdlet)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		secondary, _ := c.Parameters["UpdateSecondaryAddressesOnly"].(bool)
		return nil, nil, o.applyPolicy(policy, secondary)
	case "New", "Set", "Remove":
	default:
		return nil, nil, unsimulated("%s", c.Cmdlet)
	}
	if len(n.union) > 0 {
		return nil, nil, unsimulated("%s", c.Cmdlet)
	}
	if err := o.dehydrated(verb, n); err != nil {
		return nil, nil, err
	}
	r := rules[n.name]
	var prepared any
	if r.prepare != nil {
		var err error
		if prepared, err = r.prepare(ctx, o, verb, c); err != nil {
			return nil, nil, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	whatIf, _ := c.Parameters["WhatIf"].(bool)
	switch verb {
	case "New":
		return o.create(n, c, r, prepared, whatIf)
	case "Set":
		return o.change(n, c, r, prepared, whatIf)
	default:
		return o.drop(n, c, r, prepared, whatIf)
	}
}

// pick finds the one object that a Set or Remove is about.
func (o *Organization) pick(n *noun, c Call) (*Record, error) {
	all := o.all(n.name)
	v, ok := c.Parameters["Identity"]
	if !ok || v == nil {
		if thumbprint, ok := c.Parameters["Thumbprint"].(string); ok && n.name == "ExchangeCertificate" {
			v = thumbprint
		} else if n.single && len(all) == 1 {
			return all[0], nil
		} else if n.single {
			return nil, o.notFound(n.name)
		}
	}
	identity, _ := v.(string)
	var found []*Record
	for _, r := range all {
		if r.is(identity) && r.near(c) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, o.notFound(identity)
	case 1:
		return found[0], nil
	}
	return nil, &exchange.Error{Category: "InvalidData",
		ExceptionType: "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException",
		Message: fmt.Sprintf("The operation couldn't be performed because '%s' matches multiple entries.",
			identity)}
}

func (o *Organization) create(n *noun, c Call, rule rule, prepared any, whatIf bool) ([]output, *Change, error) {
	r := o.blank(n)
	if n.single {
		r.values["name"] = "Hybrid Configuration"
	}
	if err := o.set(r, c); err != nil {
		return nil, nil, err
	}
	if n.named != "" {
		r.values["name"] = r.get(n.named)
	}
	r.derive()
	if rule.apply != nil {
		if err := rule.apply(o, "New", r, c, prepared); err != nil {
			return nil, nil, err
		}
	}
	if err := o.clash(r); err != nil {
		return nil, nil, err
	}
	if whatIf {
		return nil, nil, nil
	}
	if err := asks(c); err != nil {
		return nil, nil, err
	}
	o.add(r)
	return []output{o.print(r, nil)}, &Change{Noun: n.name, Verb: "New", Record: r}, nil
}

func (o *Organization) change(n *noun, c Call, rule rule, prepared any, whatIf bool) ([]output, *Change, error) {
	r, err := o.pick(n, c)
	if err != nil {
		return nil, nil, err
	}
	draft := &Record{org: o, noun: n, values: maps.Clone(r.values), extra: slices.Clone(r.extra)}
	if err := o.set(draft, c); err != nil {
		return nil, nil, err
	}
	if rule.apply != nil {
		if err := rule.apply(o, "Set", draft, c, prepared); err != nil {
			return nil, nil, err
		}
	}
	if err := o.clash(draft); err != nil {
		return nil, nil, err
	}
	draft.derive()
	if whatIf {
		return nil, nil, nil
	}
	if err := asks(c); err != nil {
		return nil, nil, err
	}
	if same(r, draft) {
		c.Warn(fmt.Sprintf("The command completed successfully but no settings of '%s' have been modified.",
			r.identity()))
		return nil, nil, nil
	}
	r.values, r.extra = draft.values, draft.extra
	r.values["whenchanged"] = o.c.Clock().UTC().Truncate(time.Second)
	return nil, &Change{Noun: n.name, Verb: "Set", Record: r}, nil
}

func (o *Organization) drop(n *noun, c Call, rule rule, prepared any, whatIf bool) ([]output, *Change, error) {
	r, err := o.pick(n, c)
	if err != nil {
		return nil, nil, err
	}
	if rule.apply != nil {
		if err := rule.apply(o, "Remove", r, c, prepared); err != nil {
			return nil, nil, err
		}
	}
	if whatIf {
		return nil, nil, nil
	}
	if err := asks(c); err != nil {
		return nil, nil, err
	}
	o.remove(r)
	return nil, &Change{Noun: n.name, Verb: "Remove", Record: r}, nil
}

func same(a, b *Record) bool {
	if len(a.values) != len(b.values) {
		return false
	}
	for k, v := range a.values {
		w, ok := b.values[k]
		if !ok || fmt.Sprintf("%T%v", v, v) != fmt.Sprintf("%T%v", w, w) {
			return false
		}
	}
	return true
}

// set gives a record the values of a New or Set cmdlet's parameters.
func (o *Organization) set(r *Record, c Call) error {
	spec, _ := exchange.Catalogue().Find(c.Cmdlet)
	for name, value := range c.Parameters {
		if r.noun.ignores(name) {
			continue
		}
		target := name
		if renamed, ok := r.noun.from[strings.ToLower(name)]; ok {
			target = renamed
		}
		p, declared := r.noun.property(target, o.c.Side)
		parameter, _ := spec.Parameter(name)
		if !declared && parameter.Switch() && !ruled(r.noun.name, name) && target != "Name" {
			if on, _ := value.(bool); !on {
				continue
			}
			return unsimulated("%s -%s", c.Cmdlet, name)
		}
		if change, ok := value.(exchange.ListChange); ok {
			if declared && !p.list {
				return invalid(dataValidation, "%s isn't a multi-valued property.", target)
			}
			list, err := changed(p, r, target, change)
			if err != nil {
				return refused(c, name, err)
			}
			value = list
		}
		switch value.(type) {
		case exchange.Credential, map[string]any:
			continue // a rule reads it
		}
		if err := r.put(target, value); err != nil {
			return refused(c, name, err)
		}
	}
	return nil
}

// refused is a cmdlet's error for a value that its property cannot hold.
func refused(c Call, parameter string, err error) error {
	var form *formError
	if !errors.As(err, &form) {
		return invalid(dataValidation, "%v", err)
	}
	return &exchange.Error{
		Category: "InvalidData", FullyQualifiedID: "ParameterArgumentTransformationError," + c.Cmdlet,
		Target:        parameter,
		ExceptionType: "System.Management.Automation.ParameterBindingArgumentTransformationException",
		Message:       fmt.Sprintf("Cannot process argument transformation on parameter '%s'. %v", parameter, err),
	}
}

// ruled reports whether a rule acts on a switch.
func ruled(noun, parameter string) bool {
	return noun == "AuthConfig" && containsFold([]string{"PublishCertificate", "ClearPreviousCertificate"}, parameter)
}

// changed is a list with a @{Add=...; Remove=...} carried out. Adding a value that is present and
// removing one that is absent change nothing: Exchange accepts both without an error.
func changed(p property, r *Record, name string, change exchange.ListChange) ([]string, error) {
	list := append([]string{}, asList(r.get(name))...)
	form := func(s string) (string, error) {
		if p.list {
			return p.form(s)
		}
		return s, nil
	}
	for _, s := range change.Remove {
		s, err := form(s)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
	}
	for _, s := range change.Add {
		s, err := form(s)
		if err != nil {
			return nil, err
		}
		if !containsFold(list, s) {
			list = append(list, s)
		}
	}
	return list, nil
}

func exists(o *Organization, r *Record) error {
	// As every task's error over remoting, it names no target.
	return &exchange.Error{Category: "NotSpecified",
		ExceptionType: "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException",
		Message: fmt.Sprintf("Active Directory operation failed on %s. The object '%s' already exists.", o.c.Server,
			r.distinguishedName())}
}

// clash compares a record with the others of its kind, and refuses duplicates.
func (o *Organization) clash(r *Record) error {
	for _, other := range o.all(r.noun.name) {
		if other.text("Guid") == r.text("Guid") {
			continue
		}
		if !slices.Contains(r.noun.unique, "-") && !r.noun.recipient() &&
			strings.EqualFold(other.identity(), r.identity()) {
			return exists(o, other)
		}
		for _, name := range r.noun.unique {
			if name == "-" {
				continue
			}
			mine, theirs := texts(r.get(name)), texts(other.get(name))
			for _, s := range mine {
				if containsFold(theirs, s) {
					return &exchange.Error{Category: "InvalidArgument",
						ExceptionType: duplicateException(r.noun.name),
						Message: fmt.Sprintf("The value '%s' of %s is already used by '%s'. It must be unique.", s,
							name, other.identity())}
				}
			}
		}
	}
	return nil
}

func duplicateException(noun string) string {
	switch noun {
	case "AcceptedDomain":
		return "Microsoft.Exchange.Management.SystemConfigurationTasks.DuplicateAcceptedDomainException"
	case "OrganizationRelationship":
		return "Microsoft.Exchange.Management.SystemConfigurationTasks.DuplicateOrganizationRelationshipDomainException"
	case "IntraOrganizationConnector":
		return "Microsoft.Exchange.Management.IntraOrganizationConnector.DuplicateIntraOrganizationConnectorDomainException"
	}
	return "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException"
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []string:
		return v
	}
	return nil
}

// askedFor reports whether a Get cmdlet shows an object: mailboxes of public folders appear only
// when they are asked for, and recipients in another domain of the forest only where the session's
// scope, the domain of its server, is ignored.
func (o *Organization) askedFor(n *noun, r *Record, c Call) bool {
	if domain, _, ok := strings.Cut(r.text("OrganizationalUnit"), "/"); ok && !strings.EqualFold(domain, o.c.FQDN) {
		if everywhere, _ := c.Parameters["IgnoreDefaultScope"].(bool); !everywhere {
			return false
		}
	}
	asked, _ := c.Parameters["PublicFolder"].(bool)
	return n.name != "Mailbox" || asked == strings.EqualFold(r.text("RecipientTypeDetails"), "PublicFolderMailbox")
}

// find runs a Get cmdlet.
func (o *Organization) find(n *noun, c Call) ([]output, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	identity, _ := c.Parameters["Identity"].(string)
	limit, defaulted := -1, false
	if n.recipient() {
		limit, defaulted = 1000, true // of every cmdlet that shows recipients
	}
	filters := map[string]any{}
	for name, value := range c.Parameters {
		switch {
		case name == "Identity":
		case strings.EqualFold(name, "ResultSize"):
			limit, defaulted = -1, false
			if s, _ := value.(string); !strings.EqualFold(s, "Unlimited") {
				size, err := strconv.Atoi(s)
				if err != nil || size < 0 {
					return nil, invalid(invalidArgument, "The value '%v' of ResultSize isn't a number.", value)
				}
				limit = size
			}
		case containsFold(looks, name) || containsFold(n.ask, name):
		default:
			_, declared := n.property(name, o.c.Side)
			if len(n.union) > 0 && strings.EqualFold(name, "RecipientTypeDetails") {
				declared = true
			}
			if !declared && !(n.server && name == "Server") {
				return nil, unsimulated("%s -%s", c.Cmdlet, name)
			}
			filters[name] = value
		}
	}
	if server, named := c.Parameters["Server"].(string); named && n.server && !o.hasServer(server) {
		return nil, o.notFound(server)
	}
	var out []output
	for _, r := range o.all(n.name) {
		if identity != "" && !r.is(identity) || !passes(r, filters) || !o.askedFor(n, r, c) || !r.near(c) {
			continue
		}
		out = append(out, o.print(r, c.Parameters))
	}
	if out == nil && identity != "" && !strings.Contains(identity, "*") {
		return nil, o.notFound(identity)
	}
	if limit >= 0 && len(out) > limit {
		out = out[:limit]
		if defaulted {
			c.Warn(moreThanDefault)
			return out, nil
		}
		c.Warn("There are more results available than are currently displayed. To view them, increase the value for " +
			"the ResultSize parameter.")
	}
	return out, nil
}

// hasServer reports whether the organization has a server; one without any has all.
func (o *Organization) hasServer(name string) bool {
	servers := o.all("ExchangeServer")
	return len(servers) == 0 || slices.ContainsFunc(servers, func(s *Record) bool { return s.is(name) })
}

// near reports whether a call can be about an object: one of a local noun belongs to the server that
// the call names, in Server or as SERVER\NAME, else to the one that runs it.
func (r *Record) near(c Call) bool {
	server := r.text("Server")
	if !r.noun.local || server == "" {
		return true
	}
	wanted := c.Server()
	if identity, _ := c.Parameters["Identity"].(string); strings.Contains(identity, `\`) {
		before, _, _ := strings.Cut(identity, `\`)
		wanted = firstLabel(before)
	}
	return strings.EqualFold(wanted, server)
}

const moreThanDefault = "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify " +
	"the number of items returned. To return all items, specify \"-ResultSize Unlimited\". Be aware that, depending " +
	"on the actual number of items, returning all items can take a long time and consume a large amount of memory. " +
	"Also, we don't recommend storing the results in a variable. Instead, pipe the results to another task or script " +
	"to perform batch changes."

func passes(r *Record, filters map[string]any) bool {
	for name, want := range filters {
		have := texts(r.get(name))
		if b, ok := want.(bool); ok {
			is, _ := r.get(name).(bool)
			if is != b {
				return false
			}
			continue
		}
		ok := false
		for _, w := range texts(want) {
			ok = ok || slices.ContainsFunc(have,
				func(h string) bool { return matches(w, h) || strings.EqualFold(firstLabel(w), h) && name == "Server" })
		}
		if !ok {
			return false
		}
	}
	return true
}

// print is a record as the cmdlet prints it now.
func (o *Organization) print(r *Record, asked map[string]any) output {
	list := r.show(o.c.Side == exchange.Online, asked)
	for i := range list {
		list[i].value = clone(list[i].value)
	}
	return output{record: r, list: list, object: r.object(asked)}
}
