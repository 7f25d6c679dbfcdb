package freebusy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// direction runs the probes of an organization once for all lookups of a direction, with the
// mailboxes of the first one. It returns that lookup.
func (r *round) direction(ctx context.Context, p Premise, lookups []*lookup, proven map[string]bool) (first *lookup,
	more []Answer) {
	first = lookups[0]
	try := func(probe string, l *lookup, f func(context.Context, Step) (string, error)) {
		a := Answer{From: l.pair.From, To: l.pair.To, Direction: l.answer.Direction,
			Route: l.answer.Route, Probe: probe}
		if proven[a.Direction+" "+probe] {
			return
		}
		step := Step{Pair: l.pair, Address: l.at.Address, Route: l.answer.Route,
			Works: l.answer.Status == OK}
		a = guarded(ctx, r.o.Timeout, a, func(ctx context.Context) (string, error) { return f(ctx, step) })
		if errors.Is(a.Cause, ErrNotAsked) {
			return
		}
		a.follow(r.o.Following, r.o.Now(), r.o.UntilOK > 0)
		more = append(more, a)
	}
	for _, proof := range p.Proofs {
		if proof.To == first.at.Premise && !(proof.Beyond && r.o.CalendarsOnly) {
			try(proof.Probe, first, proof.Try)
		}
	}
	if first.at.Premise == p.Name || first.home < 0 || p.Session == nil {
		return first, more
	}
	if relation, ok := strings.CutPrefix(first.answer.Route[0], relationHop); ok {
		try("test-organizationrelationship", first, func(ctx context.Context, s Step) (string, error) {
			note, err := testRelation(ctx, p, relation, s)
			if no := (*refusal)(nil); errors.As(err, &no) && first.answer.Status == OK {
				return "the lookup works, although " + no.text, nil
			}
			return note, err
		})
	}
	// The token test presents a token to EWS. Where lookups go to Microsoft Graph, the application
	// may have no access to EWS.
	at := slices.IndexFunc(lookups, func(l *lookup) bool { return !throughGraph(l.answer.Route) })
	// Forests sign in at each other with accounts, and not with tokens.
	q := r.premises[first.home]
	if tokens := p.Side == exchange.Online || q.Side == exchange.Online; at >= 0 && tokens && q.EWS != "" &&
		q.Session != nil {
		try("test-oauthconnectivity", lookups[at], func(ctx context.Context, s Step) (string, error) {
			return testOAuths(ctx, p, q, s.From)
		})
	}
	return first, more
}

// guarded is timed; a panic is an error of that probe alone.
func guarded(ctx context.Context, limit time.Duration, a Answer,
	f func(context.Context) (note string, err error)) Answer {
	return timed(ctx, limit, a, func(ctx context.Context) (note string, err error) {
		defer broken.Into(&err, "the probe "+a.Probe)
		return f(ctx)
	})
}

// testOAuths runs Test-OAuthConnectivity at the server that the session is connected to, then at the
// others: a server can lack the certificate or the way out. A server that is not reached from here
// is named in the note: the lookups do not need us to reach it.
func testOAuths(ctx context.Context, p, q Premise, mailbox string) (note string, err error) {
	err = testOAuth(ctx, p.Name, p.Session.Read, q, mailbox)
	if none := (*noVerdict)(nil); p.Servers == nil || errors.As(err, &none) {
		return "", err
	}
	servers, unlisted := p.Servers(ctx)
	if unlisted != nil {
		return "the other servers were not asked: " + unlisted.Error(), err
	}
	results := make([]error, len(servers))
	turns := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, s := range servers {
		turns <- struct{}{}
		wait.Go(func() {
			defer func() { <-turns }()
			defer broken.Into(&results[i], "Test-OAuthConnectivity at "+s.Name)
			results[i] = testOAuth(ctx, p.Name+" at "+s.Name, s.Read, q, mailbox)
		})
	}
	wait.Wait()
	var works, refused, notes []string
	for i, result := range results {
		var no *refusal
		switch {
		case result == nil:
			works = append(works, servers[i].Name)
		case errors.As(result, &no):
			refused = append(refused, servers[i].Name)
			if err == nil {
				err = result
			}
		default:
			notes = append(notes, fmt.Sprintf("%s was not asked: %v", servers[i].Name, result))
		}
	}
	if len(works) > 0 {
		notes = append([]string{"works at " + strings.Join(works, ", ")}, notes...)
	}
	if len(refused) > 0 {
		notes = append([]string{"fails at " + strings.Join(refused, ", ")}, notes...)
	}
	return strings.Join(notes, "; "), err
}

