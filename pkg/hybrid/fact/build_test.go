package fact

import "testing"

func TestParseBuild(t *testing.T) {
	for in, want := range map[string]string{
		"Version 15.2 (Build 2562.17)":  "15.2.2562.17",
		"Version 15.2 (Build 32562.17)": "15.2.2562.17",
		"15.1.2507.72":                  "15.1.2507.72",
		"15.2":                          "",
		"Version 15.2 (Build x.17)":     "",
		"":                              "",
	} {
		b, err := ParseBuild(in)
		if want == "" && err == nil || want != "" && (err != nil || b.String() != want) {
			t.Errorf("ParseBuild(%q) = %v, %v; want %s", in, b, err, want)
		}
	}
}

func FuzzParseBuild(f *testing.F) {
	f.Add("Version 15.2 (Build 2562.17)")
	f.Add("15.2.2562.17")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBuild(s)
		if err != nil {
			return
		}
		if again, err := ParseBuild(b.String()); err != nil || again != b {
			t.Errorf("%q reads as %v, which reads as %v, %v", s, b, again, err)
		}
	})
}
