package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Allowed asks for the list of cmdlets that the caller's roles hold. It is fetched once. The
// service does not list parameters.
func (s *AdminAPI) Allowed(ctx context.Context, cmdlets ...string) (map[string]Allowance, error) {
	s.mu.Lock()
	known := s.allowed
	s.mu.Unlock()
	if known == nil {
		const what = "list the caller's cmdlets"
		text, err := s.send(ctx, what, true, func(ctx context.Context, tenant string) (*http.Request, error) {
			address := s.base.JoinPath("adminapi", "v1.0", tenant, "EXOModuleFile")
			address.RawQuery = "Version=" + moduleVersion
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
			if err == nil {
				r.Header.Set("CommandName", "*")
			}
			return r, err
		})
		if err != nil {
			return nil, at(s.place(), err)
		}
		names, err := exportedCmdlets(text)
		if err != nil {
			return nil, at(s.place(), fmt.Errorf("%s: %w", what, err))
		}
		known = make(map[string]Allowance, len(names))
		for _, n := range names {
			known[strings.ToLower(n)] = Allowance{}
		}
		s.mu.Lock()
		s.allowed = known
		s.mu.Unlock()
	}
	out := map[string]Allowance{}
	for _, c := range cmdlets {
		if a, ok := known[strings.ToLower(c)]; ok {
			out[c] = a
		}
	}
	return out, nil
}

// exportedCmdlets reads value.exportedCmdlets: names with commas between them, in an object or a
// list of one.
func exportedCmdlets(text []byte) ([]string, error) {
	type file struct {
		Exported json.RawMessage `json:"exportedCmdlets"`
	}
	var answer struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("the answer is not the JSON that is expected: %w", err)
	}
	var files []file
	if json.Unmarshal(answer.Value, &files) != nil {
		var one file
		if err := json.Unmarshal(answer.Value, &one); err != nil {
			return nil, errors.New("the answer has no value")
		}
		files = []file{one}
	}
	var names []string
	found := false
	for _, f := range files {
		var list []string
		var joined string
		switch {
		case json.Unmarshal(f.Exported, &joined) == nil:
			list = strings.Split(joined, ",")
		case json.Unmarshal(f.Exported, &list) != nil:
			continue
		}
		found = true
		for _, n := range list {
			if n = strings.TrimSpace(n); n != "" {
				names = append(names, n)
			}
		}
	}
	if !found {
		return nil, errors.New("the answer names no cmdlets")
	}
	return names, nil
}
