package main

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

type testOptions struct {
	deployment.TestOptions
	watch time.Duration
	// --watch is given: without a value, its interval is 30s.
	watching bool
}

func newTestCommand(a app) *cobra.Command {
	var o testOptions
	c := &cobra.Command{
		Use:     "test",
		GroupID: "flow",
		Short:   "Test free/busy, or mail, in both directions",
		Long: `Test looks up free/busy for every pair of mailboxes in the answers file: in both directions, and from
both sides. It shows the route of each lookup and, after a failure, the suspected cause.

With --message it sends a message for every pair instead, reads its header where it arrives, and deletes
it. The message must arrive over TLS and as internal mail. On-premises, the account of exchange.ews sends
and reads; in the tenant, the application needs the permissions Mail.Send and Mail.ReadWrite.

Mailboxes are looked up together, up to 100 per request, and the probes of an organization run once
per direction. --until-ok repeats what is not ok yet. What fails soon after an apply is pending while the
waiting time lasts that Microsoft documents for the change: "pending, normal until 14:05".

Exits 0 when every lookup works, 3 when one failed, 9 when one could not be made or is pending.
The same holds for messages; a message is pending while a server puts it off and retries.`,
		Example: `  hybridge test -f answers.yaml
  hybridge test -f answers.yaml --until-ok 20m        # after an apply, until caches have run out
  hybridge test -f answers.yaml --watch=5m            # every five minutes, until Ctrl-C
  hybridge test -f answers.yaml --sample 100          # a hundred mailboxes per forest and side
  hybridge test -f answers.yaml --from anna@contoso.com --to bob@fabrikam.com
  hybridge test -f answers.yaml --marker              # compare times also where a calendar is empty
  hybridge test -f answers.yaml --message             # mail each way: delivered, over TLS, internal`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&o.From, "from", "", "only lookups by `ADDRESS`")
	c.Flags().StringVar(&o.To, "to", "", "only lookups of `ADDRESS`")
	c.Flags().DurationVar(&o.UntilOK, "until-ok", 0, "repeat until every lookup works, for at most this `TIME`")
	c.Flags().IntVar(&o.Sample, "sample", 0,
		"look up `NUMBER` mailboxes per forest and side instead of the pairs in the answers file")
	c.Flags().BoolVar(&o.Marker, "marker", false,
		"put an appointment into each mailbox that is asked about, compare its times, and remove it")
	c.Flags().BoolVar(&o.Message, "message", false,
		"send a message for each pair instead of a lookup, and judge how it arrives")
	c.Flags().DurationVar(&o.Wait, "wait", 0, "`TIME` that a message may take; three minutes when not given")
	c.Flags().DurationVar(&o.watch, "watch", 0, "repeat after this `TIME`, until cancelled")
	c.Flags().Lookup("watch").NoOptDefVal = "30s"
	return a.fleetVerb(c, testTraits,
		func(ctx context.Context, t *task, _ []string) error {
			o.watching = c.Flags().Changed("watch")
			return runTest(ctx, t, o)
		}, "watch", "from", "to")
}

const testTraits = measured | report.Events

func runTest(ctx context.Context, t *task, o testOptions) error {
	if o.watch < 0 || o.watch == 0 && o.watching {
		return usage("--watch: an interval of more than 0 is required, such as --watch=30s")
	}
	if o.watch > 0 {
		if _, err := format(t.output, testTraits|report.Rounds); err != nil {
			return err
		}
	}
	if o.Message && (o.Marker || o.UntilOK > 0) {
		return usage("--message goes with neither --marker nor --until-ok: these are for lookups")
	}
	if o.Sample > 0 && (o.Message || o.From != "" || o.To != "") {
		return usage("--sample goes with neither --from, --to nor --message")
	}
	if o.Wait != 0 && !o.Message {
		return usage("--wait goes with --message alone")
	}
	if err := addresses(&o.From, &o.To); err != nil {
		return err
	}
	if err := t.open(ctx); err != nil {
		return err
	}
	if o.watch > 0 && t.text() && t.outputFile == "" && t.canRedraw() {
		return watchLive(ctx, t, o)
	}
	for {
		tested, err := t.deployed.Test(ctx, o.TestOptions, t.obs)
		if err != nil {
			return err
		}
		if err := t.write(tested); err != nil {
			return err
		}
		if o.watch <= 0 {
			t.afterTest(tested)
			return quietly(resultCode(tested))
		}
		t.notify(ctx, nil, nil)
		select {
		case <-time.After(o.watch):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watchLive repeats a test in a table that stays in its place. At the end, it writes the last
// round's report.
func watchLive(ctx context.Context, t *task, o testOptions) error {
	t.settle() // no line of another writer comes into the table
	l := &live{w: t.Out, style: t.look(t.streams, true), height: cmp.Or(t.Height, 24), every: o.watch}
	var last *deployment.TestReport
	for {
		tested, err := t.deployed.Test(ctx, o.TestOptions, l)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			last = &tested
			l.board.End()
			t.notice(tested)
			t.notify(ctx, nil, nil)
		}
		l.next = time.Now().Add(o.watch)
		l.draw()
		select {
		case <-time.After(o.watch):
			continue
		case <-ctx.Done():
		}
		if last != nil {
			if err := t.write(*last); err != nil {
				return err
			}
		}
		return context.Cause(ctx)
	}
}

// addresses replaces each text by the address in it, and refuses one without.
func addresses(given ...*string) error {
	for _, text := range given {
		if *text == "" {
			continue
		}
		address, err := answers.Address(*text)
		if err != nil {
			return usage("%q %w", *text, err)
		}
		*text = address
	}
	return nil
}
