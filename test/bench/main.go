//go:build linux

// Command bench measures five things. How long a build with an empty cache takes, how large the
// program is and how fast it starts, beside its modules alone. How many remote calls an apply
// takes, beside read, write and read back. How long a plan of many forests takes beside that of one,
// against a lab whose answers take 50 ms, and how often it asks. How long 1,000 pairs of free/busy
// take beside exchangelib, from the same server. How fast users are streamed out of
// a directory, beside OpenLDAP's ldapsearch, from the same server over the same transport in the
// same run, and how much memory that takes: a stream, every rule over one forest, and the
// duplicates of two. It needs Debian's slapd, ldap-utils
// and python3-exchangelib.
//
//	go run ./test/bench              50 forests, 100,000 users
//	BIG=1 go run ./test/bench        50 forests, 1,000,000 users
//	go run ./test/bench -users 0     without users
//	go run ./test/bench -warm        the build is not measured
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"text/template"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

//go:embed testdata
var testdata embed.FS

const (
	base     = "DC=contoso,DC=example"
	host     = "dc1.contoso.example"
	reader   = "CN=reader," + base
	password = "bench"
	filter   = "(&(|(objectCategory=person)(objectCategory=group)(objectCategory=publicFolder)" +
		"(objectCategory=msExchDynamicDistributionList))" +
		"(|(msExchRecipientTypeDetails=*)(proxyAddresses=*)(mail=*)))"
)

// attributes are those that a stream of users requests.
var attributes = []string{"objectGUID", "userPrincipalName", "sAMAccountName", "mail", "proxyAddresses",
	"targetAddress", "msExchRecipientTypeDetails",
	"msExchRemoteRecipientType", "msExchMasterAccountSid", "userAccountControl", "mailNickname",
	"homeMDB", "groupType"}

