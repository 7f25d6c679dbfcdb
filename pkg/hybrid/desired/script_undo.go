package desired

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// RollbackFolder is the folder beside the scripts with a script of the same name for each, which
// undoes it.
const RollbackFolder = "rollback"

// liveIdentity stands for the identity that the script reads when it runs.
const liveIdentity = "\x00identity"

// undoing is how a script undoes a change.
type undoing struct {
	action   string // remove, restore, replace or set, as Compare-Undo knows them
	commands []change.Command
	removes  bool          // the first command removes what is there
	like     change.Change // by which the object is found and recognized
	why      string        // nothing undoes it
}

// undo returns how a change is undone. The values come from the plan: a script writes only where
// what it finds is what the plan saw. What it added to lists is computed when the script runs.
func (s *script) undo(k *Kind, c change.Change) undoing {
	switch {
	case k.Permanent != "":
		return undoing{why: k.Permanent}
	case k.Undo != nil && c.Action == change.Create:
		return undoing{why: fmt.Sprintf("to %s: hybridge rollback --accept %s", k.Undo.Title, k.Undo.ID)}
	}
	u := undoing{action: "set", like: c}
	live := change.Live{Identity: liveIdentity, Name: c.Name, Properties: maps.Clone(c.After)}
	for name, p := range k.Properties {
		if p.Derived && c.Action == change.Create && c.After[name] == nil { // Exchange gave it
			live.Properties[name] = expression("[string] (Read-Property $Change.Live " +
				exchange.Quote(cmp.Or(p.From, name)) + ")")
		}
	}
	add := func(a change.Action, want change.Properties, on *change.Live) {
		command, err := k.Command(a, c.Name, want, on)
		if err != nil {
			u.why = fmt.Sprintf("no command undoes it: %v", err)
		}
		u.commands = append(u.commands, command)
	}
	removed := c
	removed.Action, removed.After = change.Create, c.Before // it is recognized by what Exchange gives it, too
	made := whole(k, c.Before)
	switch {
	case c.Action == change.Create && !updates(c.Command):
		u.action, u.removes = "remove", true
		add(change.Delete, nil, &live)
	case c.Action == change.Recreate:
		u.action, u.removes, u.like = "replace", true, removed
		add(change.Delete, nil, &live)
		add(change.Create, with(secretsOf(c.After), made), nil)
	case c.Action == change.Delete && !updates(c.Command):
		u.action, u.like = "restore", removed
		add(change.Create, made, nil)
	default:
		want := secretsOf(c.After)
		for name := range c.After {
			p := k.Properties[name]
			switch {
			case !p.Sent() || want[name] != nil:
			case joins(p) && c.Action != change.Delete && len(c.Removes[name]) == 0:
				want[name] = expression("@(Split-List " + exchange.Quote(cmp.Or(p.From, name)) + ")")
			default:
				want[name] = before(p, c, name)
			}
		}
		if c.Action == change.Delete {
			want = made
		}
		if c.Identity != "" {
			live.Identity = c.Identity
		}
		add(change.Update, want, &live)
	}
	for i := range u.commands {
		for name, v := range u.commands[i].Parameters {
			joined := k.System().Script.Joined
			if list, computed := v.(expression); computed && joined != nil {
				as := u.commands[i]
				as.Parameters = map[string]any{name: []string{}}
				u.commands[i].Parameters[name] = expression(joined(as, name, string(list)))
			}
		}
	}
	return u
}

// whole is what of a before-image a resource can be made from.
func whole(k *Kind, before change.Properties) change.Properties {
	out := change.Properties{}
	for name, v := range before {
		if _, unreadable := v.(change.Unreadable); v != nil && !unreadable && !k.Properties[name].Derived {
			out[name] = v
		}
	}
	return out
}

// secretsOf are the properties that hold a secret: they go along with a write.
func secretsOf(p change.Properties) change.Properties {
	out := maps.Clone(p)
	maps.DeleteFunc(out, func(_ string, v any) bool { return len(change.Secrets(v)) == 0 })
	if out == nil {
		out = change.Properties{}
	}
	return out
}

// undoStep writes the undoing of one change.
func (s *script) undoStep(i int) []string {
	c := s.changes[i]
	number := strconv.Itoa(i + 1)
	quoted := exchange.Quote
	what := fmt.Sprintf("%s %s %q", c.Action, c.Kind, c.Name)
	lines := []string{"", fmt.Sprintf("# %d of %d: undo %s", i+1, len(s.changes), comment(what))}
	k := kindNamed(c.Kind)
	if k == nil || k.Find == nil {
		return append(lines, "throw "+quoted("hybridge does not know "+c.Kind))
	}
	u := s.undo(k, c)
	var needs []any
	for _, other := range s.plan.Changes {
		if slices.Contains(other.Needs, c.ID) && s.byChange[other.ID] != nil {
			needs = append(needs, map[string]any{"Id": other.ID, "Script": s.byChange[other.ID].file})
		}
	}
	checks := s.checks(k, c)
	if len(checks) > 0 {
		lines = slices.Concat(lines, []string{"$checks" + number + " = @("}, checks, []string{")"})
	} else {
		lines = append(lines, "$checks"+number+" = @()")
	}
	enter := "Enter-Undo -Id %s -Kind %s -Action %s -What %s -Needs %s -Checks $checks%s -Permanent %s"
	lines = append(lines, fmt.Sprintf(enter, quoted(c.ID), quoted(c.Kind), quoted(u.action), quoted(what),
		s.literal(needs), number, quoted(u.why)))
	if u.why != "" {
		return append(lines, "Exit-Undo")
	}
	w := change.Writing{Name: "look" + number, Value: func(v any) string { return s.literal(v) }}
	before, look := k.System().Script.Look(k.Find(u.like), w)
	lines = append(lines, before...)
	recognized := s.recognized(k, u.like)
	if c.Action == change.Create {
		recognized = "Test-Made $_ (" + recognized + ")"
	}
	sort, name := sortOf(s.place)
	lines = append(lines,
		"while ($Change.Open) {",
		"    $live = @("+look+" | Where-Object { "+recognized+" })",
		fmt.Sprintf("    if ((Compare-Undo -Live $live) -and $PSCmdlet.ShouldProcess(%s, %s)) {",
			quoted(c.Kind+" "+strconv.Quote(c.Name)+" in "+sort.Named(name)),
			quoted("undo "+string(c.Action)+" with "+u.commands[len(u.commands)-1].Name)),
		"        Enter-UndoWrite",
	)
	for j, command := range u.commands {
		w.Name = fmt.Sprintf("undo%s_%d", number, j+1)
		indent := "        "
		guarded := u.removes && len(u.commands) > 1 && j == 0
		if guarded {
			lines = append(lines, indent+"if ($null -ne $Change.Live) {")
			indent += "    "
		}
		for _, line := range k.System().Script.Write(command, w) {
			lines = append(lines, indent+line)
		}
		if guarded {
			lines = append(lines, "        }")
		}
		for n, then := range command.Then {
			lines = append(lines, indent+"try {")
			w.Name = fmt.Sprintf("then%s_%d_%d", number, j+1, n+1)
			for _, line := range k.System().Script.Write(then, w) {
				lines = append(lines, indent+"    "+line)
			}
			lines = append(lines, indent+"} catch {",
				indent+"    Write-Warning "+quoted(then.Name+" failed: "+k.System().Later(then)+"."), indent+"}")
		}
	}
	return append(lines, "        Confirm-Undo", "    }", "}", "Exit-Undo")
}
