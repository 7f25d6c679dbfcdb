package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every flag that takes a number, a duration or a truth value answers a wrong value with the form
// and an example, and nothing of Go's own words.
func TestEveryFlagSaysHowItsValueIsWritten(t *testing.T) {
	root := newRootCommand(streams{Env: func(string) string { return "" }}, nil, nil)
	asked := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.InheritedFlags() // completes the set
		c.Flags().VisitAll(func(f *pflag.Flag) {
			form, known := forms[f.Value.Type()]
			if !known || !c.Runnable() || c.Name() == "completion" || f.Name == "help" || f.Name == "version" {
				return
			}
			asked++
			args := append(strings.Fields(strings.TrimPrefix(c.CommandPath(), "hybridge")), "--"+f.Name+"=5x")
			got := execute(t, &scripted{}, "", args...)
			want := "error: --" + f.Name + " 5x: " + form + "\n"
			if got.code != exitUsage || !strings.HasPrefix(got.errout, want) {
				t.Errorf("%v: exit %d, %s", args, got.code, got.errout)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if asked < 50 {
		t.Errorf("only %d flags were tried", asked)
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"check --timeout 5", "--timeout 5: write a number and a unit: 90s, 20m or 2h"},
		{"check --timeout", "--timeout needs a value; write a number and a unit: 90s, 20m or 2h"},
		{"check --timeout -5s", "--timeout -5s: it cannot be negative"},
		{"apply --wait -1m", "--wait -1m0s: it cannot be negative"},
		{"test --watch=-1s", "--watch -1s: it cannot be negative"},
		{"check --parallel x", "--parallel x: write a whole number, such as 4"},
		{"check --parallel 99999999999999999999", "--parallel 99999999999999999999: write a whole number, such as 4"},
		{"check --parallel 0", "--parallel 0: it is 1 at least"},
		{"lab start --dir x --forests 0", "--forests 0: it is 1 at least"},
		{"lab start --dir x --users -1", "--users -1: it is 0 at least"},
		{"lab start --dir x --fault directory.upn-difers", `did you mean "directory.upn-differs"?`},
		{"check --yes=maybe", "--yes maybe: write true or false"},
		{"check --parallell 3", `unknown flag: --parallell; did you mean "--parallel"?`},
		{"--non-interative", `unknown flag: --non-interative; did you mean "--non-interactive"?`},
		{"check --frobnicate", "unknown flag: --frobnicate\n"},
		{"test --watch 5m", "error: --watch takes a value after an equals sign: --watch=5m\n"},
		{"test 5m", `hybridge test does not take "5m"`},
		{"schema plam", `error: there is no schema "plam"; did you mean "plan"?` + "\n"},
		{"apply --digest", "--digest needs a value: --digest DIGEST"},
		{"check --accept removls", `--accept removls: there is no such ID; did you mean "removals"?`},
		{"check -o jso", `did you mean "json"?`},
		{"check --log-level inof", `did you mean "info"?`},
		{"schema answrs", `there is no schema "answrs"; did you mean "answers"?`},
		{"init --scenario multi-forst", `did you mean "multi-forest"?`},
		{"help secretss", `did you mean "secrets"?`},
		{"help tenant.ews-swich", `did you mean "tenant.ews-switch"?`},
		{"plam", `unknown command "plam" for "hybridge"; did you mean "plan"?`},
		{"wiz", `did you mean "wizard"?`},
		{"rotate xyz", `unknown command "xyz" for "hybridge rotate"` + "\n"},
		{"check -o xml", "text, html, json, jsonl, junit, markdown, openmetrics\n"},
		{"help tls", `there is no help about "tls"; hybridge --help lists`},
		{"help oauthserver", "there is no help about"},
		{"help AuthServr", `did you mean "AuthServer"?`},
		{"validate frebusy", `did you mean "freebusy"?`},
		{"rollback --only online/*", "--only: hybridge rollback does not take it; it undoes a run as a whole"},
		{"rollback --skip online/* --yes", "--skip: hybridge rollback does not take it"},
		{"test --only contoso", "--only: hybridge test does not take it; name one pair of mailboxes with --from"},
		{"history --only online/*", "--only: hybridge history does not take it"},
	} {
		got := execute(t, &scripted{}, "", strings.Fields(test.args)...)
		if got.code != exitUsage || !strings.Contains(got.errout, test.says) {
			t.Errorf("%s: exit %d, %s", test.args, got.code, got.errout)
		}
	}
}

// The help of a command leaves out global flags that do nothing there.
func TestHelpWithoutUnusedFlags(t *testing.T) {
	for _, test := range []struct {
		args string
		has  []string
		not  []string
	}{
		{"version --help", []string{"--output FORMAT"}, []string{"--accept", "--only", "--yes", "--answers"}},
		{"rollback --help", []string{"--accept ID", "--yes"}, []string{"--only", "--skip", "--accessible"}},
		{"check --help", []string{"--only GLOB", "--parallel NUMBER"}, []string{"--accept", "--yes", "--accessible"}},
		{"apply --help", []string{"--only GLOB", "--accept ID", "--yes"}, []string{"--accessible"}},
		{"wizard --help", []string{"--accessible"}, nil},
		{"--help", []string{"--accessible", "--only GLOB", "--accept ID", "--yes"}, nil},
	} {
		got := execute(t, &scripted{}, "", strings.Fields(test.args)...)
		for _, flag := range test.has {
			if !strings.Contains(got.out, flag) {
				t.Errorf("%s lacks %s", test.args, flag)
			}
		}
		for _, flag := range test.not {
			if strings.Contains(got.out, flag) {
				t.Errorf("%s has %s", test.args, flag)
			}
		}
	}
}

// Flags with few values complete them.
func TestValuesOfFlagsAreCompleted(t *testing.T) {
	for args, want := range map[string]string{
		"demo --scenario": "workmail-exit\t", "init --scenario": "multi-forest\n", "check --language": "zh-Hans\n",
		"lab start --state": "wizard\t",
	} {
		got := execute(t, &scripted{}, "", append(append([]string{"__complete"}, strings.Fields(args)...), "")...)
		if !strings.Contains(got.out, want) {
			t.Errorf("%s: %q", args, got.out)
		}
	}
}
