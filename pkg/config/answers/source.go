package answers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// MaxSize is the size limit of an answers file, in bytes.
const MaxSize = 1 << 20

// patience is the time limit for reading a file: a pipe without a writer must not hang a
// run.
const patience = 4 * time.Second

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Load reads and validates an answers file; "-" is standard input. It returns all faults at once,
// as Faults. They never hold a secret that the file gave as a value. A cancelled ctx is returned as
// such.
func Load(ctx context.Context, path string) (Answers, error) {
	d, err := Open(ctx, path)
	if err != nil {
		return Answers{}, err
	}
	return d.Answers()
}

// Open reads an answers file, finished or not, to be edited; "-" is standard input. It refuses (as
// Faults) only a file that is not a YAML mapping. Document.Answers reports whether the answers are
// valid.
func Open(ctx context.Context, path string) (*Document, error) {
	if path == Stdin {
		return Read(ctx, "standard input", os.Stdin)
	}
	data, err := within(ctx, patience, func() ([]byte, error) { return readFile(path) })
	if err != nil {
		return nil, unreadable(ctx, path, err)
	}
	return NewDocument(path, data)
}

// Read is Open for a stream; name stands for it in messages. It waits until r ends, has given too
// much, or ctx ends.
func Read(ctx context.Context, name string, r io.Reader) (*Document, error) {
	data, err := within(ctx, 0, func() ([]byte, error) { return readLimited(r) })
	if err != nil {
		return nil, unreadable(ctx, name, err)
	}
	return NewDocument(name, data)
}

// Parse validates the bytes of an answers file; name stands for it in messages.
func Parse(name string, data []byte) (Answers, error) {
	d, err := NewDocument(name, data)
	if err != nil {
		return Answers{}, err
	}
	return d.Answers()
}

var (
	errDirectory = errors.New("is a directory")
	errTooBig    = errors.New("is too big")
	errSilent    = errors.New("did not answer")
)

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errDirectory
	case info.Mode().IsRegular() && info.Size() > MaxSize:
		return nil, errTooBig
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f)
}

func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if len(data) > MaxSize {
		return nil, errTooBig
	}
	return data, err
}

// within runs f. When ctx ends or limit (if any) has passed, within returns without stopping f.
func within(ctx context.Context, limit time.Duration, f func() ([]byte, error)) ([]byte, error) {
	type outcome struct {
		data []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		data, err := f()
		done <- outcome{data, err}
	}()
	var expired <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case o := <-done:
		return o.data, o.err
	case <-expired:
		return nil, errSilent
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// HowToWrite says how to get an answers file at a path.
func HowToWrite(path string) string {
	return fmt.Sprintf("write one with: hybridge init --scenario %s --output-file %s (hybridge init --help lists the "+
		"scenarios)", scenarios[0].ID, path)
}

// unreadable says what to do about a file that could not be read.
func unreadable(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("read answers from %s: %w", escape(name), err)
	}
	f := Fault{File: name, Cause: err}
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.What, f.Hint = "there is no such file", HowToWrite(name)
	case errors.Is(err, fs.ErrPermission):
		f.What, f.Hint = "this user may not read the file", "allow it, or run as the file's owner"
	case errors.Is(err, errDirectory):
		f.What, f.Hint = "this is a directory", "name the answers file in it"
	case errors.Is(err, errTooBig):
		f.What, f.Hint = fmt.Sprintf("this is larger than %d KiB, no answers file is", MaxSize>>10), "check the name"
	case errors.Is(err, errSilent):
		f.What, f.Hint = fmt.Sprintf("nothing could be read within %s",
			patience), "check that something writes to this pipe, or name a file"
	case errors.As(err, &path):
		f.What, f.Hint = "the file could not be read: "+path.Err.Error(), "check the file and its disk"
	default:
		f.What, f.Hint = "the file could not be read: "+err.Error(), "check the file and its disk"
	}
	return Faults{f}
}
