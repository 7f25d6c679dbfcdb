package hcw

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// repeated gives a text n times without holding it.
type repeated struct {
	text string
	n    int
	left string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.left, r.n = r.text, r.n-1
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

const enter = "2026.03.04 09:00:00.000         10276 [Session=OnPremises, Cmdlet=%s, Thread=%d] START %s\n"

// A file of an enemy takes little memory, and time in proportion to its size.
func TestBombs(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("2026.03.04 09:00:00.000         10000 [Session=OnPremises] Send Connector\n" +
		"Property  Expected  Actual  Equals\n")
	for i := range 5000 {
		fmt.Fprintf(&rows, "P%d  a  b  False\n", i)
	}
	write := fmt.Sprintf(enter, "Set-SendConnector", 1, "Set-SendConnector -Identity 'x'") +
		"2026.03.04 09:00:01.000         10277 [Session=OnPremises, Cmdlet=Set-SendConnector, Thread=1] FINISH Time=1ms Results=1\n"
	for name, in := range map[string]io.Reader{
		"elements in elements": io.MultiReader(strings.NewReader("<invoke>"), &repeated{text: "<a>", n: 30 << 20}),
		"one long text": io.MultiReader(strings.NewReader("<invoke><x>"),
			&repeated{text: strings.Repeat("x", 1<<10), n: 300 << 10}),
		"one long comment": io.MultiReader(strings.NewReader("<invoke><!--"),
			&repeated{text: strings.Repeat("<", 1<<10), n: 300 << 10}),
		"begun and never ended": io.MultiReader(
			&repeated{text: fmt.Sprintf(enter, "Get-SendConnector", 1, "Get-SendConnector"), n: 200_000},
			&repeated{text: "2026.03.04 09:00:01.000         10277 [Session=T, Cmdlet=Get-X, Thread=1] FINISH Time=1ms\n",
				n: 200_000}),
		"overwritten for ever": &repeated{text: rows.String() + write, n: 200},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			run, err := Read(in)
			if err != nil {
				t.Fatal(err)
			}
			_ = Log{Runs: []Run{run}}.Newest()
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("it took %s", took)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
				t.Errorf("the heap grew by %d MB", grown>>20)
			}
			if run.Cut == 0 && run.UnreadRows == 0 && !strings.HasPrefix(name, "begun") {
				t.Error("what is left out is not said")
			}
			runtime.KeepAlive(run)
		})
	}
}

// A secret is in no text, however it is quoted.
func TestSecretsInEveryQuoting(t *testing.T) {
	for _, line := range []string{
		`Set-X -Password "two Zyx words" -Name a`,
		`Set-X -Password 'it''s Zyx' -Name a`,
		`Set-X -Password "say ""Zyx"" now" -Name a`,
		`New-X -Credential (New-Object PSCredential((Get-User), 'Zyx')) -Name a`,
		`New-X -Credential (New-Object A (B (C) 'Zyx')) -Name a`,
		`Set-X -ClientSecret:Zyx -Name a`,
		`Set-X -Password "cut off Zyx`,
	} {
		if got := clean(line); strings.Contains(got, "Zyx") ||
			strings.Contains(line, "-Name") && !strings.Contains(got, "-Name a") {
			t.Errorf("%s: %s", line, got)
		}
	}
}
