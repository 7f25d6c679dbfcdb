package lab

// betweenFaults are the faults of lookups between forests. A lab with one of them has such lookups.
func betweenFaults() []Fault {
	faults := []Fault{
		{
			ID: "between.password-changed", Diagnosis: "between.account-refused",
			Title: "the password of the account as which contoso asks fabrikam was changed after it was set up",
			late: inFabrikam(func(f *forestSite) {
				f.passwords[svcLookups] = "changed since"
			}),
		},
		{
			ID: "between.account-replaced", Turns: turns("lookups.account"), Verdict: Warns,
			Diagnosis: "between.account-not-accepted",
			Title:     "fabrikam accepts lookups of another group alone",
			late: inFabrikam(func(f *forestSite) {
				f.groups = append(f.groups, "Lookup Servers")
				f.org.Objects("AvailabilityConfig")[0].Set("OrgWideAccount", f.domain+"/Users/Lookup Servers")
			}),
		},
		{
			ID: "between.anchor-missing", Turns: turns("lookups.anchor"), Verdict: Warns,
			Diagnosis: "autodiscover.anchor-mailbox",
			Title: "no mailbox of fabrikam has the address that Exchange names when it asks autodiscover of " +
				"fabrikam",
			early: inFabrikam(func(f *forestSite) {
				f.users[1].others = f.users[1].others[:len(f.users[1].others)-1]
			}),
		},
		{
			ID: "between.connector-first", Turns: turns("lookups.way"), Diagnosis: "between.other-way",
			Title: "an intra-organization connector of contoso takes lookups for fabrikam",
			late: hook{forests: 2, do: func(l *Lab) {
				l.contoso().org.Seed("IntraOrganizationConnector", "Name", "Old trial", "Enabled", true,
					"TargetAddressDomains", []string{l.fabrikam().domain},
					"DiscoveryEndpoint", "https://"+l.fabrikam().autodiscover+"/autodiscover/autodiscover.svc")
			}},
		},
		{
			ID: "between.domain-authoritative", Turns: turns("lookups.way", "domains.authoritative"),
			Diagnosis: "between.other-way",
			Title:     "contoso is authoritative for the domain of fabrikam",
			late: hook{forests: 2, do: func(l *Lab) {
				l.contoso().org.Seed("AcceptedDomain", "Name", "Fabrikam", "DomainName", l.fabrikam().domain,
					"DomainType", "Authoritative")
			}},
		},
	}
	for i := range faults {
		faults[i].between = true
		faults[i].early.forests = 2
	}
	return faults
}
