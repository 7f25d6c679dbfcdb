package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// newHelpTopics are the topics of "hybridge help TOPIC": commands that only have a text.
func newHelpTopics(a app) []*cobra.Command {
	// The text is rendered when it is read. It lists every check, which would slow down each start.
	topic := func(name, short string, text func() string) *cobra.Command {
		c := &cobra.Command{Use: name, Short: short}
		c.SetUsageFunc(func(*cobra.Command) error { return nil })
		c.SetHelpFunc(a.showHelp(func(c *cobra.Command, _ []string) {
			fmt.Fprintln(c.OutOrStdout(), strings.TrimRight(text(), "\n")+"\n")
		}))
		return c
	}
	fixed := func(text string) func() string { return func() string { return text } }
	return []*cobra.Command{
		topic("answers", "The answers file", fixed(topicAnswers)),
		topic("checks", "The prerequisite checks", topicChecks),
		topic("clouds", "The clouds that Exchange Online runs in", topicClouds),
		topic("consents", "What --accept takes", topicConsents),
		topic("exit-codes", "What the exit codes mean", topicExitCodes),
		topic("environment", "Environment variables and places of files", fixed(topicEnvironment)),
		topic("formats", "The output formats", topicFormats),
		topic("secrets", "References to secrets", fixed(topicSecrets)),
		topic("validate-rights", "The rights that each subject of validate needs", topicValidateRights),
	}
}

const topicAnswers = `The answers file describes your organization. It is one YAML document.

  apiVersion: hybridge/v1
  kind: Answers
  organization: Contoso
  exchangeOnline:
    cloud: worldwide
    tenant: contoso.onmicrosoft.com
    credential:
      {kind: certificate, clientId: ..., pfx: app.pfx, password: keyring:hybridge/app}
  forests:
    - name: contoso
      directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
      exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
      namespace:
        autodiscover: autodiscover.contoso.com
        ews: mail.contoso.com
        smtp: mail.contoso.com
      domains: [contoso.com]

hybridge init writes one per scenario, with a comment at every key. hybridge schema prints its JSON Schema, for
editors. hybridge reports all faults at once, with line and column; unknown keys are faults.

Every command takes it with -f FILE (- is standard input), or from HYBRIDGE_ANSWERS; when neither
is given, answers.yaml in the current directory.`

const topicEnvironment = `Flags override variables.

  HYBRIDGE_ANSWERS     the answers file (--answers)
  HYBRIDGE_STATE_DIR   where journals and the lock are (--state-dir)
  HYBRIDGE_PAGER       what shows output that is longer than the terminal, else PAGER, else less; cat shows it as it is
  HYBRIDGE_LOG_LEVEL   trace, debug, info, warn, error (--log-level)
  HYBRIDGE_LOG_FILE    log to this file (--log-file)
  HYBRIDGE_ACCESSIBLE  the wizard asks in plain lines, as --accessible
  HYBRIDGE_LANGUAGE    the language of text for people (--language), else LC_ALL, LC_MESSAGES or LANG, where that is
                       UTF-8: en, it, zh-Hans. Ids, JSON, logs and errors stay English
  HYBRIDGE_NO_COLOR    no color, as NO_COLOR and TERM=dumb
  CLICOLOR_FORCE       color also where there is no terminal
  CI                   hybridge never asks

By default, journals are in one directory per deployment, under:

  Linux     $XDG_STATE_HOME/hybridge, or ~/.local/state/hybridge
  macOS     ~/Library/Application Support/hybridge
  Windows   %LocalAppData%\hybridge`

const topicSecrets = `Secrets are references in the answers file, never values and never flags:

  prompt                     asked for on the terminal, without echo
  keyring:SERVICE/ACCOUNT    the system's keyring
  file:PATH                  a file, relative to the answers file; should be readable by you only
  env:NAME                   an environment variable; the weakest, for pipelines

No plan, journal, report or log holds a secret.`

// topicRows writes what things are called and what they are, in two columns.
func topicRows(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	for _, row := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, row[0], row[1])
	}
}

func topicChecks() string {
	var b strings.Builder
	var rows [][2]string
	for _, c := range deployment.Checks() {
		rows = append(rows, [2]string{string(c.ID), c.Title})
	}
	topicRows(&b, rows)
	b.WriteString("\nhybridge help ID explains one; --only and --skip take ids, with * for any text.")
	return b.String()
}

func topicClouds() string {
	var b strings.Builder
	b.WriteString("exchangeOnline.cloud names one of:\n\n")
	var rows [][2]string
	for _, c := range cloud.All() {
		rows = append(rows, [2]string{c.ID, c.Title})
	}
	topicRows(&b, rows)
	b.WriteString("\nEvery host of a cloud can be overridden with exchangeOnline.hosts.")
	return b.String()
}

func topicConsents() string {
	var b strings.Builder
	b.WriteString("Some changes need a consent by name, beyond --yes. --accept takes:\n\n")
	var rows [][2]string
	for _, c := range deployment.Consents() {
		rows = append(rows, [2]string{c.ID, c.Title})
	}
	topicRows(&b, rows)
	b.WriteString("\nThe journal keeps the consents of its run.")
	return b.String()
}

func topicFormats() string {
	var b strings.Builder
	b.WriteString("-o FORMAT names one of:\n\n")
	var rows [][2]string
	for _, f := range report.Formats(measured | report.Events) {
		rows = append(rows, [2]string{f.Name, f.About})
	}
	topicRows(&b, rows)
	b.WriteString(`
The help of a command lists the formats that it writes. Data goes to standard output or to --output-file,
everything else to standard error.

json writes one document; jsonl writes events, then the document as the event "report", and last "end"
with the exit code. A failure is a document too: {"kind": "Error", "code", "message", "hint", "see"}.
hybridge schema NAME prints the JSON Schema of a document; hybridge schema --help lists them.`)
	return b.String()
}

func topicExitCodes() string {
	var b strings.Builder
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %-4d %s\n", c.code, c.meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}

// topicValidateRights lists the least rights of each subject, from the facts that its checks read.
func topicValidateRights() string {
	var b strings.Builder
	b.WriteString("Validate only reads. Per subject, this is all that its accounts need.\n")
	for _, s := range deployment.Subjects() {
		name := strings.TrimSpace("validate " + s.ID)
		fmt.Fprintf(&b, "\n%s\n", name)
		for _, right := range deployment.SubjectRights(s) {
			fmt.Fprintf(&b, "  %s\n", right)
		}
	}
	return b.String()
}
