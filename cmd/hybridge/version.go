package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/templates"
)

// versionDocument is what version -o json writes.
type versionDocument struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// The processor that the program is built for: amd64, arm64.
	Arch string `json:"arch"`
	// The revision of the source; absent where the program was built outside a repository.
	Commit string `json:"commit,omitempty"`
	// When that revision was committed, RFC 3339.
	Date string `json:"date,omitempty"`
	// The version of Go.
	Go string `json:"go"`
	// Always Version.
	Kind string `json:"kind"`
	// With --notices: the licenses of the modules that the program contains.
	Notices string `json:"notices,omitempty"`
	// The system that the program is built for: linux, darwin, windows.
	OS string `json:"os"`
	// The version of hybridge.
	Version string `json:"version"`
}

func (v versionDocument) View() report.View {
	if v.Notices != "" {
		return report.View{Name: "version", Blocks: []report.Block{report.Source{Text: v.Notices}}}
	}
	text := fmt.Sprintf("hybridge %s %s %s/%s", v.Version, v.Go, v.OS, v.Arch)
	if v.Commit != "" {
		text += fmt.Sprintf(", commit %s of %s", v.Commit, v.Date)
	}
	return report.View{Name: "version", Blocks: []report.Block{report.Source{Text: text}}}
}

// source returns the commit that the program was built from, and its date.
func source() (string, string) {
	info, ok := debug.ReadBuildInfo()
	if commit != "" || !ok {
		return commit, date
	}
	noted := map[string]string{}
	for _, s := range info.Settings {
		noted[s.Key] = s.Value
	}
	if noted["vcs.modified"] == "true" {
		noted["vcs.revision"] += "+changes"
	}
	return noted["vcs.revision"], noted["vcs.time"]
}

func newVersionCommand(a app) *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		GroupID: "more",
		Short:   "Print the version",
		Args:    cobra.NoArgs,
	}
	notices := c.Flags().Bool("notices", false, "print the licenses of the modules that the program contains")
	return a.verb(c, report.Documents, func(_ context.Context, t *task, _ []string) error {
		v := versionDocument{
			APIVersion: report.APIVersion, Kind: "Version",
			Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		}
		v.Commit, v.Date = source()
		if *notices {
			v.Notices = templates.Notices()
		}
		return t.write(v)
	})
}
