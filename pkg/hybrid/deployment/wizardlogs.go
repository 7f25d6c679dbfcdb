package deployment

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		data, err := readAtMost(path, maxDocument)
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

// maxDocument limits a document that hybridge made of logs.
const maxDocument = 64 << 20

// readAtMost reads a file, whatever its size says: a pipe and a device have none.
func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is larger than %d MB", path, most>>20)
	}
	return data, err
}

type taking func(name string, open func() (io.ReadCloser, error), named bool) error

func inFolder(path string, take taking) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if !isWizardFile(name) {
			continue
		}
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() { // a pipe would not end
			continue
		}
		if err := take(name, func() (io.ReadCloser, error) { return os.Open(name) }, false); err != nil {
			return err
		}
	}
	return nil
}

// Limits of a support package: of its files, and of all of them together.
const maxPacked = 1000

var maxUnpacked int64 = 1 << 30

var errBomb = errors.New("it holds more than a support package does: unpack it, and name the files")

func inZip(path string, take taking) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer z.Close()
	left, files := maxUnpacked, 0
	for _, f := range z.File {
		if !isWizardFile(f.Name) {
			continue
		}
		if files++; files > maxPacked {
			return errBomb
		}
		open := func() (io.ReadCloser, error) {
			in, err := f.Open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{unpacked{in, &left}, in}, nil
		}
		// Names in a zip are data: they name nothing on this computer.
		if err := take(path+"/"+strings.ReplaceAll(f.Name, "\\", "/"), open, false); err != nil {
			return err
		}
		if left <= 0 {
			return errBomb
		}
	}
	return nil
}

// unpacked reads a file of a package, as long as something is left for it.
type unpacked struct {
	io.Reader
	left *int64
}

func (u unpacked) Read(p []byte) (int, error) {
	if *u.left <= 0 {
		return 0, errBomb
	}
	n, err := u.Reader.Read(p)
	*u.left -= int64(n)
	return n, err
}
