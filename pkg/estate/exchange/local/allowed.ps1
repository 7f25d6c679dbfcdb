# The cmdlets of these names that the session has, with their parameters.
param([string[]] $Name)
foreach ($command in @(Get-Command -Name $Name -ErrorAction Ignore)) {
    [pscustomobject] @{ Name = $command.Name; Parameters = @($command.Parameters.Keys) }
}
