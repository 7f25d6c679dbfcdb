//go:build unix

package psrp

import "syscall"

func alive(id int) bool { return syscall.Kill(id, 0) == nil }
