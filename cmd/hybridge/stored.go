package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// maxStored is the largest file of reports that is read: a fleet of ten thousand deployments.
var maxStored = 1 << 30

// stored reads saved reports, one fleet.Report per file: documents of -o json, and streams of
// -o jsonl, also such as end in the middle. A folder stands for the reports in it. What is no
// report is named in the result.
func stored(names []string) ([]fleet.Report, error) {
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			hidden := strings.HasPrefix(d.Name(), ".") && path != name
			switch {
			case err != nil:
				return err
			case hidden && d.IsDir():
				return filepath.SkipDir
			case hidden || d.IsDir() || !slices.Contains([]string{".json", ".jsonl"}, filepath.Ext(path)):
				return nil
			}
			// A pipe or a device that stands there would never end.
			if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, usage("%w", err)
		}
	}
	if len(files) == 0 {
		return nil, usage("there is no report (*.json, *.jsonl) in %s", report.Sanitize(strings.Join(names, ", ")))
	}
	var out []fleet.Report
	for _, file := range files {
		r, err := storedIn(file)
		if err != nil {
			r.Unreadable = append(r.Unreadable, fleet.Unreadable{File: file, Error: err.Error()})
		}
		out = append(out, r)
	}
	return out, nil
}

func storedIn(file string) (fleet.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return fleet.Report{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(maxStored)+1)) // a pipe and a device have no size
	if err != nil {
		return fleet.Report{}, err
	}
	if len(data) > maxStored {
		return fleet.Report{}, fmt.Errorf("larger than %d MB", maxStored>>20)
	}
	if first, _, _ := bytes.Cut(data, []byte("\n")); bytes.HasPrefix(first, []byte(`{"event":`)) {
		return storedStream(data)
	}
	return storedDocument(data)
}

// storedStream reads the lines of -o jsonl. The deployments of a fleet come one by one: those of a
// stream that was cut off count.
func storedStream(data []byte) (fleet.Report, error) {
	r := fleet.New()
	ended := false
	for line := range bytes.Lines(data) {
		var event struct {
			Event string
			Data  json.RawMessage
		}
		if err := json.Unmarshal(line, &event); err != nil {
			break // the end of what was written
		}
		switch event.Event {
		case "deployment":
			var d fleet.Deployment
			if err := json.Unmarshal(event.Data, &d); err != nil {
				return r, fmt.Errorf("is damaged: %w", err)
			}
			r = fleet.Merge(r, fleet.New(d))
		case "report", "error":
			whole, err := storedDocument(event.Data)
			if err != nil {
				return r, err
			}
			if len(r.Deployments) == 0 { // else its deployments came before
				r = whole
			}
		case "end":
			ended = true
		}
	}
	if !ended && len(r.Deployments) == 0 {
		return r, errors.New("ends before the first report")
	}
	return r, nil
}

// storedDocument reads one document.
func storedDocument(data []byte) (fleet.Report, error) {
	var head struct {
		APIVersion, Kind string
		About            report.About
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fleet.Report{}, errors.New("is not JSON, or cut off; write a report with: hybridge check -o json")
	}
	if head.Kind == "Plan" {
		return fleet.Report{}, errors.New("is a plan, which names no deployment; plan a folder: " +
			"hybridge plan -f FOLDER -o json")
	}
	if head.APIVersion != report.APIVersion {
		return fleet.Report{}, fmt.Errorf("is of version %q; this hybridge reads %s", head.APIVersion,
			report.APIVersion)
	}
	if head.Kind == "FleetReport" {
		var r fleet.Report
		err := json.Unmarshal(data, &r)
		return r, err
	}
	var d fleet.Deployment
	var err error
	switch head.Kind {
	case "CheckReport":
		d, err = storedAs[check.Report](data)
	case "TestReport", "ValidateReport":
		d, err = storedAs[deployment.TestReport](data)
	case "RunReport":
		d, err = storedRun(data)
	case "Error":
		var f report.Failure
		err = json.Unmarshal(data, &f)
		f.About = report.About{}
		d = fleet.Deployment{ExitCode: f.Code, Error: &f}
	default:
		return fleet.Report{}, fmt.Errorf("is a document of kind %q, not a report of check, test or a run", head.Kind)
	}
	if err != nil {
		return fleet.Report{}, fmt.Errorf("is damaged: %w", err)
	}
	if head.About.Deployment == "" || head.About.Time.IsZero() {
		return fleet.Report{}, errors.New("does not say which deployment it is of, and when")
	}
	d.About = head.About
	return fleet.New(d), nil
}

func storedAs[D report.Document](data []byte) (fleet.Deployment, error) {
	var document D
	if err := json.Unmarshal(data, &document); err != nil {
		return fleet.Deployment{}, err
	}
	d := fleet.Of(document.View())
	d.ExitCode = resultCode(document)
	return d, nil
}

// storedRun reads what a saved run of all stages says about its deployment. What was planned was
// applied.
func storedRun(data []byte) (fleet.Deployment, error) {
	var run struct {
		Check *check.Report
		Plan  *struct{ LeftOut []change.LeftOut }
		Test  *deployment.TestReport
	}
	if err := json.Unmarshal(data, &run); err != nil {
		return fleet.Deployment{}, err
	}
	d := fleet.Of(runDocument{Check: run.Check, Test: run.Test}.View())
	d.ExitCode = exitInconclusive // a run that stopped before its test
	tested := run.Test != nil && run.Test.Kind != ""
	if tested {
		d.ExitCode = testCode(*run.Test)
	}
	if run.Check != nil && (d.ExitCode == exitFine || !tested) {
		d.ExitCode = cmp.Or(checkCode(*run.Check), d.ExitCode)
	}
	if run.Plan != nil && len(run.Plan.LeftOut) > 0 {
		d.ExitCode = cmp.Or(d.ExitCode, exitInconclusive)
	}
	return d, nil
}
