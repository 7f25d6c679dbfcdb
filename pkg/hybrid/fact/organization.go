package fact

import (
	"context"
	"errors"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// OnPremisesOrganization holds the hybrid settings of Get-OrganizationConfig of a forest.
type OnPremisesOrganization struct {
	Name, GUID string
	RootDomain string // DNS name of the forest root; empty when the object does not show it
	EwsEnabled *bool  // nil: not set, which lets EWS be used
	EwsPolicy  EwsPolicy
}

// OnlineOrganization holds the hybrid settings of Get-OrganizationConfig of Exchange Online.
type OnlineOrganization struct {
	GUID             string
	EwsEnabled       *bool    // nil: not set
	EwsAllowedAppIDs []string // nil when ListKnown is false
	ListKnown        bool     // the service returned the list, empty or not
	EwsPolicy        EwsPolicy
	// Dehydrated organizations share Microsoft's defaults: cmdlets that make objects are refused.
	Dehydrated bool
	// DirectSendRejected: mail from the organization's own domains is refused unless an inbound
	// connector recognizes its sender.
	DirectSendRejected bool
}

// EwsPolicy is an organization's second gate before EWS, on either side: programs by their user
// agent. The switch and the list of applications do not override it.
type EwsPolicy struct {
	Mode         string   // EwsApplicationAccessPolicy: EnforceAllowList, EnforceBlockList; empty: none
	Allow, Block []string // EwsAllowList, EwsBlockList: user agents with "*"
	// Closed are the switches for Microsoft's own programs that are false.
	Closed []string
}

const getOrganizationConfig = "Get-OrganizationConfig"

// The organizations of both sides.
var (
	Organization = Cmdlet(OnPremises, getOrganizationConfig, one(getOrganizationConfig, readOrganizationConfig))

	// CloudManagedByDefault reports whether the cloud manages the Exchange attributes of new
	// synchronized recipients; nil: Exchange Online does not show it.
	CloudManagedByDefault = Session(Online, []string{getOrganizationConfig},
		func(ctx context.Context, s exchange.Reader) (*bool, error) {
			objects, err := onlineConfig(ctx, s)
			if err != nil {
				return nil, err
			}
			return one(getOrganizationConfig, readCloudManaged)(objects)
		})

	OnlineConfig = Session(Online, []string{getOrganizationConfig}, getOnlineConfig)
)

func getOnlineConfig(ctx context.Context, s exchange.Reader) (OnlineOrganization, error) {
	objects, err := onlineConfig(ctx, s)
	if err != nil {
		return OnlineOrganization{}, err
	}
	return one(getOrganizationConfig, readOnlineConfig)(objects)
}

// onlineConfig passes the parameter without which Exchange Online does not return the list of
// applications.
func onlineConfig(ctx context.Context, s exchange.Reader) ([]exchange.Object, error) {
	policy := map[string]any{"RetrieveEwsOperationAccessPolicy": true}
	return Get(ctx, s, exchange.Command{Name: getOrganizationConfig, Parameters: policy})
}

func readCloudManaged(o exchange.Object) (*bool, error) {
	on, err := o.Bool("ExchangeAttributesCloudManagedByDefault")
	if errors.Is(err, exchange.ErrAbsent) || errors.Is(err, exchange.ErrNull) {
		return nil, nil
	}
	return &on, err
}

func readOrganizationConfig(o exchange.Object) (OnPremisesOrganization, error) {
	guid, err := o.String("Guid")
	if err != nil {
		return OnPremisesOrganization{}, err
	}
	name, _ := o.String("Name")
	dn, _ := o.String("DistinguishedName")
	out := OnPremisesOrganization{
		Name: name, GUID: strings.ToLower(guid), RootDomain: rootDomain(dn), EwsPolicy: ewsPolicy(o),
	}
	out.EwsEnabled, err = ewsEnabled(o)
	return out, err
}

func readOnlineConfig(o exchange.Object) (OnlineOrganization, error) {
	guid, _ := o.String("Guid")
	out := OnlineOrganization{GUID: strings.ToLower(guid), EwsPolicy: ewsPolicy(o)}
	out.Dehydrated, _ = o.Bool("IsDehydrated")
	out.DirectSendRejected, _ = o.Bool("RejectDirectSend")
	if list, err := o.Value("EwsAllowedAppIDs"); err == nil {
		out.EwsAllowedAppIDs, out.ListKnown = appIDs(list), true
	}
	var err error
	out.EwsEnabled, err = ewsEnabled(o)
	return out, err
}

// ewsEnabled reads the switch with three states: nil is not set, or not returned.
func ewsEnabled(o exchange.Object) (*bool, error) {
	on, err := o.Bool("EwsEnabled")
	switch {
	case err == nil:
		return &on, nil
	case !errors.Is(err, exchange.ErrNull) && !errors.Is(err, exchange.ErrAbsent):
		if text, _ := o.String("EwsEnabled"); text != "" {
			return nil, err
		}
	}
	return nil, nil
}

func ewsPolicy(o exchange.Object) (p EwsPolicy) {
	p.Mode, _ = o.String("EwsApplicationAccessPolicy")
	p.Allow, _ = o.Strings("EwsAllowList")
	p.Block, _ = o.Strings("EwsBlockList")
	for _, name := range []string{"EwsAllowOutlook", "EwsAllowMacOutlook"} {
		if on, err := o.Bool(name); err == nil && !on {
			p.Closed = append(p.Closed, name)
		}
	}
	return p
}

// appIDs reads a list of application ids as Exchange Online keeps it: one text with commas, or
// several values.
func appIDs(v any) []string {
	var values []any
	switch v := v.(type) {
	case nil:
	case []any:
		values = v
	default:
		values = []any{v}
	}
	out := []string{}
	for _, v := range values {
		text, ok := exchange.Scalar(v)
		if o, is := v.(exchange.Object); is {
			text, ok = o.Text, true
		}
		if !ok {
			continue
		}
		for id := range strings.SplitSeq(text, ",") {
			if id = strings.TrimSpace(id); id != "" {
				out = append(out, id)
			}
		}
	}
	return out
}

// rootDomain returns the DNS name of the forest root from a distinguished name of the
// configuration.
func rootDomain(dn string) string {
	_, domain, ok := strings.Cut(strings.ToLower(dn), ",cn=configuration,dc=")
	if !ok {
		return ""
	}
	return strings.ReplaceAll(domain, ",dc=", ".")
}

// Get runs a reading cmdlet. It omits the parameters where the server does not know one of them.
func Get(ctx context.Context, session exchange.Reader, c exchange.Command) ([]exchange.Object, error) {
	objects, err := session.Read(ctx, c)
	if err != nil && len(c.Parameters) > 0 && unknownParameter(err) {
		objects, err = session.Read(ctx, exchange.Command{Name: c.Name})
	}
	return objects, err
}

// unknownParameter reports whether a server refused a command because it does not know one of its
// parameters.
func unknownParameter(err error) bool {
	var e *exchange.Error
	if !errors.As(err, &e) {
		return false
	}
	return strings.Contains(e.ExceptionType, "ParameterBindingException") ||
		strings.Contains(e.FullyQualifiedID, "NamedParameterNotFound")
}
