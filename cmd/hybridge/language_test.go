package main

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// A person's flag decides, then the environment, where its characters can be shown.
func TestLanguageOfOutput(t *testing.T) {
	for _, test := range []struct {
		flag string
		env  map[string]string
		want string
	}{
		{"", nil, "1 of 2"},
		{"", map[string]string{"LANG": "it_IT.UTF-8"}, "1 di 2"},
		{"", map[string]string{"LANG": "it_IT"}, "1 of 2"},
		{"", map[string]string{"LC_ALL": "zh_CN.UTF-8", "LANG": "it_IT.UTF-8"}, "1/2"},
		{"en", map[string]string{"LANG": "it_IT.UTF-8"}, "1 of 2"},
		{"zh-Hans", nil, "1/2"},
		{"it_IT", nil, "1 di 2"},
	} {
		g := &globals{language: test.flag}
		s := streams{Env: func(name string) string { return test.env[name] }}
		text, got := msg.Of("%d of %d", 1, 2), ""
		if p := g.look(s, false).Language; p != nil {
			got = text.In(p)
		} else {
			got = text.String()
		}
		if got != test.want {
			t.Errorf("--language %q, %v: %q, want %q", test.flag, test.env, got, test.want)
		}
	}
}
