// Package tls_test checks certificates, STARTTLS, DNS and signed tokens with third-party programs:
// OpenSSL, Postfix, swaks, BIND, dnsmasq.
package tls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// need finds a program or skips the test with a message. Under CI=true it fails the test.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return filepath.Join(dir, name)
			}
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("PEER MISSING: %s is not installed", name)
		}
		t.Skipf("PEER MISSING: %s is not installed, this boundary was not checked", name)
	}
	return path
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, need(t, name), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// daemon starts a program and stops it when the test ends.
func daemon(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(need(t, name), args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, log.String())
		}
	})
	return cmd
}

// await retries until it succeeds or the time is over.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// freePort finds a port that is free for TCP and UDP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err != nil {
			continue
		}
		pc.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	t.Fatal(errors.New("no free port"))
	return ""
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// authority makes, with OpenSSL, a root, an intermediate and a server certificate: root.pem,
// intermediate.pem, leaf.pem, leaf.key, chain.pem.
func authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, dir, "ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
	write(t, dir, "leaf.ext", "subjectAltName=DNS:mail.contoso.example,DNS:autodiscover.contoso.example\nextendedKeyUsage=serverAuth,clientAuth\n")
	run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at("root.key"), "-out",
		at("root.pem"), "-days", "3650", "-subj", "/C=IT/O=Lab/CN=Lab Root")
	request := func(name, subject, ext, ca string) {
		run(t, "openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-utf8", "-keyout", at(name+".key"), "-out",
			at(name+".csr"), "-subj", subject)
		run(t, "openssl", "x509", "-req", "-in", at(name+".csr"), "-CA", at(ca+".pem"), "-CAkey", at(ca+".key"),
			"-CAcreateserial", "-days", "300", "-extfile", at(ext), "-out", at(name+".pem"))
	}
	request("intermediate", "/C=IT/ST=Südtirol/O=Lab/OU=PKI/CN=Lab Issuing 1", "ca.ext", "root")
	request("leaf", "/C=IT/L=Bozen/O=Contoso/CN=mail.contoso.example/emailAddress=pki@contoso.example", "leaf.ext",
		"intermediate")
	var chain []byte
	for _, name := range []string{"leaf.pem", "intermediate.pem"} {
		part, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, part...)
	}
	write(t, dir, "chain.pem", string(chain))
	return dir
}

var dial = new(net.Dialer).DialContext

func errUnlike(what string, got, want any) error {
	return fmt.Errorf("%s is %v, want %v", what, got, want)
}
