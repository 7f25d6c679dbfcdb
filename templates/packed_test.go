package templates

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the compressed files anew")

// The program carries these files compressed. The plain file beside each is for readers and for the
// differences of a change.
func TestPacked(t *testing.T) {
	for _, file := range []string{"notices.txt", filepath.Join("..", "pkg", "estate", "exchange", "catalogue.json"),
		filepath.Join("languages", "it.po"), filepath.Join("languages", "zh-Hans.po"),
		filepath.Join("..", "pkg", "hybrid", "snapshot", "words.txt"),
		filepath.Join("..", "pkg", "lab", "workmail", "model.json")} {
		plain, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plain = bytes.ReplaceAll(plain, []byte("\r\n"), []byte("\n"))
		packed, err := os.ReadFile(file + ".gz")
		if err == nil {
			if have, err := unpack(packed); err == nil && bytes.Equal(have, plain) {
				continue
			}
		}
		if !*update {
			t.Errorf("%s.gz is not %s; run: go test ./templates -update", file, file)
			continue
		}
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".gz", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
