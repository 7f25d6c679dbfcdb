# Exchange's cmdlets in this process, without a session and without the roles of its account.
$ErrorActionPreference = 'Stop'
Add-PSSnapin -Name Microsoft.Exchange.Management.PowerShell.SnapIn
