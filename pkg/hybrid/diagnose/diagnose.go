// Package diagnose knows the causes that a failure can have: by which texts and codes they show,
// which probe decides, who owns the fix. The table is data, in templates/diagnoses.
package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/templates"
)

// ID is the stable name of a cause: topic.cause, "oauth.auth-certificate-missing".
type ID string

// Anchor is the anchor of the cause in docs/reference/diagnoses.md.
func (id ID) Anchor() string { return strings.ReplaceAll(string(id), ".", "-") }

// Page is where the cause is described.
func (id ID) Page() string { return "docs/reference/diagnoses.md#" + id.Anchor() }

// Row is one cause.
type Row struct {
	ID ID `yaml:"id"`
	// Codes are the codes of other systems that have this cause. The first row with a code counts.
	Codes []string `yaml:"codes"`
	// Texts are parts of error texts that show the cause. " * " stands for some words between.
	Texts []string `yaml:"texts"`
	// Vague texts also occur where no Exchange is concerned. They count alone, or beside a word of
	// the field.
	Vague []string `yaml:"vague"`
	// Layer is where the cause lies: dns, network, tls, oauth, ews, directory, ...
	Layer string `yaml:"layer"`
	// Direction is the way of the lookup or message that fails.
	Direction string `yaml:"direction"`
	Cause     string `yaml:"cause"`
	Probe     string `yaml:"probe"` // which decides
	Owner     string `yaml:"owner"` // who can fix it
	Fix       string `yaml:"fix"`
	// Plan lists the kinds whose resources fix the cause, when hybridge applies them.
	Plan []string `yaml:"plan"`
	// Checks lists the checks that find the cause: they decide. Where all pass, it is another one.
	Checks []string `yaml:"checks"`
	// Shows lists checks that can find the cause. A pass does not exclude it.
	Shows []string `yaml:"shows"`
	// Run is a command of hybridge that looks at it, where no check alone decides.
	Run string `yaml:"run"`
	// Outside marks a cause that nothing of hybridge looks at: a person does, by the probe.
	Outside bool `yaml:"outside"`
	// Says are the words by which a finding of a check shows this cause, where it has several.
	Says map[string][]string `yaml:"says"`
	// Seen are sentences of hybridge's own probes: they decide as well.
	Seen []string `yaml:"seen"`
	// ByDesign marks what works as designed.
	ByDesign bool `yaml:"byDesign"`
	// Passes marks what ends without a fix: servers retry.
	Passes bool `yaml:"passes"`
	// Wrapper marks a text that only wraps the error of something else: it comes last.
	Wrapper bool `yaml:"wrapper"`
	// Confidence is what a text alone is worth, from 0 to 1; 0.8 when 0.
	Confidence float64 `yaml:"confidence"`

	texts, vague, seen []pattern
	says               map[string][]pattern
}

// finders lists the checks that can find the cause.
func (r Row) finders() []string { return slices.Concat(r.Checks, r.Shows) }

// command is the command of hybridge that looks whether it is this cause; "" where a person does.
func (r Row) command() string {
	switch {
	case r.Run != "":
		return r.Run
	case len(r.Checks)+len(r.Shows) > 0:
		return "hybridge check --only " + strings.Join(r.finders(), ",")
	}
	return ""
}

// The directions.
const (
	AnyDirection   = "any"
	OnlineToOnprem = "online-to-onprem"
	OnpremToOnline = "onprem-to-online"
	ForestToForest = "forest-to-forest"
)

// topic is one file of the table. Its layer and owner are those of rows without their own.
type topic struct {
	Layer string `yaml:"layer"`
	Owner string `yaml:"owner"`
	Rows  []Row  `yaml:"rows"`
}

// Rows lists the causes. The table is part of the program: one that cannot be read is a mistake of
// the build, which every test meets.
func Rows() []Row { return table() }

var table = sync.OnceValue(func() []Row {
	var rows []Row
	for _, name := range templates.List("diagnoses") {
		text, err := templates.Read(name)
		if err != nil {
			panic(fmt.Sprintf("the table of causes: %v", err))
		}
		var t topic
		if err := yaml.Load([]byte(text), &t, yaml.WithKnownFields()); err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
		for _, r := range t.Rows {
			if r.Layer == "" {
				r.Layer = t.Layer
			}
			if r.Owner == "" {
				r.Owner = t.Owner
			}
			if r.Direction == "" {
				r.Direction = AnyDirection
			}
			if r.Confidence == 0 {
				r.Confidence = 0.8
			}
			r.texts, r.vague, r.seen = patterns(r.Texts), patterns(r.Vague), patterns(r.Seen)
			r.says = map[string][]pattern{}
			for id, words := range r.Says {
				r.says[id] = patterns(words)
			}
			rows = append(rows, r)
		}
	}
	return rows
})

// IDs lists the ids of the causes.
func IDs() []ID {
	var ids []ID
	for _, r := range Rows() {
		ids = append(ids, r.ID)
	}
	return ids
}

// Find is the row of an id.
func Find(id ID) (Row, bool) {
	i := slices.IndexFunc(Rows(), func(r Row) bool { return r.ID == id })
	if i < 0 {
		return Row{}, false
	}
	return Rows()[i], true
}
