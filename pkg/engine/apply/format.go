package apply

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// JournalVersion is the version of the journal format that new runs are written in.
const JournalVersion = "hybridge/v2"

// format is how a version of hybridge writes the records of a journal. Each line ends with a digest
// of itself and of the digest before it: so a changed, moved, removed or added line is found.
type format struct {
	encode func(chain string, r record) (line []byte, next string, err error)
	decode func(chain string, line []byte) (r record, next string, err error)
}

// formats holds the current version and, once there is a newer one, the version before it. A run is
// resumed in the format that it was begun in, and rolled back from it. An older format decodes into
// today's record.
var formats = map[string]format{
	JournalVersion: {encodeV2, decodeV2},
}

var errChain = errors.New("it is damaged or edited: its digest does not continue that of the line before")

const (
	chainKey = `,"chain":"`
	chainEnd = `"}`
	chainLen = len(chainKey) + 2*sha256.Size + len(chainEnd)
)

func chained(chain string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(chain))
	h.Write([]byte{'\n'})
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// encodeV2 writes {RECORD,"chain":"HEX"}: SHA-256 of the chain before, a newline, and {RECORD}.
func encodeV2(chain string, r record) ([]byte, string, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, "", err
	}
	next := chained(chain, body)
	line := bytes.Join([][]byte{body[:len(body)-1], []byte(chainKey), []byte(next), []byte(chainEnd)}, nil)
	return line, next, nil
}

func decodeV2(chain string, line []byte) (r record, next string, err error) {
	at := len(line) - chainLen
	if at < 1 || !bytes.HasPrefix(line[at:], []byte(chainKey)) || !bytes.HasSuffix(line, []byte(chainEnd)) {
		return r, "", errChain
	}
	body := append(bytes.Clone(line[:at]), '}')
	next = chained(chain, body)
	if next != string(line[at+len(chainKey):len(line)-len(chainEnd)]) {
		return r, "", errChain
	}
	return r, next, change.Strict(body, &r)
}

// versionOf is the version that the first line of a journal names; empty when it names none.
func versionOf(line []byte) string {
	var head struct {
		APIVersion string `json:"apiVersion"`
	}
	_ = json.Unmarshal(line, &head)
	return head.APIVersion
}

// decodeLines reads the whole lines of a journal.
func decodeLines(data []byte) (p *past, err error) {
	p = &past{}
	for n := 1; len(data) > 0; n++ {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		if n == 1 {
			known := false
			p.version = versionOf(line)
			if p.format, known = formats[p.version]; !known {
				return nil, fmt.Errorf("%w: %w", ErrJournal, &versionError{p.version})
			}
		}
		var r record
		if r, p.chain, err = p.format.decode(p.chain, line); err == nil {
			err = r.validate(n)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrJournal, n, err)
		}
		p.records = append(p.records, r)
	}
	if len(p.records) == 0 {
		return nil, fmt.Errorf("%w: it has no whole line", ErrJournal)
	}
	p.head = p.records[0]
	return p, nil
}

// versionError says that a journal is of a version that is not read.
type versionError struct{ version string }

func (e *versionError) Error() string {
	switch e.version {
	case "":
		return "line 1: it names no version"
	case "hybridge/v1":
		return "an earlier version of hybridge wrote it (hybridge/v1); finish the run or roll it back with that version"
	}
	return fmt.Sprintf("it is of version %q, this hybridge reads %q; use the version that wrote it", e.version,
		JournalVersion)
}
