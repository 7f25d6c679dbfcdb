package answers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// SchemaURL is where editors find the JSON Schema of answers files.
const SchemaURL = "https://raw.githubusercontent.com/hybridge-cli/hybridge/main/pkg/config/answers/schema.json"

// Header is the first line of every file that hybridge writes; editors take the schema from it.
const Header = "# yaml-language-server: $schema=" + SchemaURL

const (
	maxDepth = 32     // of nesting; an answers file needs 6
	maxNodes = 50_000 // with aliases written out
)

// Document is an answers file as it is written, finished or not, with its comments. Keys are paths: "exchangeOnline.tenant",
// "forests[0].domains".
type Document struct {
	name  string
	lines []string   // of the source, secrets masked; nil once edited
	root  *yaml.Node // the top mapping
	all   *yaml.Node // the document around it, with its comments
}

// NewDocument reads the bytes of an answers file; name stands for it in messages. What is no YAML mapping is refused with Faults.
func NewDocument(name string, data []byte) (*Document, error) {
	d := &Document{name: name}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if faults := d.characters(data); faults != nil {
		return nil, faults
	}
	d.lines = maskLines(splitLines(string(data)))
	if faults := d.load(data); faults != nil {
		return nil, faults
	}
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
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}), len(data) > 3 && (data[0] == 0) != (data[1] == 0) && (data[0] == 0) == (data[2] == 0):
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
	return Faults{{File: name, What: fmt.Sprintf("this is larger than %d KiB, no answers file is", MaxSize>>10), Hint: "check the name"}}
}

// load makes the tree of nodes.
func (d *Document) load(data []byte) Faults {
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return Faults{{File: d.name, What: err.Error()}}
	}
	var node, second yaml.Node
	switch err := loader.Load(&node); {
	case errors.Is(err, io.EOF) || err == nil && len(node.Content) == 0:
		return Faults{{File: d.name, What: "the file holds nothing but comments", Hint: "write one with: hybridge init"}}
	case err != nil:
		return d.syntax(err)
	}
	top := node.Content[0]
	if top.Kind != yaml.MappingNode {
		what := "this is not an answers file: it holds " + describeNode(top)
		if top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
			what = "the file holds nothing"
		}
		return Faults{d.fault(top.Line, top.Column, "", what, "it begins with apiVersion: "+APIVersion+"; write one with: hybridge init")}
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return d.syntax(err)
	default:
		return Faults{d.fault(max(second.Line, 1), max(second.Column, 1), "", "a second YAML document begins", "keep one document a file")}
	}
	d.all, d.root = &node, top
	return nil
}

// syntax puts YAML's errors into words. A tab in the indentation is what stands behind most of them, so those lines come instead.
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
		what, hint = fmt.Sprintf("nested deeper than %d levels", maxDepth), "no answers file is; compare with: hybridge init"
	case strings.Contains(what, "mapping values are not allowed"):
		what, hint = "a second \":\" on one line, or a wrong indentation", "put text that holds \": \" in quotes"
	case strings.Contains(what, "did not find expected key"):
		what, hint = "this line's indentation fits none of the lines before", "indent the keys of one mapping alike"
	case strings.Contains(what, "unexpected end of stream") && e.ContextMark.Line > 0:
		what, hint, mark = "the quotes that open here are never closed", "close them", e.ContextMark
	case strings.Contains(what, "did not find expected ',' or"):
		what, hint = "a list or mapping in brackets is not closed", fmt.Sprintf("close what begins on line %d", e.ContextMark.Line)
	case strings.Contains(what, "cannot start any token"):
		what, hint = "this character cannot begin a value", "put the value in quotes"
	case strings.Contains(what, "unknown escape character"), strings.Contains(what, "expected hexadecimal number"):
		what, hint = `a \ between double quotes begins an escape`, `put the value in single quotes: 'CONTOSO\svc'`
	case strings.Contains(what, "could not find expected ':'"):
		what, hint = "a line without a key, or with a key and no blank behind its \":\"", "write KEY: VALUE; look at the line before, too"
	case strings.Contains(what, "unknown anchor"), strings.Contains(what, "alphabetic or numeric character"):
		what, hint = "a value that begins with * or & is taken for a reference within the file", "put the value in quotes"
	default:
		// YAML's own words quote no values, but anchors and tags: keep the sentence, drop what it quotes.
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

