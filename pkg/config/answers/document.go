package answers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// SchemaURL is where editors find the JSON Schema of answers files.
const SchemaURL = "https://raw.githubusercontent.com/hybridge-cli/hybridge/main/pkg/config/answers/schema.json"

// Header is the first line of every file that hybridge writes; editors take the schema from it.
const Header = "# yaml-language-server: $schema=" + SchemaURL

const (
	maxDepth = 32     // of nesting; an answers file needs 6
	maxNodes = 50_000 // with aliases written out
	bom      = "\ufeff"
)

// Document is an answers file as it is written, finished or not, with its comments. Keys are paths:
// "exchangeOnline.tenant", "forests[0].domains".
type Document struct {
	name string
	// source is the text. It is nil when the tree was changed and no text means the same.
	source []byte
	bom    bool       // the file begins with a byte order mark
	lines  []string   // of the source, secrets masked
	root   *yaml.Node // the top mapping
	all    *yaml.Node // the document around it, with its comments
}

// NewDocument reads the bytes of an answers file; name stands for it in messages. What is no YAML
// mapping is refused with Faults.
func NewDocument(name string, data []byte) (*Document, error) {
	d := &Document{name: name}
	data, d.bom = bytes.CutPrefix(data, []byte(bom))
	if faults := d.characters(data); faults != nil {
		return nil, faults
	}
	d.lines = maskLines(splitLines(string(data)))
	if faults := d.load(data); faults != nil {
		return nil, faults
	}
	d.source = bytes.Clone(data)
	return d, nil
}

// characters finds what is no text, before YAML's own messages do.
func (d *Document) characters(data []byte) Faults {
	whole := func(what, hint string) Faults { return Faults{{File: d.name, What: what, Hint: hint}} }
	const write = "write one with: hybridge init"
	switch {
	case len(data) > MaxSize:
		return tooBig(d.name)
	case len(bytes.TrimSpace(data)) == 0:
		return whole("the file is empty", write)
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data,
		[]byte{0xfe, 0xff}), len(data) > 3 && (data[0] == 0) != (data[1] == 0) && (data[0] == 0) == (data[2] == 0):
		return whole("this is UTF-16 text", "save it as UTF-8 (in Windows PowerShell: Out-File -Encoding utf8)")
	case bytes.IndexByte(data, 0) >= 0:
		return whole("this is a binary file, not YAML", write)
	}
	var faults Faults
	line, column := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		column++
		what, hint := "", "remove it"
		switch {
		case r == utf8.RuneError && size == 1:
			what, hint = fmt.Sprintf("byte %#02x is not UTF-8", data[i]), "save the file as UTF-8"
		case r == '\n':
			line, column = line+1, 0
		case r == '\r' && (i+1 == len(data) || data[i+1] != '\n'):
			line, column = line+1, 0
		case r == '\t' || r == '\r' || r == '\ufeff':
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			what = fmt.Sprintf("control character U+%04X", r)
		}
		if what != "" {
			faults = append(faults, Fault{File: d.name, Line: line, Column: column, What: what, Hint: hint})
			if len(faults) > 5 {
				return whole("this is a binary file, not YAML", write)
			}
		}
		i += size
	}
	return faults
}

func tooBig(name string) Faults {
	return Faults{{File: name, What: fmt.Sprintf("this is larger than %d KiB, no answers file is", MaxSize>>10),
		Hint: "check the name"}}
}

// load makes the tree of nodes.
func (d *Document) load(data []byte) Faults {
	loader, err := yaml.NewLoader(bytes.NewReader(data),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return Faults{{File: d.name, What: err.Error()}}
	}
	var node, second yaml.Node
	switch err := loader.Load(&node); {
	case errors.Is(err, io.EOF) || err == nil && len(node.Content) == 0:
		return Faults{{File: d.name, What: "the file holds nothing but comments",
			Hint: "write one with: hybridge init"}}
	case err != nil:
		return d.syntax(err)
	}
	top := node.Content[0]
	if top.Kind != yaml.MappingNode {
		what := "this is not an answers file: it holds " + describeNode(top)
		if top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
			what = "the file holds nothing"
		}
		return Faults{d.fault(top.Line, top.Column, "", what, "it begins with apiVersion: "+APIVersion+"; write "+
			"one with: hybridge init")}
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return d.syntax(err)
	default:
		return Faults{d.fault(max(second.Line, 1), max(second.Column, 1), "", "a second YAML document begins",
			"keep one document a file")}
	}
	d.all, d.root = &node, top
	return nil
}

