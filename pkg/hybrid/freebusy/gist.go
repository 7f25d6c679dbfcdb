package freebusy

import "strings"

// telling holds words that mark a line with the cause of a failure, in the free text of
// Test-OAuthConnectivity and of .NET's web exceptions.
var telling = []string{
	"error", "exception", "unauthorized", "forbidden", "denied", "refused", "invalid", "missing", "fail", "could not",
	"couldn't", "unable", "cannot", "not found",
	"timed out", "status code", "http 4", "http 5",
}

const gistLines = 3

// Gist shortens Error to a few lines for people: of a long text, it keeps the lines with the cause.
// Error has the full text.
func (a Answer) Gist() string {
	lines := strings.Split(strings.ReplaceAll(a.Error, "\r\n", "\n"), "\n")
	if len(lines) <= gistLines {
		return a.Error
	}
	var told []string
	last, title := "", ""
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if i == 0 {
			// "contoso: Test-OAuthConnectivity: Error: " is ours; the configuration's age, which
			// follows, is the same in good runs.
			if at := strings.Index(line, "The configuration was last successfully loaded"); at >= 0 {
				title, line = line[:at], ""
			}
		}
		// a heading, or a line of a stack trace
		if line == "" || strings.HasSuffix(line, ":") || strings.HasPrefix(line, "at ") {
			continue
		}
		last = line
		lower := strings.ToLower(line)
		for _, word := range telling {
			if strings.Contains(lower, word) {
				told = append(told, line)
				break
			}
		}
	}
	if len(told) == 0 {
		told = []string{last}
	}
	if len(told) > gistLines { // the cause is at the end
		told = append(told[:1:1], told[len(told)-gistLines+1:]...)
	}
	return title + strings.Join(told, "\n")
}
