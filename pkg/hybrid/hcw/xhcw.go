package hcw

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Limits of a .xhcw file. The decoder holds one token and the names of the elements around it.
const (
	maxXML   = 512 << 20
	maxToken = 16 << 20
	maxDepth = 1000
)

var errTooMuch = errors.New("larger or deeper than what the wizard writes")

// tokens reads XML within limits.
type tokens struct {
	decoder *xml.Decoder
	in      io.Reader
	left    int // of the file for the present token
	depth   int
}

func newTokens(in io.Reader) *tokens {
	t := &tokens{in: io.LimitReader(in, maxXML)}
	t.decoder = xml.NewDecoder(t)
	t.decoder.Strict = false
	// The text is UTF-8 here, whatever a declaration says.
	t.decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return t
}

func (t *tokens) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errTooMuch
	}
	n, err := t.in.Read(p)
	t.left -= n
	return n, err
}

func (t *tokens) next() (xml.Token, error) {
	t.left = maxToken
	token, err := t.decoder.Token()
	switch token.(type) {
	case xml.StartElement:
		if t.depth++; t.depth > maxDepth {
			return nil, errTooMuch
		}
	case xml.EndElement:
		t.depth--
	}
	return token, err
}

// readXML reads a .xhcw file: elements invoke without a root, with the cmdlet, its session, its
// begin and its duration, and with the command line in a comment. These names are known from
// scripts that read such files. What a cmdlet returned is not read.
func readXML(in *bufio.Reader) (Run, error) {
	d := newTokens(in)
	run := Run{Outcome: NotRun}
	invoked := false
	for {
		token, err := d.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				run.Cut++ // what stands before it counts
			}
			break
		}
		start, ok := token.(xml.StartElement)
		if !ok || !strings.EqualFold(start.Name.Local, "invoke") {
			continue
		}
		invoked = true
		e, err := invocation(d, start)
		if e.command.Writes() && len(run.Commands) < maxCommands {
			e.Unfinished = err != nil
			run.Commands = append(run.Commands, e)
			run.Outcome = Unfinished // a .xhcw file says nothing of the end
		} else if e.command.Name != "" {
			run.Reads++
		}
		if e.At != "" {
			if run.Started == "" {
				run.Started = e.At
			}
			run.Ended = e.At
		}
		if err != nil {
			run.Cut++
			break
		}
	}
	if !invoked {
		return Run{}, ErrForeign
	}
	return run, nil
}

// invocation reads one element invoke.
func invocation(d *tokens, start xml.StartElement) (Executed, error) {
	values := map[string]string{}
	for _, a := range start.Attr {
		values[strings.ToLower(a.Name.Local)] = a.Value
	}
	comment, child := "", ""
	var err error
	for depth := 1; depth > 0; {
		var token xml.Token
		if token, err = d.next(); err != nil {
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 {
				child = strings.ToLower(t.Name.Local)
				if strings.Contains(child, "error") || strings.Contains(child, "exception") {
					values["failed"] = child
				}
			}
		case xml.EndElement:
			depth--
		case xml.Comment:
			if comment == "" {
				comment = string(t[:min(len(t), maxLine)])
			}
		case xml.CharData:
			if depth == 2 && len(values[child]) < maxText {
				values[child] += string(t[:min(len(t), maxText)])
			}
		}
	}
	e := Executed{At: clean(values["start"]), Side: side(values["type"]), ended: true, Failed: values["failed"] != ""}
	if e.Failed {
		e.Result = clean(values[values["failed"]])
	}
	name := strings.TrimSpace(values["cmdlet"])
	for _, text := range []string{comment, name} {
		if c, ok := ParseCommand(text); ok && (name == "" || strings.EqualFold(c.Name, strings.Fields(name)[0])) {
			e.command, e.Command = c, clean(text)
			break
		}
	}
	return e, err
}
