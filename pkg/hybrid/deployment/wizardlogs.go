package deployment

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/hcw"
)

// WizardLog is what logs of Microsoft's wizard say, and Overwritten a value that it replaced.
type (
	WizardLog   = hcw.Log
	Overwritten = hcw.Overwritten
)

// The wizard's own folder and its support packages hold other files too.
var wizardFiles = []string{".log", ".xhcw"}

func isWizardFile(name string) bool {
	return slices.Contains(wizardFiles, strings.ToLower(filepath.Ext(name)))
}

// ReadWizardLogs reads logs and .xhcw files of Microsoft's wizard, the folder that holds them, and
// its support package, which is a zip file. Each failure gets its likeliest cause.
func ReadWizardLogs(paths []string) (WizardLog, error) {
	read := map[string]hcw.Run{}
	take := func(name string, open func() (io.ReadCloser, error), named bool) error {
		file, err := open()
		if err != nil {
			return err
		}
		defer file.Close()
		run, err := hcw.Read(file)
		if errors.Is(err, hcw.ErrForeign) && !named { // the folder holds logs of other programs
			return nil
		}
		if err == nil {
			read[name] = run
		}
		return err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return WizardLog{}, err
		}
		before := len(read)
		switch {
		case info.IsDir():
			err = inFolder(path, take)
		case strings.EqualFold(filepath.Ext(path), ".zip"):
			err = inZip(path, take)
		default:
			err = take(path, func() (io.ReadCloser, error) { return os.Open(path) }, true)
		}
		if err == nil && len(read) == before && read[path].Outcome == "" {
			err = hcw.ErrForeign
		}
		if err != nil {
			return WizardLog{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	log := hcw.Join(read)
	for r := range log.Runs {
		for f := range log.Runs[r].Failures {
			failure := &log.Runs[r].Failures[f]
			if causes := diagnose.Suspects(failure.Text); len(causes) > 0 {
				c := causes[0]
				failure.Cause = &hcw.Cause{ID: string(c.ID), Cause: c.Cause, Fix: c.Fix, See: c.See}
			}
		}
	}
	return log, nil
}

// ReadOverwritten reads what runs of Microsoft's wizard overwrote: from its logs, or from the document
// that hybridge made of them.
func ReadOverwritten(paths []string) ([]Overwritten, error) {
	var logs []string
	var all hcw.Log
	for _, path := range paths {
		if !strings.EqualFold(filepath.Ext(path), ".json") {
			logs = append(logs, path)
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var document hcw.Log
		if err := json.Unmarshal(data, &document); err != nil || document.Kind != hcw.Kind {
			return nil, fmt.Errorf("%s: %w; collect --hcw-log FILE -o json writes such a document", path,
				hcw.ErrForeign)
		}
		all.Runs = append(all.Runs, document.Runs...)
	}
	read, err := ReadWizardLogs(logs)
	if err != nil {
		return nil, err
	}
	all.Runs = append(all.Runs, read.Runs...)
	sorting.Stable(all.Runs, func(a, b hcw.Run) int { return strings.Compare(a.Started, b.Started) })
	overwritten := all.Newest()
	if len(overwritten) == 0 {
		return nil, errors.New("no run in it overwrote a value: there is nothing to restore")
	}
	return overwritten, nil
}

type taking func(name string, open func() (io.ReadCloser, error), named bool) error

func inFolder(path string, take taking) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if e.Type()&(fs.ModeDir|fs.ModeNamedPipe|fs.ModeDevice|fs.ModeSocket) != 0 || !isWizardFile(name) {
			continue
		}
		if err := take(name, func() (io.ReadCloser, error) { return os.Open(name) }, false); err != nil {
			return err
		}
	}
	return nil
}

// maxUnpacked limits what is read of one file of a support package.
const maxUnpacked = 1 << 30

func inZip(path string, take taking) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if !isWizardFile(f.Name) {
			continue
		}
		open := func() (io.ReadCloser, error) {
			in, err := f.Open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{io.LimitReader(in, maxUnpacked), in}, nil
		}
		// Names in a zip are data: they name nothing on this computer.
		if err := take(path+"/"+strings.ReplaceAll(f.Name, "\\", "/"), open, false); err != nil {
			return err
		}
	}
	return nil
}
