package psrp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// standIn is the variable that makes this test's program a PowerShell: how it is to behave.
const standIn = "HYBRIDGE_TEST_POWERSHELL"

// TestPowerShellProcess is no test: it is the PowerShell of the others, the server half over its
// standard streams.
func TestPowerShellProcess(t *testing.T) {
	behaviour := os.Getenv(standIn)
	if behaviour == "" {
		return // other tests run it
	}
	switch behaviour {
	case "hangs":
		time.Sleep(time.Hour)
	case "owns one":
		p, err := Open(t.Context(), local("deaf"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.Invoke(t.Context(), command("Get-ProcessId"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(out.Objects[0])
		time.Sleep(time.Hour)
	case "dies":
		fmt.Fprintln(os.Stderr, "no room on \x1b[31mthis device")
		os.Exit(3)
	case "greets":
		fmt.Println("Windows PowerShell")
		time.Sleep(time.Hour)
	case "babbles":
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	}
	s := &Server{Run: func(ctx context.Context, _ Caller, pl Pipeline, w *Writer) error {
		switch pl.Commands[0].Name {
		case "Get-Thing":
			return w.Output(pl.Commands[0].Parameters[0].Value)
		case "Get-Secret":
			return w.Output(pl.Commands[0].Parameters[0].Value.(secret.Value).Reveal())
		case "Get-Nothing":
			return &ErrorRecord{Message: "no such thing", ID: "NotThere,Get-Nothing", Category: ObjectNotFound}
		case "Wait-Forever":
			<-ctx.Done()
			return ctx.Err()
		case "Get-ProcessId":
			return w.Output(int64(os.Getpid()))
		case "Stop-Process":
			fmt.Fprintln(os.Stderr, "out of memory")
			os.Exit(9)
		case "Write-Garbage":
			fmt.Println("WARNING: a module writes to the console")
		}
		return nil
	}}
	out := make(chan string)
	go func() {
		for line := range out {
			fmt.Print(line)
		}
	}()
	sh, pipelines := newShell(s, "stdin", Caller{}, processFragment), map[string]*pipeline{}
	pump := func(command string, q *queue) {
		for {
			list, done := q.take(context.Background(), 1, 1)
			for _, f := range list {
				out <- packetKey{packetData, command}.packet(f)
			}
			if done {
				return
			}
		}
	}
	go pump("", &sh.outgoing)
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if err != nil && behaviour == "deaf" {
			time.Sleep(time.Hour)
		}
		if err != nil {
			os.Exit(0)
		}
		k, data, err := parsePacket(strings.TrimSpace(line))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		switch k.kind {
		case packetData:
			if p := pipelines[k.command]; p != nil {
				err = p.feed(data)
			} else {
				err = sh.feed(data)
			}
		case packetCommand:
			var p *pipeline
			if p, err = sh.newPipeline(k.command); err == nil {
				pipelines[k.command] = p
				go pump(k.command, &p.outgoing)
			}
		case packetSignal:
			if behaviour == "does not stop" {
				continue
			}
			pipelines[k.command].cancel(errStopped)
		case packetClose:
			if p := pipelines[k.command]; p != nil {
				sh.drop(p)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out <- packetKey{k.kind + "Ack", k.command}.packet(nil)
	}
}

// local are the options of a PowerShell that behaves as it is asked to.
func local(behaviour string) Options {
	return Options{Program: []string{os.Args[0], "-test.run=^TestPowerShellProcess$"},
		Environment: append(os.Environ(), standIn+"="+behaviour), OperationTimeout: 20 * time.Second}
}

func command(name string, values ...any) Pipeline {
	c := Command{Name: name}
	for _, v := range values {
		c.Parameters = append(c.Parameters, Parameter{"Value", v})
	}
	return Pipeline{Commands: []Command{c}}
}

// A pool over the standard streams of a process does what one over WS-Management does: long values,
// secrets, error records, a stop, and the end of the process with the pool.
func TestLocalProcess(t *testing.T) {
	p, err := Open(t.Context(), local("well"))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ä<&>\n", 40_000)
	for _, pl := range []Pipeline{command("Get-Thing", long), command("Get-Secret", secret.NewValue(long[:100]))} {
		out, err := p.Invoke(t.Context(), pl)
		if err != nil || len(out.Objects) != 1 || !strings.HasPrefix(long, Text(out.Objects[0])) || out.Objects[0] == "" {
			t.Fatalf("%s: %d objects, %v", pl.Commands[0].Name, len(out.Objects), err)
		}
	}
	var record *ErrorRecord
	if _, err := p.Invoke(t.Context(), command("Get-Nothing")); !errors.As(err, &record) ||
		record.Category != ObjectNotFound || record.ID != "NotThere,Get-Nothing" {
		t.Errorf("error record: %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := p.Invoke(soon, command("Wait-Forever")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command beyond its time limit: %v", err)
	}
	out, err := p.Invoke(t.Context(), command("Get-ProcessId"))
	if err != nil {
		t.Fatalf("after a stop: %v", err)
	}
	id := int(out.Objects[0].(int64))
	if !alive(id) {
		t.Error("the process is not seen to live: this test sees nothing")
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if alive(id) {
		t.Error("the process outlives its pool")
	}
	if _, err := p.Invoke(t.Context(), command("Get-Thing", "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// A process that dies, hangs, babbles or is missing is one clear error.
func TestLocalProcessFails(t *testing.T) {
	title := filepath.Base(os.Args[0])
	for _, tt := range []struct {
		behaviour, command string
		want               string
	}{
		{"dies", "", "open " + title + " on this computer: " + title + " ended (exit status 3): no room on [31mthis device"},
		{"greets", "", title + ` writes what is not PowerShell's protocol to its standard output: "Windows PowerShell"`},
		{"babbles", "", title + " writes a line of more than 1048576 bytes to its standard output"},
		{"hangs", "", title + " hangs: it did not acknowledge a packet (Data) within 900ms"},
		{"well", "Stop-Process", title + ": run Stop-Process: " + title + " ended (exit status 9): out of memory"},
		{"well", "Write-Garbage", `its standard output: "WARNING: a module writes to the console"`},
	} {
		t.Run(tt.behaviour+" "+tt.command, func(t *testing.T) {
			o := local(tt.behaviour)
			if tt.behaviour == "hangs" {
				o.OperationTimeout = 300 * time.Millisecond
			}
			began := time.Now()
			p, err := Open(t.Context(), o)
			if err == nil {
				_, err = p.Invoke(t.Context(), command(tt.command))
				again, after := p.Invoke(t.Context(), command("Get-Thing", "x"))
				if !errors.Is(after, ErrShellGone) {
					t.Errorf("it goes on: %v, %v", again, after)
				}
				_ = p.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrShellGone) ||
				!errors.Is(err, link.ErrUnreachable) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(soon, local("hangs")); !errors.Is(err, link.ErrUnreachable) ||
		!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hangs: it did not begin to speak") {
		t.Errorf("a process that hangs until the caller's time is over: %v", err)
	}
	_, err := Open(t.Context(), Options{Program: []string{"no-such-powershell", "-s"}})
	if !errors.Is(err, link.ErrUnreachable) || !errors.Is(err, ErrNoProgram) ||
		!strings.Contains(err.Error(), "there is no program no-such-powershell") {
		t.Errorf("a missing program: %v", err)
	}
}

// A process that does not stop a command is ended.
func TestLocalProcessThatDoesNotStop(t *testing.T) {
	p, err := Open(t.Context(), local("does not stop"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Invoke(t.Context(), command("Get-ProcessId"))
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := p.Invoke(soon, command("Wait-Forever")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Invoke(t.Context(), command("Get-Thing", "x")); !errors.Is(err, ErrShellGone) {
		t.Errorf("afterwards: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second || alive(int(out.Objects[0].(int64))) {
		t.Errorf("took %s, and the process lives: %t", took, alive(int(out.Objects[0].(int64))))
	}
}

// A kill of hybridge ends the process, also one that does not look at its standard input.
func TestLocalProcessEndsAfterKill(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		t.Skip("the end of standard input alone ends it here")
	}
	o := local("owns one")
	c := exec.CommandContext(t.Context(), o.Program[0], o.Program[1:]...)
	c.Env = o.Environment
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	id, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !alive(id) {
		t.Fatalf("no process: %q", line)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	for deadline := time.Now().Add(5 * time.Second); alive(id); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process outlives the one that started it")
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add("<Data Stream='Default' PSGuid='00000000-0000-0000-0000-000000000000'>QUJD</Data>")
	f.Add("<SignalAck PSGuid='49ef970b-7f97-475c-a415-91e2b7744875' />")
	f.Add("<Data PSGuid=\"49ef970b-7f97-475c-a415-91e2b7744875\" Stream='a' />")
	f.Add("< >")
	f.Fuzz(func(t *testing.T, line string) {
		k, data, err := parsePacket(line)
		if err != nil {
			return
		}
		again, same, err := parsePacket(strings.TrimSpace(k.packet(data)))
		if err != nil || again != k || string(same) != string(data) {
			t.Errorf("%q becomes %v %q, %v", line, again, same, err)
		}
	})
}

// A process whose output is read by nothing is bounded.
func TestUnreadOutputIsBounded(t *testing.T) {
	p := newProcess(local("well"))
	id := strings.ToUpper(NewGUID().String())
	line := packetKey{packetData, ""}.packet([]byte(strings.Repeat("x", 700_000)))
	r, w := io.Pipe()
	go func() {
		for {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	}()
	if err := p.read(r); err == nil || !strings.Contains(err.Error(), "wait to be read") {
		t.Errorf("got %v", err)
	}
	_ = r.Close()
	if err := p.take(packetKey{packetData, id}, nil); err != nil {
		t.Errorf("the last words of a closed command: %v", err)
	}
}
