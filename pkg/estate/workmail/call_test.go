package workmail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/directoryservice"
	sdk "github.com/aws/aws-sdk-go-v2/service/workmail"
	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// TestInputs compares the parameters of the operations that change something with the API model.
func TestInputs(t *testing.T) {
	data, err := os.ReadFile("../../lab/workmail/model.json")
	if err != nil {
		t.Fatal(err)
	}
	var model struct {
		Operations map[string]struct{ Input string }
		Shapes     map[string]struct {
			Members  map[string]string
			Required []string
			Element  string
		}
	}
	if err := json.Unmarshal(data, &model); err != nil {
		t.Fatal(err)
	}
	var compare func(at, shape string, typ reflect.Type)
	compare = func(at, shape string, typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			if typ.Kind() == reflect.Slice {
				shape = model.Shapes[shape].Element
			}
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			member, known := model.Shapes[shape].Members[name]
			switch optional := map[string]bool{"ClientToken": true, "ImpersonationRoleId": true, "EwsProvider": true,
				"LambdaProvider": true, "Rules": true, "Type": true, "Name": true, "Description": true,
				"Email": true}; {
			case known:
				compare(at+"."+name, member, f.Type)
			case !optional[name]: // operations share inputs
				t.Errorf("%s: the API has no member %s", at, name)
			}
		}
	}
	for name, o := range operations {
		declared, known := model.Operations[name]
		if !known {
			t.Errorf("the API has no operation %s", name)
			continue
		}
		shape := model.Shapes[declared.Input]
		compare(name, declared.Input, reflect.TypeOf(o.input()))
		want := slices.DeleteFunc(slices.Clone(shape.Required),
			func(m string) bool { return m == "OrganizationId" || m == "ClientToken" })
		got := strings.Fields(o.required)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s requires %v, and here %v", name, want, got)
		}
		if _, token := shape.Members["ClientToken"]; token != o.token {
			t.Errorf("%s has a client token: %t, and here %t", name, token, o.token)
		}
	}
}

// sent is what a client sends, without what differs in each request.
type sent struct {
	Host, Path, Method, Type, Target, Scope, Signed string
	Body                                            any
}

// recorder answers every request with {} and keeps it.
func recorder(t *testing.T) (*link.Link, func() []sent) {
	t.Helper()
	var all []sent
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sent{Host: r.Host, Path: r.URL.Path, Method: r.Method, Type: r.Header.Get("Content-Type"),
			Target: r.Header.Get("X-Amz-Target")}
		_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		credential, rest, _ := strings.Cut(credential, ", SignedHeaders=")
		parts := strings.Split(credential, "/")
		s.Scope = strings.Join(append(parts[:1:1], parts[2:]...), "/")
		signed, _, _ := strings.Cut(rest, ",")
		for name := range strings.SplitSeq(signed, ";") {
			if !strings.HasPrefix(name, "amz-sdk-") { // how often it was sent
				s.Signed += name + " "
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&s.Body)
		if m, is := s.Body.(map[string]any); is && m["ClientToken"] != nil {
			m["ClientToken"] = "random"
		}
		all = append(all, s)
		fmt.Fprint(w, `{"TestPassed":true}`)
	}))
	t.Cleanup(server.Close)
	hosts := []string{"all.example", "own.example", "every.example", "wm.example", "ds.example"}
	for _, s := range []string{"workmail", "ds"} {
		for _, end := range []string{"." + region + ".amazonaws.com", "." + region + ".api.aws"} {
			hosts = append(hosts, s+end, s+"-fips"+end)
		}
	}
	var to []string
	for _, h := range hosts {
		for _, port := range []string{"443", "4566", "8443"} {
			to = append(to, h+":"+port+"="+server.Listener.Addr().String())
		}
	}
	l, err := link.New(link.Options{ConnectTo: to, InsecureHosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.CloseIdleConnections)
	return l, func() []sent { out := all; all = nil; return out }
}

