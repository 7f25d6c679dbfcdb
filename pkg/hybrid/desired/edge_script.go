package desired

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/templates"
)

// edgePart is what an Edge server must have: it is no place of a plan, because nothing reaches it
// from here.
type edgePart struct {
	server, file string
	certificate  string // <I>issuer<S>subject
	capability   string // DOMAIN:AcceptCloudServicesMail
}

// edgeParts lists the Edge servers that carry mail of the tenant. A forest whose certificate or
// whose cloud is unknown is left out; the plan leaves out its mail flow and says why.
func edgeParts(ctx context.Context, set *fact.Set) ([]edgePart, error) {
	if set.Answers.Hybrid.IsLeaving() {
		return nil, nil // a person ends the subscriptions
	}
	if set.Tenant == nil || !WantsMail(set.Answers.Features) {
		return nil, nil
	}
	var out []edgePart
	for _, forest := range set.Forests {
		names := forest.Answers.Edge
		if len(names) == 0 {
			continue
		}
		p := &Planner{Answers: set.Answers, Forest: forest, set: set}
		part, err := p.edgePart(ctx, names)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			continue
		}
		for _, name := range names {
			part.server = strings.ToLower(name)
			part.file = "01-edge-" + strings.Map(func(r rune) rune {
				if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '-') {
					return r
				}
				return '-'
			}, part.server) + ".ps1"
			out = append(out, part)
		}
	}
	return out, nil
}

func (p *Planner) edgePart(ctx context.Context, names []string) (part edgePart, err error) {
	host, err := p.mailHost()
	if err != nil {
		return part, err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return part, err
	}
	domain, err := p.tlsDomain(ctx, coexistence)
	if err != nil {
		return part, err
	}
	part.capability = domain + ":AcceptCloudServicesMail"
	part.certificate, _, err = p.mailCertificate(ctx, mailServers{edge: names}, host)
	return part, err
}

// EdgeScripts renders the part of each Edge server: a script that looks, compares, asks, writes and
// looks again, and one that undoes it.
func EdgeScripts(ctx context.Context, set *fact.Set, p change.Plan) ([]Script, error) {
	parts, err := edgeParts(ctx, set)
	if err != nil {
		return nil, err
	}
	var out []Script
	for _, part := range parts {
		for _, s := range []struct {
			folder, template string
			undoes           bool
		}{{"", "edge.ps1", false}, {RollbackFolder + "/", "edge-undo.ps1", true}} {
			out = append(out, Script{Name: s.folder + part.file, Place: "edge/" + part.server, Role: edgeRole(),
				Rollback: s.undoes, Content: part.render(s.template, p.Digest)})
		}
	}
	return out, nil
}

// edgeRole is the team that runs the scripts of Edge servers: that of Exchange.
func edgeRole() string { return cmp.Or(Exchange.Role, Exchange.ID) }

func (e edgePart) render(name, digest string) []byte {
	read := func(name string) string {
		text, err := templates.Read("powershell/" + name)
		if err != nil {
			panic(err) // it is built in
		}
		return text
	}
	result := "hybridge-" + strings.TrimSuffix(strings.TrimPrefix(e.file, "01-"), ".ps1") + ".json"
	text := strings.Replace(read(name), "@@common@@", read("edge-common.ps1"), 1)
	text = strings.NewReplacer(
		"@@server@@", comment(e.server), "@@file@@", comment(e.file), "@@result@@", comment(result),
		"@@digest@@", comment(digest), "@@quoted-server@@", exchange.Quote(e.server),
		"@@quoted-certificate@@", exchange.Quote(e.certificate), "@@quoted-capability@@", exchange.Quote(e.capability),
		"@@quoted-digest@@", exchange.Quote(digest), "@@quoted-result@@", exchange.Quote(result),
	).Replace(text)
	text = strings.ReplaceAll(text, "\n", "\r\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		text = "\ufeff" + text // otherwise Windows PowerShell reads it in the system's code page
	}
	return []byte(text)
}

// EdgeRunbook is the part of the runbook for the Edge servers; empty without any, and for another
// role.
func EdgeRunbook(ctx context.Context, set *fact.Set, role string) ([]byte, error) {
	parts, err := edgeParts(ctx, set)
	if err != nil || len(parts) == 0 || role != "" && role != edgeRole() {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("\n## Edge servers\n\n" +
		"hybridge does not reach Edge servers. Each has its own script, to run in the Exchange Management Shell of " +
		"that " +
		"server, as a\nlocal administrator, before the steps in Exchange Online.\n\n| server | script | sets |\n" +
		"| --- | --- | --- |\n")
	for _, e := range parts {
		fmt.Fprintf(&b, "| %s | `%s` | %s, %s |\n", cell(e.server), comment(e.file), cell(e.capability),
			cell(e.certificate))
	}
	b.WriteString("\n1. Import the certificate with its key, and enable it for SMTP.\n" +
		"2. Run the script with `-WhatIf`, then without. It asks before the change.\n" +
		"3. GO on when it says `done` or `passed over`, and `hybridge check --only transport.edge-server` passes.\n" +
		"4. After the send connector is made, run `Start-EdgeSynchronization` on a Mailbox server.\n" +
		"5. To go back, run the script of the same name in the folder `rollback`.\n")
	return []byte(b.String()), nil
}
