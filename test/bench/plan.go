//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

const (
	delay  = 50 * time.Millisecond // of each answer of the lab
	people = 30                    // per forest
	most   = 1.3                   // times the plan of one forest
)

// planned is one plan: what it took, and what it asked.
type planned struct {
	Forests, Changes int
	Seconds, CPU     float64
	LabCPU           float64
	Busy             float64 // part of the time in which the processors of the machine were busy
	Reads, Kinds     int     // reads of the places, and different ones among them
	Waits            int     // requests that a server answered, delay each
}

// plans measures the plan of one forest and of many against a lab with slow answers. Remote calls
// are counted by the lab: a plan asks each question once per place.
func plans(ctx context.Context, forests int) error {
	var all []planned
	for _, n := range []int{1, forests} {
		fmt.Fprintf(os.Stderr, "plan of %d forests\n", n)
		p, err := planOf(ctx, n)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	one, many := all[0], all[1]
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "plan, %d people per forest, answers after %v\tseconds\tCPU s\tlab's CPU "+
		"s\treads\tdifferent\trequests\tchanges\t\n",
		people, delay)
	for _, p := range all {
		fmt.Fprintf(w, "%d forests\t%.2f\t%.2f\t%.2f\t%d\t%d\t%d\t%d\t\n", p.Forests, p.Seconds, p.CPU, p.LabCPU,
			p.Reads,
			p.Kinds, p.Waits, p.Changes)
	}
	fmt.Fprintf(w, "ratio\t%.2f\t\t\t\t\t\t\t\n", many.Seconds/one.Seconds)
	fmt.Fprintf(w, "goal\t%.2f\t\t\t\t\t\t\t\n", most)
	if err := w.Flush(); err != nil {
		return err
	}
	if many.Seconds > most*one.Seconds {
		fmt.Printf("processor: %d cores were busy for %.0f%% of the plan of %d forests\n", runtime.NumCPU(),
			100*many.Busy,
			forests)
		if many.Busy < 0.7 {
			return errors.New("the plan of many forests waits, and not for the processor")
		}
	}
	for _, p := range all {
		if p.Reads != p.Kinds {
			return fmt.Errorf("the plan of %d forests reads %d times what %d reads give", p.Forests, p.Reads, p.Kinds)
		}
	}
	return nil
}

// planOf plans against a lab in a process of its own.
func planOf(ctx context.Context, forests int) (p planned, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	cmd := exec.CommandContext(ctx, self, "-lab", dir, "-forests", fmt.Sprint(forests))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return p, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return p, err
	}
	if err := cmd.Start(); err != nil {
		return p, err
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil { // the lab is up
		return p, errors.Join(err, cmd.Wait())
	}
	a, err := answers.Load(ctx, filepath.Join(dir, "answers.yaml"))
	if err != nil {
		return p, err
	}
	d, err := deployment.Open(a, deployment.Options{Dir: dir, StateDir: filepath.Join(dir, "state")})
	if err != nil {
		return p, err
	}
	before, idle := usage(), idleness()
	start := time.Now()
	plan, err := d.Plan(ctx, observe.Func(func(observe.Event) {}))
	if err != nil {
		return p, err
	}
	p = planned{Forests: forests, Changes: len(plan.Changes), Seconds: time.Since(start).Seconds(),
		CPU: usage() - before}
	p.Busy = 1 - (idleness()-idle)/(p.Seconds*float64(runtime.NumCPU()))
	// The lab counts until its input ends; what Close asks is no read.
	if err := in.Close(); err != nil {
		return p, err
	}
	if err := json.NewDecoder(lines).Decode(&p); err != nil {
		return p, errors.Join(err, cmd.Wait())
	}
	closing, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	_ = d.Close(closing) // the lab is gone
	return p, cmd.Wait()
}

// idleness is for how many seconds the processors of the machine had nothing to do.
func idleness() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, wait float64
	if _, err := fmt.Sscanf(string(text), "cpu %f %f %f %f %f", &user, &nice, &system, &idle, &wait); err != nil {
		return 0
	}
	return (idle + wait) / 100 // of the kernel's ticks
}

func usage() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return seconds(u)
}

// simulate is the lab's process: it serves until its input ends, and prints what it was asked.
func simulate(ctx context.Context, dir string, forests int) error {
	var mu sync.Mutex
	graph, waits := map[string]int{}, 0
	l, err := lab.Start(ctx, lab.Options{Dir: dir, Forests: forests, Users: people,
		Weather: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				waits++
				if strings.HasPrefix(r.Host, "graph.") {
					graph["GET "+r.URL.String()]++
				}
				mu.Unlock()
				time.Sleep(delay)
				next.ServeHTTP(w, r)
			})
		}})
	if err != nil {
		return err
	}
	defer l.Close()
	seeded := l.Runs()
	before := usage()
	fmt.Println("up")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	p := struct {
		LabCPU              float64
		Reads, Kinds, Waits int
	}{LabCPU: usage() - before}
	mu.Lock()
	defer mu.Unlock()
	p.Waits = waits
	for _, n := range graph {
		p.Reads, p.Kinds = p.Reads+n, p.Kinds+1
	}
	for name, n := range l.Runs() {
		if n -= seeded[name]; n > 0 && strings.Contains(name, " get-") {
			p.Reads, p.Kinds = p.Reads+n, p.Kinds+1
		}
	}
	return json.NewEncoder(os.Stdout).Encode(p)
}
