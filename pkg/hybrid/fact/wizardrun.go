package fact

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// WizardRun is the last run of Microsoft's wizard, as it notes it in the tenant's record of the
// organization.
type WizardRun struct {
	Mode      string // FullHybrid, MinimalHybrid
	Wizard    string // its version
	Server    string // the version of the Exchange server
	At        time.Time
	Succeeded bool
}

// maxComment limits what is read of a comment.
const maxComment = 1 << 20

// Run reads the note. Its form is known from one published run: base64 of deflated UTF-16, elements
// without a root.
func (h HybridOrganization) Run() (WizardRun, error) {
	unreadable := func(err error) (WizardRun, error) {
		return WizardRun{}, fmt.Errorf("comment of the record %s: %w", h.Name, err)
	}
	packed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(h.Comment))
	if err != nil {
		return unreadable(err)
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxComment))
	if err != nil {
		return unreadable(err)
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	text := strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
	values := map[string]string{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unreadable(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			var value string
			if err := d.DecodeElement(&value, &start); err != nil {
				return unreadable(err)
			}
			values[start.Name.Local] = strings.TrimSpace(value)
		}
	}
	if values["WorkflowSucceeded"] == "" {
		return unreadable(errors.New("it says nothing of a run"))
	}
	return WizardRun{
		Mode: values["Mode"], Wizard: packedVersion(values["ClientVersion"]),
		Server: packedVersion(values["ServerVersion"]), At: ticks(values["DateTimeUtcTicks"]),
		Succeeded: strings.EqualFold(values["WorkflowSucceeded"], "true"),
	}, nil
}

// packedVersion reads four parts of 16 bits.
func packedVersion(s string) string {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", n>>48, n>>32&0xffff, n>>16&0xffff, n&0xffff)
}

// ticks reads a moment of .NET: units of 100 ns since the year 1.
func ticks(s string) time.Time {
	const second, epoch = 10_000_000, 62_135_596_800
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n/second-epoch, n%second*100).UTC()
}