type read = func(ctx context.Context, c exchange.Command) ([]exchange.Object, error)

// testOAuth runs Test-OAuthConnectivity: a premise presents its own token to another. Only
// ResultType counts. The detail is free text.
func testOAuth(ctx context.Context, where string, read read, q Premise, mailbox string) error {
	out, err := read(ctx, exchange.Command{Name: "Test-OAuthConnectivity", Parameters: map[string]any{
		"Service": "EWS", "TargetUri": q.EWS, "Mailbox": mailbox, "ReloadConfig": true,
	}})
	if err != nil {
		return &noVerdict{fmt.Errorf("%s: Test-OAuthConnectivity: %w", where, err)}
	}
	if len(out) == 0 {
		return &noVerdict{fmt.Errorf("%s: Test-OAuthConnectivity printed no result", where)}
	}
	result, err := out[0].String("ResultType")
	if err != nil {
		return &noVerdict{fmt.Errorf("%s: Test-OAuthConnectivity: ResultType: %w", where, err)}
	}
	if result == "Success" {
		return nil
	}
	detail, _ := out[0].String("Detail")
	return &refusal{fmt.Sprintf("%s: Test-OAuthConnectivity: %s: %s", where, result, detail)}
}

// Refused is the error of a probe that was answered with a refusal.
func Refused(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// NotSeen is the error of a probe that did not run: its answer is unknown.
func NotSeen(err error) error { return &noVerdict{err} }

// relationHop begins the hop of an organization relationship, before its name.
const relationHop = "organization relationship "

// agentHost is in the addresses of Microsoft's Hybrid Agent.
const agentHost = ".msappproxy.net"

// mismatched is the result of Test-OrganizationRelationship that the Hybrid Agent always causes.
const mismatched = "MismatchedFederation"

// testRelation runs Test-OrganizationRelationship: whether the relationship that a lookup takes fits
// the federation of the other side, and whether a delegation token can be had. It prints lines of
// text, of which "RESULT:" judges the step before it, and objects with Id, Status and Description.
func testRelation(ctx context.Context, p Premise, name string, s Step) (note string, err error) {
	const cmdlet = "Test-OrganizationRelationship"
	out, err := p.Session.Read(ctx, exchange.Command{Name: cmdlet, Parameters: map[string]any{
		"Identity": name, "UserIdentity": s.From,
	}})
	var record *exchange.Error
	switch {
	case err == nil:
	case errors.As(err, &record) && !errors.Is(err, exchange.ErrNoCmdlet) && !errors.Is(err, exchange.ErrNotFound) &&
		!errors.Is(err, link.ErrAccess):
		return "", &refusal{fmt.Sprintf("%s: %s: %v", p.Name, cmdlet, err)} // as without a federation trust
	default:
		return "", &noVerdict{fmt.Errorf("%s: %s: %w", p.Name, cmdlet, err)}
	}
	agent := len(s.Route) > 1 && strings.Contains(strings.ToLower(s.Route[1]), agentHost)
	var wrong []string
	step, fine, expected := "", false, false
	for _, o := range out {
		line := strings.TrimSpace(o.Text)
		id, unnamed := o.String("Id")
		status, _ := o.String("Status")
		switch {
		case unnamed == nil && agent && strings.EqualFold(id, mismatched):
			expected = true
		case unnamed == nil && strings.EqualFold(status, "Success"):
			fine = true
		case unnamed == nil && status != "":
			description, _ := o.String("Description")
			wrong = append(wrong, strings.TrimSpace(id+": "+description))
		case strings.HasPrefix(line, "RESULT: Success"), strings.EqualFold(line, "No Significant Issues to Report"):
			fine = true
		case strings.HasPrefix(line, "RESULT:"):
			wrong = append(wrong, step+" "+line)
		case strings.Contains(line, "STEP"):
			step = line
		}
	}
	if expected { // the step with that result
		wrong = slices.DeleteFunc(wrong, func(text string) bool { return strings.Contains(text, "STEP 3") })
		note = mismatched + " is expected: the relationship leads to the Hybrid Agent"
	}
	switch {
	case len(wrong) > 0:
		return note, &refusal{fmt.Sprintf("%s: %s: Error: %s", p.Name, cmdlet, strings.Join(wrong, "; "))}
	case !fine && !expected:
		return "", &noVerdict{fmt.Errorf("%s: %s printed no result", p.Name, cmdlet)}
	}
	return note, nil
}
