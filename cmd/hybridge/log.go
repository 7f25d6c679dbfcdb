package main

import (
	"cmp"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// levelTrace shows the bodies of remote calls too (link.LevelTrace, which this floor does not
// import).
const levelTrace = slog.LevelDebug - 4

// logger is silent unless --log-level or --log-file asks for a log. It never holds the value of
// an attribute whose name is that of a secret.
func (t *task) logger() (*slog.Logger, error) {
	if t.logLevel == "" && t.logFile == "" {
		return slog.New(slog.DiscardHandler), nil
	}
	level := levelTrace
	if name := cmp.Or(t.logLevel, "info"); !strings.EqualFold(name, "trace") {
		if err := level.UnmarshalText([]byte(name)); err != nil {
			return nil, usage("--log-level %s: use trace, debug, info, warn or error%s", t.logLevel,
				spelling.DidYouMean(name, []string{"trace", "debug", "info", "warn", "error"}))
		}
	}
	w := t.Err
	if t.logFile != "" {
		f, err := openLog(t.logFile)
		if err != nil {
			return nil, usage("--log-file: %w", err)
		}
		t.closers = append(t.closers, f.Close)
		w = f
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})), nil
}

// openLog opens a log to add to it. In a shared folder, another account may have put a link, a pipe
// or a file of its own there: the log would go to another file of ours, wait for a reader, or be read
// along. A link as /dev/stderr and what it leads to are root's or ours.
func openLog(path string) (*os.File, error) {
	for _, look := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} {
		info, err := look(path)
		if err != nil || info.Mode()&fs.ModeDevice != 0 {
			continue
		}
		if err := apply.Owned(path, info); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

var secretWords = []string{
	"password", "passphrase", "secret", "token", "authorization", "assertion", "cookie", "privatekey",
}

func redact(_ []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && level == levelTrace {
		return slog.String(a.Key, "TRACE")
	}
	key := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(a.Key))
	for _, word := range secretWords {
		if strings.Contains(key, word) {
			return slog.String(a.Key, secret.Redacted)
		}
	}
	return a
}