func main() {
	users := 100_000
	if os.Getenv("BIG") == "1" {
		users = 1_000_000
	}
	flag.IntVar(&users, "users", users, "how many users")
	runs := flag.Int("runs", 3, "how often each is measured; the median counts")
	forests := flag.Int("forests", 50, "how many forests are planned; none when 0")
	warm := flag.Bool("warm", false, "build with the cache of the machine, and do not measure it")
	asked := flag.Int("pairs", 1000, "how many pairs of free/busy are looked up; none when 0")
	simulated := flag.String("lab", "", "internal: serve a lab in this directory")
	measure := flag.String("measure", "", "internal: scan once, from this address, and print the measurement")
	shared := flag.Int("duplicates", 0, "internal: with -measure, find the duplicates of so many forests instead")
	ca := flag.String("ca", "", "internal: authority of the server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *measure != "" && *shared > 0:
		err = duplicates(ctx, *measure, *ca, *shared)
	case *measure != "":
		err = scan(ctx, *measure, *ca)
	case *simulated != "":
		err = simulate(ctx, *simulated, *forests)
	default:
		err = program(ctx, *warm)
		if err == nil {
			err = applies(ctx)
		}
		if err == nil && *forests > 0 {
			err = plans(ctx, *forests)
		}
		if err == nil && *asked > 0 {
			err = pairs(ctx, *asked)
		}
		if err == nil && users > 0 {
			err = run(ctx, users, *runs)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// measurement is one scan.
type measurement struct {
	Users      int     `json:"users"`
	Mismatches int     `json:"mismatches"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"cpuSeconds"`
	PeakKiB    int     `json:"peakKiB"`
	Mallocs    float64 `json:"mallocsPerUser"`
}

// scan runs in the child process: one pass over all users, with the check that needs the pass.
func scan(ctx context.Context, address, ca string) error {
	l, err := link.New(link.Options{CAFile: ca, ConnectTo: []string{host + ":636=" + address}})
	if err != nil {
		return err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f, err := directory.Open(ctx, directory.Config{Name: "contoso", Link: l, Password: secret.NewValue(password),
		Directory: answers.Directory{Servers: []string{host},
			Bind: answers.Credential{Kind: answers.CredentialPassword, User: reader}}})
	if err != nil {
		return err
	}
	defer f.Close()
	var m measurement
	for u, err := range f.Users(ctx) {
		if err != nil {
			return err
		}
		m.Users++
		if len(u.Primary) != 1 || !strings.EqualFold(u.Primary[0], u.UPN) {
			m.Mismatches++
		}
	}
	m.Seconds = time.Since(start).Seconds()
	runtime.ReadMemStats(&after)
	m.Mallocs = float64(after.Mallocs-before.Mallocs) / float64(max(m.Users, 1))
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

func seconds(u syscall.Rusage) float64 {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peak is the largest resident size this process had, in KiB.
func peak() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(text, "kB")))
		}
	}
	return 0, errors.New("no VmHWM in /proc/self/status")
}

func run(ctx context.Context, users, runs int) error {
	for _, program := range []string{"slapd", "slapadd", "ldapsearch"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: apt-get install --no-install-recommends slapd ldap-utils", program)
		}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(os.Stderr, "loading %d users into slapd\n", users)
	if err := load(ctx, dir, users); err != nil {
		return err
	}
	address, stop, err := serve(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	ca := filepath.Join(dir, "cert.pem")

	// In turns, so that other load on the machine affects both equally.
	var theirs, ours []measurement
	for i := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, runs)
		m, err := ldapsearch(ctx, address, ca)
		if err != nil {
			return err
		}
		m.Users = users
		theirs = append(theirs, m)
		if m, err = child(ctx, address, ca); err != nil {
			return err
		}
		if m.Users != users {
			return fmt.Errorf("the stream gave %d users of %d", m.Users, users)
		}
		if want := (users + 49) / 50; m.Mismatches != want {
			return fmt.Errorf("the stream found %d mismatches of %d", m.Mismatches, want)
		}
		ours = append(ours, m)
	}
	a, b := median(theirs), median(ours)
	rate := func(m measurement) float64 { return float64(m.Users) / m.Seconds }
	peak := 0
	for _, m := range ours {
		peak = max(peak, m.PeakKiB)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d users, LDAPS, pages of 1000\tusers/s\tseconds\tCPU µs/user\tpeak MiB\tmallocs/user\t\n", users)
	fmt.Fprintf(w, "ldapsearch\t%.0f\t%.2f\t%.1f\t%.1f\t\t\n", rate(a), a.Seconds, a.CPU*1e6/float64(users),
		float64(a.PeakKiB)/1024)
	fmt.Fprintf(w, "hybridge\t%.0f\t%.2f\t%.1f\t%.1f\t%.1f\t\n", rate(b), b.Seconds, b.CPU*1e6/float64(users),
		float64(peak)/1024, b.Mallocs)
	fmt.Fprintf(w, "ratio\t%.2f\t\t\t\t\t\n", rate(b)/rate(a))
	fmt.Fprintf(w, "goal\t0.70\t\t\t48.0\t\t\n")
	if err := w.Flush(); err != nil {
		return err
	}
	return index(ctx, address, ca, users)
}

func median(m []measurement) measurement {
	m = slices.Clone(m)
	slices.SortFunc(m, func(a, b measurement) int {
		switch {
		case a.Seconds < b.Seconds:
			return -1
		case a.Seconds > b.Seconds:
			return 1
		}
		return 0
	})
	return m[len(m)/2]
}

func ldapsearch(ctx context.Context, address, ca string) (measurement, error) {
	args := []string{"-LLL", "-o", "ldif_wrap=no", "-x", "-H", "ldaps://" + address, "-D", reader, "-w", password, "-b",
		base, "-E", "pr=1000/noprompt", filter}
	cmd := exec.CommandContext(ctx, "ldapsearch", append(args, attributes...)...)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+ca)
	var diagnostics bytes.Buffer
	cmd.Stderr = &diagnostics // standard output is discarded: its best case
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return measurement{}, fmt.Errorf("ldapsearch: %w: %s", err, diagnostics.String())
	}
	usage := *cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return measurement{Seconds: time.Since(start).Seconds(), CPU: seconds(usage), PeakKiB: int(usage.Maxrss)}, nil
}

// child scans in a separate process, so that its peak memory is that of the scan alone.
func child(ctx context.Context, address, ca string) (m measurement, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, self, "-measure", address, "-ca", ca)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("scan: %w", err)
	}
	return m, json.Unmarshal(out, &m)
}

