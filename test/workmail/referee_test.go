// Package workmail_test runs Amazon's own clients against WorkMail of the lab: the AWS CLI
// (botocore) and the SDK for JavaScript. The lab behaves like WorkMail when they accept its answers
// and understand its refusals.
package workmail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lab "github.com/hybridge-cli/hybridge/pkg/lab/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/test/peer"
)

const (
	region   = "eu-west-1"
	key      = "AKIAREFEREE"
	secret   = "s3cret"
	domain   = "contoso.example"
	function = "arn:aws:lambda:eu-west-1:123456789012:function:workmail-cap"
	first    = "user00@contoso.example"
	second   = "user01@contoso.example"
)

type site struct {
	org      *lab.Organization
	endpoint string
	ca       string // a file
}

// newSite serves an organization with 20 people, of whom the first is enabled.
func newSite(t *testing.T) site {
	t.Helper()
	people := func() []lab.Person {
		var out []lab.Person
		for i := range 20 {
			name := fmt.Sprintf("user%02d", i)
			out = append(out, lab.Person{ID: "the-id-of-" + name, Account: name, Display: name,
				UPN:  name + "@" + domain,
				Mail: name + "@" + domain, Addresses: []string{name + "@" + domain}})
		}
		return out
	}
	connector := &lab.Connector{ID: "d-0123456789", Name: domain, Alias: "contoso", People: people,
		SignIn: func(string, string) bool { return false }}
	service := lab.New(lab.Config{Region: region, Account: "123456789012", Clock: time.Now,
		Keys: map[string]lab.Key{key: {Secret: secret}}, Connectors: []*lab.Connector{connector},
		Functions: map[string]lab.Function{function: {}}})
	way, err := link.New(link.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	service.Reach(way)
	s := site{org: service.NewOrganization("contoso", connector, domain)}
	s.org.Register(first)
	server := httptest.NewTLSServer(service.API())
	t.Cleanup(server.Close)
	s.endpoint, s.ca = server.URL, filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(s.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCommandLine drives the lab with the AWS CLI: list, get, create, test, update, delete.
func TestCommandLine(t *testing.T) {
	program := peer.Program(t, "aws", "awscli")
	s := newSite(t)
	home := t.TempDir()
	aws := func(arguments ...string) (out map[string]any, refusal string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, program,
			append([]string{"workmail"}, append(arguments, "--endpoint-url", s.endpoint,
				"--ca-bundle", s.ca, "--region", region, "--output", "json")...)...)
		c.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_MAX_ATTEMPTS=1",
			"AWS_PAGER=",
			"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+home+"/config", "AWS_SHARED_CREDENTIALS_FILE="+home+
				"/credentials")
		var stdout, stderr bytes.Buffer
		c.Stdout, c.Stderr = &stdout, &stderr
		if err := c.Run(); err != nil {
			return nil, strings.TrimSpace(stderr.String())
		}
		if stdout.Len() > 0 {
			if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
				t.Fatalf("%v: %v\n%s", arguments, err, stdout.Bytes())
			}
		}
		return out, ""
	}
	must := func(arguments ...string) map[string]any {
		t.Helper()
		out, refusal := aws(arguments...)
		if refusal != "" {
			t.Fatalf("%s: %s", arguments[0], refusal)
		}
		return out
	}
	org := must("list-organizations")["OrganizationSummaries"].([]any)[0].(map[string]any)
	id := []string{"--organization-id", org["OrganizationId"].(string)}
	in := func(arguments ...string) []string { return append(arguments, id...) }
	if d := must(in("describe-organization")...); d["Alias"] != "contoso" || d["State"] != "Active" {
		t.Errorf("%v", d)
	}
	if users := must(in("list-users", "--page-size", "7")...)["Users"].([]any); len(users) != 20 {
		t.Errorf("%d users", len(users))
	}
	if d := must(in("get-mail-domain", "--domain-name", domain)...); d["OwnershipVerificationStatus"] != "VERIFIED" {
		t.Errorf("%v", d)
	}
	provider := "EwsEndpoint=https://127.0.0.1:9/EWS/Exchange.asmx,EwsUsername=svc,EwsPassword=hunter2"
	must(in("create-availability-configuration", "--domain-name", domain, "--ews-provider", provider)...)
	list := must(in("list-availability-configurations")...)["AvailabilityConfigurations"].([]any)
	shown := list[0].(map[string]any)["EwsProvider"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"EwsEndpoint": "https://127.0.0.1:9/EWS/Exchange.asmx", "EwsUsername": "svc"},
		shown); diff != "" {
		t.Error(diff)
	}
	if r := must(in("test-availability-configuration", "--domain-name", domain)...); r["TestPassed"] == true ||
		r["FailureReason"] == "" {
		t.Errorf("%v", r)
	}
	must(in("update-availability-configuration", "--domain-name", domain, "--lambda-provider",
		"LambdaArn="+function)...)
	if r := must(in("test-availability-configuration", "--domain-name", domain)...); r["TestPassed"] != true {
		t.Errorf("%v", r)
	}
	must(in("delete-availability-configuration", "--domain-name", domain)...)
	if list := must(in("list-availability-configurations")...)["AvailabilityConfigurations"]; len(list.([]any)) != 0 {
		t.Errorf("%v", list)
	}
	must(in("register-to-work-mail", "--entity-id", second, "--email", second)...)
	if u := must(in("describe-user", "--user-id", second)...); u["State"] != "ENABLED" || u["Email"] != second {
		t.Errorf("%v", u)
	}
	must(in("deregister-from-work-mail", "--entity-id", second)...)
	for want, arguments := range map[string][]string{
		"UnsupportedOperationException": in("create-user", "--name", "new", "--display-name", "New", "--password",
			"Passw0rd!"),
		"EntityNotFoundException":       in("describe-user", "--user-id", "nobody@contoso.example"),
		"OrganizationNotFoundException": {"describe-organization", "--organization-id", "m-" + strings.Repeat("0", 32)},
		"MailDomainNotFoundException":   in("get-mail-domain", "--domain-name", "gone.example"),
		"ValidationException":           in("get-mail-domain", "--domain-name", "with space.example"),
	} {
		if _, refusal := aws(arguments...); !strings.Contains(refusal, "("+want+")") {
			t.Errorf("%s: %s", want, refusal)
		}
	}
}

