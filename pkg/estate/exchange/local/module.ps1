# Connects Microsoft's module with an access token, again when there is a new one.
param([securestring] $Token, [string] $Organization, [string] $User, [string] $Environment)
$ErrorActionPreference = 'Stop'
if ($env:OS -eq 'Windows_NT') {
    # The module writes scripts of its own. A group policy may decide otherwise.
    try { Set-ExecutionPolicy -Scope Process -ExecutionPolicy RemoteSigned -Force } catch { }
}
Import-Module -Name ExchangeOnlineManagement -MinimumVersion 3.1.0
if (Get-Module -Name Microsoft.Graph.Authentication) {
    throw 'The modules of Exchange Online and of Microsoft Graph do not work in one process.'
}
$given = @{ AccessToken = [System.Net.NetworkCredential]::new('', $Token).Password; ShowBanner = $false }
if ($User) {
    $given.UserPrincipalName = $User
} else {
    $given.Organization = $Organization
}
if ($Environment) {
    $given.ExchangeEnvironmentName = $Environment
}
$known = (Get-Command -Name Connect-ExchangeOnline).Parameters
foreach ($name in 'SkipLoadingFormatData', 'SkipLoadingCmdletHelp') {
    if ($known.ContainsKey($name)) {
        $given[$name] = $true
    }
}
if ($global:HybridgeConnected) {
    Disconnect-ExchangeOnline -Confirm:$false
}
Connect-ExchangeOnline @given
$global:HybridgeConnected = $true
