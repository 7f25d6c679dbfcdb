package psrp

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A process answers; it gives no orders.
func TestProcessGivesNoOrders(t *testing.T) {
	for _, kind := range []packetKind{packetCommand, packetClose, packetSignal} {
		p := newProcess(Options{Program: []string{"pwsh"}})
		if err := p.read(strings.NewReader(packetKey{kind, ""}.packet(nil))); err == nil {
			t.Errorf("%s is taken", kind)
		}
	}
}

// What the process wrote before its end comes before the reason of the end. What was read waits no
// longer.
func TestLastWordsOfAProcess(t *testing.T) {
	p := newProcess(Options{Program: []string{"pwsh"}})
	if err := p.read(strings.NewReader(packetKey{packetData, ""}.packet([]byte("last")))); err != nil || p.queued != 4 {
		t.Fatal(err, p.queued)
	}
	gone := &lostProcess{reason: "it ended"}
	p.ended = gone
	if data, _, err := p.receive(t.Context(), ""); err != nil || string(data) != "last" || p.queued != 0 {
		t.Errorf("%q, %v, %d bytes wait", data, err, p.queued)
	}
	if _, _, err := p.receive(t.Context(), ""); !errors.Is(err, ErrShellGone) {
		t.Error(err)
	}
}

// What nothing reads is limited.
func TestUnreadPacketsAreLimited(t *testing.T) {
	p := newProcess(Options{Program: []string{"pwsh"}})
	p.queued = maxQueued
	if err := p.take(packetKey{packetData, ""}, []byte("x")); err == nil {
		t.Error("taken")
	}
}

// Half a packet cannot be completed: the process that does not read it is of no use any more.
func TestHalfAPacketEndsTheProcess(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(Options{Program: []string{"pwsh"}, OperationTimeout: time.Minute, Log: slog.New(slog.DiscardHandler)})
	p.input, p.exited = in, make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = p.exchange(ctx, packetKey{packetData, ""}, make([]byte, 1<<20), packetDataAck)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(p.ended, ErrShellGone) {
		t.Errorf("%v, ended %v", err, p.ended)
	}
	close(p.exited) // so that the writer does not wait for it
	_, _ = out.Close(), in.Close()
}

// A closed process has ended: nothing of it works on.
func TestCloseWaitsForTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(Options{Program: []string{"pwsh"}})
		p.exited = make(chan struct{})
		closed := false
		go func() {
			p.close()
			closed = true
		}()
		synctest.Wait()
		if closed {
			t.Error("closed before its end")
		}
		close(p.exited)
		synctest.Wait()
		if !closed {
			t.Error("not closed after its end")
		}
	})
}