// load writes the server's files and fills its database.
func load(ctx context.Context, dir string, users int) error {
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		return err
	}
	if err := certificate(dir); err != nil {
		return err
	}
	schema, err := testdata.ReadFile("testdata/ad.schema")
	if err != nil {
		return err
	}
	t, err := template.ParseFS(testdata, "testdata/slapd.conf")
	if err != nil {
		return err
	}
	var conf bytes.Buffer
	if err := t.Execute(&conf, map[string]string{"Dir": dir, "Base": base}); err != nil {
		return err
	}
	root := "dn:\ndefaultNamingContext: " + base + "\nconfigurationNamingContext: CN=Configuration," + base +
		"\nrootDomainNamingContext: " + base + "\n"
	for name, text := range map[string][]byte{"ad.schema": schema, "slapd.conf": conf.Bytes(),
		"root.ldif": []byte(root)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "slapadd", "-q", "-f", filepath.Join(dir, "slapd.conf"))
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &diagnostics, &diagnostics
	if err := cmd.Start(); err != nil {
		return err
	}
	writeErr := generate(in, users)
	in.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("slapadd: %w: %s", err, diagnostics.String())
	}
	return writeErr
}

// generate writes the directory as LDIF: every fiftieth user signs in with a name that is not the
// primary address.
func generate(to io.Writer, users int) error {
	w := bufio.NewWriterSize(to, 1<<20)
	fmt.Fprintf(w, "dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: contoso\ndc: contoso\n\n", base)
	fmt.Fprintf(w, "dn: CN=Configuration,%s\nobjectClass: container\ncn: Configuration\n\n", base)
	fmt.Fprintf(w, "dn: CN=Partitions,CN=Configuration,%s\nobjectClass: container\ncn: Partitions\n\n", base)
	fmt.Fprintf(w, "dn: CN=CONTOSO,CN=Partitions,CN=Configuration,%s\nobjectClass: crossRef\ncn: CONTOSO\nnCName: "+
		"%[1]s\ndnsRoot: contoso.example\nnETBIOSName: CONTOSO\nsystemFlags: 3\n\n", base)
	fmt.Fprintf(w, "dn: %s\nobjectClass: user\ncn: reader\nuserPassword: %s\n\n", reader, password)
	for i := range 10 {
		fmt.Fprintf(w, "dn: OU=D%d,%s\nobjectClass: organizationalUnit\nou: D%[1]d\n\n", i, base)
	}
	for i := range users {
		upn := "user" + strconv.Itoa(i) + "@contoso.example"
		if i%50 == 0 {
			upn = "user" + strconv.Itoa(i) + "@contoso.local"
		}
		fmt.Fprintf(w, "dn: CN=User %d,OU=D%d,%s\nobjectClass: user\nobjectCategory: person\ncn: User "+
			"%[1]d\nobjectGUID: %016[1]d\nsAMAccountName: user%[1]d\nuserPrincipalName: %[4]s\n"+
			"mail: user%[1]d@contoso.example\nproxyAddresses: SMTP:user%[1]d@contoso.example\nproxyAddresses: "+
			"smtp:first.last%[1]d@contoso.example\nproxyAddresses: smtp:user%[1]d@contoso.mail.onmicrosoft.com\n"+
			"msExchRecipientTypeDetails: 1\nuserAccountControl: 512\n\n", i, i%10, base, upn)
	}
	return w.Flush()
}

// serve starts slapd on a free port and waits until it answers.
func serve(ctx context.Context, dir string) (address string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = ln.Addr().String()
	ln.Close()
	cmd := exec.CommandContext(ctx, "slapd", "-d", "0", "-f", filepath.Join(dir, "slapd.conf"), "-h",
		"ldaps://"+address)
	var diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &diagnostics, &diagnostics
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended //nolint:errcheck // it ended on request
	}
	for range 200 {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			return address, stop, c.Close()
		}
		select {
		case err := <-ended:
			return "", nil, fmt.Errorf("slapd ended: %w: %s", err, diagnostics.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop()
	return "", nil, errors.New("slapd does not answer")
}

// certificate makes a self-signed certificate for both names that clients use.
func certificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 2), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, b := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			return err
		}
	}
	return nil
}
