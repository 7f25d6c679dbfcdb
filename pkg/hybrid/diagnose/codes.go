package diagnose

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Code is an error code, or the name of an error, of another system.
type Code struct {
	ID    string // as the system writes it: "HCW8078", "AADSTS700016", "2150858843"
	Row   ID
	Means string
	Fix   string
}

// systems are the systems that codes come from. A code belongs to the first whose prefix it has.
var systems = []struct{ prefix, title, about string }{
	{"HCW", "Hybrid Configuration Wizard", "Microsoft's wizard shows and logs these codes."},
	{"AADSTS", "Entra", "Entra returns these codes when it issues no token. Microsoft changes their texts."},
	{"21508", "Remote PowerShell", "WinRM returns these fault numbers. Windows also shows them in hexadecimal."},
	{"5.7.", "Mail", "Exchange Online returns these status codes in non-delivery reports."},
	{"4.7.", "Mail that is delayed", "Exchange Online returns these status codes while it puts mail off."},
	{"", "EWS and free/busy", "Exchange returns these in lookups, or shows them to users."},
}

func system(code string) int {
	for i, s := range systems {
		if strings.HasPrefix(code, s.prefix) {
			return i
		}
	}
	return len(systems) - 1
}

// Codes lists the codes of the table, by system.
func Codes() []Code {
	groups := make([][]Code, len(systems))
	for _, r := range Rows() {
		for _, id := range r.Codes {
			i := system(id)
			groups[i] = append(groups[i], Code{id, r.ID, r.Cause, r.Fix})
		}
	}
	var out []Code
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

var byCode = sync.OnceValue(func() map[string]Code {
	codes := map[string]Code{}
	for _, c := range Codes() {
		codes[strings.ToLower(c.ID)] = c
	}
	return codes
})

// Canonical returns a code in the form of Codes: with its prefix, decimal, from what a person
// copied: "8078", "0x8033805B", "-2144108453", "AADSTS700016:".
func Canonical(text string) string {
	if c, ok := findCode(text); ok {
		return c.ID
	}
	return strings.TrimRight(strings.TrimSpace(text), ":.,")
}

func findCode(text string) (Code, bool) {
	text = strings.TrimRight(strings.TrimSpace(text), ":.,")
	forms := []string{text, "HCW" + text, "AADSTS" + text}
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			forms = append(forms, strconv.FormatUint(n, 10))
		}
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n < 0 { // as .NET shows an HRESULT
		forms = append(forms, strconv.FormatUint(uint64(uint32(int32(n))), 10))
	}
	for _, form := range forms {
		if c, ok := byCode()[strings.ToLower(form)]; ok {
			return c, true
		}
	}
	return Code{}, false
}

// CodesMarkdown renders docs/reference/codes.md.
func CodesMarkdown() []byte {
	var b strings.Builder
	b.WriteString("# Codes of other systems\n\nGenerated from templates/diagnoses; do not edit.\n\n" +
		"`hybridge help CODE` prints one. A number finds its code without the prefix, and in hexadecimal.\n" +
		"`hybridge explain` finds them in a longer text.\n")
	last := -1
	for _, c := range Codes() {
		if i := system(c.ID); i != last {
			last = i
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| code | meaning | what to do | cause |\n| --- | --- | --- | --- |\n",
				systems[i].title, systems[i].about)
		}
		fmt.Fprintf(&b, "| <a id=%q></a>%s | %s | %s | [%s](diagnoses.md#%s) |\n", strings.ToLower(c.ID), c.ID,
			cell(c.Means), cell(c.Fix), c.Row, c.Row.Anchor())
	}
	return []byte(b.String())
}

// cell is a text in a table of Markdown. What looks like HTML stays text.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "<", `\<`).Replace(s) }
