package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// moveProxy is the replication proxy behind the web services directory. It is there when the
// directory says so. The lab moves no mailbox.
func (f *forestSite) moveProxy(w http.ResponseWriter, r *http.Request) {
	if !f.at(r.Context()).directory("WebServicesVirtualDirectory").Bool("MRSProxyEnabled") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "<html><head><title>MailboxReplicationProxyService "+
		"Service</title></head><body></body></html>")
}

// reachMoveProxy asks the replication proxy of a server with an account of its forest.
func (t *tenantSite) reachMoveProxy(ctx context.Context, host string, c exchange.Credential) error {
	if !strings.ContainsAny(c.User, `\@`) {
		return errors.New("the credentials name no domain")
	}
	client := t.premise.link.Client(link.NTLM{User: c.User, Password: c.Password})
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/EWS/mrsproxy.svc", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return errors.New("The HTTP request is unauthorized with client authentication scheme 'Negotiate'. The " +
			"authentication header received from the server was '" +
			strings.Join(response.Header.Values("WWW-Authenticate"), ",") + "'. --> The remote server returned an " +
			"error: (401) Unauthorized.")
	}
	return fmt.Errorf("the remote server returned an error: (%s)", response.Status)
}