// Clone returns a copy that shares nothing with d.
func (d *Document) Clone() *Document {
	c := *d
	copies := map[*yaml.Node]*yaml.Node{}
	var clone func(*yaml.Node) *yaml.Node
	clone = func(n *yaml.Node) *yaml.Node {
		if n == nil || copies[n] != nil {
			return copies[n]
		}
		fresh := *n
		copies[n] = &fresh
		fresh.Alias = clone(n.Alias)
		fresh.Content = make([]*yaml.Node, len(n.Content))
		for i, item := range n.Content {
			fresh.Content[i] = clone(item)
		}
		return &fresh
	}
	c.all = clone(d.all)
	c.root = copies[d.root]
	return &c
}

// Answers validates the document: Faults with all that is wrong, or the answers.
func (d *Document) Answers() (Answers, error) {
	if d.lines == nil { // edited: positions come from the text as it would be saved
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

// Get returns the text under a key; of a list, its elements. False when the key is absent, or still a template's placeholder.
func (d *Document) Get(key string) ([]string, bool) {
	n := d.find(key)
	if n == nil {
		return nil, false
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if isPlaceholder(n.Value) || n.ShortTag() == "!!null" {
			return nil, false
		}
		return []string{n.Value}, true
	case yaml.SequenceNode:
		values := []string{}
		for _, item := range n.Content {
			if item = resolveAlias(item); item.Kind == yaml.ScalarNode && !isPlaceholder(item.Value) {
				values = append(values, item.Value)
			}
		}
		return values, true
	}
	return nil, false
}

// Text is Get for a key that holds one text; "" when there is none.
func (d *Document) Text(key string) string {
	if values, _ := d.Get(key); len(values) == 1 {
		return values[0]
	}
	return ""
}

// Len returns how many elements the list under a key has.
func (d *Document) Len(key string) int {
	if n := d.find(key); n != nil && n.Kind == yaml.SequenceNode {
		return len(n.Content)
	}
	return 0
}

// Set puts a text under a key and makes the mappings and list elements on the way.
func (d *Document) Set(key, value string) {
	d.set(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
}

// SetList puts a list of texts under a key.
func (d *Document) SetList(key string, values []string) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, v := range values {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v})
	}
	d.set(key, list)
}

