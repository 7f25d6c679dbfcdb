package templates

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the compressed files anew")

// The program carries these files compressed. The plain files beside them are for readers and for
// the differences of a change.
func TestPacked(t *testing.T) {
	for packed, plain := range map[string]func() ([]byte, error){
		"texts.gz":                                 allTexts,
		"notices.txt.gz":                           file("notices.txt"),
		"languages/it.po.gz":                       file("languages/it.po"),
		"languages/zh-Hans.po.gz":                  file("languages/zh-Hans.po"),
		"../pkg/estate/exchange/catalogue.json.gz": file("../pkg/estate/exchange/catalogue.json"),
		"../pkg/hybrid/snapshot/words.txt.gz":      file("../pkg/hybrid/snapshot/words.txt"),
		"../pkg/config/answers/schema.json.gz":     file("../pkg/config/answers/schema.json"),
		"../pkg/lab/workmail/model.json.gz":        file("../pkg/lab/workmail/model.json"),
		"../pkg/lab/organization/nouns.txt.gz":     file("../pkg/lab/organization/nouns.txt"),
	} {
		want, err := plain()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.FromSlash(packed)
		if data, err := os.ReadFile(path); err == nil {
			if have, err := unpack(data); err == nil && bytes.Equal(have, want) {
				continue
			}
		}
		if !*update {
			t.Errorf("%s is not what it is made of; run: go test ./templates -update", packed)
			continue
		}
		if err := pack(path, want); err != nil {
			t.Fatal(err)
		}
	}
}

func file(path string) func() ([]byte, error) {
	return func() ([]byte, error) {
		data, err := os.ReadFile(filepath.FromSlash(path))
		return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), err
	}
}

// allTexts is the content of texts.gz.
func allTexts() ([]byte, error) {
	var b bytes.Buffer
	for _, directory := range []string{"answers", "diagnoses", "html", "powershell", "schemas", "shell"} {
		err := fs.WalkDir(os.DirFS("."), directory, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := file(path)()
			b.WriteString(path + separator + string(data) + separator)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func pack(path string, plain []byte) error {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// A path that is not there is an error that names it.
func TestRead(t *testing.T) {
	for _, path := range List("diagnoses") {
		if text, err := Read(path); err != nil || text == "" {
			t.Errorf("%s: %d bytes, %v", path, len(text), err)
		}
	}
	if len(List("diagnoses")) == 0 {
		t.Error("no causes")
	}
	if _, err := Read("schemas/none.json"); err == nil {
		t.Error("schemas/none.json is no error")
	}
}
