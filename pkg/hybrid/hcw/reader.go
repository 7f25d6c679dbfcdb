package hcw

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decoded returns a text file in UTF-8, without a byte order mark. Windows PowerShell and Notepad
// write UTF-16. A file without a mark counts as UTF-16 when its second or first byte is zero.
func Decoded(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 64<<10)
	start, _ := b.Peek(3)
	has := func(mark string) bool { return strings.HasPrefix(string(start), mark) }
	switch {
	case has("\xef\xbb\xbf"):
		_, _ = b.Discard(3)
		return b
	case has("\xff\xfe"):
		_, _ = b.Discard(2)
		return &wide{in: b, low: 0}
	case has("\xfe\xff"):
		_, _ = b.Discard(2)
		return &wide{in: b, low: 1}
	case len(start) >= 2 && start[0] != 0 && start[1] == 0:
		return &wide{in: b, low: 0}
	case len(start) >= 2 && start[0] == 0 && start[1] != 0:
		return &wide{in: b, low: 1}
	}
	return b
}

// wide reads UTF-16. A last half of a character is dropped: the file was cut there.
type wide struct {
	in   *bufio.Reader
	low  int // where the low byte of a unit is
	left []byte
	high rune // the first half of a surrogate pair
}

func (w *wide) unit() (rune, error) {
	var two [2]byte
	if _, err := io.ReadFull(w.in, two[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return 0, err
	}
	return rune(two[w.low]) | rune(two[1-w.low])<<8, nil
}

// Read fills p with whole characters as far as there are any.
func (w *wide) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(w.left) > 0 {
			k := copy(p[n:], w.left)
			n, w.left = n+k, w.left[k:]
			continue
		}
		u, err := w.unit()
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		if high := w.high; high != 0 {
			w.high = 0
			if r := utf16.DecodeRune(high, u); r != utf8.RuneError {
				w.left = utf8.AppendRune(nil, r)
				continue
			}
			w.left = utf8.AppendRune(nil, utf8.RuneError)
		}
		switch {
		case utf16.IsSurrogate(u) && u < 0xdc00:
			w.high = u
		default:
			w.left = utf8.AppendRune(w.left, u) // a lone second half becomes U+FFFD
		}
	}
	return n, nil
}

// maxLine is how much of a line is kept. Bodies of HTTP answers are longer.
const maxLine = 64 << 10

// lines reads lines of any length and keeps the beginning of those that are too long.
type lines struct {
	in  *bufio.Reader
	cut int // lines of which only the beginning was kept
}

func (l *lines) next() (string, error) {
	var line []byte
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		room := min(len(part), maxLine-len(line))
		long = long || room < len(part)
		line = append(line, part[:room]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
			return "", err
		}
		if long {
			l.cut++
		}
		return strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD"), nil
	}
}
