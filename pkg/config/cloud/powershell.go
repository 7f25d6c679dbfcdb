package cloud

// PowerShell names a cloud as Microsoft's modules do: Connect-ExchangeOnline
// -ExchangeEnvironmentName (empty: it may be left out, or none is documented) and Connect-MgGraph
// -Environment.
func (c Cloud) PowerShell() (exchange, graph string) {
	names := powerShell[c.ID]
	return names[0], names[1]
}

var powerShell = map[string][2]string{
	"worldwide": {"", "Global"},
	"gcc-high":  {"O365USGovGCCHigh", "USGov"},
	"dod":       {"O365USGovDoD", "USGovDoD"},
	"21vianet":  {"O365China", "China"},
	"bleu":      {"", "BleuCloud"},
	"delos":     {"", "DelosCloud"},
}
