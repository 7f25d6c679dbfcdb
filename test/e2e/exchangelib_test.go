package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// exchangelib is one process of Python with exchangelib, a third-party client. It answers questions
// about any lab whose certificates it trusts; testdata/freebusy.py describes both.
type exchangelib struct {
	questions *json.Encoder
	answers   *json.Decoder
	stderr    *bytes.Buffer
}

type ewsQuestion struct {
	Endpoints map[string]string `json:"endpoints"`
	Discovery string            `json:"discovery,omitempty"`
	URL       string            `json:"url,omitempty"` // without autodiscover
	Scheme    string            `json:"scheme"`
	Version   string            `json:"version,omitempty"` // asked for when empty
	User      string            `json:"user"`
	Password  string            `json:"password"`
	// Tenant and Application are of an application that acts as the user.
	Tenant      string   `json:"tenant,omitempty"`
	Application string   `json:"application,omitempty"`
	Mailboxes   []string `json:"mailboxes"`
}

type ewsAnswer struct {
	Endpoint string
	Merged   map[string]string // by mailbox, or "error " with the name of an error
	Texts    map[string]string // of errors
}

// startExchangelib starts exchangelib, and stops it when the test ends. ca is a file.
func startExchangelib(t *testing.T, ca string) *exchangelib {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's own, which has Debian's modules
	if err := exec.Command(python, "-c", "import exchangelib").Run(); err != nil {
		peer.Missing(t, "exchangelib", "python3-exchangelib")
	}
	dir := t.TempDir() // exchangelib keeps a cache there between runs
	c := exec.Command(python, "-W", "ignore", "testdata/freebusy.py")
	c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+ca, "TMPDIR="+dir, "HOME="+dir, "PYTHONDONTWRITEBYTECODE=1",
		"NO_PROXY=*")
	x := &exchangelib{stderr: &bytes.Buffer{}}
	c.Stderr = x.stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	x.questions, x.answers = json.NewEncoder(in), json.NewDecoder(out)
	return x
}

func (x *exchangelib) ask(t *testing.T, q ewsQuestion) (a ewsAnswer) {
	t.Helper()
	err := x.questions.Encode(q)
	if err == nil {
		err = x.answers.Decode(&a)
	}
	if err != nil {
		t.Fatalf("exchangelib: %v\n%s", err, tail(x.stderr.String()))
	}
	return a
}
