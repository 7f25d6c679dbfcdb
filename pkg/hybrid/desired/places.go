package desired

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// places returns the systems that hold resources, for reading.
func places(set *fact.Set) map[string]change.Reader {
	out := Reading(set)
	if t := set.Tenant; t != nil {
		memory := &Memory{}
		out[PlaceEntra] = change.NewReader(PlaceEntra, MicrosoftGraph, func(ctx context.Context) (*Directory, error) {
			graph, err := t.Graph(ctx)
			if err != nil {
				return nil, err
			}
			return &Directory{Graph: graph, Now: set.Now, Applications: ApplicationsOf(set), Memory: memory}, nil
		})
	}
	return out
}

// Reading returns the places of Exchange and WorkMail, for reading: what the facts have read is not
// read again.
func Reading(set *fact.Set) map[string]change.Reader {
	out := map[string]change.Reader{}
	if t := set.Tenant; t != nil {
		out[PlaceOnline] = change.NewReader(PlaceOnline, Exchange, t.Session)
	}
	if w := set.WorkMail; w != nil {
		out[PlaceWorkMail] = change.NewReader(PlaceWorkMail, AmazonWorkMail, w.WorkMail)
	}
	for _, forest := range set.Forests {
		name := PlaceForest(forest.Name())
		out[name] = change.NewReader(name, Exchange, forest.Session)
	}
	return out
}

// ApplicationsOf finds the dedicated applications of all forests whose organization is known:
// nothing is planned for the others. An application that cannot be distinguished from others of its
// name is read together with them.
func ApplicationsOf(set *fact.Set) func(context.Context) ([]fact.Dedicated, error) {
	return func(ctx context.Context) ([]fact.Dedicated, error) {
		var out []fact.Dedicated
		var unknown error
		for _, forest := range set.Forests {
			organization, err := fact.Organization.In(ctx, forest)
			if err != nil {
				unknown = err
				continue
			}
			d, err := fact.DedicatedApplication.In(ctx, forest)
			if err != nil {
				d = fact.Dedicated{Name: fact.ApplicationName(organization.GUID)}
			}
			out = append(out, d)
		}
		if len(out) == 0 {
			return nil, unknown
		}
		return out, nil
	}
}

// Comparison compares the desired state with the live state, as a plan does.
var Comparison = fact.Derive(fact.AtOrganization, nil, func(ctx context.Context, all *fact.Side) (change.Plan, error) {
	resources, left, err := Resources(ctx, all.Set())
	if err != nil {
		return change.Plan{}, err
	}
	return change.Make(ctx, places(all.Set()), resources, change.Options{LeftOut: left})
}, fact.Source{Ask: "what a plan reads"})

// Wanted lists the kinds that the features of the answers need, with the topics they belong to.
func Wanted(set *fact.Set) map[*Kind][]string {
	out := map[*Kind][]string{}
	for _, t := range Topics() {
		for _, k := range t.Kinds {
			if t.manages(set.Answers) {
				out[k] = append(out[k], t.ID)
			}
		}
	}
	return out
}

// CloudsOf returns the clouds that a kind is for: of the topics that the answers need, or of all
// topics without answers. An empty one is the tenant.
func CloudsOf(k *Kind, a *answers.Answers) []fact.At {
	var out []fact.At
	for _, t := range Topics() {
		if slices.Contains(t.Kinds, k) && (a == nil || t.manages(*a)) && !slices.Contains(out, t.Cloud) {
			out = append(out, t.Cloud)
		}
	}
	return out
}

// BegunWorkMail reports whether free/busy with WorkMail was set up for a forest, in one direction
// at least.
func BegunWorkMail(plan change.Plan, forest *fact.Side) bool {
	if forest.Answers.WorkMail == nil {
		return true // it takes no part
	}
	missing := 0
	for _, c := range plan.Changes {
		space := c.Kind == availabilityAddressSpace.Noun && c.Target == PlaceForest(forest.Name()) &&
			strings.HasSuffix(c.Name, ".awsapps.com")
		if c.Action == change.Create && (space || c.Kind == availabilityConfiguration.Noun &&
			slices.Contains(lower(forest.Answers.Domains), c.Name)) {
			missing++
		}
	}
	for _, l := range plan.LeftOut {
		if strings.HasPrefix(l.Topic, WorkMail) && (l.Place == "" || l.Place == PlaceWorkMail ||
			l.Place == PlaceForest(forest.Name())) {
			return false
		}
	}
	return missing <= len(forest.Answers.Domains)
}

// BegunBetween reports whether lookups between forests were set up: one address space at least is
// there.
func BegunBetween(plan change.Plan, set *fact.Set) bool {
	wanted := 0
	for _, forest := range set.Forests {
		for _, other := range set.Forests {
			if other != forest && other.Answers.Lookups != nil {
				wanted += len(other.Answers.Domains)
			}
		}
	}
	for _, c := range plan.Changes {
		if c.Action == change.Create && c.Kind == organizationRelationship.Noun &&
			strings.HasPrefix(c.Name, "Forest ") {
			return false
		}
		between := slices.ContainsFunc(set.Forests, func(f *fact.Side) bool {
			return f.Answers.Lookups != nil && slices.Contains(lower(f.Answers.Domains), normalDomain(c.Name))
		})
		if c.Action == change.Create && c.Kind == availabilityAddressSpace.Noun && between {
			wanted--
		}
	}
	for _, l := range plan.LeftOut {
		if l.Topic == betweenForests.ID {
			return false
		}
	}
	return wanted > 0
}

// Begun reports whether the forest was set up: the plan creates neither the record of the hybrid
// configuration nor the override that switches the dedicated application on, which are the last
// steps of an apply. A plan that leaves these out proves nothing.
func Begun(plan change.Plan, forest string) bool {
	place := PlaceForest(forest)
	for _, c := range plan.Changes {
		if c.Target == place && (c.Kind == settingOverride.Noun || c.Kind == hybridConfiguration.Noun) &&
			c.Action == change.Create {
			return false
		}
	}
	for _, l := range plan.LeftOut {
		if (l.Topic == applicationSwitch.ID || l.Topic == hybridRecord.ID) && (l.Place == place || l.Place == "") {
			return false
		}
	}
	return true
}