// TestJavaScript drives the lab with the AWS SDK for JavaScript.
func TestJavaScript(t *testing.T) {
	node, npm := peer.Program(t, "node", "nodejs"), peer.Program(t, "npm", "npm")
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, npm, "ci", "--prefix", folder, "--no-audit", "--no-fund").CombinedOutput()
	if err != nil {
		t.Logf("npm ci: %v\n%s", err, out)
		peer.Missing(t, "@aws-sdk/client-workmail", "it from npm")
	}
	s := newSite(t)
	question, err := json.Marshal(map[string]string{
		"region": region, "endpoint": s.endpoint, "key": key, "secret": secret, "domain": domain,
		"userId": "the-id-of-user00", "other": second, "lambda": function,
		"ews": "https://127.0.0.1:9/EWS/Exchange.asmx", "ewsUser": "svc", "ewsPassword": "hunter2",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, node, filepath.Join(folder, "referee.mjs"))
	c.Stdin, c.Env = bytes.NewReader(question), append(os.Environ(), "NODE_EXTRA_CA_CERTS="+s.ca)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	data, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	var got map[string]struct {
		Value json.RawMessage
		Error *struct {
			Code, Message string
			Status        int
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	refused := map[string]string{
		"twoFilters": "InvalidParameterException", "badToken": "InvalidParameterException",
		"twice": "NameAvailabilityException", "both": "InvalidParameterException",
		"readOnly": "UnsupportedOperationException", "absentOrganization": "OrganizationNotFoundException",
		"wrongKey": "InvalidSignatureException", "unknownKey": "UnrecognizedClientException",
	}
	for step, answer := range got {
		code := ""
		if answer.Error != nil {
			code = answer.Error.Code
		}
		if code != refused[step] {
			t.Errorf("%s: %q, want %q: %+v", step, code, refused[step], answer.Error)
		}
	}
	for step, want := range map[string]string{
		"organization": `{"alias":"contoso","interoperability":true,"completed":true}`, "users": "20",
		"enabled": `["` + first + `"]`, "domain": `{"ownership":"VERIFIED","records":6}`,
		"aliases": `["user00@contoso.awsapps.com"]`, "updated": `"LAMBDA"`, "deleted": "[]", "registered": `"ENABLED"`,
		"test": `{"passed":false,"reason":"The EWS URL is invalid or unreachable."}`,
	} {
		if string(got[step].Value) != want {
			t.Errorf("%s: %s, want %s", step, got[step].Value, want)
		}
	}
	if strings.Contains(string(data), "hunter2") {
		t.Error("WorkMail shows a password")
	}
}
