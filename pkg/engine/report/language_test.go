package report_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// german is what a translator writes: the English format is the key.
var german = map[string]string{
	// pkg/engine/report
	"PASS": "OK", "OK": "OK", "DONE": "FERTIG", "WARN": "WARN", "PEND": "OFFEN", "FAIL": "FEHLER", "SKIP": "ENTF",
	"ERR": "UNKL", "ACK": "BEK", "and %s more": "und %s weitere",
	"%s more finding does not fit a ticket: see the report in another format": "%s weiterer Befund passt nicht in " +
		"ein Ticket: er steht im Bericht in einem anderen Format",
	"%s more findings do not fit a ticket: see the report in another format": "%s weitere Befunde passen nicht in " +
		"ein Ticket: sie stehen im Bericht in einem anderen Format",
	"create": "anlegen", "change": "ändern", "replace: remove, then create": "ersetzen: entfernen, dann neu anlegen",
	"remove":  "entfernen",
	"%d kept": "%d bleiben", "by %s": "über %s", "%s sees %s": "%s sieht %s", "%s writes to %s": "%s schreibt an %s",
	"place": "Ort", "all places": "alle Orte", "search": "suchen", "property": "Eigenschaft",
	"%s (broken here)":                      "%s (hier unterbrochen)",
	"not checked":                           "nicht geprüft",
	"%s: %s recipients read, %s per second": "%s: %s Empfänger gelesen, %s je Sekunde",
	"%s: %s of about %s recipients read, %s per second, about %s left": "%s: %s von etwa %s Empfängern gelesen, %s " +
		"je Sekunde, noch etwa %s",
	"before": "vorher", "after": "nachher",
	"status": "Status", "direction": "Richtung", "lookup": "Abfrage", "by": "über", "time": "Zeit",
	"%s: waiting for the first answer": "%s: wartet auf die erste Antwort",
	"waiting until %s: %s: %s":         "warte bis %s: %s: %s", "warning:": "Warnung:", "[%d/%d] %s: %s": "[%d/%d] %s: %s",
	"%s: %s": "%s: %s", "%s %s.": "%s %s.", ", ": ", ",
	"since": "seit", "%d more are not shown": "%d weitere sind nicht gezeigt",
	" ... (%d bytes more)": " ... (%d Bytes mehr)",
	// pkg/engine/check
	"Prerequisites": "Voraussetzungen", "Checks:": "Prüfungen:", "%d passed": "%d bestanden",
	"%d with a warning": "%d mit Warnung", "%d failed": "%d fehlgeschlagen",
	"%d skipped": "%d ausgelassen", "%d could not be checked": "%d nicht einsehbar", "fix": "Abhilfe", "see": "siehe",
	"consider": "bedenken", "note": "Hinweis", "%s (%s): %s": "%s (%s): %s", "acknowledged": "bekannt",
	"%d acknowledged": "%d bekannt", "%s, by %s until %s": "%s, von %s bis %s",
	"the acknowledgement by %s ended on %s: %s": "die Kenntnisnahme von %s endete am %s: %s",
	"the check passes: the acknowledgement by %s (%s) is no longer needed": "die Prüfung besteht: die Kenntnisnahme " +
		"von %s (%s) ist nicht mehr nötig",
	"new": "neu", "not seen again": "nicht wieder gesehen", "gone": "weg", "unchanged": "unverändert", "%d %s": "%d %s",
	"What changed between two checks": "Was sich zwischen zwei Prüfungen geändert hat", "Findings:": "Befunde:",
	"The second report does not hold this check.": "Der zweite Bericht enthält diese Prüfung nicht.",
	// pkg/engine/change
	"Waiting. A later plan holds the next step:": "Es wartet. Ein späterer Plan enthält den nächsten Schritt:",
	"waits": "wartet", "%s checks": "%s Prüfungen",
	"the same command with -o markdown lists them": "derselbe Befehl mit -o markdown listet sie auf",
	"Plan": "Plan", "Plan:": "Plan:", "Changes, in this order:": "Änderungen, in dieser Reihenfolge:", "why": "Grund",
	"risk": "Risiko", "(nothing)": "(nichts)", "digest": "Prüfsumme",
	"(secret %s)": "(Geheimnis %s)",
	"%d to create, %d to change, %d to replace, %d to remove; %d unchanged": "%d anzulegen, %d zu ändern, %d " +
		"zu ersetzen, %d zu entfernen; %d schon richtig",
	"Nothing to change: %d resource is up to date.": "Nichts zu ändern: %d Ressource stimmt.",
	"Nothing to change: all %d resources are up to date.": "Nichts zu ändern: alle %d " +
		"Ressourcen stimmen.",
	"Nothing to change: no resource is planned.": "Nichts zu ändern: keine Ressource ist geplant.",
	"left out": "ausgelassen", "To know:": "Zu wissen:", "run": "ausführen",
	"Left out, because something that it rests on is unknown. Plan again when it can be read:": "Ausgelassen, weil etwas unbekannt ist, worauf es beruht. Neu planen, sobald es lesbar ist:",
	"(the %s of %s, once it is made)":           "(%s von %s, sobald angelegt)",
	"(certificate %s, thumbprint %s, until %s)": "(Zertifikat %s, Fingerabdruck %s, bis %s)",
	"%s (the beginning of %d characters)":       "%s (der Anfang von %d Zeichen)",
	"%s (the beginning of %d bytes)":            "%s (der Anfang von %d Bytes)",
	// the declarations of checks and kinds
	"%s of %s users sign in with another name": "%s von %s Benutzern melden sich mit anderem Namen an",
	"They see no free/busy.":                   "Sie sehen kein Frei/Gebucht.",
	"correct %s":                               "%s berichtigen",
	"%d servers answer":                        "%d Server antworten",
	"the dedicated hybrid application":         "die eigene Hybridanwendung",
	"free/busy of %s":                          "Frei/Gebucht von %s",
	"while it is wrong, nobody in the cloud sees free/busy of people on premises": "solange sie falsch ist, sieht in " +
		"der Cloud niemand Frei/Gebucht von Postfächern vor Ort",
}

