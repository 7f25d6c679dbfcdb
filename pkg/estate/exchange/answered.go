package exchange

// Answered reports that Exchange itself reported the error: the command's answer was not lost.
func (e *Error) Answered() bool { return true }
