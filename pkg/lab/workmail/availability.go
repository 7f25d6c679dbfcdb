package workmail

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func listAvailability(_ *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, a := range c.org.availability {
		one := answer{"DomainName": a.domain, "DateCreated": seconds(a.created), "DateModified": seconds(a.modified)}
		if a.lambda != "" {
			one["ProviderType"], one["LambdaProvider"] = "LAMBDA", answer{"LambdaArn": a.lambda}
		} else {
			one["ProviderType"] = "EWS"
			one["EwsProvider"] = answer{"EwsEndpoint": a.endpoint, "EwsUsername": a.user} // never the password
		}
		list = append(list, one)
	}
	return page(c, list, "AvailabilityConfigurations")
}

// given reads the provider of a request: exactly one.
func (c *call) given() (*availability, *apiError) {
	mail, lambda := c.part("EwsProvider"), c.part("LambdaProvider")
	a := &availability{domain: strings.ToLower(c.text("DomainName"))}
	switch {
	case mail != nil && lambda == nil:
		a.endpoint, _ = mail["EwsEndpoint"].(string)
		a.user, _ = mail["EwsUsername"].(string)
		a.secret, _ = mail["EwsPassword"].(string)
	case mail == nil && lambda != nil:
		a.lambda, _ = lambda["LambdaArn"].(string)
	default:
		return nil, invalid("The request must contain exactly one provider definition, EwsProvider or LambdaProvider.")
	}
	return a, nil
}

func createAvailability(s *Service, c *call) (answer, *apiError) {
	a, refused := c.given()
	switch {
	case refused != nil:
		return nil, refused
	case !c.org.Interoperability:
		return nil, invalid("The organization has no interoperability.")
	case len(c.org.registered) == 0:
		return nil, invalid("At least one user must be enabled for Amazon WorkMail.")
	case c.org.provider(a.domain) != nil:
		return nil, fail("NameAvailabilityException", "There is an availability configuration for %s already.",
			a.domain)
	}
	a.created = s.Clock()
	a.modified = a.created
	c.org.availability = append(c.org.availability, a)
	return answer{}, nil
}

func updateAvailability(s *Service, c *call) (answer, *apiError) {
	a, refused := c.given()
	if refused != nil {
		return nil, refused
	}
	old := c.org.provider(a.domain)
	if old == nil {
		return nil, fail("ResourceNotFoundException", "There is no availability configuration for %s.", a.domain)
	}
	a.created, a.modified = old.created, s.Clock()
	*old = *a
	return answer{}, nil
}

func deleteAvailability(_ *Service, c *call) (answer, *apiError) {
	c.org.availability = slices.DeleteFunc(c.org.availability,
		func(a *availability) bool { return strings.EqualFold(a.domain, c.text("DomainName")) })
	return answer{}, nil
}

// testAvailability signs in at a provider: that of the request, or the stored one. It looks at no
// calendar.
func testAvailability(s *Service, c *call) (answer, *apiError) {
	var a *availability
	if c.part("EwsProvider") == nil && c.part("LambdaProvider") == nil {
		if c.text("DomainName") == "" {
			return nil, invalid("The request must contain a provider definition or a domain name.")
		}
		if a = c.org.provider(c.text("DomainName")); a == nil {
			return nil, fail("ResourceNotFoundException", "There is no availability configuration for %s.",
				c.text("DomainName"))
		}
	} else {
		var refused *apiError
		if a, refused = c.given(); refused != nil {
			return nil, refused
		}
		if c.text("DomainName") != "" {
			return nil, invalid("The request must contain either a provider definition or a domain name.")
		}
	}
	tried := *a
	s.mu.Unlock() // the provider may take long
	reason := s.try(c.ctx, tried)
	s.mu.Lock()
	if reason != "" {
		return answer{"TestPassed": false, "FailureReason": reason}, nil
	}
	return answer{"TestPassed": true}, nil
}

// try returns why a provider cannot be used; empty when it can.
func (s *Service) try(ctx context.Context, a availability) string {
	if a.lambda != "" {
		f, ok := s.Functions[a.lambda]
		switch {
		case !ok:
			return "The Lambda function could not be invoked."
		case f.Anonymous:
			return "The Lambda function can be invoked without SourceArn and SourceAccount conditions."
		}
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	client := s.way.Client(link.Basic{User: a.user, Password: secret.NewValue(a.secret)})
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.endpoint, nil)
	if err != nil {
		return "The EWS URL is invalid or unreachable."
	}
	resp, err := client.Do(r)
	if err != nil {
		return "The EWS URL is invalid or unreachable."
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return ""
	case http.StatusUnauthorized, http.StatusForbidden:
		return "Invalid username and password."
	}
	return "Connection failure during EWS validation."
}

// lookupTime is how long WorkMail waits for a provider.
const lookupTime = 25 * time.Second

// ask passes a lookup on to the provider of a domain.
func (s *Service) ask(ctx context.Context, a availability, address string, w ews.Window) ([]ews.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	no := func(code, text string) error { return &ews.ResponseError{Address: address, Code: code, Text: text} }
	if a.lambda != "" {
		f, ok := s.Functions[a.lambda]
		if !ok || f.Anonymous {
			return nil, no("ErrorFreeBusyGenerationFailed", "The availability provider could not be invoked.")
		}
		return f.Ask(ctx, address, w)
	}
	client := &ews.Client{URL: a.endpoint, Version: "Exchange2010_SP1", AnchorMailbox: address,
		HTTP: s.way.Client(link.Basic{User: a.user, Password: secret.NewValue(a.secret)})}
	defer client.HTTP.CloseIdleConnections()
	found, err := client.Availability(ctx,
		ews.Request{Mailboxes: []string{address}, Window: w, View: ews.DetailedMerged})
	if err != nil {
		return nil, no("ErrorProxyRequestProcessingFailed", "The availability provider of "+a.domain+" failed: "+
			link.Line(err.Error()))
	}
	m := found.Mailboxes[0]
	var inside *ews.ResponseError
	if errors.As(m.Err, &inside) {
		return nil, no(inside.Code, inside.Text)
	}
	return m.Events, m.Err
}
