package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// begin is the document that init --discover completes: the answers so far, or a template. Each
// domain has a forest with an account in it.
func (t *task) begin(ctx context.Context, scenario string, domains []string) (*answers.Document, error) {
	var d *answers.Document
	var err error
	if t.answersFile != "" {
		d, err = answers.Open(ctx, t.answersFile)
	} else {
		d, err = answers.New("", scenario)
	}
	if err != nil {
		return nil, err
	}
	if len(domains) == 0 && !named(d.Draft()) {
		domain := deployment.MachineDomain(t.Env)
		if domain == "" {
			return nil, usage("this computer belongs to no domain: name the root domain of each forest, as in " +
				"hybridge init --discover contoso.com")
		}
		domains = []string{domain}
	}
	for i, domain := range domains {
		d.Set(fmt.Sprintf("forests[%d].directory.domain", i), domain)
	}
	for i := range d.Len("forests") {
		if key := fmt.Sprintf("forests[%d].directory.bind.kind", i); d.Text(key) == "" {
			d.Set(key, string(answers.CredentialKerberos))
		}
	}
	return d, nil
}

// named reports whether answers say where to look for at least one forest.
func named(a answers.Answers) bool {
	for _, f := range a.Forests {
		if f.Directory.Domain != "" || len(f.Directory.Servers) > 0 || len(f.Domains) > 0 {
			return true
		}
	}
	return false
}

// discover completes the answers with what is found, and says where each answer came from and what
// is missing.
func (t *task) discover(ctx context.Context, scenario string, domains []string) error {
	d, err := t.begin(ctx, scenario, domains)
	if err != nil {
		return err
	}
	if err := t.openWith(d.Draft()); err != nil {
		return err
	}
	found, err := t.deployed.Discover(ctx, t.obs)
	if err != nil {
		return err
	}
	taken := found.Into(d)
	d.Prune()
	if _, err := t.out.Write(commented(d.Bytes(), taken)); err != nil {
		return err
	}
	v := report.View{Name: "init"}
	for _, g := range found.Gaps {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Of("not found"),
			Text: msg.Of("%s: %s", g.What, g.Why), Tone: report.Caution})
	}
	for _, root := range found.Hybrid {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Of("hybrid"),
			Text: msg.Of("%s has a hybrid configuration: hybridge plan shows what differs", root)})
	}
	for _, domain := range found.Forests {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Of("forest"),
			Text: msg.Of("%s may take part too: add it behind --discover", domain)})
	}
	t.aside().View(v)
	t.afterInit(t.outputFile)
	return nil
}

// commented lists in the head of a file where its answers were found.
func commented(data []byte, taken []deployment.Proposal) []byte {
	if len(taken) == 0 {
		return data
	}
	var b strings.Builder
	b.WriteString("# Found by hybridge init --discover; review each line:\n")
	for _, p := range taken {
		key := strings.Replace(p.Question, "forests[]", fmt.Sprintf("forests[%d]", p.Forest), 1)
		found := report.Sanitize(fmt.Sprintf("%s: %s (%s)", key, strings.Join(p.Values, ", "), p.From))
		// A line break in a name of the directory would end the comment.
		b.WriteString("#   " + strings.Join(strings.Fields(found), " ") + "\n")
	}
	b.WriteString("\n")
	at := bytes.Index(data, []byte("apiVersion:"))
	return bytes.Join([][]byte{data[:max(at, 0)], data[max(at, 0):]}, []byte(b.String()))
}

// scenarioFor is the template for a number of forests, where none was chosen.
func scenarioFor(chosen string, changed bool, forests int) string {
	if !changed && forests > 1 {
		return "multi-forest"
	}
	return cmp.Or(chosen, answers.Scenarios()[0].ID)
}
