package hcw

import (
	"strings"
	"time"
)

// Level is how bad the wizard takes what a line says.
type Level int

// The levels.
const (
	Information Level = iota
	Warning
	Error
)

// Line is one line of the wizard's log with the lines that continue it:
//
//	2024.01.31 20:44:19.769 *ERROR* 10241 [Client=UX, Page=Configuring, Thread=10] Workflow Exception: ...
type Line struct {
	// The clock of the computer that the wizard ran on. A log names no zone.
	At    time.Time
	Level Level
	// Event is the number of the event: 10276 begins a cmdlet, 10277 ends it.
	Event string
	Keys  map[string]string
	Text  string
}

const stamp = "2006.01.02 15:04:05.000"

// ParseLine reads a line of the log; false for one that continues another, or is of no log of the
// wizard.
func ParseLine(s string) (Line, bool) {
	if len(s) < len(stamp)+1 || s[4] != '.' || s[len(stamp)] != ' ' && s[len(stamp)] != '\t' {
		return Line{}, false
	}
	at, err := time.Parse(stamp, s[:len(stamp)])
	if err != nil {
		return Line{}, false
	}
	l := Line{At: at}
	rest := strings.TrimLeft(s[len(stamp):], " \t")
	// The stars are lost where a log went through Markdown.
	for _, level := range []struct {
		word string
		is   Level
	}{{"*ERROR*", Error}, {"ERROR ", Error}, {"*WARNING*", Warning}, {"WARNING ", Warning}} {
		if after, ok := strings.CutPrefix(rest, level.word); ok {
			l.Level, rest = level.is, strings.TrimLeft(after, " \t")
			break
		}
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits >= 4 && digits <= 6 {
		l.Event, rest = rest[:digits], strings.TrimLeft(rest[digits:], " \t")
	}
	l.Text = rest
	if !strings.HasPrefix(rest, "[") {
		return l, true
	}
	end := strings.Index(rest, "] ")
	if end < 0 && strings.HasSuffix(rest, "]") {
		end = len(rest) - 1
	}
	if end < 0 {
		return l, true
	}
	l.Keys = map[string]string{}
	for pair := range strings.SplitSeq(rest[1:end], ", ") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			l.Keys[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	l.Text = strings.TrimLeft(rest[end+1:], " ")
	return l, true
}
