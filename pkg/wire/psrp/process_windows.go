package psrp

import (
	"os/exec"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// bond is a job object: Windows ends the process and what it starts when the last handle of the job
// is closed, which a kill of hybridge does too.
type bond struct {
	job  windows.Handle
	once *sync.Once
}

// start starts a process without a window in a job of its own. Ctrl+C does not reach it: hybridge
// ends it in an orderly way.
func start(c *exec.Cmd) (bond, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return bond{}, err
	}
	b := bond{job, &sync.Once{}}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
		LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE}}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		b.release()
		return bond{}, err
	}
	c.SysProcAttr = &syscall.SysProcAttr{HideWindow: true,
		CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_NO_WINDOW}
	if err := c.Start(); err != nil {
		b.release()
		return bond{}, err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(c.Process.Pid))
	if err == nil {
		err = windows.AssignProcessToJobObject(job, h)
		_ = windows.CloseHandle(h)
	}
	if err != nil {
		_ = c.Process.Kill()
		_ = c.Wait()
		b.release()
		return bond{}, err
	}
	return b, nil
}

func (b bond) kill() { b.release() }

// release closes the job, which ends what is left in it.
func (b bond) release() {
	if b.once != nil {
		b.once.Do(func() { _ = windows.CloseHandle(b.job) })
	}
}
