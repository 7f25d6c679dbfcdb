package wizard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// A report of checks has hundreds of results, one after the other. In plain lines, the worst are
// read, then how many there are. All have a number, by which a person reads, repeats and
// acknowledges them.
const (
	firstResults = 10      // that are read after the checks
	pageResults  = 20      // that are read until the person wants more
	linesResult  = 20      // of 80 columns that are read of one
	unbroken     = 1 << 20 // columns, in which no text is broken
)

func (l *lines) check() (next string, err error) {
	s := find[*checkScreen](l.model)
	s.anew = ""
	v, err := l.stage(s)
	s.end(l.model, v, err)
	if l.outcome.Check == nil || len(l.outcome.Check.Results) == 0 && err != nil {
		l.outcome.Check = nil
		return toCheck, l.failed(err)
	}
	results := l.outcome.Check.WorstFirst()
	n := l.tellResults(results, 0, min(firstResults, urgent(results)), false)
	l.counted()
	if err != nil {
		return toCheck, l.failed(err)
	}
	if more := urgent(results) - n; more > 0 {
		l.tell("%s", l.count(more, "%d more problem is not read here; look at the results.",
			"%d more problems are not read here; look at the results."))
		return toResults, nil
	}
	return toPlan, nil
}

// urgent is how many results ask for an act. They come first.
func urgent(results []check.Result) int {
	n := slices.IndexFunc(results, func(r check.Result) bool {
		return r.Status != check.StatusFail && r.Status != check.StatusError && r.Status != check.StatusWarn
	})
	if n < 0 {
		return len(results)
	}
	return n
}

// counted says how many results there are of each status.
func (l *lines) counted() {
	whole := *l.outcome.Check
	whole.Results = nil
	l.document(whole)
}

// tellResults reads the results from one number to before another. It returns the latter. Only
// whole leaves no lines out.
func (l *lines) tellResults(results []check.Result, from, to int, whole bool) int {
	hinted := map[string]bool{}
	for i, r := range results[from:to] {
		block := r.Block()
		if r.Status == check.StatusError {
			if hint := l.options.Hint(r.Cause); hint != "" && !hinted[hint] { // it is read once
				hinted[hint] = true
				block.Details = append(block.Details, report.Paragraph{Label: msg.Of("hint"), Text: msg.Plain(hint)})
			}
		}
		var passed []string // a block cuts what a check that passed saw
		if r.Status == check.StatusPass {
			passed = l.text(l.width-8, clean(l.in(r.Summary)))
			block.Summary = msg.Text{}
		}
		texts := l.blocks(l.width, block)
		for _, text := range passed {
			texts = append(texts, "        "+text)
		}
		texts[0] = fmt.Sprintf("%d. %s", from+i+1, strings.TrimLeft(texts[0], " "))
		room := linesResult * max(minWidth, l.width) / l.width
		if n := len(texts); n > room && !whole {
			texts = append(texts[:room-1:room-1], "        "+l.words("(%d lines more)", n-room+1))
		}
		for _, text := range texts {
			l.wrapped(text)
		}
	}
	return to
}

