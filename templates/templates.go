// Package templates holds the texts that hybridge is built with: answers files, causes of failures,
// scripts, pages. The program carries them compressed.
package templates

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

//go:embed texts.gz
var packed []byte

// texts is every file of answers, diagnoses, html, powershell, schemas and shell by its path.
var texts = sync.OnceValue(func() map[string]string {
	parts := strings.Split(string(Unpack(packed)), separator)
	all := make(map[string]string, len(parts)/2)
	for i := 0; i+1 < len(parts); i += 2 {
		all[parts[i]] = parts[i+1]
	}
	return all
})

// separator stands after each path and after each text of texts.gz.
const separator = "\x00"

// Read returns a file of this directory by its path, as powershell/undo.ps1.
func Read(path string) (string, error) {
	text, ok := texts()[path]
	if !ok {
		return "", fmt.Errorf("hybridge is built without templates/%s", path)
	}
	return text, nil
}

// List returns the paths of a directory of Read, sorted.
func List(directory string) []string {
	var paths []string
	for path := range texts() {
		if strings.HasPrefix(path, directory+"/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

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
