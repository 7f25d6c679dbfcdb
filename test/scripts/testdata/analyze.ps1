#requires -Version 7.4
# The default rules of PSScriptAnalyzer that can be read off the syntax tree, for scripts. One line a finding; exit 1 with any.
# PSScriptAnalyzer itself comes from the PowerShell Gallery alone.
param([Parameter(Mandatory)] [string] $Folder)
$verbs = (Get-Verb).Verb
$automatic = 'args', 'error', 'event', 'foreach', 'home', 'host', 'input', 'matches', 'myinvocation', 'nestedpromptlevel', 'pid', 'profile', 'psitem', 'pwd', 'sender', 'shellid', 'switch', 'this', 'true', 'false', 'null'
$script:found = 0
function Write-Finding($File, $Extent, [string] $Rule, [string] $Text) {
    $script:found++
    '{0}:{1}: {2}: {3}' -f $File.Name, $Extent.StartLineNumber, $Rule, $Text
}
function Find-Ast($Ast, [type] $Type) { $Ast.FindAll({ param($a) $a -is $Type }.GetNewClosure(), $true) }
foreach ($file in Get-ChildItem -LiteralPath $Folder -Filter *.ps1) {
    $tokens = $errors = $null
    $ast = [System.Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref] $tokens, [ref] $errors)
    foreach ($e in $errors) { Write-Finding $file $e.Extent 'ParseError' $e.Message }
    foreach ($line in [System.IO.File]::ReadAllLines($file.FullName)) {
        if ($line -match '\s$') { Write-Finding $file $ast.Extent 'AvoidTrailingWhitespace' $line }
    }
    # Variables: the scripts share theirs across functions, so the whole file counts.
    $variables = @(Find-Ast $ast ([System.Management.Automation.Language.VariableExpressionAst]))
    $assigned = @(foreach ($a in Find-Ast $ast ([System.Management.Automation.Language.AssignmentStatementAst])) {
        if ($a.Left -is [System.Management.Automation.Language.VariableExpressionAst]) { $a.Left }
    })
    foreach ($v in $assigned) {
        $name = $v.VariablePath.UserPath -replace '^script:'
        if ($name -in $automatic -and $name -ne 'null') { Write-Finding $file $v.Extent 'AvoidAssignmentToAutomaticVariable' $name }
        if ($v.VariablePath.IsGlobal) { Write-Finding $file $v.Extent 'AvoidGlobalVars' $name }
        $others = @($variables | Where-Object { ($_.VariablePath.UserPath -replace '^script:') -eq $name -and $_ -notin $assigned })
        if (-not $others -and $name -notin 'null', 'ErrorActionPreference') { Write-Finding $file $v.Extent 'UseDeclaredVarsMoreThanAssignments' $name }
    }
    foreach ($c in Find-Ast $ast ([System.Management.Automation.Language.CommandAst])) {
        $name = $c.GetCommandName()
        if ($name -and (Get-Alias -Name $name -ErrorAction Ignore)) { Write-Finding $file $c.Extent 'AvoidUsingCmdletAliases' $name }
        if ($name -in 'Write-Host', 'Invoke-Expression', 'Get-WmiObject', 'Invoke-WmiMethod') { Write-Finding $file $c.Extent 'AvoidUsing' $name }
        $positional = 0
        for ($i = 1; $i -lt $c.CommandElements.Count; $i++) {
            $element = $c.CommandElements[$i]
            if ($element -is [System.Management.Automation.Language.CommandParameterAst]) {
                if ($null -eq $element.Argument) { $i++ }
            } elseif (-not ($element -is [System.Management.Automation.Language.VariableExpressionAst] -and $element.Splatted)) { $positional++ }
        }
        if ($positional -ge 3) { Write-Finding $file $c.Extent 'AvoidUsingPositionalParameters' $c.Extent.Text }
    }
    foreach ($b in Find-Ast $ast ([System.Management.Automation.Language.BinaryExpressionAst])) {
        if ($b.Right.Extent.Text -eq '$null' -and "$($b.Operator)" -match '^[IC](eq|ne)$') { Write-Finding $file $b.Extent 'PossibleIncorrectComparisonWithNull' $b.Extent.Text }
    }
    foreach ($c in Find-Ast $ast ([System.Management.Automation.Language.CatchClauseAst])) {
        if ($c.Body.Statements.Count -eq 0) { Write-Finding $file $c.Extent 'AvoidUsingEmptyCatchBlock' $c.Extent.Text }
    }
    foreach ($f in Find-Ast $ast ([System.Management.Automation.Language.FunctionDefinitionAst])) {
        $verb, $noun = $f.Name -split '-', 2
        if ($verb -notin $verbs) { Write-Finding $file $f.Extent 'UseApprovedVerbs' $f.Name }
        if ($noun -cmatch '[^s]s$') { Write-Finding $file $f.Extent 'UseSingularNouns' $f.Name }
        if ($verb -in 'New', 'Set', 'Remove', 'Start', 'Stop', 'Restart', 'Reset', 'Update') { Write-Finding $file $f.Extent 'UseShouldProcessForStateChangingFunctions' $f.Name }
    }
    # Parameters, of the script and of its functions.
    foreach ($body in @($ast) + @(Find-Ast $ast ([System.Management.Automation.Language.FunctionDefinitionAst]))) {
        $parameters = if ($body -is [System.Management.Automation.Language.FunctionDefinitionAst]) { $body.Parameters } else { $body.ParamBlock.Parameters }
        foreach ($p in @($parameters | Where-Object { $_ })) {
            $name = $p.Name.VariablePath.UserPath
            $uses = @(Find-Ast $body ([System.Management.Automation.Language.VariableExpressionAst]) | Where-Object { $_.VariablePath.UserPath -eq $name })
            if ($uses.Count -lt 2) { Write-Finding $file $p.Extent 'ReviewUnusedParameter' "$($body.Name) $name" }
            if ($p.StaticType -eq [switch] -and $p.DefaultValue) { Write-Finding $file $p.Extent 'AvoidDefaultValueSwitchParameter' $name }
            if ($name -match 'password|secret' -and $p.StaticType -ne [securestring]) { Write-Finding $file $p.Extent 'AvoidUsingPlainTextForPassword' $name }
        }
    }
}
exit [int] ($script:found -gt 0)
