package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// outputFile gets its name only when the command has written its whole output. A failed command
// must not replace an earlier file.
type outputFile struct {
	*os.File
	path    string
	mode    os.FileMode // of the file; 0: its owner alone reads it
	written bool
	failed  error
}

func (f *outputFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written = true
	if err != nil && f.failed == nil {
		f.failed = err
	}
	return n, err
}

// WriteString makes io.WriteString use Write.
func (f *outputFile) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

func newOutputFile(path string) (*outputFile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	} else if err == nil && !info.Mode().IsRegular() {
		// A pipe or a device is written to as it is. Another account's pipe in a shared folder gets nothing.
		// /dev/stdout leads to no name.
		if named, err := filepath.EvalSymlinks(path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
			if err := apply.Private(named, info); err != nil {
				return nil, err
			}
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		// Another account may have put something else there since: the beginning of a file of ours.
		if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
			_ = f.Close()
			return nil, fmt.Errorf("%s is no longer what it was a moment ago", path)
		}
		return &outputFile{File: f}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if cause := new(fs.PathError); errors.As(err, &cause) {
		err = fmt.Errorf("write %s: %w", path, cause.Err) // the temporary name explains nothing
	}
	return &outputFile{File: f, path: path}, err
}

func (f *outputFile) commit() error {
	if f.mode != 0 && f.path != "" && f.failed == nil {
		f.failed = f.Chmod(f.mode)
	}
	if f.path != "" && f.written && f.failed == nil { // before it replaces the earlier file
		f.failed = f.Sync()
	}
	err := cmp.Or(f.failed, f.Close())
	if f.path == "" {
		return err
	}
	if err != nil || !f.written {
		_ = f.Close()
		_ = os.Remove(f.Name()) // an empty or half-written file of ours
		return err
	}
	if err = os.Rename(f.Name(), f.path); err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// writeFile writes a file whole or not at all.
func writeFile(path string, data []byte) error {
	f, err := newOutputFile(path)
	if err != nil {
		return err
	}
	_, _ = f.Write(data) // commit says why it failed
	return f.commit()
}
