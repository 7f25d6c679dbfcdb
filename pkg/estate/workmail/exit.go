package workmail

import (
	"context"
	"errors"
	"net/http"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Role is an impersonation role: who assumes it opens mailboxes by EWS.
type Role struct{ ID, Name, Type string }

// ExportJob is an export of one mailbox to S3.
type ExportJob struct {
	ID, Entity string
	State      string // RUNNING, COMPLETED, FAILED, CANCELLED
	Bucket     string
	Path       string // of the object
}

// ErrNoRole says that no impersonation role of that name exists.
var ErrNoRole = errors.New("the impersonation role does not exist yet")

// Roles lists the impersonation roles.
func (c *Client) Roles(ctx context.Context) ([]Role, error) {
	found, err := listOwn[struct{ ImpersonationRoleID, Name, Type string }](ctx, c, "ListImpersonationRoles", "Roles",
		request{})
	if err != nil {
		return nil, err
	}
	var out []Role
	for _, r := range found {
		out = append(out, Role{ID: text(r.ImpersonationRoleID), Name: text(r.Name), Type: text(r.Type)})
	}
	return out, nil
}

// Exports lists the export jobs that WorkMail still knows.
func (c *Client) Exports(ctx context.Context) ([]ExportJob, error) {
	found, err := listOwn[struct{ JobID, EntityID, State, S3BucketName, S3Path string }](ctx, c,
		"ListMailboxExportJobs", "Jobs", request{})
	if err != nil {
		return nil, err
	}
	var out []ExportJob
	for _, j := range found {
		out = append(out, ExportJob{ID: text(j.JobID), Entity: text(j.EntityID), State: text(j.State),
			Bucket: text(j.S3BucketName), Path: text(j.S3Path)})
	}
	return out, nil
}

// Folders lists the folders of a user's mailbox by EWS, as the impersonation role of that name.
func (c *Client) Folders(ctx context.Context, role, address string) ([]ews.Folder, error) {
	http, err := c.impersonating(ctx, role)
	if err != nil {
		return nil, err
	}
	return (&ews.Client{URL: EWS(c.Region), Version: EWSVersion, HTTP: http, Impersonate: address}).Folders(ctx)
}

// impersonating assumes the role of that name. Its token is good for 15 minutes.
func (c *Client) impersonating(ctx context.Context, name string) (*http.Client, error) {
	roles, err := c.Roles(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if r.Name != name {
			continue
		}
		assumed, err := ask[struct{ Token string }](ctx, c, "AssumeImpersonationRole",
			request{ImpersonationRoleID: r.ID})
		if err != nil {
			return nil, err
		}
		token := assumed.Token
		return c.link.Client(link.Bearer{Token: func(context.Context) (string, error) { return token, nil }}), nil
	}
	return nil, ErrNoRole
}
