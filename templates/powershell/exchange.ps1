# Every cmdlet and parameter that is used must be there: Exchange shows those that the account may use.
function Assert-Right([object[]] $Used, [string] $Shell) {
    $missing = @(foreach ($one in $Used) {
        $found = @(Get-Command -Name $one.Name -ErrorAction SilentlyContinue)
        if ($found.Count -eq 0) {
            $one.Name
            continue
        }
        foreach ($parameter in $one.Parameters) {
            if (-not $found[0].Parameters.ContainsKey($parameter)) {
                '{0} -{1}' -f $one.Name, $parameter
            }
        }
    })
    if ($missing.Count -gt 0) {
        throw ('{0}. Missing: {1}. Use an account of the role group Organization Management.' -f $Shell, ($missing -join ', '))
    }
}
