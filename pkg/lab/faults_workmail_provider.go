package lab

import "strings"

// workMailProviderFaults are the faults of the account or the function by which WorkMail asks
// contoso.
func workMailProviderFaults() []Fault {
	return []Fault{
		{
			ID: "workmail.password-characters", Turns: turns("workmail.password-characters"),
			Diagnosis: "workmail.password-form",
			Title:     "the password with which WorkMail signs in at contoso holds a letter beyond Latin-1",
			late: everywhere(func(l *Lab) {
				f := l.contoso()
				f.passwords[svcExchange] += "ł"
				_ = l.credentials.keep(f.name+"-"+svcExchange, []byte(f.passwords[svcExchange]+"\n"))
			}),
		},
		{
			ID: "workmail.account-ews-off", Turns: turns("workmail.ews-allowed"),
			Diagnosis: "workmail.ews-closed",
			Title:     "EWS is off for the mailbox of the account as which WorkMail asks contoso",
			late: inContoso(func(f *forestSite) {
				f.premise.closed = append(f.premise.closed, strings.ToLower(svcExchange+"@"+f.domain))
			}),
		},
		{
			ID: "workmail.function-anonymous", Turns: turns("workmail.provider"), May: plannedForWorkMail(),
			Diagnosis: "workmail.function-refused",
			Title:     "anyone may invoke the Lambda function that answers WorkMail for contoso",
			early:     inWorkMail(func(s *workMailSite) { s.lambda = true }),
			late: inWorkMail(func(s *workMailSite) {
				open := s.service.Functions[WorkMailFunction]
				open.Anonymous = true
				s.service.Functions[WorkMailFunction] = open
				s.org.ProvideFunction(s.forest.domain, WorkMailFunction)
			}),
		},
	}
}
