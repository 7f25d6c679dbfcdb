package workmail

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/workmail"

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
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return nil, err
	}
	var out []Role
	pages := workmail.NewListImpersonationRolesPaginator(c.api,
		&workmail.ListImpersonationRolesInput{OrganizationId: id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListImpersonationRoles", err)
		}
		for _, r := range page.Roles {
			out = append(out, Role{ID: text(r.ImpersonationRoleId), Name: text(r.Name), Type: string(r.Type)})
		}
	}
	return out, nil
}

// Exports lists the export jobs that WorkMail still knows.
func (c *Client) Exports(ctx context.Context) ([]ExportJob, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return nil, err
	}
	var out []ExportJob
	pages := workmail.NewListMailboxExportJobsPaginator(c.api,
		&workmail.ListMailboxExportJobsInput{OrganizationId: id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListMailboxExportJobs", err)
		}
		for _, j := range page.Jobs {
			out = append(out, ExportJob{ID: text(j.JobId), Entity: text(j.EntityId), State: string(j.State),
				Bucket: text(j.S3BucketName), Path: text(j.S3Path)})
		}
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
		limited, cancel := c.limited(ctx)
		defer cancel()
		id, err := c.organization(limited)
		if err != nil {
			return nil, err
		}
		assumed, err := c.api.AssumeImpersonationRole(limited,
			&workmail.AssumeImpersonationRoleInput{OrganizationId: id, ImpersonationRoleId: aws.String(r.ID)})
		if err != nil {
			return nil, failure(ctx, "AssumeImpersonationRole", err)
		}
		token := aws.ToString(assumed.Token)
		return c.link.Client(link.Bearer{Token: func(context.Context) (string, error) { return token, nil }}), nil
	}
	return nil, ErrNoRole
}
