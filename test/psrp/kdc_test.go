// Package psrp_test runs remote PowerShell against peers that we did not write: MIT Kerberos as the domain's key distribution center and as
// the other side of sealed messages.
package psrp_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	realm    = "CONTOSO.LAB"
	password = "Passw0rd! ä"
)

// missing says what a test needs and does not have. Where everything has to run, that is a failure.
func missing(t *testing.T, what, packages string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install %s", what, packages)
	}
	t.Skipf("NOT TESTED: %s is missing: install %s", what, packages)
}

// program finds a program, also where only root's path leads.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	missing(t, name, pkg)
	return ""
}

// kdc is a key distribution center of our own on a free port.
type kdc struct {
	t    *testing.T
	dir  string
	port int
	conf string // krb5.conf
}

// startKDC makes a realm with the user admin and the service HTTP/localhost.
func startKDC(t *testing.T, encryption string) *kdc {
	t.Helper()
	daemon := program(t, "krb5kdc", "krb5-kdc")
	util := program(t, "kdb5_util", "krb5-kdc")
	program(t, "kadmin.local", "krb5-admin-server or krb5-kdc")
	program(t, "kinit", "krb5-user")
	dir := t.TempDir()
	k := &kdc{t: t, dir: dir, port: freePort(t), conf: filepath.Join(dir, "krb5.conf")}
	k.write("kdc.conf", fmt.Sprintf("[kdcdefaults]\n kdc_listen = 127.0.0.1:%d\n kdc_tcp_listen = 127.0.0.1:%d\n[realms]\n %s = {\n  database_name = %s/principal\n  key_stash_file = %s/stash\n  acl_file = %s/acl\n  supported_enctypes = %s:normal\n  master_key_type = %s\n }\n",
		k.port, k.port, realm, dir, dir, dir, encryption, encryption))
	k.write("krb5.conf", k.config(encryption, k.port))
	k.run("", util, "create", "-r", realm, "-s", "-P", "master")
	k.admin("addprinc", "-pw", password, "+requires_preauth", "admin")
	k.admin("addprinc", "-randkey", "+requires_preauth", "robot")
	k.admin("addprinc", "-randkey", "HTTP/localhost")
	k.admin("ktadd", "-k", k.path("http.keytab"), "HTTP/localhost")
	k.admin("ktadd", "-k", k.path("robot.keytab"), "robot")
	cmd := exec.Command(daemon, "-n")
	cmd.Env = k.environment()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("krb5kdc: %s", log.String())
		}
	})
	for range 200 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", k.port)); err == nil {
			c.Close()
			return k
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("krb5kdc does not answer: %s", log.String())
	return nil
}

func (k *kdc) config(encryption string, port int) string {
	return fmt.Sprintf("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n default_tkt_enctypes = %s\n default_tgs_enctypes = %s\n permitted_enctypes = %s\n[realms]\n %s = {\n  kdc = 127.0.0.1:%d\n }\n[domain_realm]\n localhost = %s\n",
		realm, encryption, encryption, encryption, realm, port, realm)
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (k *kdc) path(name string) string { return filepath.Join(k.dir, name) }

func (k *kdc) write(name, text string) {
	if err := os.WriteFile(k.path(name), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kdc) environment() []string {
	return append(os.Environ(), "KRB5_CONFIG="+k.conf, "KRB5_KDC_PROFILE="+k.path("kdc.conf"), "KRB5RCACHEDIR="+k.dir, "KRB5_KTNAME="+k.path("http.keytab"))
}

func (k *kdc) run(input, name string, args ...string) string {
	k.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = k.environment()
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
	return string(out)
}

func (k *kdc) admin(args ...string) {
	k.t.Helper()
	k.run("", program(k.t, "kadmin.local", "krb5-kdc"), append([]string{"-r", realm}, args...)...)
}

// ticketCache signs admin in with kinit.
func (k *kdc) ticketCache() string {
	k.t.Helper()
	path := k.path("cache")
	k.run(password+"\n", program(k.t, "kinit", "krb5-user"), "-c", path, "admin@"+realm)
	return path
}
