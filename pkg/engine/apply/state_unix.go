//go:build unix

package apply

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Private refuses what another account owns or may write to.
func Private(path string, info fs.FileInfo) error {
	if err := Owned(path, info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("other accounts may write to %s; withdraw that: chmod go-w %s", path, path)
	}
	return nil
}

// Owned refuses what another account owns. Root's things are trusted: root can change everything
// anyway.
func Owned(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another account (uid %d); use one of your own", path, stat.Uid)
	}
	return nil
}
