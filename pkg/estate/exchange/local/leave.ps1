# Exchange counts the sessions of an account, and the module leaves files behind.
if ($global:HybridgeSession) {
    Remove-PSSession -Session $global:HybridgeSession
}
if ($global:HybridgeConnected) {
    Disconnect-ExchangeOnline -Confirm:$false
}
