# Stops unless this is an Exchange Management Shell of the organization that the plan is about, with servers as the plan knows them.
function Assert-Place([string] $Organization, [hashtable] $Servers, [object[]] $Used) {
    Assert-Right $Used 'This is no Exchange Management Shell that may make these changes'
    $found = Get-OrganizationConfig -ErrorAction Stop
    if ((Expand-Value 'Guid' (Read-Property $found 'Guid')) -ne $Organization) {
        throw ('This is the organization {0} ({1}). The script is for {2}. Nothing was changed.' -f (Read-Property $found 'Name'), (Read-Property $found 'Guid'), $Organization)
    }
    foreach ($server in @(Get-ExchangeServer -ErrorAction Stop)) {
        if ([string] (Read-Property $server 'ServerRole') -notmatch 'Mailbox') {
            continue
        }
        $name = [string] (Read-Property $server 'Name')
        if (-not $Servers.ContainsKey($name)) {
            throw ('The plan does not know the Exchange server {0}. Plan again. Nothing was changed.' -f $name)
        }
        $version = [string] (Read-Property $server 'AdminDisplayVersion')
        if ($version -match '^Version (\d+\.\d+) \(Build (\d+\.\d+)\)$') {
            $build = [version] ($Matches[1] + '.' + $Matches[2])
            if ($build -lt [version] $Servers[$name]) {
                throw ('The Exchange server {0} has build {1}. The plan needs {2}. Nothing was changed.' -f $name, $build, $Servers[$name])
            }
        }
    }
}
