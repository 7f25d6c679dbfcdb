package deployment

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
)

// End is the retirement of a service that a deployment uses.
type End struct {
	What string
	Last string    // the day that is published
	From time.Time // the service is gone
}

// Ends lists the retirements that concern the answers.
func Ends(a answers.Answers) []End {
	var out []End
	if a.ExchangeOnline != nil {
		out = append(out, End{"EWS in Exchange Online", cloud.EWSEnds.Format(time.DateOnly), cloud.EWSEnds})
	}
	if a.WorkMail != nil {
		out = append(out, End{"Amazon WorkMail", workmail.EndOfSupport.AddDate(0, 0, -1).Format(time.DateOnly),
			workmail.EndOfSupport})
	}
	return out
}
