// Builds adds new updates of Exchange Server to the table in pkg/hybrid/fact/build.go, from Microsoft's page of build
// numbers. It only adds: an update that the page no longer lists stays. A new cumulative update needs a person, who knows
// what it can do: builds names it and exits with 1.
//
//	go run ./builds [-page URL or FILE] ../pkg/hybrid/fact/build.go
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const page = "https://learn.microsoft.com/en-us/exchange/new-features/build-numbers-and-release-dates"

func main() {
	from := flag.String("page", page, "address or file of the page")
	flag.Parse()
	if err := run(*from, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(from, file string) error {
	text, err := read(from)
	if err != nil {
		return err
	}
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out, news, err := merge(string(source), releases(text))
	if out != string(source) {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			return err
		}
	}
	for _, n := range news {
		fmt.Println(n)
	}
	return err
}

func read(from string) (string, error) {
	if !strings.HasPrefix(from, "https://") {
		text, err := os.ReadFile(from)
		return string(text), err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", from, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 10<<20))
	return string(text), err
}

// release is one row of the page: "Exchange Server SE Oct25SU", 15.2.2562.29.
type release struct {
	title    string
	update   string // Oct25SU; empty for a cumulative update itself
	line     string // 15.2.2562
	revision int
}

var (
	rowEnd  = regexp.MustCompile(`(?i)</tr>|\n\|`)
	tag     = regexp.MustCompile(`<[^>]*>|\]\([^)]*\)|[\[*]`)
	product = regexp.MustCompile(`Exchange Server (?:SE|20\d\d)(?: (?:RTM|CU\d+))?`)
	update  = regexp.MustCompile(`\b((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\d\d(?:SU|HU)(?:v\d)?)\b`)
	build   = regexp.MustCompile(`\b(15\.\d\.\d+)\.(\d+)\b`)
)

// releases reads the rows of the page, which is HTML or Markdown.
func releases(text string) []release {
	var out []release
	for _, row := range rowEnd.Split(text, -1) {
		row = tag.ReplaceAllString(row, " ")
		row = strings.Join(strings.Fields(row), " ")
		titles, b := product.FindAllString(row, -1), build.FindStringSubmatch(row)
		if len(titles) == 0 || b == nil {
			continue
		}
		// The first row of a table comes after its heading: the name is what stands last.
		r := release{title: titles[len(titles)-1], line: b[1]}
		r.revision, _ = strconv.Atoi(b[2])
		if u := update.FindStringSubmatch(row); u != nil {
			r.update = u[1]
		}
		out = append(out, r)
	}
	return out
}

var (
	entry   = regexp.MustCompile(`First: +Build\{(\d+), (\d+), (\d+), \d+\}, Latest: Build\{(\d+), (\d+), (\d+), (\d+)\}`)
	updates = regexp.MustCompile(`(?s)(Updates: \[\]Update\{\n)(.*?)(\n\t\t\},)`)
	known   = regexp.MustCompile(`\{"(\w+)", (\d+)\}`)
)

// merge adds releases to the table of a Go source and says what is new.
func merge(source string, found []release) (out string, news []string, err error) {
	starts := entry.FindAllStringSubmatchIndex(source, -1)
	if len(starts) == 0 {
		return source, nil, errors.New("the source has no table of builds")
	}
	lines := map[string]bool{}
	var b strings.Builder
	b.WriteString(source[:starts[0][0]])
	newest := ""
	for i, at := range starts {
		end := len(source)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		section := source[at[0]:end]
		m := entry.FindStringSubmatch(section)
		line := m[1] + "." + m[2] + "." + m[3]
		lines[line] = true
		newest = cmp.Or(newest, line)
		changed, added, mergeErr := mergeLine(section, line, found)
		b.WriteString(changed)
		news, err = append(news, added...), errors.Join(err, mergeErr)
	}
	for _, r := range found {
		if r.update == "" && !lines[r.line] && later(r.line, newest) {
			err = errors.Join(err, fmt.Errorf("%s is new (%s.%d): add it to the table by hand", r.title, r.line, r.revision))
		}
	}
	return b.String(), news, err
}

func mergeLine(section, line string, found []release) (string, []string, error) {
	type row struct {
		name     string
		revision int
	}
	var rows []row
	m := updates.FindStringSubmatchIndex(section)
	if m == nil {
		return section, nil, fmt.Errorf("%s has no list of updates", line)
	}
	for _, k := range known.FindAllStringSubmatch(section[m[4]:m[5]], -1) {
		n, _ := strconv.Atoi(k[2])
		rows = append(rows, row{k[1], n})
	}
	before, listed := len(rows), 0
	var news []string
	for _, r := range found {
		if r.line != line || r.update == "" {
			continue
		}
		listed++
		if slices.ContainsFunc(rows, func(k row) bool { return k.revision == r.revision }) {
			continue
		}
		rows = append(rows, row{r.update, r.revision})
		news = append(news, fmt.Sprintf("%s %s: %s.%d", r.title, r.update, r.line, r.revision))
	}
	if listed == 0 {
		return section, nil, fmt.Errorf("the page lists no update of %s: was it written anew?", line)
	}
	if len(rows) == before {
		return section, nil, nil
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.revision, b.revision) })
	var b strings.Builder
	width := 120
	for _, r := range rows {
		text := fmt.Sprintf("{%q, %d},", r.name, r.revision)
		if width+1+len(text) > 100 {
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			b.WriteString("\t\t\t" + text)
			width = 12 + len(text)
			continue
		}
		b.WriteString(" " + text)
		width += 1 + len(text)
	}
	section = section[:m[4]] + b.String() + section[m[5]:]
	at := entry.FindStringSubmatchIndex(section)
	last := rows[len(rows)-1].revision
	if have, _ := strconv.Atoi(section[at[14]:at[15]]); have < last {
		section = section[:at[14]] + strconv.Itoa(last) + section[at[15]:]
	}
	return section, news, nil
}

// later compares two lines, 15.2.2562 and 15.2.1748.
func later(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m > n
		}
	}
	return false
}
