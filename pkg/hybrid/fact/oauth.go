package fact

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// VirtualDirectory is a virtual directory of EWS or autodiscover.
type VirtualDirectory struct {
	Noun        string // EWSDirectory or AutodiscoverDirectory
	Identity    string // EX1\EWS (Default Web Site)
	OAuth       bool   // among the methods for requests from inside and from outside
	ExternalURL string // of EWS; empty when it publishes none
	MRSProxy    bool   // of EWS: mailboxes are moved through it
	// Closed are the methods that other requests need and that the directory does not take:
	// WindowsIntegrated, WSSecurity.
	Closed []string
}

// Server returns the name of the directory's server.
func (d VirtualDirectory) Server() string {
	server, _, _ := strings.Cut(d.Identity, `\`)
	return server
}

// The nouns of the virtual directories that receive lookups.
const (
	EWSDirectory          = "WebServicesVirtualDirectory"
	AutodiscoverDirectory = "AutodiscoverVirtualDirectory"
)

// VirtualDirectories are those of EWS and autodiscover on all servers, as the directory stores
// them. Asking IIS on every server takes minutes.
var VirtualDirectories = Session(OnPremises, []string{"Get-" + EWSDirectory, "Get-" + AutodiscoverDirectory},
	func(ctx context.Context, s exchange.Reader) ([]VirtualDirectory, error) {
		var out []VirtualDirectory
		for _, noun := range []string{EWSDirectory, AutodiscoverDirectory} {
			get := exchange.Command{Name: "Get-" + noun, Parameters: map[string]any{"ADPropertiesOnly": true}}
			objects, err := Get(ctx, s, get)
			if err != nil {
				return nil, err
			}
			for _, o := range objects {
				d := VirtualDirectory{Noun: noun, OAuth: true}
				if d.Identity, err = o.String("Identity"); err != nil {
					return nil, unreadable(get.Name, "", err)
				}
				for _, methods := range []string{"InternalAuthenticationMethods", "ExternalAuthenticationMethods"} {
					list, err := o.Strings(methods)
					if err != nil {
						return nil, unreadable(get.Name, d.Identity, err)
					}
					d.OAuth = d.OAuth && slices.ContainsFunc(list,
						func(m string) bool { return strings.EqualFold(m, "OAuth") })
					for _, method := range []string{"WindowsIntegrated", "WSSecurity"} {
						takes := slices.ContainsFunc(list, func(m string) bool { return strings.EqualFold(m, method) })
						if !takes && !slices.Contains(d.Closed, method) {
							d.Closed = append(d.Closed, method)
						}
					}
				}
				d.ExternalURL, _ = o.String("ExternalUrl")
				d.MRSProxy, _ = o.Bool("MRSProxyEnabled")
				out = append(out, d)
			}
		}
		return out, nil
	})

type SettingOverride struct {
	Name, Section          string
	Component              string
	Servers                []string
	MinVersion, MaxVersion string // empty: not limited
	Parameters             []string
	Status                 string // "Accepted" when the server uses it; empty when it is not shown
}

// On reports whether the override switches its feature on.
func (o SettingOverride) On() bool {
	return slices.ContainsFunc(o.Parameters,
		func(p string) bool { return strings.EqualFold(strings.ReplaceAll(p, " ", ""), "Enabled=true") })
}

// AppliesTo reports whether the override applies to a server. A limit that cannot be read is
// ignored.
func (o SettingOverride) AppliesTo(s MailboxServer) bool {
	if !o.names(s) {
		return false
	}
	lowest, err := ParseBuild(o.MinVersion)
	if err == nil && s.Build.Compare(lowest) < 0 {
		return false
	}
	highest, err := ParseBuild(o.MaxVersion)
	return err != nil || s.Build.Compare(highest) <= 0
}

// names reports whether the override is for a server: it names the server, or none.
func (o SettingOverride) names(s MailboxServer) bool {
	return len(o.Servers) == 0 || slices.ContainsFunc(o.Servers, func(name string) bool {
		short, _, _ := strings.Cut(name, ".")
		return strings.EqualFold(short, s.Name)
	})
}

// Unclear reports whether it depends on an update within the server's cumulative update, which the
// build does not show, whether the override applies to the server.
func (o SettingOverride) Unclear(s MailboxServer) bool {
	line, known := s.Build.Line()
	if !known || s.Given || s.Build != line.First || !o.names(s) {
		return false
	}
	within := func(limit string) (revision int, ok bool) {
		b, err := ParseBuild(limit)
		return b.Revision, err == nil && b.Major == s.Build.Major && b.Minor == s.Build.Minor &&
			b.Build == s.Build.Build
	}
	lowest, from := within(o.MinVersion)
	_, to := within(o.MaxVersion)
	return from && lowest > s.Build.Revision || to
}

// Overriding returns the overrides of a section that apply to a server. Exchange accepts one. With
// several the server falls back to the default.
func Overriding(overrides []SettingOverride, section string, s MailboxServer) []SettingOverride {
	var out []SettingOverride
	for _, o := range overrides {
		if strings.EqualFold(o.Section, section) && o.AppliesTo(s) {
			out = append(out, o)
		}
	}
	return out
}

const getSettingOverride = "Get-SettingOverride"

// SettingOverrides are all setting overrides, per forest.
var SettingOverrides = Cmdlet(OnPremises, getSettingOverride, each(getSettingOverride, readSettingOverride))

func readSettingOverride(o exchange.Object) (v SettingOverride, err error) {
	if v.Section, err = o.String("SectionName"); err != nil {
		return v, err
	}
	v.Name, _ = o.String("Name")
	v.Component, _ = o.String("ComponentName")
	v.Servers, _ = o.Strings("Server")
	v.Parameters, _ = o.Strings("Parameters")
	v.MinVersion, _ = o.String("MinVersion")
	v.MaxVersion, _ = o.String("MaxVersion")
	v.Status, _ = o.String("Status")
	return v, nil
}
