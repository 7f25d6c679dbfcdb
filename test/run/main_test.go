package main

import (
	"strings"
	"testing"
)

// What is left out on a machine without the project's recordings and without peers takes one line,
// and names no path.
func TestLeftOut(t *testing.T) {
	line := leftOut([]string{
		"pkg/wire/psrp TestCLIXML: the recordings in ../shared/fixtures/clixml are not here",
		"pkg/estate/exchange TestCatalogue: needs ../shared/reference/x.json, which is not beside this checkout",
		"test/tls TestPostfix: PEER MISSING: postfix is not installed, this boundary was not checked",
		"test/ews TestDavMail: NOT TESTED: davmail is missing: install davmail-server",
		"cmd/hybridge TestLab: needs root",
		"pkg/config/answers TestDevice: no /dev/zero here",
	})
	want := "left out, 6 tests: 2 need recordings and tools that are not part of the checkout; 3 need servers and " +
		"clients of other makers (make test installs them as root on Debian); 1 cannot run on this system. " +
		"CI=true make test lists them."
	if line != want || strings.Contains(line, "\n") || strings.Contains(line, "..") {
		t.Errorf("%s\nwant %s", line, want)
	}
	if got := leftOut(nil); got != "" {
		t.Error(got)
	}
}
