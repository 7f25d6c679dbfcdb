package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Markdown renders the reference page of the clouds, docs/reference/clouds.md, from the table.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Clouds\n\nGenerated from the table in pkg/config/cloud; do not edit.\n\n")
	b.WriteString("`exchangeOnline.cloud` names one of these. Every value that has a key can be overridden in the " +
		"answers file, under `exchangeOnline.hosts`:\n\n")
	b.WriteString("    exchangeOnline:\n      cloud: gcc-high\n      hosts: {adminAPI: " +
		"https://outlook.office365.us}\n\n")
	b.WriteString("`{tenant}` stands for the tenant's initial domain, `{tenantId}` for its id. † was recalled or " +
		"inferred from other clouds, and no source\n" +
		"confirms it: a plan names such values where it writes them. Look at these first when a sign-in or a lookup " +
		"fails, and [tell us](../limitations.md#how-to-report)\nwhat is right.\n\n")
	b.WriteString("| cloud | what | unconfirmed |\n| --- | --- | --- |\n")
	for _, c := range clouds {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", c.ID, c.ID, c.Title,
			cmp.Or(strings.Join(c.Unconfirmed, ", "), "nothing"))
	}
	for _, c := range clouds {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n| key | what | value |\n| --- | --- | --- |\n", c.ID, c.Title)
		for _, k := range keys {
			value := "not known"
			if v := k.Value(c); v != "" {
				value = "`" + v + "`" + c.dagger(k.Name)
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", k.Name, k.Title, value)
		}
		if len(c.OtherSuffixes) > 0 {
			fmt.Fprintf(&b, "| | suffixes of further initial domains | `%s` |\n", strings.Join(c.OtherSuffixes, "`, `"))
		}
		fmt.Fprintf(&b, "| | calendar lookups over Graph | %s |\n", yesNo(c.GraphCoexistence))
	}
	return []byte(b.String())
}

func (c Cloud) dagger(name string) string {
	if slices.Contains(c.Unconfirmed, name) {
		return " †"
	}
	return ""
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