// Unset removes a key, or an element of a list; of the mappings that become empty by that, none is left.
func (d *Document) Unset(key string) {
	tokens := splitKey(key)
	for len(tokens) > 0 {
		parent := d.walk(tokens[:len(tokens)-1])
		if parent == nil {
			return
		}
		last := tokens[len(tokens)-1]
		switch parent.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(parent.Content); i += 2 {
				if parent.Content[i].Value == last {
					parent.Content = slices.Delete(parent.Content, i, i+2)
					d.lines = nil
					break
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(last); err == nil && i >= 0 && i < len(parent.Content) {
				parent.Content = slices.Delete(parent.Content, i, i+1)
				d.lines = nil
			}
		}
		if len(parent.Content) > 0 {
			return
		}
		tokens = tokens[:len(tokens)-1]
	}
}

// Bytes returns the document as YAML, Header first.
func (d *Document) Bytes() []byte {
	data, err := yaml.Dump(d.all, layout)
	if err != nil { // nodes that were loaded, or made by Set, can be dumped
		panic(fmt.Sprintf("answers: write YAML: %v", err))
	}
	if !bytes.HasPrefix(data, []byte("# yaml-language-server:")) {
		data = append([]byte(Header+"\n"), data...)
	}
	return spaced(data)
}

// layout is how YAML is written: lists indented, long lines left long.
var layout = yaml.Options(yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(-1), yaml.WithQuotePreference(yaml.QuoteDouble))

// spaced puts the blank lines back between the top keys, which the tree of nodes does not hold.
func spaced(data []byte) []byte {
	var out bytes.Buffer
	previous := ""
	for line := range strings.Lines(string(data)) {
		top := line[0] != ' ' && line[0] != '\n'
		comment := line[0] == '#'
		if top && previous != "" && previous != "\n" && previous[0] != '#' && (previous[0] == ' ' || comment) {
			out.WriteByte('\n')
		}
		out.WriteString(line)
		previous = line
	}
	return out.Bytes()
}

// Save writes the document to a file, at once or not at all, readable by its owner only.
func (d *Document) Save(path string) error { return writeFile(path, d.Bytes()) }

// Save writes answers to a file, at once or not at all, readable by its owner only. Where the file holds answers already, their
// comments and order are kept.
func (a Answers) Save(path string) error {
	a.APIVersion, a.Kind = APIVersion, Kind
	data, err := yaml.Dump(a, layout)
	if err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	fresh, err := NewDocument(path, data)
	if err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	if old, err := readFile(path); err == nil {
		if d, err := NewDocument(path, old); err == nil && !hasAliases(d.root) {
			merge(d.root, fresh.root)
			d.lines = nil
			return d.Save(path)
		}
	}
	return fresh.Save(path)
}

// merge makes old mean what fresh means and keeps what comments it can.
func merge(old, fresh *yaml.Node) {
	if old.Kind != fresh.Kind {
		head, line, foot := old.HeadComment, old.LineComment, old.FootComment
		*old = *fresh
		old.HeadComment, old.LineComment, old.FootComment = head, line, foot
		return
	}
	switch old.Kind {
	case yaml.ScalarNode:
		if old.Value != fresh.Value || old.ShortTag() != fresh.ShortTag() {
			old.Value, old.Tag, old.Style = fresh.Value, fresh.Tag, fresh.Style
		}
	case yaml.SequenceNode:
		for i, item := range fresh.Content {
			if i < len(old.Content) {
				merge(old.Content[i], item)
			} else {
				old.Content = append(old.Content, item)
			}
		}
		old.Content = old.Content[:len(fresh.Content)]
	case yaml.MappingNode:
		var kept []*yaml.Node
		for i := 0; i+1 < len(old.Content); i += 2 {
			if value := child(fresh, old.Content[i].Value); value != nil {
				merge(old.Content[i+1], value)
				kept = append(kept, old.Content[i], old.Content[i+1])
			}
		}
		for i := 0; i+1 < len(fresh.Content); i += 2 {
			if child(old, fresh.Content[i].Value) == nil {
				kept = append(kept, fresh.Content[i], fresh.Content[i+1])
			}
		}
		old.Content = kept
	}
}

func hasAliases(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAliases)
}

// writeFile replaces a file as one act: a reader sees the old or the new bytes, and a crash leaves one of them.
func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".answers-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save answers: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("save answers: %w", err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (d *Document) find(key string) *yaml.Node { return d.walk(splitKey(key)) }

func (d *Document) walk(tokens []string) *yaml.Node {
	n := d.root
	for _, t := range tokens {
		switch n.Kind {
		case yaml.MappingNode:
			n = child(n, t)
		case yaml.SequenceNode:
			i, err := strconv.Atoi(t)
			if err != nil || i < 0 || i >= len(n.Content) {
				return nil
			}
			n = n.Content[i]
		default:
			return nil
		}
		if n == nil {
			return nil
		}
		n = resolveAlias(n)
	}
	return n
}

func (d *Document) set(key string, value *yaml.Node) {
	d.lines = nil
	tokens := splitKey(key)
	n := d.root
	for i, t := range tokens {
		var next *yaml.Node
		if index, err := strconv.Atoi(t); err == nil && i > 0 {
			if n.Kind != yaml.SequenceNode {
				become(n, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
			}
			for len(n.Content) <= index {
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			}
			next = n.Content[index]
		} else {
			if n.Kind != yaml.MappingNode {
				become(n, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			}
			if next = child(n, t); next == nil {
				next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t}, next)
			}
		}
		n = next
	}
	become(n, value)
}

