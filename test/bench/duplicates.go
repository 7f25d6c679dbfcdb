//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// limits are the most MiB that the rules and the search for duplicates may take, by forests.
var limits = map[int]int{1: 128, 2: 400}

// planted is how many users of a forest keep the addresses that the first forest has: one of these.
const planted = 1000

// renamed is a directory whose users have other addresses and names than those of the server that
// it reads, but for the planted ones. One server stands for several forests.
type renamed struct {
	*directory.Forest
	prefix string
}

func (r renamed) Users(ctx context.Context) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		n := 0
		for u, err := range r.Forest.Users(ctx) {
			if r.prefix != "" && n%planted != 0 {
				u.UPN = r.prefix + u.UPN
				for _, list := range [][]string{u.Primary, u.Aliases} {
					for i := range list {
						list[i] = r.prefix + list[i]
					}
				}
			}
			n++
			if !yield(u, err) {
				return
			}
		}
	}
}

// duplicates runs in a child process: every rule over every user of some forests, and the addresses
// that more than one user has.
func duplicates(ctx context.Context, address, ca string, forests int) error {
	l, err := link.New(link.Options{CAFile: ca, ConnectTo: []string{host + ":636=" + address}})
	if err != nil {
		return err
	}
	var a answers.Answers
	for i := range forests {
		a.Forests = append(a.Forests, answers.Forest{Name: "forest" + strconv.Itoa(i)})
	}
	set := fact.New(a, cloud.Cloud{})
	for i, side := range set.Forests {
		f, err := directory.Open(ctx, directory.Config{Name: side.Name(), Link: l, Password: secret.NewValue(password),
			Directory: answers.Directory{Servers: []string{host},
				Bind: answers.Credential{Kind: answers.CredentialPassword, User: reader}}})
		if err != nil {
			return err
		}
		defer f.Close()
		d := renamed{Forest: f}
		if i > 0 {
			d.prefix = "f" + strconv.Itoa(i) + "-"
		}
		side.Directory = func(context.Context) (fact.Directory, error) { return d, nil }
	}
	start := time.Now()
	found, err := fact.Duplicates.In(ctx, set.Organization)
	if err != nil {
		return err
	}
	m := measurement{Mismatches: len(found), Seconds: time.Since(start).Seconds()}
	for _, side := range set.Forests {
		scan, err := fact.Users.In(ctx, side)
		if err != nil {
			return err
		}
		m.Users += scan.Read
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	m.CPU = seconds(usage)
	if m.PeakKiB, err = peak(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// index measures the rules of one forest and the duplicates of two, and compares what they found
// with what was planted.
func index(ctx context.Context, address, ca string, users int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("every rule and duplicate, passes over %d users per forest\n", users)
	for _, forests := range []int{1, 2} {
		cmd := exec.CommandContext(ctx, self, "-duplicates", strconv.Itoa(forests), "-measure", address, "-ca", ca)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("duplicates: %w", err)
		}
		var m measurement
		if err := json.Unmarshal(out, &m); err != nil {
			return err
		}
		// A planted user shares three addresses and a sign-in name.
		want := (forests - 1) * 4 * ((users + planted - 1) / planted)
		if m.Users != forests*users || m.Mismatches != want {
			return fmt.Errorf("%d forests: %d users and %d duplicates, want %d and %d", forests, m.Users, m.Mismatches,
				forests*users, want)
		}
		fmt.Printf("%d forests: %.1f s, CPU %.1f µs/user, %d duplicates, peak %.1f MiB (goal %d)\n", forests,
			m.Seconds, m.CPU*1e6/float64(m.Users), m.Mismatches, float64(m.PeakKiB)/1024, limits[forests])
	}
	return nil
}
