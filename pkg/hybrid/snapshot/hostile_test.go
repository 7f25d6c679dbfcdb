package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A snapshot that was made to take long, or much memory, is refused at once.
func TestDeepSnapshots(t *testing.T) {
	leaf := `"` + strings.Repeat("x", 1<<20) + `"`
	const n = 3000
	for name, reading := range map[string]string{
		"lists":   `"answer":` + strings.Repeat("[", n) + leaf + strings.Repeat("]", n),
		"objects": `"answer":` + strings.Repeat(`{"$text":"x","a":`, n) + leaf + strings.Repeat("}", n),
		"errors": `"error":{"text":"x","as":[{"type":"host","value":` +
			strings.Repeat(`{"Host":"h","Err":{"text":"x","as":[{"type":"host","value":`, n/3) + leaf +
			strings.Repeat(`}]}}`, n/3) + `}]}`,
	} {
		began := time.Now()
		_, err := Decode(strings.NewReader(fmt.Sprintf(`{"apiVersion":"hybridge/v1","kind":"Snapshot",`+
			`"takenAt":"2026-11-27T00:00:00Z","answers":%s,"readings":[{"place":"a","system":"b","ask":"c","shape":"d",%s}]}`,
			answersOf("contoso.com"), reading)))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
	for _, fine := range []string{`{"a":"[[[[\"{{{{"}`, `[]`, strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)} {
		if deep([]byte(fine)) {
			t.Errorf("%s is not deep", fine)
		}
	}
}