// TestLikeTheSDK sends the same requests with the SDK's own clients, in each environment.
func TestLikeTheSDK(t *testing.T) {
	const id = "m-0123456789abcdef0123456789abcdef"
	profile := "[default]\nservices = local\nendpoint_url = https://all.example:8443\n" +
		"[services local]\nworkmail =\n  endpoint_url = https://own.example/base\n"
	for name, env := range map[string]map[string]string{
		"the region":   nil,
		"all services": {"AWS_ENDPOINT_URL": "https://every.example:4566"},
		"one service": {"AWS_ENDPOINT_URL_WORKMAIL": "https://wm.example/wm",
			"AWS_ENDPOINT_URL": "https://every.example"},
		"the other service":     {"AWS_ENDPOINT_URL_DIRECTORY_SERVICE": "https://ds.example"},
		"a profile":             {"config": profile},
		"a profile, overridden": {"config": profile, "AWS_ENDPOINT_URL": "https://every.example"},
		"ignored": {"config": profile, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
			"AWS_ENDPOINT_URL_WORKMAIL": "https://wm.example"},
		"FIPS":                {"AWS_USE_FIPS_ENDPOINT": "true"},
		"dual stack":          {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
		"FIPS and dual stack": {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
		"a session":           {"AWS_SESSION_TOKEN": "s3ss10n"},
	} {
		t.Run(name, func(t *testing.T) {
			hermetic(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIAADMIN")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
			for name, value := range env {
				if name == "config" {
					if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(value), 0o600); err != nil {
						t.Fatal(err)
					}
					continue
				}
				t.Setenv(name, value)
			}
			l, taken := recorder(t)
			ctx := t.Context()
			c, err := New(ctx, Options{Region: region, Organization: id, Link: l})
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
			if err != nil {
				t.Fatal(err)
			}
			loaded.HTTPClient = l.Client(nil)
			theirs, directories := sdk.NewFromConfig(loaded), directoryservice.NewFromConfig(loaded)
			_, errs := c.Users(ctx)
			_, _, err = c.TestAvailability(ctx, "contoso.example")
			errs = errors.Join(errs, err, c.Run(ctx, "StartMailboxExportJob", map[string]any{"EntityId": "user",
				"RoleArn": "arn:role", "KmsKeyArn": "arn:key", "S3BucketName": "bucket", "S3Prefix": "prefix"}),
				c.Run(ctx, "CreateAvailabilityConfiguration", map[string]any{"DomainName": "contoso.example",
					"EwsProvider": map[string]any{"EwsEndpoint": "https://mail/", "EwsUsername": "svc",
						"EwsPassword": secret.NewValue("p")}}))
			_, _ = c.Directory(ctx, "d-0123456789") // {} holds none
			if errs != nil {
				t.Fatal(errs)
			}
			got := taken()
			_, err = theirs.ListUsers(ctx,
				&sdk.ListUsersInput{OrganizationId: aws.String(id), MaxResults: aws.Int32(100)})
			errs = err
			_, err = theirs.TestAvailabilityConfiguration(ctx, &sdk.TestAvailabilityConfigurationInput{
				OrganizationId: aws.String(id), DomainName: aws.String("contoso.example")})
			errs = errors.Join(errs, err)
			_, err = theirs.StartMailboxExportJob(ctx, &sdk.StartMailboxExportJobInput{OrganizationId: aws.String(id),
				EntityId: aws.String("user"), RoleArn: aws.String("arn:role"), KmsKeyArn: aws.String("arn:key"),
				S3BucketName: aws.String("bucket"), S3Prefix: aws.String("prefix")})
			errs = errors.Join(errs, err)
			in := &sdk.CreateAvailabilityConfigurationInput{}
			err = json.Unmarshal([]byte(`{"OrganizationId":"`+id+`","DomainName":"contoso.example","EwsProvider":
				{"EwsEndpoint":"https://mail/","EwsUsername":"svc","EwsPassword":"p"}}`), in)
			errs = errors.Join(errs, err)
			_, err = theirs.CreateAvailabilityConfiguration(ctx, in)
			errs = errors.Join(errs, err)
			_, err = directories.DescribeDirectories(ctx,
				&directoryservice.DescribeDirectoriesInput{DirectoryIds: []string{"d-0123456789"}})
			if errs = errors.Join(errs, err); errs != nil {
				t.Fatal(errs)
			}
			want := taken()
			if len(want) != 5 {
				t.Fatalf("%d requests", len(want))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the SDK sends -, hybridge +:\n%s", diff)
			}
		})
	}
}

// TestNotAnAddress refuses an endpoint before anything is sent.
func TestNotAnAddress(t *testing.T) {
	l, _ := recorder(t)
	hermetic(t)
	t.Setenv("AWS_ENDPOINT_URL_WORKMAIL", "workmail.example:443")
	_, err := New(t.Context(), Options{Region: region, Link: l, Key: &Key{"AKIAADMIN", secret.NewValue("x")}})
	if err == nil || !strings.Contains(err.Error(), "workmail.example:443") {
		t.Error(err)
	}
}

// answers returns a client of a server that gives one answer after another.
func answers(t *testing.T, list ...func(http.ResponseWriter, *http.Request)) (*Client, func() int) {
	t.Helper()
	var asked atomic.Int32
	w := connect(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			n := int(asked.Add(1))
			list[min(n, len(list))-1](rw, r)
		})
	})
	return w.client(t, func(o *Options) { o.Organization = "m-0123456789abcdef0123456789abcdef" }),
		func() int { return int(asked.Load()) }
}

