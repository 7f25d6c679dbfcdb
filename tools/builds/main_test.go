package main

import (
	"os"
	"strings"
	"testing"
)

const markdown = `# Build numbers

| Product name | Release date | Build number(short format) | Build number(long format) |
|:-----|:-----|:-----|:-----|
|[Exchange Server SE Nov26SU](https://support.microsoft.com/help/1)|November 10, 2026|15.2.2562.61|15.02.2562.061|
|[Exchange Server SE Sep26SUv2](https://support.microsoft.com/help/2)|September 18, 2026|15.2.2562.53|15.02.2562.053|
|Exchange Server SE RTM|July 1, 2025|15.2.2562.17|15.02.2562.017|

|Exchange Server 2019 CU15 Sep26SUv2|September 18, 2026|15.2.1748.53|15.02.1748.053|
|Exchange Server 2019 CU14 Sep26SUv2|September 18, 2026|15.2.1544.48|15.02.1544.048|
|Exchange Server 2016 CU23 Sep26SUv2|September 18, 2026|15.1.2507.75|15.01.2507.075|
`

const html = `<h2>Exchange Server SE</h2><table><thead><tr><th>Product name</th></tr></thead><tbody>
<tr><td><a href="https://support.microsoft.com/help/1">Exchange Server SE Nov26SU</a></td><td>November 10, 2026</td>
<td>15.2.2562.61</td><td>15.02.2562.061</td></tr>
<tr><td>Exchange Server 2019 CU15 Sep26SUv2</td><td></td><td>15.2.1748.53</td></tr>
<tr><td>Exchange Server 2019 CU14 Sep26SUv2</td><td></td><td>15.2.1544.48</td></tr>
<tr><td>Exchange Server 2016 CU23 Sep26SUv2</td><td></td><td>15.1.2507.75</td></tr></tbody></table>`

func table(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../pkg/hybrid/fact/build.go")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

func TestMerge(t *testing.T) {
	for name, page := range map[string]string{"markdown": markdown, "html": html} {
		t.Run(name, func(t *testing.T) {
			out, news, err := merge(table(t), releases(page))
			if err != nil || len(news) != 1 || news[0] != "Exchange Server SE Nov26SU: 15.2.2562.61" {
				t.Fatalf("news = %q, %v", news, err)
			}
			for _, want := range []string{`{"Nov26SU", 61},`, `{"Sep26SUv2", 53},`, "Latest: Build{15, 2, 2562, 61}",
				"Latest: Build{15, 2, 1748, 53}"} {
				if !strings.Contains(out, want) {
					t.Errorf("the table lacks %s", want)
				}
			}
			again, news, err := merge(out, releases(page))
			if again != out || len(news) > 0 || err != nil {
				t.Errorf("a second run: %q, %v", news, err)
			}
		})
	}
}

func TestWhatNeedsAPerson(t *testing.T) {
	source := table(t)
	for name, c := range map[string]struct{ page, want string }{
		"a page of another form": {"<html>Moved</html>", "was it written anew?"},
		"a cumulative update": {markdown + "|Exchange Server SE CU1|December 1, 2026|15.2.2700.5|15.02.2700.005|\n",
			"Exchange Server SE CU1 is new (15.2.2700.5): add it to the table by hand"},
	} {
		_, _, err := merge(source, releases(c.page))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, _, _ := merge(source, releases("")); out != source {
		t.Error("the table changed")
	}
}
