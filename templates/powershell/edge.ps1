#Requires -Version 5.1

<#
.SYNOPSIS
Makes an Edge Transport server take mail from Exchange Online as internal mail.

.DESCRIPTION
Run in the Exchange Management Shell of the Edge server @@server@@, as a local administrator. hybridge does not reach this server.
The script first makes sure that it runs on that server, and that the server has the certificate. For the receive connector it looks,
compares, asks, writes and looks again. What is as wanted already is passed over, so it can be run again.
What was there before stands in @@result@@ beside it. rollback\@@file@@ sets it back.

.EXAMPLE
.\@@file@@ -WhatIf

Shows what would be changed. Nothing is changed.

.EXAMPLE
.\@@file@@

Asks before the change.

.NOTES
hybridge plan @@digest@@
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param()

$ErrorActionPreference = 'Stop'
$Server = @@quoted-server@@
$Certificate = @@quoted-certificate@@
$Capability = @@quoted-capability@@
$Plan = @@quoted-digest@@
$ResultFile = Join-Path -Path $PSScriptRoot -ChildPath @@quoted-result@@
@@common@@
Assert-EdgeServer $Server

$now = Get-Date
$fits = @(Get-ExchangeCertificate -ErrorAction Stop | Where-Object {
    ('<I>{0}<S>{1}' -f $_.Issuer, $_.Subject) -eq $Certificate -and $_.NotBefore -le $now -and $_.NotAfter -gt $now
})
if ($fits.Count -eq 0) {
    throw ('This server has no valid certificate {0}. Import it with its key (Import-ExchangeCertificate), and enable it for SMTP (Enable-ExchangeCertificate -Services SMTP; answer No when asked to overwrite the default certificate). Nothing was changed.' -f $Certificate)
}

$connector = Get-EdgeConnector
$before = Get-EdgeState $connector
$after = [ordered]@{
    TlsCertificateName = $Certificate
    TlsDomainCapabilities = @($before.TlsDomainCapabilities)
}
if ($after.TlsDomainCapabilities -notcontains $Capability) {
    $after.TlsDomainCapabilities += $Capability
}
if (Test-EdgeState $before $after) {
    Write-EdgeLine ('{0} is as wanted: passed over' -f $connector.Identity)
    exit 0
}
if (-not $PSCmdlet.ShouldProcess([string] $connector.Identity, 'set the certificate and the capabilities of Exchange Online')) {
    exit 0
}
$kept = Read-EdgeResult
if ($null -ne $kept -and $kept.status -ne 'undone') {
    # An earlier run has seen what was there before.
    $before = [ordered]@{
        TlsCertificateName = [string] $kept.before.TlsCertificateName
        TlsDomainCapabilities = @($kept.before.TlsDomainCapabilities | Where-Object { $_ })
    }
}
Save-EdgeResult -Status 'begun' -Connector $connector -Before $before -After $after
Write-EdgeState $connector $after
if (-not (Test-EdgeState (Get-EdgeState (Get-EdgeConnector)) $after)) {
    throw ('{0} is written and does not show. Run this script again: it looks first.' -f $connector.Identity)
}
Save-EdgeResult -Status 'done' -Connector $connector -Before $before -After $after
Write-EdgeLine ('{0}: done' -f $connector.Identity)
Write-EdgeLine 'Next: run hybridge check --only transport.edge-server, then hybridge test --message'
exit 0
