//go:build unix

package psrp

import (
	"os/exec"
	"syscall"
)

// bond is a process group: what the process starts ends with it.
type bond struct{ group int }

// start starts a process in a group of its own, so that Ctrl+C in the terminal does not reach it:
// hybridge ends it in an orderly way. Where the system offers it, a kill of hybridge kills the
// process. Elsewhere the end of its standard input ends it.
func start(c *exec.Cmd) (bond, error) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(c.SysProcAttr)
	if err := c.Start(); err != nil {
		return bond{}, err
	}
	return bond{c.Process.Pid}, nil
}

func (b bond) kill() {
	if b.group > 1 {
		_ = syscall.Kill(-b.group, syscall.SIGKILL)
	}
}

// release forgets a group whose process has ended: its number may be given again.
func (b *bond) release() { b.kill(); b.group = 0 }
