package answers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bytes returns the document as YAML: the text that was read, with what was edited since.
func (d *Document) Bytes() []byte {
	if d.source != nil {
		return append(d.mark(), d.source...)
	}
	data, err := yaml.Dump(d.all, layout())
	if err != nil { // nodes that were loaded, or made by Set, can be dumped
		panic(fmt.Sprintf("answers: write YAML: %v", err))
	}
	if !bytes.HasPrefix(data, []byte("# yaml-language-server:")) {
		data = append([]byte(Header+"\n"), data...)
	}
	return append(d.mark(), spaced(data)...)
}

func (d *Document) mark() []byte {
	if d.bom {
		return []byte(bom)
	}
	return nil
}

// layout is how YAML is written: lists indented, long lines left long. The library's options write
// to their own state when they are applied, so two writers must not share them.
func layout() yaml.Option {
	return yaml.Options(yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(-1),
		yaml.WithQuotePreference(yaml.QuoteDouble))
}

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

// Save writes answers to a file, at once or not at all, readable by its owner only. Where the file
// holds answers already, their comments and order are kept.
func (a Answers) Save(path string) error {
	a.APIVersion, a.Kind = APIVersion, Kind
	data, err := yaml.Dump(a, layout())
	if err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	fresh, err := NewDocument(path, append([]byte(Header+"\n\n"), spaced(data)...))
	if err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	if old, err := readFile(path); err == nil {
		if d, err := NewDocument(path, old); err == nil && !hasAliases(d.root) {
			merge(d.root, fresh.root)
			d.edited()
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

// writeFile replaces a file as one act: a reader sees the old or the new bytes, and a crash leaves
// one of them.
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