// become gives a node another value and keeps its comments and, of a list, its style.
func become(n, value *yaml.Node) {
	if n.Kind == value.Kind && n.Kind == yaml.SequenceNode {
		value.Style = n.Style
	}
	value.HeadComment, value.LineComment, value.FootComment = n.HeadComment, n.LineComment, n.FootComment
	*n = *value
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
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

// splitKey splits "forests[0].domains" into forests, 0 and domains.
func splitKey(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(key), ".")
}

func splitLines(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

// isPlaceholder tells a template's "<what belongs here>".
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

// isSecretKey tells whether a key, perhaps misspelt, is one that secrets are put under.
func isSecretKey(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"passw", "passphrase", "pwd", "secret", "token", "apikey", "accesskey", "privatekey"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return edits(key, "password") <= 3 || edits(key, "secret") <= 2
}

// maskLines returns lines fit to be shown: what stands under the keys of secrets, unless it is a reference, is masked, and so
// are passwords in URLs. It works on text, since a file that is no YAML has to be shown as well, and masks rather too much.
func maskLines(lines []string) []string {
	masked := make([]string, len(lines))
	within := -1  // indentation of the key whose secret goes on over several lines; -1: none
	flow := false // a flow mapping with such a secret is open: whatever follows is suspect, until a }
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " \t-"))
		first, isKey := leadingKey(line)
		if flow || within >= 0 && strings.TrimSpace(line) != "" {
			if flow || indent > within || !isKey {
				masked[i] = line[:indent] + secret.Redacted
				flow = flow && !strings.Contains(line, "}")
				continue
			}
			within = -1
		}
		at, open := secretStart(line)
		if at >= 0 {
			line = line[:at] + secret.Redacted
		}
		switch {
		case open && isKey && isSecretKey(first):
			within = indent
		case open && !closes(lines[i][max(at, 0):]):
			flow = true
		}
		masked[i] = maskURL(line)
	}
	return masked
}

// closes tells whether a value in a flow mapping ends on its line: its quotes are closed, and a } follows.
func closes(value string) bool {
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		end := strings.LastIndexByte(value[1:], value[0])
		if end < 0 {
			return false
		}
		value = value[end+2:]
	}
	return strings.Contains(value, "}")
}

func leadingKey(line string) (string, bool) {
	key, _, found := strings.Cut(strings.TrimLeft(line, " \t-"), ":")
	key = strings.Trim(key, `"' `)
	return key, found && key != "" && !strings.ContainsAny(key, " {[")
}

// secretStart finds where on a line a secret begins that is not a reference (-1: nowhere), and whether it may go on on the next line.
func secretStart(line string) (at int, open bool) {
	for from := 0; ; {
		colon := strings.IndexByte(line[from:], ':')
		if colon < 0 {
			return -1, open
		}
		colon += from
		from = colon + 1
		key := strings.TrimRight(line[:colon], " \t\"'")
		if cut := strings.LastIndexAny(key, " \t\"'{,[-?"); cut >= 0 {
			key = key[cut+1:]
		}
		if !isSecretKey(key) {
			continue
		}
		rest := strings.TrimLeft(line[from:], " \t")
		start := len(line) - len(rest)
		value := rest
		if cut := strings.IndexAny(value, ",}"); cut >= 0 {
			value = value[:cut]
		}
		if cut := strings.Index(value, " #"); cut >= 0 {
			value = value[:cut]
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if value == "" {
			open = true
			continue
		}
		if _, err := secret.Parse(value); err == nil {
			continue
		}
		return start, true
	}
}

// maskURL masks what stands before the @ of a URL.
func maskURL(s string) string {
	for from := 0; ; {
		at := strings.Index(s[from:], "://")
		if at < 0 {
			return s
		}
		from += at + 3
		host := s[from:]
		if end := strings.IndexAny(host, "/ \t\"'"); end >= 0 {
			host = host[:end]
		}
		if user := strings.LastIndexByte(host, '@'); user >= 0 {
			s = s[:from] + secret.Redacted + s[from+user:]
			from += len(secret.Redacted)
		}
	}
}
