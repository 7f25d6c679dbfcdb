package lab

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// enforce makes the cmdlets that tell of old servers. A server below the floor was seen 40 days
// ago.
func (t *tenantSite) enforce(forests []*forestSite) {
	const culture = "1/2/2006 3:04:05 PM" // in which the service prints dates
	t.org.Handle("Get-OnPremServerReportInfo", func(context.Context, organization.Call) ([]exchange.Object, error) {
		var out []exchange.Object
		first := t.now().UTC().AddDate(0, 0, -40)
		on := func(days int) string { return first.AddDate(0, 0, days).Format(culture) }
		for _, f := range forests {
			for _, s := range f.exchange {
				if !mail.Outdated(s.dotted()) {
					continue
				}
				out = append(out, exchange.NewObject([]string{"System.Management.Automation.PSCustomObject"}, "",
					"ServerFQDN", s.host, "Build", s.dotted(), "ExchangeServer", "ExchangeServer2019",
					"FirstDetectedDate", on(0), "RecommendedBuildVersions", "15.2.1748.39", "ThrottleEnabledDate",
					on(30), "BlockingEnabledDate", on(60), "NextStageThrottleRate", int64(20), "NextStageBlockRate",
					int64(0), "NextStageStartDate", on(50)))
			}
		}
		return out, nil
	})
	t.org.Handle("Get-TenantExemptionInfo", func(_ context.Context, c organization.Call) ([]exchange.Object, error) {
		if scenario, _ := c.Parameters["BlockingScenario"].(string); !strings.EqualFold(scenario,
			"UnpatchedOnPremServer") {
			return nil, &exchange.Error{Category: "InvalidArgument", ExceptionType: "System.ArgumentException",
				Message: "BlockingScenario '" + scenario + "' isn't valid."}
		}
		return nil, nil
	})
}
