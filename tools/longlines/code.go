package main

import (
	"go/format"
	"go/scanner"
	"go/token"
	"strings"
)

// literals are the lines that a text of several lines covers, where neither code nor comment may be cut.
func literals(src string) map[int]bool {
	lines := map[int]bool{}
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, []byte(src), nil, scanner.ScanComments)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return lines
		}
		if n := strings.Count(text, "\n"); n > 0 && (tok == token.STRING || strings.HasPrefix(text, "/*")) {
			for i := range n + 1 {
				lines[file.Line(pos)+i] = true
			}
		}
	}
}

// shortened breaks long lines of code as a person would: at a comma or an operator of the outermost brackets, as far to
// the right as fits. Comments behind code that is too long stand above it. The result is formatted; a file that does not
// parse after that comes back as it was.
func shortened(src string) string {
	lines := strings.Split(src, "\n")
	var out []string
	literal := literals(src)
	for i, line := range lines {
		if literal[i+1] || strings.HasPrefix(strings.TrimSpace(line), "//") || width(line) <= codeWidth {
			out = append(out, line)
			continue
		}
		out = append(out, broken(line)...)
	}
	text, err := format.Source([]byte(strings.Join(out, "\n")))
	if err != nil {
		return src
	}
	return string(text)
}

// broken cuts one line.
func broken(line string) []string {
	indent := line[:len(line)-len(strings.TrimLeft(line, "\t"))]
	code, comment := splitComment(line)
	if comment != "" && !strings.HasPrefix(comment, "//nolint") {
		return append([]string{indent + comment}, broken(code)...)
	}
	if width(line) <= codeWidth {
		return []string{line}
	}
	at := bestBreak(line, len(indent))
	if at < 0 {
		if first, second, ok := splitText(line); ok {
			return append([]string{first}, continued(indent+"\t"+second)...)
		}
		return []string{line}
	}
	rest := indent + "\t" + strings.TrimLeft(line[at:], " ")
	return append([]string{strings.TrimRight(line[:at], " ")}, continued(rest)...)
}

// continued cuts what follows a first break; it keeps its indentation.
func continued(line string) []string {
	if width(line) <= codeWidth {
		return []string{line}
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, "\t"))]
	at := bestBreak(line, len(indent))
	if at < 0 {
		if first, second, ok := splitText(line); ok {
			return append([]string{first}, continued(indent+second)...)
		}
		return []string{line}
	}
	return append([]string{strings.TrimRight(line[:at], " ")}, continued(indent+strings.TrimLeft(line[at:], " "))...)
}

// splitComment takes the comment behind code off.
func splitComment(line string) (code, comment string) {
	end := len(line)
	scan(line, func(i int, _ int) {
		if end == len(line) && strings.HasPrefix(line[i:], "//") {
			end = i
		}
	})
	return strings.TrimRight(line[:end], " \t"), line[end:]
}

// scan calls f for each byte outside of strings and runes, with the depth of brackets before it.
func scan(line string, f func(i, depth int)) {
	depth := 0
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
			continue
		case c == '"' || c == '\'' || c == '`':
			quote = c
			continue
		}
		f(i, depth)
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
	}
}

// bestBreak is where to cut a line: behind a comma or an operator, with the fewest brackets open, as far right as fits.
func bestBreak(line string, from int) int {
	best, bestRank := -1, 1<<30
	within := strings.HasSuffix(line, ",") // the line is a part of a list that began before it
	scan(line, func(_, depth int) { within = within || depth < 0 })
	scan(line, func(i, depth int) {
		n := 0
		rank := depth * 2
		switch {
		case strings.HasPrefix(line[i:], ", "):
			n = 1
			if depth == 0 && !within {
				rank = 100 // of an assignment or a return: the last resort
			}
		case strings.HasPrefix(line[i:], " && "), strings.HasPrefix(line[i:], " || "):
			n = 3
		case strings.HasPrefix(line[i:], " + "):
			n, rank = 2, rank+1
		case line[i] == '+' && !strings.HasPrefix(line[i:], "++") && !strings.HasPrefix(line[i:], "+="):
			n, rank = 1, rank+1
		default:
			return
		}
		at := i + n
		if w := width(line[:at]); w > codeWidth || w < width(line[:from])+30 {
			return
		}
		if rank <= bestRank {
			best, bestRank = at, rank
		}
	})
	return best
}

// splitText cuts the text in double quotes that reaches beyond the limit, behind a blank.
func splitText(line string) (first, second string, ok bool) {
	start := textAcross(line)
	for i := len(line) - 1; start >= 0 && i > start+20; i-- {
		if line[i] == ' ' && width(line[:i]) <= codeWidth-4 {
			return line[:i+1] + `" +`, `"` + line[i+1:], true
		}
	}
	return "", "", false
}

// textAcross is where the text in double quotes begins that the limit falls into; -1 when there is none.
func textAcross(line string) int {
	start := -1
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case start >= 0 && c == '\\':
			i++
		case start >= 0 && c == '"':
			start = -1
		case start >= 0:
		case c == '"':
			start = i
		case c == '`' || c == '\'': // a raw text or a rune
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				return -1
			}
			i += end + 1
		}
		if width(line[:min(i+1, len(line))]) > codeWidth-4 {
			return start
		}
	}
	return -1
}
