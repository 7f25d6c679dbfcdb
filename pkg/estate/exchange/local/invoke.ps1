# One cmdlet in that session. Its streams, its error record and a stop pass through.
param([string] $Name, [System.Collections.IDictionary] $Parameters)
$line = [powershell]::Create()
try {
    $line.Runspace = $global:HybridgeSession.Runspace
    $null = $line.AddCommand($Name)
    foreach ($key in @($Parameters.Keys)) {
        $null = $line.AddParameter($key, $Parameters[$key])
    }
    $failed = $null
    $run = $line.BeginInvoke()
    while (-not $run.AsyncWaitHandle.WaitOne(100)) { }  # a stop arrives between two rounds
    try {
        $line.EndInvoke($run)
    } catch {
        $failed = $_
        $cause = $_.Exception
        while ($null -ne $cause) {
            if ($cause -is [System.Management.Automation.IContainsErrorRecord] -and
                $cause -isnot [System.Management.Automation.MethodInvocationException]) {
                $failed = $cause.ErrorRecord
                break
            }
            $cause = $cause.InnerException
        }
    }
    foreach ($warning in $line.Streams.Warning) {
        Write-Warning -Message $warning.Message
    }
    foreach ($record in $line.Streams.Error) {
        Write-Error -ErrorRecord $record -ErrorAction Continue
    }
    if ($null -ne $failed) {
        throw $failed
    }
} finally {
    if ($line.InvocationStateInfo.State -eq 'Running') {
        $line.Stop()
    }
    $line.Dispose()
}
