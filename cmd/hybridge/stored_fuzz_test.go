package main

import (
	"bytes"
	"testing"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// FuzzStored reads reports of other computers, merges them and shows them in every format: nothing of
// them reaches a terminal, and no format breaks.
func FuzzStored(f *testing.F) {
	const about = `"apiVersion":"hybridge/v1","about":{"deployment":"a\u001b]52;c;x\u0007\u202e","verb":"check","time":"2026-11-27T08:00:00Z","hybridge":"1"}`
	f.Add([]byte(`{` + about + `,"kind":"CheckReport","results":[{"id":"a.b","title":"t","scope":"s\u0000","status":"fail","summary":"\u001b[31m"}]}`))
	f.Add([]byte(`{` + about + `,"kind":"TestReport","matrix":[{"from":"a@b","to":"c@d","probe":"ews","status":"failed","error":"\u009bx"}]}`))
	f.Add([]byte(`{` + about + `,"kind":"RunReport","check":{"results":[]},"plan":{"leftOut":[{}]}}`))
	f.Add([]byte(`{` + about + `,"kind":"Error","code":4,"message":"##vso[task.setvariable]x\n::add-mask::y"}`))
	f.Add([]byte(`{` + about + `,"kind":"FleetReport","deployments":[{"about":{"deployment":"x\"}\n# EOF\n","verb":"check"},"exitCode":-1,"outcomes":[{"id":"</script>","place":"|","status":"fail"}]}]}`))
	f.Add([]byte(`{"event":"deployment","data":{"about":{"deployment":"a"},"exitCode":3}}` + "\n" + `{"event":"end"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []fleet.Report
		for _, read := range []func([]byte) (fleet.Report, error){storedDocument, storedStream} {
			if r, err := read(data); err == nil {
				all = append(all, r)
			}
		}
		if len(all) == 0 {
			return
		}
		merged := fleet.Merge(all...)
		var of []fleet.Deployment
		for _, r := range all {
			of = append(of, r.Deployments...)
		}
		for _, d := range []report.Document{merged, fleet.Over(of)} {
			for _, name := range []string{"text", "markdown", "html", "junit", "openmetrics", "json"} {
				format, ok := report.Named(name)
				if !ok {
					t.Fatal(name)
				}
				var out bytes.Buffer
				w := format.Open(&out, report.Options{})
				if err := w.Write(d); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := w.End(0); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, r := range out.String() {
					if r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
						t.Fatalf("%s: %q in %q", name, r, out.String())
					}
				}
			}
		}
	})
}
