package peer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// KDC is MIT Kerberos' key distribution center, with a separate realm on a free port of loopback.
type KDC struct {
	Realm string
	Conf  string // krb5.conf that leads to it

	t          testing.TB
	dir        string
	encryption string
	port       int
}

// StartKDC starts a realm whose keys are all of one encryption type. It stops when the test ends.
func StartKDC(t testing.TB, realm, encryption string) *KDC {
	t.Helper()
	daemon := Program(t, "krb5kdc", "krb5-kdc")
	util := Program(t, "kdb5_util", "krb5-kdc")
	Program(t, "kadmin.local", "krb5-admin-server or krb5-kdc")
	Program(t, "kinit", "krb5-user")
	dir := t.TempDir()
	k := &KDC{Realm: realm, Conf: filepath.Join(dir, "krb5.conf"), t: t, dir: dir, encryption: encryption,
		port: FreePort(t)}
	k.Write("kdc.conf", fmt.Sprintf("[kdcdefaults]\n kdc_listen = 127.0.0.1:%d\n kdc_tcp_listen = "+
		"127.0.0.1:%d\n[realms]\n %s = {\n  database_name = %s/principal\n  key_stash_file = %s/stash\n  acl_file = "+
		"%s/acl\n  supported_enctypes = %s:normal\n  master_key_type = %s\n }\n",
		k.port, k.port, realm, dir, dir, dir, encryption, encryption))
	k.Write("krb5.conf", k.Config(k.port))
	k.run("", util, "create", "-r", realm, "-s", "-P", "master")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), daemon, "-n")
	cmd.Env = k.Environment()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
		if t.Failed() {
			t.Logf("krb5kdc: %s", log.String())
		}
	})
	for range 200 {
		if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", k.port)); err == nil {
			c.Close()
			return k
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("krb5kdc does not answer: %s", log.String())
	return nil
}

// Config is a krb5.conf for the realm with its KDC at a port.
func (k *KDC) Config(port int) string {
	return fmt.Sprintf("[libdefaults]\n default_realm = %[1]s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n "+
		"rdns = false\n default_tkt_enctypes = %[2]s\n default_tgs_enctypes = %[2]s\n permitted_enctypes = "+
		"%[2]s\n[realms]\n %[1]s = {\n  kdc = 127.0.0.1:%[3]d\n }\n[domain_realm]\n localhost = %[1]s\n .%[4]s = "+
		"%[1]s\n %[4]s = %[1]s\n",
		k.Realm, k.encryption, port, strings.ToLower(k.Realm))
}

// Path is a file in the KDC's folder.
func (k *KDC) Path(name string) string { return filepath.Join(k.dir, name) }

// Write writes a file in the KDC's folder and returns its path.
func (k *KDC) Write(name, text string) string {
	k.t.Helper()
	if err := os.WriteFile(k.Path(name), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return k.Path(name)
}

// Environment is the environment in which a program of MIT Kerberos finds the realm.
func (k *KDC) Environment() []string {
	return append(os.Environ(), "KRB5_CONFIG="+k.Conf, "KRB5_KDC_PROFILE="+k.Path("kdc.conf"), "KRB5RCACHEDIR="+k.dir)
}

func (k *KDC) run(input, name string, args ...string) string {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), name, args...)
	cmd.Env = k.Environment()
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
	return string(out)
}

// Admin runs kadmin.local.
func (k *KDC) Admin(args ...string) {
	k.t.Helper()
	k.run("", Program(k.t, "kadmin.local", "krb5-kdc"), append([]string{"-r", k.Realm}, args...)...)
}

// Principal adds a user with a password.
func (k *KDC) Principal(name, password string) {
	k.t.Helper()
	k.Admin("addprinc", "-pw", password, "+requires_preauth", name)
}

// Keytab adds a principal with a random key and writes the key to a file.
func (k *KDC) Keytab(file, principal string) string {
	k.t.Helper()
	k.Admin("addprinc", "-randkey", principal)
	k.Admin("ktadd", "-k", k.Path(file), principal)
	return k.Path(file)
}

// TicketCache signs a user in with kinit.
func (k *KDC) TicketCache(user, password string) string {
	k.t.Helper()
	path := k.Path("cache")
	k.run(password+"\n", Program(k.t, "kinit", "krb5-user"), "-c", path, user+"@"+k.Realm)
	return path
}

func (k *KDC) Port() int { return k.port }