// syntax puts YAML's errors into words. A tab in the indentation is what stands behind most of
// them, so those lines come instead.
func (d *Document) syntax(err error) Faults {
	var faults Faults
	for i, line := range d.lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(indent, '\t'); at >= 0 && len(indent) < len(line) {
			faults = append(faults, d.fault(i+1, at+1, "", "a tab in the indentation", "YAML indents with spaces"))
		}
	}
	if faults != nil {
		return faults
	}
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return Faults{{File: d.name, What: "not valid YAML", Hint: "compare with: hybridge init"}}
	}
	what, hint := e.Message, "check quotes, brackets and indentation here and on the line before"
	mark := e.Mark
	switch {
	case strings.Contains(what, "max depth"):
		what, hint = fmt.Sprintf("nested deeper than %d levels", maxDepth), "no answers file is; compare with: "+
			"hybridge init"
	case strings.Contains(what, "mapping values are not allowed"):
		what, hint = "a second \":\" on one line, or a wrong indentation", "put text that holds \": \" in quotes"
	case strings.Contains(what, "did not find expected key"):
		what, hint = "this line's indentation fits none of the lines before", "indent the keys of one mapping alike"
	case strings.Contains(what, "unexpected end of stream") && e.ContextMark.Line > 0:
		what, hint, mark = "the quotes that open here are never closed", "close them", e.ContextMark
	case strings.Contains(what, "did not find expected ',' or"):
		what, hint = "a list or mapping in brackets is not closed", fmt.Sprintf("close what begins on line %d",
			e.ContextMark.Line)
	case strings.Contains(what, "cannot start any token"):
		what, hint = "this character cannot begin a value", "put the value in quotes"
	case strings.Contains(what, "unknown escape character"), strings.Contains(what, "expected hexadecimal number"):
		what, hint = `a \ between double quotes begins an escape`, `put the value in single quotes: 'CONTOSO\svc'`
	case strings.Contains(what, "could not find expected ':'"):
		what, hint = "a line without a key, or with a key and no blank behind its \":\"", "write KEY: VALUE; look "+
			"at the line before, too"
	case strings.Contains(what, "unknown anchor"), strings.Contains(what, "alphabetic or numeric character"):
		what, hint = "a value that begins with * or & is taken for a reference within the file", "put the value in "+
			"quotes"
	default:
		// YAML's own words quote no values, but anchors and tags: keep the sentence, drop what it
		// quotes.
		if at := strings.IndexAny(what, "'\"`"); at > 0 {
			what = strings.TrimRight(what[:at], " ")
		}
		what = "not valid YAML: " + what
	}
	return Faults{d.fault(max(mark.Line, 1), max(mark.Column, 1), "", what, hint)}
}

func (d *Document) fault(line, column int, path, what, hint string) Fault {
	f := Fault{File: d.name, Line: line, Column: column, Path: path, What: what, Hint: hint}
	if line >= 1 && line <= len(d.lines) {
		f.Source = d.lines[line-1]
	}
	return f
}

// Answers validates the document: Faults with all that is wrong, or the answers.
func (d *Document) Answers() (Answers, error) {
	if d.source == nil { // positions come from the text as it would be saved
		fresh, err := NewDocument(d.name, d.Bytes())
		if err != nil {
			return Answers{}, err
		}
		d = fresh
	}
	v := validation{document: d, nodes: map[string]place{}, reported: map[string]bool{}}
	a := v.run()
	if len(v.faults) == 0 {
		return a, nil
	}
	v.faults.sort()
	for i := range v.faults {
		f := &v.faults[i]
		f.What, f.Hint, f.Source = v.scrub(f.What), v.scrub(f.Hint), v.scrub(f.Source)
	}
	return Answers{}, v.faults
}

func resolveAlias(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

func splitLines(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

// isPlaceholder reports whether a value is a template's "<what belongs here>".
func isPlaceholder(value string) bool {
	return len(value) > 2 && value[0] == '<' && value[len(value)-1] == '>'
}

func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a truth value"
	case "!!null":
		return "nothing"
	}
	return "text"
}
