@{
    RootModule        = 'ExchangeOnlineManagement.psm1'
    ModuleVersion     = '3.9.2'
    GUID              = 'b5eced50-afa4-455b-847a-d8fb64140a22'
    FunctionsToExport = @('Connect-ExchangeOnline', 'Disconnect-ExchangeOnline', 'Get-ConnectionInformation')
    CmdletsToExport   = @()
    AliasesToExport   = @()
    VariablesToExport = @()
}
