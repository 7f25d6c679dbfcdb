package workmail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// What gives a secret, or changes something, is not asked through a snapshot.
func TestReadsGiveNoSecret(t *testing.T) {
	for operation, want := range map[string]bool{"ListUsers": true, "DescribeUser": true, "GetMailboxDetails": true,
		"TestAvailabilityConfiguration": true, "AssumeImpersonationRole": false, "CreateUser": false,
		"DeregisterFromWorkMail": false} {
		if reads(operation) != want {
			t.Errorf("%s: %v", operation, !want)
		}
	}
}

// recalled is a client of a snapshot that has one answer.
func recalled(t *testing.T, answer string) *Client {
	t.Helper()
	c, err := New(t.Context(), Options{Region: "eu-west-1", Organization: "contoso", Recalled: true,
		Read: func(context.Context, string, func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
			return json.RawMessage(answer), nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A snapshot changes nothing and gives no token.
func TestSnapshotSendsNothing(t *testing.T) {
	c := recalled(t, `{}`)
	if err := c.do(t.Context(), workMail, "AssumeImpersonationRole", request{}, nil); err == nil ||
		!strings.Contains(err.Error(), "not in a snapshot") {
		t.Error(err)
	}
}

// An organization that was deleted keeps its alias: the one that is there counts.
func TestDeletedOrganizationOfTheSameAlias(t *testing.T) {
	c := recalled(t, `{"OrganizationSummaries":[{"OrganizationId":"m-1","Alias":"contoso","State":"Deleted"},
		{"OrganizationId":"m-2","Alias":"contoso","State":"Active"}]}`)
	if id, err := c.organization(t.Context()); id != "m-2" || err != nil {
		t.Errorf("%s, %v", id, err)
	}
	var refusal *Error
	if _, err := recalled(t, `{"OrganizationSummaries":[{"OrganizationId":"m-1","Alias":"contoso","State":"Deleted"}]}`).
		organization(t.Context()); !errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
}

// A clock that is right is not corrected: the signature would be the same again.
func TestClockThatIsRight(t *testing.T) {
	for ahead, want := range map[time.Duration]bool{0: false, time.Minute: false, time.Hour: true} {
		resp := &http.Response{Header: http.Header{"Date": {time.Now().Add(ahead).UTC().Format(http.TimeFormat)}}}
		if got := (&Client{}).corrected("SignatureDoesNotMatch", resp, 0); got != want {
			t.Errorf("%s ahead: %v", ahead, got)
		}
	}
}

// A request whose time ran out was not answered: WorkMail is not reached.
func TestTimeThatRanOut(t *testing.T) {
	err := (&Client{}).broken("ListUsers", fmt.Errorf("read: %w", context.DeadlineExceeded))
	if !errors.Is(err, link.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// An endpoint with a password is refused, and the password is not shown.
func TestEndpointWithAPassword(t *testing.T) {
	address := "https://user:planted@workmail.example"
	if u, err := workMail.endpoint(aws.Config{BaseEndpoint: &address}); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("%s, %v", u, err)
	}
}
