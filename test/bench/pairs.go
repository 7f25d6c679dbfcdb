//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

const (
	pairsGoal = 10.0 // seconds of 1,000 pairs
	pairsMost = 50   // pairs per request for calendars; one request more proves the answers
)

// pairs measures 1,000 pairs of free/busy beside exchangelib, which asks the same server for the
// same calendars. hybridge also finds each mailbox and its route, compares times with the mailbox's
// own side, and tests the sign-in.
func pairs(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var asked atomic.Int64
	count := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := strings.ToLower(r.URL.Path)
			if r.Method == http.MethodPost && r.UserAgent() != "ASProxy/CrossForest/EmailDomain" &&
				(path == "/ews/exchange.asmx" || strings.HasSuffix(path, "/getschedule") ||
					strings.HasSuffix(path, "/$batch")) {
				asked.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	}
	l, err := lab.Start(ctx, lab.Options{Dir: dir, Forests: 1, Users: n + n/5, Weather: count})
	if err != nil {
		return err
	}
	defer l.Close()
	a, err := answers.Load(ctx, l.Answers())
	if err != nil {
		return err
	}
	var facts struct {
		Forests []struct{ Domain, User, Password string }
	}
	text, err := os.ReadFile(filepath.Join(dir, "lab.json"))
	if err == nil {
		err = json.Unmarshal(text, &facts)
	}
	if err != nil {
		return err
	}
	forest := facts.Forests[0]
	state := filepath.Join(dir, "state")
	quiet := observe.Func(func(observe.Event) {})
	opened := func() (*deployment.Deployment, error) {
		return deployment.Open(a, deployment.Options{Dir: dir, StateDir: state})
	}
	d, err := opened()
	if err != nil {
		return err
	}
	plan, err := d.Plan(ctx, quiet)
	if err != nil {
		return err
	}
	o := apply.Options{StateDir: state}
	for _, c := range deployment.Consents() {
		o.Accept = append(o.Accept, c.ID)
	}
	if _, err := d.Apply(ctx, plan, o, quiet); err != nil {
		return err
	}
	sampled, err := d.Test(ctx, deployment.TestOptions{Sample: n}, quiet)
	if err != nil {
		return err
	}
	_ = d.Close(ctx)
	var addresses []string
	for _, answer := range sampled.Matrix {
		if answer.To != forest.User && !slices.Contains(addresses, answer.To) && len(addresses) < n {
			addresses = append(addresses, answer.To)
		}
	}
	a.Tests.Pairs = nil
	for _, address := range addresses {
		a.Tests.Pairs = append(a.Tests.Pairs, answers.Pair{From: forest.User, To: address})
	}
	if d, err = opened(); err != nil {
		return err
	}
	defer d.Close(ctx)
	asked.Store(0)
	start := time.Now()
	tested, err := d.Test(ctx, deployment.TestOptions{}, quiet)
	if err != nil {
		return err
	}
	took, requests := time.Since(start).Seconds(), asked.Load()
	other, err := byExchangelib(ctx, dir, forest.Domain, forest.User, forest.Password, addresses)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "free/busy of %d mailboxes\tseconds\tcalendars\trequests, sign-ins included\t\n", len(addresses))
	fmt.Fprintf(w, "hybridge test\t%.2f\t%d\t%d\t\n", took, tested.Summary.OK, requests)
	fmt.Fprintf(w, "exchangelib\t%.2f\t%d\t\t\n", other.Seconds, other.Calendars)
	fmt.Fprintf(w, "ratio\t%.2f\t\t\t\n", took/other.Seconds)
	fmt.Fprintf(w, "goal\t%.2f\t\t%d and sign-ins\t\n", pairsGoal, len(addresses)/pairsMost+1)
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case other.Calendars != len(addresses) || tested.Summary.Failed+tested.Summary.Unknown > 0:
		return errors.New("not every calendar came")
	case took > pairsGoal && took > 1.5*other.Seconds: // and not for want of a processor
		return fmt.Errorf("%d pairs took %.1f s, and exchangelib %.1f s", len(addresses), took, other.Seconds)
	}
	return nil
}

type lookups struct {
	Calendars int
	Seconds   float64
}

func byExchangelib(ctx context.Context, dir, domain, user, password string, addresses []string) (out lookups,
	err error) {
	script, err := testdata.ReadFile("testdata/pairs.py")
	if err != nil {
		return out, err
	}
	secret, err := os.ReadFile(filepath.Join(dir, strings.TrimPrefix(password, "file:")))
	if err != nil {
		return out, err
	}
	c := exec.CommandContext(ctx, "/usr/bin/python3", "-W", "ignore", "-c", string(script),
		filepath.Join(dir, "lab.json"), "https://mail."+domain+"/EWS/Exchange.asmx", user,
		strings.TrimSpace(string(secret)))
	c.Stdin = strings.NewReader(strings.Join(addresses, "\n"))
	c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+filepath.Join(dir, "ca.pem"), "HOME="+dir, "TMPDIR="+dir,
		"PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	data, err := c.Output()
	if err != nil {
		return out, fmt.Errorf("exchangelib: %w: %s", err, stderr.String())
	}
	return out, json.Unmarshal(data, &out)
}
