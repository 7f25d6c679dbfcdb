//go:build linux

// Command forests starts two Samba forests with planted faults and stays until it is interrupted:
//
//	go run ./test/directory/forests --dir D
//
// It writes D/answers.yaml, which reads both over LDAPS, D/answers-kerberos.yaml, which reads both
// with a ticket, and D/planted.json, which says what a check has to find; then it prints "ready".
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hybridge-cli/hybridge/test/directory"
)

func main() {
	dir := flag.String("dir", "", "directory to work in; must be empty or not exist")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	if dir == "" {
		return fmt.Errorf("--dir is needed")
	}
	if missing := directory.Missing(); missing != "" {
		return fmt.Errorf("%s", missing)
	}
	forests, err := directory.Pair(ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range forests {
			f.Down()
		}
	}()
	if err := directory.WriteAnswers(dir, forests); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}
