package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// answersDir is what paths in the answers are relative to.
func answersDir(path string) (string, error) {
	if path == "" || path == answers.Stdin {
		return os.Getwd()
	}
	absolute, err := filepath.Abs(path)
	return filepath.Dir(absolute), err
}

// stateDirOf is --state-dir, or the deployment's directory under the system's place for state: a
// rollback must not undo the runs of another deployment.
func (t *task) stateDirOf(of answers.Answers, dir string) (string, error) {
	if t.stateDir != "" {
		return filepath.Abs(t.stateDir)
	}
	base, err := stateBase(t.streams)
	if err != nil {
		return "", usage("there is no place for journals (%w): name one with --state-dir", err)
	}
	// By whichever name the directory is reached (a link, letters in another case on Windows), its runs
	// share a lock and a history.
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	identity := []string{of.Organization, dir}
	if of.ExchangeOnline != nil {
		identity = append(identity, of.ExchangeOnline.Cloud, of.ExchangeOnline.Tenant)
	}
	sum := sha256.Sum256([]byte(strings.Join(identity, "\x00")))
	return filepath.Join(base, "hybridge", slug(of.Organization)+"-"+hex.EncodeToString(sum[:4])), nil
}

func stateBase(s streams) (string, error) {
	switch runtime.GOOS {
	case "windows", "darwin", "ios":
		if local := s.Env("LocalAppData"); local != "" {
			return local, nil
		}
		return os.UserConfigDir()
	}
	if dir := s.Env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home := s.Env("HOME")
	if home == "" {
		return "", errors.New("HOME is not set")
	}
	return filepath.Join(home, ".local", "state"), nil
}

func slug(name string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	text = strings.Trim(text, "-")
	return cmp.Or(text[:min(len(text), 40)], "deployment")
}
