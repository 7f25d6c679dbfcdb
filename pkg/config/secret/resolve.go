package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/zalando/go-keyring"
)

// MaxFile is the size limit, in bytes, of a file that holds a secret.
const MaxFile = 64 << 10

// MaxBinary is the size limit, in bytes, of a file that is a secret as a whole.
const MaxBinary = 1 << 20

// ErrNobodyToAsk says that a secret requires a prompt and that there is no terminal.
var ErrNobodyToAsk = errors.New("no terminal to ask for the secret; use a reference that needs none: file:PATH, " +
	"env:NAME or keyring:SERVICE/ACCOUNT")

// Resolver turns references into secrets. Nothing is cached: a secret is read when it is needed.
type Resolver struct {
	// Dir is what relative paths are relative to: the directory of the answers file.
	Dir string
	// Prompt asks a person; label says for what. Nil without a terminal.
	Prompt func(ctx context.Context, label string) (Value, error)
	// Warn hears what a person should know: a file that others can read. May be nil.
	Warn func(text string)
}

// Resolve reads the secret that ref names; label says for what it is, in prompts and errors
// ("password of svc@contoso.com"). The zero Ref resolves to the zero Value. Errors never hold the
// secret.
func (r Resolver) Resolve(ctx context.Context, ref Ref, label string) (Value, error) {
	if ref == "" {
		return Value{}, nil
	}
	source, place, ok := ref.Source()
	if !ok {
		return Value{}, fmt.Errorf("%s: %w", label, ref.Validate())
	}
	if err := ctx.Err(); err != nil {
		return Value{}, err
	}
	var v Value
	var err error
	switch source {
	case Prompt:
		if r.Prompt == nil {
			return Value{}, fmt.Errorf("%s: %w", label, ErrNobodyToAsk)
		}
		v, err = r.Prompt(ctx, label)
	case Env:
		text, set := os.LookupEnv(place)
		if !set {
			err = fmt.Errorf("environment variable %s is not set", place)
		}
		v = NewValue(text)
	case File:
		v, err = r.file(ctx, place)
	case Binary:
		v, err = r.binary(place)
	case Keyring:
		v, err = fromKeyring(ctx, place)
	}
	if err != nil {
		return Value{}, fmt.Errorf("%s: %w", label, err)
	}
	if v.IsZero() {
		return Value{}, fmt.Errorf("%s: %s holds an empty secret", label, ref)
	}
	return v, nil
}

// Ready reports, without reading the secret, why it cannot be resolved: nil where it can, and for
// keyring:, where only reading tells.
func (r Resolver) Ready(ref Ref) error {
	source, place, ok := ref.Source()
	if !ok {
		return ref.Validate()
	}
	switch source {
	case Prompt:
		if r.Prompt == nil {
			return ErrNobodyToAsk
		}
	case Env:
		if os.Getenv(place) == "" {
			return fmt.Errorf("environment variable %s is not set", place)
		}
	case File, Binary:
		if _, err := os.Stat(r.path(place)); err != nil {
			return describe(r.path(place), err)
		}
	}
	return nil
}

// path returns the path of a file.
func (r Resolver) path(place string) string {
	if filepath.IsAbs(place) {
		return place
	}
	return filepath.Join(r.Dir, place)
}

// patience is the time limit for reading a secret from a file, which may be a pipe.
var patience = 2 * time.Minute

// file reads a secret from a file, without the one line break that editors and echo leave at the
// end.
func (r Resolver) file(ctx context.Context, path string) (Value, error) {
	path = r.path(path)
	info, err := os.Stat(path)
	if err != nil {
		return Value{}, describe(path, err)
	}
	if info.IsDir() {
		return Value{}, fmt.Errorf("%s is a directory, not a file with a secret", path)
	}
	if text := Exposed(path, "a secret"); text != "" && r.Warn != nil {
		r.Warn(text)
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience,
		fmt.Errorf("read %s: no secret came out of it within %s", path, patience))
	defer cancel()
	data, err := within(limited, func() ([]byte, error) {
		// A pipe blocks until a process opens it for writing. A password manager may ask a person
		// before it does, and the process may never come.
		f, err := os.Open(path)
		if err != nil {
			return nil, describe(path, err)
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, MaxFile+1))
	})
	if err != nil {
		return Value{}, err
	}
	if len(data) > MaxFile {
		return Value{}, fmt.Errorf("%s is longer than %d bytes; a file with a secret holds the secret alone", path,
			MaxFile)
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if strings.ContainsRune(text, 0) {
		return Value{}, fmt.Errorf("%s holds binary data (or UTF-16 text); save the secret as plain UTF-8 text", path)
	}
	return NewValue(text), nil
}

// binary reads a file that is a secret as a whole, byte by byte.
func (r Resolver) binary(path string) (Value, error) {
	path = r.path(path)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Value{}, describe(path, err)
	case !info.Mode().IsRegular():
		return Value{}, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > MaxBinary:
		return Value{}, fmt.Errorf("%s is longer than %d bytes", path, MaxBinary)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Value{}, describe(path, err)
	}
	return NewValue(string(data)), nil
}

// Exposed says that a file which holds what can be read by others than its owner; empty when it
// cannot. Windows is not asked: there, the permissions of the directory count.
func Exposed(path, what string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return ""
	}
	return fmt.Sprintf("%s holds %s and others than its owner may read it (mode %04o): chmod 600 it", path, what,
		info.Mode().Perm())
}

// fromKeyring reads a secret from the keyring of the operating system. A machine without one
// answers with all sorts of errors (no D-Bus, no daemon, locked), so any error but "no such item"
// means: not usable here.
func fromKeyring(ctx context.Context, place string) (Value, error) {
	service, account, _ := strings.Cut(place, "/")
	text, err := within(ctx, func() (string, error) { return keyring.Get(service, account) })
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return Value{}, fmt.Errorf("the keyring holds no item of account %s at service %s; store it there, or name "+
			"file:PATH or env:NAME", account, service)
	case ctx.Err() != nil:
		return Value{}, ctx.Err()
	case err != nil:
		return Value{}, fmt.Errorf("the keyring of this machine cannot be used (%w); name file:PATH or env:NAME "+
			"instead", err)
	}
	return NewValue(fromUTF16(text)), nil
}

// fromUTF16 decodes what Windows' own tools (cmdkey, the Credential Manager) store: UTF-16. Other
// text holds no zero byte and is left as it is.
func fromUTF16(text string) string {
	if len(text)%2 != 0 || !strings.ContainsRune(text, 0) {
		return text
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = uint16(text[2*i]) | uint16(text[2*i+1])<<8
	}
	return string(utf16.Decode(units))
}

// within runs f. When ctx ends, within returns without stopping f.
func within[T any](ctx context.Context, f func() (T, error)) (T, error) {
	if ctx.Err() != nil {
		var zero T
		return zero, context.Cause(ctx)
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := f()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}

func describe(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("read %s: %w", path, fs.ErrPermission)
	}
	return err
}
