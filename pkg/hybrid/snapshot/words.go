package snapshot

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/templates"
)

// words.txt.gz holds the words, identifiers and networks that hybridge's own code and data name;
// `go test ./pkg/hybrid/snapshot -run TestWords -update` collects them anew. A decision depends on
// no other word: a snapshot in which the others are replaced decides alike.
//
//go:embed words.txt.gz
var wordsGzip []byte

// commonWords are those of times, units, servers and domains that no code of hybridge names.
const commonWords = `com net org edu gov mil int info biz io cloud dev app email example test invalid localhost local
lan internal intranet corp home arpa onmicrosoft microsoftonline microsoft office office365 outlook azure windows
exchange autodiscover www mail smtp owa ews mapi oab ecp pop imap mx ns dns ftp vpn relay gateway edge hub cas dag srv
server us eu ap ca sa af me cn gov north south east west central northeast southeast northwest southwest mon tue wed
thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec gmt utc am pm pt bytes kb mb gb tb kib mib gib ms sec
min hour hours day days id ids cn ou dc o c l st s e email oid uid the a an of to in on at is are was were be been by
for from with without and or not no yes it its this that these those as if then than there their they you your we our
can cannot could couldn't may might must should shall will would do does did done has have had been only also more
most less least each every any all some none one two first second last next user users group groups mailbox mailboxes
object objects domain domains forest forests tenant operation performed found find because access denied error failed
failure request response invalid value values name names password account accounts`

// public are the words that stay in a redacted snapshot, in lower case.
var public = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(commonWords) {
		out[w] = true
	}
	for w := range strings.Lines(string(templates.Unpack(wordsGzip))) {
		out[strings.TrimSuffix(w, "\n")] = true
	}
	return out
})
