package lab

// workMailFaults are the faults of Amazon WorkMail and of what it needs of Exchange.
func workMailFaults() []Fault {
	return nil
}
