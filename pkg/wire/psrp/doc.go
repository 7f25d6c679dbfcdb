// Package psrp is remote PowerShell as Exchange on-premises serves it: PowerShell remoting messages
// ([MS-PSRP]) as CLIXML, cut into fragments, carried by WS-Management ([MS-WSMV]) over HTTP.
//
// Both halves stand on one codec. The client half opens a runspace pool and runs pipelines of
// cmdlets in it:
//
//	pool, err := psrp.Open(ctx, psrp.Options{URL: "http://ex1.contoso.com/PowerShell/", Kerberos: tickets})
//	out, err := pool.Invoke(ctx, psrp.Pipeline{Commands: []psrp.Command{{Name: "Get-AcceptedDomain"}}})
//	err = pool.Close(ctx)
//
// The server half, [Server], is an http.Handler that hands each pipeline to a function.
package psrp
