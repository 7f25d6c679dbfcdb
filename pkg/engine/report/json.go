package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
)

var _ = register(Format{
	Name: "json", About: "one document, by its published schema", Needs: Documents, Single: true,
	Open: func(w io.Writer, _ Options) Writer { return &jsonWriter{w: w} },
})

type jsonWriter struct {
	w       io.Writer
	written bool
}

func (j *jsonWriter) Write(d Document) error { return j.write(data(d)) }

// Fail writes the failure as the document of the run, when the run wrote none.
func (j *jsonWriter) Fail(f Failure) error {
	if j.written {
		return nil
	}
	return j.write(f)
}

func (*jsonWriter) End(int) error { return nil }

func (j *jsonWriter) write(v any) error {
	j.written = true
	return JSON(j.w, v)
}

// data is what stands for a document in JSON: itself, or its own encoding.
func data(d Document) any {
	if e, ok := d.(interface{ Encode() []byte }); ok {
		return json.RawMessage(e.Encode())
	}
	return d
}

// JSON writes one document, indented, with a final newline. No byte in it can act on a terminal.
func JSON(w io.Writer, document any) error {
	data, err := encode(document, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Compact is a document on one line, with a final newline. No byte in it can act on a terminal.
func Compact(document any) ([]byte, error) { return encode(document, "") }

// encode is JSON without HTML escapes, but with escapes for DEL, C1 control characters and those
// that reorder or hide text, which encoding/json leaves alone and terminals do not, and for what a
// CI service takes for a command.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range withoutCommands(b.String()) {
		if r >= 0x7f && r < 0xa0 || invisible(r) {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes(), nil
}
