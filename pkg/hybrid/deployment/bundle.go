package deployment

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
)

// Enclosure is one file of a support bundle.
type Enclosure struct {
	Name  string
	About string
	Data  []byte
}

// Bundle is what support needs, without names: the redacted snapshot, what check and plan say of it,
// and other files in which the same names are replaced. What has the form of a key or token is taken
// out of them.
func Bundle(ctx context.Context, s Snapshot, others []Enclosure, o Options,
	took map[string]time.Duration) ([]Enclosure, Names, error) {
	redacted, names, err := Redact(s)
	if err != nil {
		return nil, names, err
	}
	out := []Enclosure{{"snapshot.json", "what was read, with other names", redacted.Encode()}}
	started := time.Now()
	documents, err := reportsOf(ctx, redacted, o)
	if err != nil {
		return nil, names, err
	}
	took["check and plan"] = time.Since(started)
	out = append(out, documents...)
	var requests []string
	for _, at := range s.Readings {
		if at.Error != nil {
			requests = append(requests, requestIDs(at.Error.Text)...)
		}
	}
	for _, e := range others {
		requests = append(requests, requestIDs(string(e.Data))...)
		e.Data = names.File(snapshot.Clean(e.Data))
		e.Name = string(names.File([]byte(e.Name)))
		out = append(out, e)
	}
	slices.Sort(requests)
	requests = slices.Compact(requests)
	timings, err := timed(took)
	if err != nil {
		return nil, names, err
	}
	return append(out,
		Enclosure{"request-ids.txt", "ids of failed requests, by which Microsoft and AWS find them",
			[]byte(strings.Join(requests, "\n") + "\n")},
		Enclosure{"timings.json", "how long each part took, in milliseconds", timings}), names, nil
}

// reportsOf makes the reports of a redacted snapshot. Nothing is contacted for them.
func reportsOf(ctx context.Context, s Snapshot, o Options) ([]Enclosure, error) {
	a, err := s.Deployment()
	if err != nil {
		return nil, err
	}
	d, err := Open(a, Options{Version: o.Version, Snapshot: &s})
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close(ctx) }()
	silent := observe.Func(func(observe.Event) {})
	checks, err := d.Check(ctx, silent)
	if err != nil {
		return nil, err
	}
	raw, err := report.Compact(checks)
	if err != nil {
		return nil, err
	}
	out := []Enclosure{{"check.json", "what the checks say", raw}}
	plan, err := d.Plan(ctx, silent)
	if err != nil { // what cannot be planned is said in its place
		return append(out, Enclosure{"plan.txt", "why there is no plan", []byte(err.Error() + "\n")}), ctx.Err()
	}
	return append(out, Enclosure{"plan.json", "what would change", plan.Encode()}), nil
}

func timed(took map[string]time.Duration) ([]byte, error) {
	ms := map[string]int64{}
	for what, d := range took {
		ms[what] = d.Milliseconds()
	}
	return json.MarshalIndent(ms, "", "  ")
}

// requestID finds the id that a service gave a request.
var requestID = regexp.MustCompile(`(?i)request[- ]?id[ "':=]{1,4}([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`)

// requestIDs are the ids of requests that a text names. They say nothing of the organization.
func requestIDs(text string) (out []string) {
	for _, m := range requestID.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.ToLower(m[1]))
	}
	return out
}

// WriteBundle writes the files as a zip. The same files give the same bytes.
func WriteBundle(w io.Writer, files []Enclosure) error {
	z := zip.NewWriter(w)
	first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) // a zip has no date before it, and none is no date
	for _, f := range files {
		in, err := z.CreateHeader(&zip.FileHeader{Name: path.Clean(f.Name), Method: zip.Deflate, Modified: first})
		if err != nil {
			return err
		}
		if _, err := io.Copy(in, bytes.NewReader(f.Data)); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return z.Close()
}
