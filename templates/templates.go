// Package templates holds the texts that hybridge is built with: answers files, scripts, pages.
package templates

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
)

// Answers holds the answers file of every scenario as answers/SCENARIO.yaml.
//
//go:embed answers/*.yaml
var Answers embed.FS

// Diagnoses holds the causes of failures as diagnoses/TOPIC.yaml.
//
//go:embed diagnoses/*.yaml
var Diagnoses embed.FS

// Schemas holds the JSON Schema of every document that machines read as schemas/NAME.json.
//
//go:embed schemas/*.json
var Schemas embed.FS

// PowerShell holds the parts of generated scripts as powershell/NAME.
//
//go:embed powershell/*
var PowerShell embed.FS

// Shell holds the parts of generated shell scripts as shell/NAME.
//
//go:embed shell/*
var Shell embed.FS

// HTML holds the style sheet and the script of HTML reports as html/NAME.
//
//go:embed html/*
var HTML embed.FS

//go:embed notices.txt.gz
var notices []byte

// Notices returns the licenses of all that a binary contains; hybridge version --notices prints
// them.
func Notices() string { return string(Unpack(notices)) }

//go:embed languages/*.po.gz
var languages embed.FS

// Language returns the catalogue languages/NAME.po; nil when there is none.
func Language(name string) []byte {
	packed, err := languages.ReadFile("languages/" + name + ".po.gz")
	if err != nil {
		return nil
	}
	return Unpack(packed)
}

// Unpack returns a text that the program carries compressed by gzip. TestPacked compares it with
// the plain file beside it.
func Unpack(packed []byte) []byte {
	plain, err := unpack(packed)
	if err != nil {
		panic("templates: " + err.Error()) // part of the program
	}
	return plain
}

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
