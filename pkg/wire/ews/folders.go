package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Folder is a folder of a mailbox with what it holds.
type Folder struct {
	Path  string // "/Inbox/2026"
	Class string // "IPF.Note"; empty: not given
	Items int    // in the folder itself
}

// FolderSource is a Backend that lists the folders of mailboxes.
type FolderSource interface {
	// Folders lists the folders of the caller's mailbox, or of the impersonated one.
	Folders(ctx context.Context, q Query) ([]Folder, error)
}

// folderPage is how many folders one request asks for.
const folderPage = 500

// Folders lists all folders of the mailbox that Impersonate names, or of the caller's.
func (c *Client) Folders(ctx context.Context) ([]Folder, error) {
	type node struct {
		Folder
		name, parent string
	}
	nodes := map[string]*node{}
	var order []string
	for {
		body := fmt.Sprintf(`<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape>`+
			`<t:AdditionalProperties><t:FieldURI FieldURI="folder:ParentFolderId"/><t:FieldURI FieldURI="folder:DisplayName"/>`+
			`<t:FieldURI FieldURI="folder:FolderClass"/><t:FieldURI FieldURI="folder:TotalCount"/></t:AdditionalProperties>`+
			`</m:FolderShape><m:IndexedPageFolderView MaxEntriesReturned="%d" Offset="%d" BasePoint="Beginning"/>`+
			`<m:ParentFolderIds><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderIds></m:FindFolder>`,
			folderPage, len(order))
		message, err := c.item(ctx, c.Impersonate, "FindFolder", body)
		if err != nil {
			return nil, err
		}
		root := message.Child("RootFolder")
		before := len(order)
		for _, e := range children(root.Child("Folders")) {
			id, _ := e.Child("FolderId").Get("Id")
			parent, _ := e.Child("ParentFolderId").Get("Id")
			count, err := strconv.Atoi(e.Value("TotalCount"))
			if id == "" || err != nil || nodes[id] != nil {
				return nil, fmt.Errorf("%s: FindFolder: %w: a folder without an id of its own or without a count",
					c.URL,
					ErrNotEWS)
			}
			nodes[id] = &node{Folder{Class: link.Line(e.Value("FolderClass")), Items: count},
				link.Line(e.Value("DisplayName")), parent}
			order = append(order, id)
		}
		if last, _ := root.Get("IncludesLastItemInRange"); last == "true" {
			break
		}
		if len(order) == before {
			return nil, fmt.Errorf("%s: FindFolder: %w: the list of folders ends before the last one", c.URL, ErrNotEWS)
		}
	}
	out := make([]Folder, 0, len(order))
	for _, id := range order {
		n := nodes[id]
		path := "/" + n.name
		for up, steps := nodes[n.parent], 0; up != nil && steps < len(order); up, steps = nodes[up.parent], steps+1 {
			path = "/" + up.name + path
		}
		n.Path = path
		out = append(out, n.Folder)
	}
	return out, nil
}

// elements are the folder elements of classes.
var elements = map[string]string{"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder",
	"IPF.Task": "TasksFolder"}

// findFolder answers FindFolder for a whole mailbox, with the properties that Folders asks for.
func (h *Handler) findFolder(r *http.Request, envelope soap.Envelope) (string, error) {
	backend, ok := h.Backend.(FolderSource)
	body := envelope.Body
	if !ok {
		return "", notExpected(body)
	}
	traversal, _ := body.Get("Traversal")
	start, _ := body.Child("ParentFolderIds", "DistinguishedFolderId").Get("Id")
	view := body.Child("IndexedPageFolderView")
	most, err := strconv.Atoi(attribute(view, "MaxEntriesReturned"))
	offset, err2 := strconv.Atoi(attribute(view, "Offset"))
	if traversal != "Deep" || start != "msgfolderroot" || err != nil || err2 != nil || most < 1 || offset < 0 {
		return "", schemaFault("this FindFolder is not simulated")
	}
	q := Query{RequestID: r.Header.Get("client-request-id"), Impersonated: impersonated(envelope.Header)}
	q.Caller, _ = link.CallerOf(r.Context())
	folders, err := backend.Folders(r.Context(), q)
	var no *ResponseError
	switch {
	case errors.As(err, &no):
		return fmt.Sprintf(`<m:FindFolderResponse xmlns:m="%s" xmlns:t="%s"><m:ResponseMessages>`+
			`<m:FindFolderResponseMessage ResponseClass="Error"><m:MessageText>%s</m:MessageText><m:ResponseCode>%s`+
			`</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:FindFolderResponseMessage>`+
			`</m:ResponseMessages></m:FindFolderResponse>`, Messages, Types, soap.Escape(no.Text),
			soap.Escape(no.Code)), nil
	case err != nil:
		return "", err
	}
	from, to := min(offset, len(folders)), min(offset+most, len(folders))
	var b strings.Builder
	for _, f := range folders[from:to] {
		element := elements[f.Class]
		if element == "" {
			element = "Folder"
		}
		parent, name := f.Path[:strings.LastIndexByte(f.Path, '/')], f.Path[strings.LastIndexByte(f.Path, '/')+1:]
		fmt.Fprintf(&b, `<t:%[1]s><t:FolderId Id="%[2]s" ChangeKey="AQAAAA=="/><t:ParentFolderId Id="%[3]s" `+
			`ChangeKey="AQAAAA=="/><t:FolderClass>%[4]s</t:FolderClass><t:DisplayName>%[5]s</t:DisplayName>`+
			`<t:TotalCount>%[6]d</t:TotalCount></t:%[1]s>`, element, folderID("root"+f.Path), folderID("root"+parent),
			soap.Escape(f.Class), soap.Escape(name), f.Items)
	}
	return fmt.Sprintf(`<m:FindFolderResponse xmlns:m="%s" xmlns:t="%s"><m:ResponseMessages>`+
		`<m:FindFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>`+
		`<m:RootFolder IndexedPagingOffset="%d" TotalItemsInView="%d" IncludesLastItemInRange="%t"><t:Folders>%s`+
		`</t:Folders></m:RootFolder></m:FindFolderResponseMessage></m:ResponseMessages></m:FindFolderResponse>`,
		Messages, Types, to, len(folders), to == len(folders), b.String()), nil
}

func attribute(e *soap.Element, name string) string {
	v, _ := e.Get(name)
	return v
}

func children(e *soap.Element) []*soap.Element {
	if e == nil {
		return nil
	}
	return e.Children
}
