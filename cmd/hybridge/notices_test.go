package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/templates"
)

// targets are the systems that a release is built for; see the Makefile.
var targets = []string{"windows/amd64", "windows/arm64", "linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}

// module is one module that a binary contains.
type module struct {
	path, version, dir string
	packages           map[string]bool // folders
}

// TestNotices compares templates/notices.txt with what the six binaries are built from. -update
// writes it.
func TestNotices(t *testing.T) {
	want := notices(t, linkedModules(t))
	file := filepath.Join(top, "templates", "notices.txt")
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := templates.Notices(); got != want {
		t.Errorf("%s does not list what the binaries are built from; run: make docs", file)
	}
	if strings.Count(want, "\n  ") < 40 {
		t.Error("fewer than 40 modules: is this test looking?")
	}
}

// linkedModules lists the modules of all targets.
func linkedModules(t *testing.T) []*module {
	t.Helper()
	var mu sync.Mutex
	found := map[string]*module{}
	var group errgroup.Group
	group.SetLimit(2)
	for _, target := range targets {
		group.Go(func() error {
			system, processor, _ := strings.Cut(target, "/")
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Dir,Module", ".")
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+processor)
			out, err := cmd.Output()
			if err != nil {
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					err = fmt.Errorf("%w: %s", err, exit.Stderr)
				}
				return fmt.Errorf("%s: %w", target, err)
			}
			for d := json.NewDecoder(bytes.NewReader(out)); ; {
				var p struct {
					Dir    string
					Module *struct {
						Path, Version, Dir string
						Main               bool
					}
				}
				if err := d.Decode(&p); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				if p.Module == nil || p.Module.Main {
					continue
				}
				mu.Lock()
				m := found[p.Module.Path]
				if m == nil {
					m = &module{p.Module.Path, p.Module.Version, p.Module.Dir, map[string]bool{}}
					found[m.path] = m
				}
				m.packages[p.Dir] = true
				mu.Unlock()
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *module) int { return cmp.Compare(a.path, b.path) })
}

// readme are modules without a license file. Their README states the license.
var readme = map[string]string{"github.com/mattn/go-localereader": "MIT"}

var licenseName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([.-].*)?$`)

// files are the texts that come with a module: those of its root and of the folders above the
// packages that are linked.
func (m *module) files() (texts []string, err error) {
	folders := map[string]bool{}
	for dir := range m.packages {
		for ; len(dir) >= len(m.dir); dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type()&fs.ModeType != 0 || !licenseName.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				return nil, err
			}
			texts = append(texts, plainText(text))
		}
	}
	return texts, nil
}

// plainText is a license without carriage returns, tabs and blanks at the end of lines.
func plainText(text []byte) string {
	var out []string
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\f", "", "\t", "    ", "\ufeff", "").
		Replace(strings.ToValidUTF8(string(text), "?"))) {
		out = append(out, strings.TrimRight(line, " \n"))
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

// licenses are those whose terms the release follows, by words of their text. A text of none of
// them fails the test.
var licenses = []struct{ name, words string }{
	{"MPL-2.0", "Mozilla Public License"}, {"Apache-2.0", "Apache License"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD", "Redistribution and use in source and binary forms"},
	{"ISC", "Permission to use, copy, modify, and/or distribute"},
}

func licenseOf(text string) string {
	flat := strings.Join(strings.Fields(text), " ")
	for _, l := range licenses {
		if strings.Contains(flat, l.words) {
			return l.name
		}
	}
	return ""
}

// notices is the text of templates/notices.txt: what is linked, then every license once.
func notices(t *testing.T, modules []*module) string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goLicense, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("hybridge is built from these works of others. Their licenses follow. The source of each module, " +
		"in the\n" +
		"version that is used, is at the address beside it.\n\n")
	type text struct {
		body string
		of   []string
	}
	var texts []*text
	at := map[[32]byte]*text{}
	add := func(of, body string) {
		sum := sha256.Sum256([]byte(body))
		if at[sum] == nil {
			at[sum] = &text{body: body}
			texts = append(texts, at[sum])
		}
		at[sum].of = append(at[sum].of, of)
	}
	row := func(name, license, source string) { fmt.Fprintf(&b, "  %s  %s  %s\n", name, license, source) }
	row("The Go standard library and runtime", "BSD", "https://go.dev/dl/")
	add("Go", plainText(goLicense))
	for _, m := range modules {
		files, err := m.files()
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, body := range files {
			add(m.path, body)
			if kind := licenseOf(body); kind != "" && !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
		if stated := readme[m.path]; stated != "" && len(files) == 0 {
			body, err := os.ReadFile(filepath.Join(m.dir, "README.md"))
			if err != nil || !strings.Contains(string(body), stated) {
				t.Errorf("%s: its README does not state %s, %v", m.path, stated, err)
			}
			add(m.path, plainText(body))
			kinds = []string{stated}
		}
		if len(kinds) == 0 {
			t.Errorf("%s has no license that a release may rely on", m.path)
		}
		row(m.path+" "+m.version, strings.Join(kinds, ", "), "https://pkg.go.dev/"+m.path+"@"+m.version)
	}
	// Data within golang.org/x/net/publicsuffix.
	row("The Public Suffix List", "MPL-2.0", "https://publicsuffix.org/list/public_suffix_list.dat")
	for _, l := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 100), strings.Join(l.of, "\n"), l.body)
	}
	return b.String()
}

// Modules under MPL-2.0 name where their source is.
func TestNoticesPointAtTheSource(t *testing.T) {
	for _, want := range []string{
		"github.com/hashicorp/go-uuid v1.", "https://pkg.go.dev/github.com/hashicorp/go-uuid@v1.",
		"Mozilla Public License, version 2.0", "https://publicsuffix.org/list/",
	} {
		if !strings.Contains(strings.Join(strings.Fields(templates.Notices()), " "), want) {
			t.Errorf("the notices lack %q", want)
		}
	}
}