func printer(t *testing.T) *message.Printer {
	t.Helper()
	b := catalog.NewBuilder()
	for key, text := range german {
		if err := b.SetString(language.German, key, text); err != nil {
			t.Fatal(err)
		}
	}
	return message.NewPrinter(language.German, message.Catalog(b))
}

// A report and a plan are wholly in the language of the catalogue; ids, names and JSON stay.
func TestGerman(t *testing.T) {
	results := []check.Result{
		check.Pass("%d servers answer", 3),
		check.Failed("%s of %s users sign in with another name", msg.Number(203), msg.Number(10_000)).
			Because("They see no free/busy.").Fix("correct %s", "userPrincipalName").FixWith("hybridge check"),
		check.Unknown(errRoute),
	}
	for i := range results {
		results[i].ID, results[i].Scope, results[i].Category = []check.ID{"directory.reachable", "directory.upn",
			"tenant.domains"}[i], "contoso", "directory"
	}
	results[2].Remedy.Docs = "hybridge help tenant.domains"
	checked := check.Report{APIVersion: report.APIVersion, Kind: "CheckReport", Summary: check.Count(results),
		Results: results}
	p := plan()
	o := report.Options{Style: report.Style{Width: 90, Language: printer(t)}}
	for name, d := range map[string]report.Document{"german-check": checked, "german-plan": p} {
		for _, format := range []string{"text", "markdown"} {
			out := written(t, format, o, d)
			golden(t, name+map[string]string{"text": ".txt", "markdown": ".md"}[format], out)
			if name == "german-check" {
				for _, english := range []string{" of ", " with ", "Checks", "fix", "see:", "users"} {
					if strings.Contains(string(out), english) {
						t.Errorf("%s: %q is English:\n%s", format, english, out)
					}
				}
			}
		}
		if out := string(written(t, "json", o, d)); strings.Contains(out, "Benutzer") {
			t.Errorf("JSON is translated: %s", out)
		}
	}
}

type routeError struct{}

func (routeError) Error() string { return "login.microsoftonline.com: no route" }

var errRoute = routeError{}

// Every text of the renderers and of the documents is a key of the catalogue.
func TestCatalogueIsWhole(t *testing.T) {
	found := 0
	for _, pattern := range []string{"*.go", "../check/view.go", "../check/diff.go", "../change/view.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				s, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || s.Sel.Name != "Of" || len(call.Args) == 0 {
					return true
				}
				if l, ok := call.Args[0].(*ast.BasicLit); ok {
					found++
					if key, err := strconv.Unquote(l.Value); err != nil || german[key] == "" {
						t.Errorf("%s: no translation of %s", name, l.Value)
					}
				}
				return true
			})
		}
	}
	if found < 30 {
		t.Errorf("only %d texts found: is this test looking?", found)
	}
}
