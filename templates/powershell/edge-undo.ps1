#Requires -Version 5.1

<#
.SYNOPSIS
Undoes what @@file@@ did on an Edge Transport server.

.DESCRIPTION
Run in the Exchange Management Shell of the Edge server @@server@@, as a local administrator.
The script sets the receive connector back to what stands in @@result@@ in the folder above, and only while it is as @@file@@ left it.
What others changed since is left as it is and named (exit code 1).

.EXAMPLE
.\@@file@@ -WhatIf

Shows what would be changed. Nothing is changed.

.NOTES
hybridge plan @@digest@@
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param()

$ErrorActionPreference = 'Stop'
$Server = @@quoted-server@@
$Plan = @@quoted-digest@@
$ResultFile = Join-Path -Path (Split-Path -Path $PSScriptRoot -Parent) -ChildPath @@quoted-result@@
@@common@@
Assert-EdgeServer $Server

$kept = Read-EdgeResult
if ($null -eq $kept -or $kept.status -eq 'undone') {
    throw ('{0} has no change to undo. Nothing was changed.' -f $ResultFile)
}
if ([string] $kept.server -ne $Server) {
    throw ('{0} is about {1}, and this script is for {2}. Nothing was changed.' -f $ResultFile, $kept.server, $Server)
}
$connector = Get-EdgeConnector
$before = [ordered]@{
    TlsCertificateName = [string] $kept.before.TlsCertificateName
    TlsDomainCapabilities = @($kept.before.TlsDomainCapabilities | Where-Object { $_ })
}
$after = [ordered]@{
    TlsCertificateName = [string] $kept.after.TlsCertificateName
    TlsDomainCapabilities = @($kept.after.TlsDomainCapabilities | Where-Object { $_ })
}
$live = Get-EdgeState $connector
if (-not (Test-EdgeState $live $before)) {
    if ([string] $connector.Identity -ne [string] $kept.connector -or -not (Test-EdgeState $live $after)) {
        Write-EdgeLine ('{0} was changed since: left as it is' -f $connector.Identity)
        exit 1
    }
    if (-not $PSCmdlet.ShouldProcess([string] $connector.Identity, 'set back the certificate and the capabilities')) {
        exit 0
    }
    Write-EdgeState $connector $before
    if (-not (Test-EdgeState (Get-EdgeState (Get-EdgeConnector)) $before)) {
        throw ('{0} is set back and does not show. Run this script again: it looks first.' -f $connector.Identity)
    }
} elseif ($WhatIfPreference) {
    exit 0
}
Save-EdgeResult -Status 'undone' -Connector $connector -Before $before -After $after
Write-EdgeLine ('{0}: set back' -f $connector.Identity)
exit 0
