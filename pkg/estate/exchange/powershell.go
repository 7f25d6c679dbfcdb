package exchange

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// PowerShell renders the command as text that runs it in an Exchange Management Shell, one
// statement per line, without a final line end. Texts are single-quoted literals, so that nothing
// in them is ever evaluated. A secret is never written: the script asks for it first and holds it
// in a variable. A command that cannot be rendered safely (a name that is no name) becomes a throw
// statement that says so.
//
// Files with such text should begin with a byte order mark: Windows PowerShell takes a file without
// one to be in the system's code page.
func (c Command) PowerShell() string {
	p, err := c.prepared()
	if err != nil {
		return "throw " + Quote(err.Error())
	}
	spec, known := Catalogue().Find(p.Name)
	var asked, line strings.Builder
	line.WriteString(p.Name)
	for _, name := range p.names() {
		value := p.Parameters[name]
		line.WriteString(" -" + name)
		if b, ok := value.(bool); ok {
			parameter, found := Parameter{}, false
			if known {
				parameter, found = spec.Parameter(name)
			}
			switch {
			case found && parameter.Type == "Boolean":
				line.WriteString(" " + Literal(b, nil))
			case found && parameter.Switch() && b:
			default:
				line.WriteString(":" + Literal(b, nil)) // right for switches and Booleans alike
			}
			continue
		}
		line.WriteByte(' ')
		switch value := value.(type) {
		case secret.Value:
			variable := "$" + variableName(p.Name, name)
			fmt.Fprintf(&asked, "%s = Read-Host -AsSecureString -Prompt %s\n", variable, Quote(p.Name+" -"+name))
			line.WriteString(variable)
		case Credential:
			variable := "$" + variableName(p.Name, name)
			fmt.Fprintf(&asked, "%s = Get-Credential -UserName %s -Message %s\n", variable, Quote(value.User),
				Quote(p.Name+" -"+name))
			line.WriteString(variable)
		default:
			line.WriteString(Literal(value, nil))
		}
	}
	return asked.String() + line.String()
}

// variableName is a name for the variable that holds a secret: "newMigrationEndpointCredentials".
func variableName(cmdlet, parameter string) string {
	s := strings.ReplaceAll(cmdlet, "-", "") + parameter
	return strings.ToLower(s[:1]) + s[1:]
}

// Literal renders a value as a PowerShell expression that can stand as an argument. Texts are
// quoted, so that nothing in them is evaluated. other, if not nil, renders the values that this
// package does not know, at any depth; what neither renders, a secret for one, is $null.
func Literal(v any, other func(v any) (text string, ok bool)) string {
	list := func(n int, element func(i int) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = element(i)
		}
		return "@(" + strings.Join(parts, ", ") + ")"
	}
	switch v := v.(type) {
	case nil:
		return "$null"
	case bool:
		if v {
			return "$true"
		}
		return "$false"
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		return Quote(v)
	case []string:
		return list(len(v), func(i int) string { return Quote(v[i]) })
	case []any:
		return list(len(v), func(i int) string { return Literal(v[i], other) })
	case []byte:
		return "([Convert]::FromBase64String('" + base64.StdEncoding.EncodeToString(v) + "'))"
	case ListChange:
		var parts []string
		if len(v.Add) > 0 {
			parts = append(parts, "Add = "+Literal(v.Add, nil))
		}
		if len(v.Remove) > 0 {
			parts = append(parts, "Remove = "+Literal(v.Remove, nil))
		}
		return "@{ " + strings.Join(parts, "; ") + " }"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, Quote(k)+" = "+Literal(v[k], other))
		}
		return "@{ " + strings.Join(parts, "; ") + " }"
	}
	if other != nil {
		if text, ok := other(v); ok {
			return text
		}
	}
	return "$null"
}

// Quote renders text as a PowerShell literal: in single quotes, with every character that
// PowerShell takes for a single quote doubled. Control, line-separating and invisible characters
// would make a script read otherwise than it runs, so they are written as [char] codes.
func Quote(s string) string {
	var out []string
	var run strings.Builder
	flush := func() {
		if run.Len() > 0 {
			out = append(out, "'"+run.String()+"'")
			run.Reset()
		}
	}
	for _, r := range strings.ToValidUTF8(s, string(utf8.RuneError)) {
		switch {
		case r == '\'' || r >= '\u2018' && r <= '\u201b':
			run.WriteRune(r)
			run.WriteRune(r)
		case unicode.IsControl(r) || link.Invisible(r) || r == '\u2028' || r == '\u2029':
			flush()
			for _, unit := range utf16.Encode([]rune{r}) {
				out = append(out, fmt.Sprintf("[char]%d", unit))
			}
		default:
			run.WriteRune(r)
		}
	}
	flush()
	switch {
	case len(out) == 0:
		return "''"
	case len(out) == 1 && out[0][0] == '\'':
		return out[0]
	}
	// the empty text first makes + join texts rather than add numbers
	return "('' + " + strings.Join(out, " + ") + ")"
}
