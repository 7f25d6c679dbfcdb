package deployment

import (
	"path/filepath"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// The certificates in files end when their files say; nobody is asked for a password.
func TestCertificateEnds(t *testing.T) {
	d := open(t)
	ends := CertificateEnds(t.Context(), d.answers, d.options.Dir)
	if len(ends) == 0 {
		t.Fatal("the lab has certificate files, and none is listed")
	}
	for _, e := range ends {
		if e.From.Before(d.now()) || e.Last != e.From.Format("2006-01-02") || e.What == "" {
			t.Errorf("%+v", e)
		}
	}
	a := d.answers
	a.ExchangeOnline = nil
	a.Forests = []answers.Forest{
		{Name: "asks", Certificate: &answers.Certificate{PFX: d.answers.Forests[0].Certificate.PFX, Password: "prompt"}},
		{Name: "gone", Certificate: &answers.Certificate{PFX: filepath.Join(t.TempDir(), "gone.pfx")}},
		{Name: "none"},
	}
	if got := CertificateEnds(t.Context(), a, d.options.Dir); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
