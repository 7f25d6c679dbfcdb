# A session of this process's own with an Exchange server.
param([string] $Uri, [string] $Authentication, [pscredential] $Credential)
$ErrorActionPreference = 'Stop'
$given = @{ ConfigurationName = 'Microsoft.Exchange'; ConnectionUri = $Uri; Authentication = $Authentication }
if ($null -ne $Credential) {
    $given.Credential = $Credential
}
$global:HybridgeSession = New-PSSession @given