// results lets a person read the results of the checks, check one again, and acknowledge one.
func (l *lines) results() (next string, err error) {
	options := []string{"read the problems", "read all results", "search", "read one with all details",
		"check one again", "acknowledge one", "back"}
	for first := true; ; first = false {
		if l.outcome.Check == nil {
			l.tell("The prerequisites are not checked yet.")
			return toCheck, nil
		}
		results := l.outcome.Check.WorstFirst()
		if first {
			l.counted()
			l.offer(options)
		} else {
			l.say("")
			l.tell("What next? Enter: %s. ? reads all choices.", l.term("back"))
		}
		n, err := l.chosen(options, len(options)-1)
		if err != nil {
			return "", err
		}
		switch n {
		case 0:
			err = l.readPages(results, urgent(results))
		case 1:
			err = l.readPages(results, len(results))
		case 2:
			err = l.search(results)
		case 3, 4, 5:
			var at int
			if at, err = l.number(len(results)); err == nil && at >= 0 {
				err = []func([]check.Result, int) error{l.readOne, l.checkAgain, l.acknowledge}[n-3](results, at)
			}
		default:
			return toPlan, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// readOne reads a result with all its details, and what its check reads.
func (l *lines) readOne(results []check.Result, at int) error {
	l.tellResults(results, at, at+1, true)
	if reads := find[*checkScreen](l.model).asked(results[at].ID); len(reads) > 0 {
		l.tell("%s: %s", l.words("reads"), strings.Join(reads, "; "))
	}
	return nil
}

// number asks for one of n things; -1 for none.
func (l *lines) number(n int) (int, error) {
	for {
		text, err := l.ask(l.words("Which one, by number (Enter: none):"), false)
		if err != nil || text == "" {
			return -1, err
		}
		if k, err := strconv.Atoi(text); err == nil && k >= 1 && k <= n {
			return k - 1, nil
		}
		l.tell("Type a number from 1 to %d.", n)
	}
}

// readPages reads the first n results, a page at a time.
func (l *lines) readPages(results []check.Result, n int) error {
	if n == 0 {
		l.tell("There is nothing to read.")
	}
	for from := 0; from < n; {
		if from > 0 {
			more, err := l.agree(l.words("%d of %d are read. Go on?", from, n), true)
			if err != nil || !more {
				return err
			}
		}
		from = l.tellResults(results, from, min(from+pageResults, n), false)
	}
	return nil
}

// search reads the results in which a text is.
func (l *lines) search(results []check.Result) error {
	text, err := l.ask(l.words("Text to search for:"), false)
	if err != nil || text == "" {
		return err
	}
	found := 0
	for i, r := range results {
		block := r.Block() // as it is without a terminal that breaks and cuts it
		block.Details = append(block.Details, report.Paragraph{Text: block.Summary})
		whole := strings.Join(l.blocks(unbroken, block), " ")
		if !strings.Contains(strings.ToLower(whole), strings.ToLower(text)) {
			continue
		}
		if found > 0 && found%pageResults == 0 {
			more, err := l.agree(l.words("Go on?"), true)
			if err != nil || !more {
				return err
			}
		}
		found++
		l.tellResults(results, i, i+1, false)
	}
	l.tell("%s", l.count(found, "%d result found.", "%d results found."))
	return nil
}

// checkAgain runs one check again, wherever it looks.
func (l *lines) checkAgain(before []check.Result, at int) error {
	s, id := find[*checkScreen](l.model), before[at].ID
	s.anew = id
	v, err := l.under(l.words("Checking %s again.", string(id)), s)
	s.end(l.model, v, err)
	if err != nil {
		return l.failed(err)
	}
	results := l.outcome.Check.WorstFirst()
	for i := range results {
		if results[i].ID == id {
			l.tellResults(results, i, i+1, false)
		}
	}
	l.counted()
	return nil
}

// acknowledge asks why a finding is accepted, who answers for it, and until when, and checks again.
func (l *lines) acknowledge(results []check.Result, at int) error {
	r := results[at]
	if r.Status != check.StatusFail && r.Status != check.StatusWarn {
		l.tell("Only a failed check or a warning can be acknowledged.")
		return nil
	}
	l.tell("Acknowledge %s of %s. It goes into the answers. The finding counts again after the last day. Enter alone "+
		"gives up.", string(r.ID), r.Scope)
	values := [len(acknowledged)]string{2: l.options.now().Add(accepted).UTC().Format(time.DateOnly)}
	for i := range values {
		text, err := l.ask(fmt.Sprintf("%s [%s]:", l.term(acknowledged[i]), values[i]), false)
		switch {
		case err != nil:
			return err
		case text != "":
			values[i] = text
		case values[i] == "":
			return nil
		}
	}
	if err := acknowledge(l.model, r, values[0], values[1], values[2]); err != nil {
		l.tell("! %s", firstLine(err.Error()))
		return nil
	}
	_, err := l.check()
	return err
}

// left offers to test the access of a page when its questions are answered. Where it does not work,
// the questions are asked again, if the person wants that.
func (l *lines) left(p answers.Page, changed bool) error {
	f := find[*formScreen](l.model)
	if _, has := accessOf(p); !has || !f.given(l.model, p) {
		return nil
	}
	// What asks the person something is tested only if the person says so, as on the screens.
	yes, err := l.agree(l.words("Test what is entered here?"), changed && !f.asks(l.model, p))
	if err != nil || !yes {
		return err
	}
	return l.try(p)
}

// try tests the access of a page.
func (l *lines) try(p answers.Page) error {
	f := find[*formScreen](l.model)
	at, _ := accessOf(p)
	f.trials.now = &at
	v, err := l.under(l.words("Testing: %s", l.title(p)), f)
	f.trials.now = nil
	if texts := result[[]msg.Text](v); texts != nil {
		for _, text := range *texts {
			l.tell("%s: %s", l.words("ok"), l.in(text))
		}
	}
	if err == nil {
		return nil
	}
	if err := l.failed(err); err != nil {
		return err
	}
	again, err := l.agree(l.words("Change these answers?"), true)
	if err != nil || !again {
		return err
	}
	return l.page(p)
}

// access tests one access of the answers.
func (l *lines) access() (next string, err error) {
	f := find[*formScreen](l.model)
	var pages []answers.Page
	var titles []string
	for _, p := range l.model.document.Pages() {
		if _, has := accessOf(p); has && f.given(l.model, p) {
			pages, titles = append(pages, p), append(titles, l.title(p))
		}
	}
	if len(pages) == 0 {
		l.tell("The answers name no access yet.")
		return toCheck, nil
	}
	n, err := l.choose(append(titles, "back"), 0)
	if err != nil || n == len(pages) {
		return toCheck, err
	}
	if err := l.try(pages[n]); err != nil {
		return "", err
	}
	return toCheck, l.complete()
}
