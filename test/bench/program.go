//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	startGoal = 4.0        // times the start of the peer
	sizeGoal  = 30_000_000 // bytes of a stripped binary, as in the Makefile
	buildGoal = 4.0        // times the cold build of the peer
	starts    = 40
)

// program measures the binary beside test/bench/peer, which has the modules that hybridge is given
// and nothing of hybridge: how long a build with an empty cache takes, how large the stripped
// binary is, and how long `version` takes from its start to its end. With warm, the builds use the
// cache of the machine and are not measured.
func program(ctx context.Context, warm bool) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(makefile), "\nGCFLAGS := ")
	line, _, _ := strings.Cut(rest, "\n")
	flags := strings.Fields(line)
	type built struct {
		name, path   string
		build, start float64 // seconds
		size         int64
	}
	all := []*built{{name: "hybridge", path: "./cmd/hybridge"}, {name: "its modules alone", path: "./test/bench/peer"}}
	for _, b := range all {
		fmt.Fprintf(os.Stderr, "build of %s\n", b.name)
		binary := filepath.Join(dir, filepath.Base(b.path))
		args := append([]string{"build", "-trimpath", "-ldflags=-s -w -funcalign=16", "-o", binary}, flags...)
		c := exec.CommandContext(ctx, "go", append(args, b.path)...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if !warm {
			cache := filepath.Join(dir, "cache")
			c.Env = append(c.Env, "GOCACHE="+cache)
			defer os.RemoveAll(cache)
		}
		began := time.Now()
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("build of %s: %w\n%s", b.path, err, out)
		}
		b.build = time.Since(began).Seconds()
		if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
			return err
		}
		info, err := os.Stat(binary)
		if err != nil {
			return err
		}
		b.path, b.size = binary, info.Size()
	}
	// By turns: what else the machine does meets both.
	times := map[*built][]float64{}
	for range starts {
		for _, b := range all {
			began := time.Now()
			if err := exec.CommandContext(ctx, b.path, "version").Run(); err != nil {
				return err
			}
			times[b] = append(times[b], time.Since(began).Seconds())
		}
	}
	for _, b := range all {
		slices.Sort(times[b])
		b.start = times[b][starts/2]
	}
	ours, peer := all[0], all[1]
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "the program\tcold build s\tbytes\tstart ms\t\n")
	for _, b := range all {
		build := fmt.Sprintf("%.1f", b.build)
		if warm {
			build = ""
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t\n", b.name, build, b.size, 1000*b.start)
	}
	ratio := ""
	if !warm {
		ratio = fmt.Sprintf("%.2f", ours.build/peer.build)
	}
	fmt.Fprintf(w, "ratio\t%s\t%.2f\t%.2f\t\n", ratio, float64(ours.size)/float64(peer.size), ours.start/peer.start)
	fmt.Fprintf(w, "goal\t%.2f\t%d\t%.2f\t\n", buildGoal, sizeGoal, startGoal)
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case ours.size > sizeGoal:
		return fmt.Errorf("the binary has %d bytes", ours.size)
	case ours.start > startGoal*peer.start:
		return errors.New("the program starts slowly")
	case !warm && ours.build > buildGoal*peer.build:
		return errors.New("the build is slow")
	}
	return nil
}