func gives(status int, kind, body string, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const aws11 = "application/x-amz-json-1.1"

// TestAnswered tells what was not carried out from what may have been.
func TestAnswered(t *testing.T) {
	refusal := gives(400, aws11, `{"__type":"com.amazonaws.workmail#EntityAlreadyRegisteredException","Message":"it is"}`)
	broken := gives(500, aws11, `{"__type":"InternalFailure"}`)
	page := gives(403, "text/html", `<html><title>Blocked by the proxy</title>`)
	for name, tt := range map[string]struct {
		answers  []func(http.ResponseWriter, *http.Request)
		answered bool
		tries    int
		text     string
		access   bool
	}{
		"a refusal": {[]func(http.ResponseWriter, *http.Request){refusal}, true, 1,
			"EntityAlreadyRegistered", false},
		"a refusal after a failure": {[]func(http.ResponseWriter, *http.Request){broken, refusal}, false, 2, "it is",
			false},
		"a server in trouble": {[]func(http.ResponseWriter, *http.Request){broken}, false, 3, "InternalFailure",
			false},
		"another server": {[]func(http.ResponseWriter, *http.Request){page}, false, 1,
			"Blocked by the proxy", true},
		"a code in a header": {[]func(http.ResponseWriter, *http.Request){gives(400, aws11, `{"message":"no"}`,
			"X-Amzn-Errortype", "AccessDeniedException:http://internal/")}, true, 1, "AccessDeniedException: no", true},
	} {
		t.Run(name, func(t *testing.T) {
			c, asked := answers(t, tt.answers...)
			err := c.Run(t.Context(), "DeregisterFromWorkMail", map[string]any{"EntityId": "user001"})
			var e *Error
			if !errors.As(err, &e) || e.Answered() != tt.answered || !strings.Contains(err.Error(), tt.text) ||
				errors.Is(err, link.ErrAccess) != tt.access || asked() != tt.tries {
				t.Errorf("%v, %d tries", err, asked())
			}
		})
	}
	c, _ := answers(t, gives(200, aws11, `[`))
	var e interface{ Answered() bool }
	if err := c.Run(t.Context(), "DeregisterFromWorkMail", map[string]any{"EntityId": "u"}); err != nil {
		t.Errorf("an answer that nothing reads: %v", err)
	}
	if _, err := c.Users(t.Context()); err == nil || errors.As(err, &e) {
		t.Errorf("an answer that is not JSON: %v", err)
	}
	if err := c.Run(t.Context(), "DeregisterFromWorkMail", nil); !errors.As(err, &e) || !e.Answered() {
		t.Errorf("a missing parameter: %v", err)
	}
}

// TestWaits keeps the pause that AWS asks for, where the time limit leaves it.
func TestWaits(t *testing.T) {
	put := func(after string) func(http.ResponseWriter, *http.Request) {
		return gives(400, aws11, `{"__type":"ThrottlingException"}`, "Retry-After", after)
	}
	c, asked := answers(t, put("2"), gives(200, aws11, `{}`))
	began := time.Now()
	if _, err := c.Users(t.Context()); err != nil || asked() != 2 || time.Since(began) < 2*time.Second {
		t.Errorf("%v after %s, %d tries", err, time.Since(began), asked())
	}
	c, asked = answers(t, put("3600"))
	if _, err := c.Users(t.Context()); err == nil || asked() != 1 {
		t.Errorf("an hour: %v, %d tries", err, asked())
	}
}

// TestEndlessList ends.
func TestEndlessList(t *testing.T) {
	c, asked := answers(t, gives(200, aws11, `{"Users":[{"Id":"1"}],"NextToken":"again"}`))
	if _, err := c.Users(t.Context()); err == nil || asked() != 2 {
		t.Errorf("%v, %d requests", err, asked())
	}
}

// TestSlow gives up a server that takes a request and does not answer, and obeys a cancellation.
func TestSlow(t *testing.T) {
	c, asked := answers(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of the connection only then
		<-r.Context().Done()
	})
	c.timeout = time.Second // of which a busy machine needs some for the handshake
	if _, err := c.Users(t.Context()); !errors.Is(err, link.ErrUnreachable) || asked() != tries {
		t.Errorf("%v, %d tries", err, asked())
	}
	c.timeout = time.Minute
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
	if _, err := c.Users(ctx); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestClock signs with the time of AWS when the own clock is wrong.
func TestClock(t *testing.T) {
	ahead := 20 * time.Minute
	w := connect(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			next.ServeHTTP(rw, r)
		})
	})
	w.service.Clock = func() time.Time { return time.Now().Add(ahead) }
	if _, err := w.client(t, nil).Organization(t.Context()); err != nil {
		t.Errorf("the clock is wrong: %v", err)
	}
	_, err := w.client(t, func(o *Options) { o.Key.Secret = secret.NewValue("wrong") }).Organization(t.Context())
	if !errors.Is(err, link.ErrAccess) {
		t.Errorf("the key is wrong too: %v", err)
	}
}

// TestProfileOfAFile signs in as a profile.
func TestProfileOfAFile(t *testing.T) {
	w := connect(t, nil)
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[wm]\naws_access_key_id = AKIAADMIN\naws_secret_access_key = hunter2\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	c := w.client(t, func(o *Options) { o.Key, o.Profile = nil, "wm" })
	if _, err := c.Organization(t.Context()); err != nil {
		t.Error(err)
	}
}
