// Longlines lists lines of Go code beyond column 120 and comments beyond column 100, a tab counting four columns.
//
//	go run ./longlines [-fix] [-summary] DIRECTORY...
//
// With -fix, comments are wrapped anew (paragraphs that hold a long line, never lists, indented text or directives), and
// code is cut at a comma or an operator. What stays is a text that is too long by itself.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	codeWidth    = 120
	commentWidth = 100
	tabWidth     = 4
)

func main() {
	fix := flag.Bool("fix", false, "wrap long comments anew")
	summary := flag.Bool("summary", false, "print a count for each file instead of the lines")
	flag.Parse()
	total := 0
	for _, root := range flag.Args() {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root && d.Name() != "..") {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") {
				return nil
			}
			n, err := file(path, *fix, !*summary)
			if *summary && n > 0 {
				fmt.Printf("%5d %s\n", n, path)
			}
			total += n
			return err
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(2)
		}
	}
	if total > 0 {
		fmt.Fprintf(os.Stderr, "%d lines are too long\n", total)
		os.Exit(1)
	}
}

// file treats one file and returns how many lines are too long after that.
func file(path string, fix, list bool) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(string(data), "\n")
	if fix {
		lines = strings.Split(shortened(strings.Join(lines, "\n")), "\n")
		lines = wrapped(lines)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			return 0, err
		}
	}
	n := 0
	for i, line := range lines {
		if limit := limitOf(line); width(line) > limit {
			n++
			if list {
				fmt.Printf("%s:%d: %d columns, %d are allowed\n", path, i+1, width(line), limit)
			}
		}
	}
	return n, nil
}

func width(s string) int {
	return utf8.RuneCountInString(s) + (tabWidth-1)*strings.Count(s, "\t")
}

func limitOf(line string) int {
	if strings.HasPrefix(strings.TrimSpace(line), "//") {
		return commentWidth
	}
	return codeWidth
}

// prose reports whether a line is a comment that may be wrapped, and takes it apart.
func prose(line string) (indent, text string, ok bool) {
	text = strings.TrimLeft(line, "\t")
	indent = line[:len(line)-len(text)]
	text, ok = strings.CutPrefix(text, "// ")
	if !ok || text == "" || strings.ContainsAny(text[:1], " \t-*#|") || strings.HasPrefix(text, "Output:") {
		return indent, text, false
	}
	return indent, text, true
}

// wrapped wraps every paragraph of comments in which a line is too long.
func wrapped(lines []string) []string {
	var out []string
	literal := literals(strings.Join(lines, "\n"))
	for i := 0; i < len(lines); {
		indent, _, ok := prose(lines[i])
		if !ok || literal[i+1] {
			out = append(out, lines[i])
			i++
			continue
		}
		end, long, words := i, false, []string(nil)
		for ; end < len(lines); end++ {
			in, more, ok := prose(lines[end])
			if !ok || in != indent {
				break
			}
			long = long || width(lines[end]) > commentWidth
			words = append(words, strings.Fields(more)...)

		}
		if !long {
			out = append(out, lines[i:end]...)
			i = end
			continue
		}
		line := indent + "//"
		for _, w := range words {
			if width(line)+1+width(w) > commentWidth && strings.TrimSpace(line) != "//" {
				out = append(out, line)
				line = indent + "//"
			}
			line += " " + w
		}
		out = append(out, line)
		i = end
	}
	return out
}
