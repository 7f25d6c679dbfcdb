//go:build unix && !linux

package psrp

import "syscall"

func endWithParent(*syscall.SysProcAttr) {}
