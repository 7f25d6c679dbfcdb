package snapshot

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
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

type host struct{ Addresses []string }

func (h host) Whole() error {
	if len(h.Addresses) == 0 {
		return errors.New("a host without an address")
	}
	return nil
}

// An answer that no system gives is unknown.
func TestAnswersAreWhole(t *testing.T) {
	for _, raw := range []string{`{}`, `{"Key":true}`, `{"Chain":[null]}`} {
		var b certificate.Bundle
		if err := (&codec{}).decode(json.RawMessage(raw), reflect.ValueOf(&b).Elem()); err == nil {
			t.Errorf("%s is %+v", raw, b)
		}
	}
	var all map[string][]*x509.Certificate
	if err := (&codec{}).decode(json.RawMessage(`{"a":[null]}`), reflect.ValueOf(&all).Elem()); err == nil {
		t.Errorf("%v", all)
	}
	tape := Replay(Snapshot{Readings: []Reading{{Place: "a", System: "b", Ask: "c", Shape: shape(reflect.TypeFor[host]()),
		Answer: json.RawMessage(`{}`)}}}, nil)
	_, err := Read(t.Context(), tape, "a", "b", "c", func(context.Context) (host, error) { return host{}, nil })
	if !errors.Is(err, ErrNotHeld) {
		t.Errorf("%v", err)
	}
}
