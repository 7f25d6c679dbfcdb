package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// helped runs hybridge help with words.
func helped(t *testing.T, words ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runIn(t.Context(), append([]string{"help"}, words...),
		streams{In: strings.NewReader(""), Out: &o, Err: &e, Env: func(string) string { return "" }}, nil)
	return code, o.String(), e.String()
}

// The binary alone explains everything that has an id, with all that its page says.
func TestHelpAboutEveryID(t *testing.T) {
	want := map[string]string{}
	for _, c := range prereq.Checks() {
		want[string(c.ID)] = c.Title
	}
	for _, k := range desired.Kinds() {
		want[k.Noun] = "Risk: "
	}
	for _, f := range lab.Faults() {
		want[f.ID] = "found by: "
	}
	for _, c := range exitCodes {
		want[fmt.Sprint(c.code)] = c.meaning
	}
	for _, c := range diagnose.Codes() {
		want[c.ID] = c.Means
	}
	for _, r := range diagnose.Rows() {
		if want[string(r.ID)] == "" {
			want[string(r.ID)] = r.Cause
		}
	}
	want["forests[].exchange"] = "The host name of one Mailbox server"
	listed := helpIDs()
	for id, part := range want {
		code, out, errs := helped(t, id)
		if first, _, _ := strings.Cut(out, "\n"); code != 0 || errs != "" || first != id ||
			!strings.Contains(out, part) {
			t.Errorf("help %s: exit %d, %q, %q", id, code, out, errs)
		}
		for _, other := range []string{"<a id", "](", "\n#", "**", "---"} {
			if strings.Contains(out, other) {
				t.Errorf("help %s holds %q:\n%s", id, other, out)
			}
		}
		if !strings.Contains("\n"+strings.Join(listed, "\n")+"\n", "\n"+id+"\n") {
			t.Errorf("%s is not completed", id)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, tt := range []struct {
		words string
		code  int
		out   string // begins with
		err   string // holds
	}{
		{"", 0, "hybridge connects", ""},
		{"plan", 0, "Plan compares", ""},
		{"lab start", 0, "Start runs", ""},
		{"checks", 0, "  access.onprem-read ", ""},
		{"authserver", 0, "AuthServer\n", ""}, // as it is typed
		{"access.onprem-read", 0, "access.onprem-read\n\nThe Exchange account", ""},
		{"8078", 0, "HCW8078\n", ""}, // without its prefix
		{"0x8033805b", 0, "2150858843\n", ""},
		{"AADSTS700016:", 0, "AADSTS700016\n", ""},
		{"errornofreebusyaccess", 0, "ErrorNoFreeBusyAccess\n", ""},
		{"6", 0, "6\n\n  meaning: applied in part", ""},
		{"AADSTS700061", 2, "", `there is no help about "AADSTS700061"; hybridge --help lists`},
		{"frob", 2, "", `there is no help about "frob"`},
		{"chekc", 2, "", `did you mean "check`},
		{"lab frob", 2, "", "lab frob"},
	} {
		code, out, errs := helped(t, strings.Fields(tt.words)...)
		if code != tt.code || !strings.HasPrefix(out, tt.out) || tt.out == "" && out != "" ||
			!strings.Contains(errs, tt.err) {
			t.Errorf("help %s: exit %d, %q, %q", tt.words, code, out, errs)
		}
	}
	// One section alone.
	if _, out, _ := helped(t, "access.onprem-read"); strings.Contains(out, "access.online") {
		t.Error(out)
	}
}
