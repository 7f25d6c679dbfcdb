package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// demoExit is the way out of WorkMail in a demo.
type demoExit struct {
	Stages []demoStage `json:"stages"`
	// How many people left, and what they have afterwards.
	People    int `json:"people"`
	Addresses int `json:"addresses"`
	Items     int `json:"items"`
	// What they had before and lack now.
	Lost []string `json:"lost"`
	// Who is still registered to WorkMail.
	Left []string `json:"left"`
}

// demoStage is one stage of the way out.
type demoStage struct {
	Plan change.Plan `json:"plan"`
	// The apply was killed after it had reported so many changes; 0 when there was nothing to do.
	KilledAfter int `json:"killedAfter"`
	// What the run did that took the killed one up.
	Apply *apply.Report `json:"apply,omitempty"`
}

// View shows the plan of a stage and how its apply ended.
func (s demoStage) View() report.View {
	v := s.Plan.View()
	if s.Apply == nil {
		v.Blocks = append(v.Blocks, report.Paragraph{Text: msg.Of(
			"Nothing is removed before its replacement is verified. The clients of the users carry over what " +
				"WorkMail holds.")})
		return report.View{Blocks: []report.Block{report.Section{View: v}}}
	}
	return report.View{Blocks: []report.Block{report.Section{View: v},
		report.Paragraph{Text: msg.Of("The process of hybridge apply was killed after %d of %d changes. The same "+
			"command goes on:", s.KilledAfter, len(s.Plan.Changes))},
		report.Section{View: s.Apply.View()}}}
}

// outcome says what is where after the way out.
func (e demoExit) outcome() report.Block {
	if len(e.Lost)+len(e.Left) > 0 {
		return report.Paragraph{Tone: report.Bad, Text: msg.Of("lost: %v; left in WorkMail: %v", e.Lost, e.Left)}
	}
	return report.Paragraph{Tone: report.Good, Text: msg.Of("%d people have left WorkMail. Nothing is lost: "+
		"their %d addresses and all %d items are in Exchange.", e.People, e.Addresses, e.Items)}
}

// leaveWorkMail leads everyone of the lab out of WorkMail. Every stage is a plan whose apply a
// process of its own begins, which is killed on its way.
func (t *task) leaveWorkMail(ctx context.Context, l *lab.Lab, a answers.Answers, show func(n int, s demoStage) error,
) (e demoExit, err error) {
	before := l.Holdings()
	a.WorkMail.State, a.WorkMail.To = answers.Leaving, answers.ToExchange
	if err := a.Save(l.Answers()); err != nil {
		return e, err
	}
	if err := t.deployed.Close(ctx); err != nil {
		return e, err
	}
	if err := t.openWith(a); err != nil {
		return e, err
	}
	t.accept = []string{apply.AcceptRemovals}
	e.Stages = []demoStage{}
	for {
		var s demoStage
		if s.Plan, err = t.deployed.Plan(ctx, t.obs); err != nil {
			return e, err
		}
		switch {
		case len(s.Plan.Changes)+len(s.Plan.LeftOut) == 0:
			after := l.Holdings()
			e.People, e.Lost, e.Left = len(after), append([]string{}, lab.Missing(before, after)...),
				append([]string{}, l.InWorkMail()...)
			for _, h := range after {
				e.Addresses += len(h.Addresses)
				for _, f := range h.Folders {
					e.Items += f.Items
				}
			}
			return e, nil
		case len(e.Stages) == 10:
			return e, errors.New("the way out of WorkMail does not end")
		case len(s.Plan.Changes) > 0:
			if s.KilledAfter, err = t.kill(ctx, s.Plan, l); err != nil {
				return e, err
			}
			done, err := t.deployed.Apply(ctx, s.Plan, t.applyOptions(applyOptions{}), t.obs)
			if err != nil {
				return e, err
			}
			done.Journal = "" // it goes with the lab
			s.Apply = &done
		default:
			for address := range before {
				l.Carry(address)
			}
		}
		e.Stages = append(e.Stages, s)
		if err := show(len(e.Stages), s); err != nil {
			return e, err
		}
	}
}

// kill begins the apply of a plan in a process of its own, and kills it after it has reported a
// third of the changes.
func (t *task) kill(ctx context.Context, p change.Plan, l *lab.Lab) (reported int, err error) {
	file := filepath.Join(t.state, "stage.json")
	content, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		return 0, err
	}
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	c := exec.CommandContext(ctx, program, "apply", file, "--answers", l.Answers(), "--state-dir", t.state, "--yes",
		"--accept", apply.AcceptRemovals, "--non-interactive", "-o", "jsonl")
	c.Args[0] = os.Args[0]
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", strconv.Quote(program), err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() && reported <= len(p.Changes)/3 {
		var line report.Line
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Event == (apply.Outcome{}).Event() {
			reported++
		}
	}
	killed := c.Process.Kill()
	// A process that ended by itself has an exit code.
	if err := c.Wait(); killed != nil || c.ProcessState.ExitCode() >= 0 && runtime.GOOS != "windows" {
		return 0, fmt.Errorf("the apply ended before it was killed: %w", errors.Join(err, killed))
	}
	return reported, nil
}
