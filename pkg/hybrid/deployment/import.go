package deployment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
)

// ErrExported says that a folder has no files of Export-Clixml that can be used.
var ErrExported = errors.New("no usable files of Export-Clixml")

// maxExported limits one file.
const maxExported = 256 << 20

// exported are the objects of one forest that Export-Clixml wrote into files.
type exported struct {
	objects map[string][]exchange.Object // by cmdlet
	newest  time.Time

	mu   sync.Mutex
	lack map[string]bool // cmdlets that were asked and are not there
}

// run answers a cmdlet from the files, and keeps the answer.
func (e *exported) run(ctx context.Context, s tapedSession, c exchange.Command) ([]exchange.Object, error) {
	return snapshot.Fill(ctx, s.d.tape, s.place, string(s.system), c.String(),
		func(ctx context.Context) ([]exchange.Object, error) {
			out, err := exchange.NewSnapshot(e.objects).Run(ctx, e.ofOnlyServer(c))
			if errors.Is(err, exchange.ErrNotRecorded) {
				e.mu.Lock()
				e.lack[c.String()] = true
				e.mu.Unlock()
				return nil, snapshot.Lacks(s.place, string(s.system), c.String())
			}
			return out, err
		})
}

// ofOnlyServer leaves out the server where the files know one alone: what it printed may not name it.
func (e *exported) ofOnlyServer(c exchange.Command) exchange.Command {
	servers := e.objects["Get-ExchangeServer"]
	given, ok := c.Parameter("Server")
	if !ok || len(servers) != 1 {
		return c
	}
	if name, err := servers[0].String("Name"); err != nil || !strings.EqualFold(name, fmt.Sprint(given)) {
		return c
	}
	c.Parameters = maps.Clone(c.Parameters)
	maps.DeleteFunc(c.Parameters, func(name string, _ any) bool { return strings.EqualFold(name, "Server") })
	return c
}

// Imported is what the files of a folder gave.
type Imported struct {
	Snapshot Snapshot
	Files    []string // that were read
	Ignored  []string // with the reason
	Lacks    []string // cmdlets that hybridge asks and the folder lacks
}

// Import makes a snapshot of files that Export-Clixml wrote: those of dir for the only forest, and
// those of a folder in it for the forest of that name. Without answers, it takes what the files say.
func Import(ctx context.Context, dir string, a *answers.Answers, o Options, obs observe.Observer) (Imported, error) {
	var out Imported
	files := map[string]*exported{}
	read := func(forest, dir string) error {
		e, err := out.readFolder(dir)
		if err == nil && len(e.objects) > 0 {
			files[forest] = e
		}
		return err
	}
	if err := read("", dir); err != nil {
		return out, err
	}
	if a == nil {
		if files[""] == nil {
			return out, fmt.Errorf("%w in %s", ErrExported, dir)
		}
		made, err := answersOf(files[""].objects)
		if err != nil {
			return out, err
		}
		a = &made
	}
	if top := files[""]; top != nil {
		if len(a.Forests) != 1 {
			return out, fmt.Errorf("%w: the answers name %d forests: put the files of each into a folder with its name",
				ErrExported, len(a.Forests))
		}
		delete(files, "")
		files[a.Forests[0].Name] = top
	} else {
		for _, f := range a.Forests {
			if err := read(f.Name, filepath.Join(dir, f.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return out, err
			}
		}
	}
	if len(files) == 0 {
		return out, fmt.Errorf("%w in %s", ErrExported, dir)
	}
	described, err := json.Marshal(a)
	if err != nil {
		return out, err
	}
	s := Snapshot{APIVersion: report.APIVersion, Kind: snapshot.Kind, Hybridge: o.Version, Answers: described}
	for _, e := range files {
		if e.newest.After(s.TakenAt) {
			s.TakenAt = e.newest.UTC()
		}
	}
	o.Snapshot = &s
	d, err := Open(*a, o)
	if err != nil {
		return out, err
	}
	defer func() { _ = d.Close(ctx) }()
	d.files = files
	if _, err := d.Check(ctx, obs); err != nil {
		return out, err
	}
	_, _ = d.Plan(ctx, obs) // what cannot be planned now cannot be planned from the snapshot either
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	s.Readings = snapshot.WithoutSecrets(d.tape.Readings(), nil)
	out.Snapshot = s
	for name, e := range files {
		for _, ask := range slices.Sorted(maps.Keys(e.lack)) {
			if len(files) > 1 {
				ask = name + ": " + ask
			}
			out.Lacks = append(out.Lacks, ask)
		}
	}
	slices.Sort(out.Lacks)
	return out, nil
}

// readFolder reads the files of a folder. A file whose name is the cmdlet alone goes before others of
// the cmdlet; without one, they are put together: a file per server.
func (out *Imported) readFolder(dir string) (*exported, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	e := &exported{objects: map[string][]exchange.Object{}, lack: map[string]bool{}}
	whole := map[string]bool{}
	type file struct{ path, cmdlet string }
	var files []file
	for _, entry := range entries {
		ext := strings.ToLower(filepath.Ext(entry.Name()))
		if entry.IsDir() || ext != ".xml" && ext != ".clixml" {
			continue
		}
		base := strings.TrimSuffix(entry.Name(), filepath.Ext(entry.Name()))
		cmdlet, exact := exchange.Catalogue().CmdletOf(base, exchange.OnPremises)
		if cmdlet == "" {
			out.Ignored = append(out.Ignored, entry.Name()+": its name has no cmdlet that hybridge reads")
			continue
		}
		whole[cmdlet] = whole[cmdlet] || exact
		files = append(files, file{filepath.Join(dir, entry.Name()), cmdlet})
	}
	for _, f := range files {
		base := filepath.Base(f.path)
		if _, exact := exchange.Catalogue().CmdletOf(strings.TrimSuffix(base, filepath.Ext(base)),
			exchange.OnPremises); whole[f.cmdlet] && !exact {
			out.Ignored = append(out.Ignored, base+": another file holds "+f.cmdlet)
			continue
		}
		objects, at, err := readExported(f.path)
		if err != nil {
			out.Ignored = append(out.Ignored, base+": "+err.Error())
			continue
		}
		out.Files = append(out.Files, base)
		e.objects[f.cmdlet] = append(e.objects[f.cmdlet], objects...)
		if at.After(e.newest) {
			e.newest = at
		}
	}
	return e, nil
}

func readExported(path string) ([]exchange.Object, time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	if info.Size() > maxExported || !info.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("not a file of less than 256 MB")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	objects, err := exchange.ReadCLIXML(data)
	return objects, info.ModTime(), err
}

// answersOf makes answers of what a forest's files say. They name systems that no import contacts.
func answersOf(objects map[string][]exchange.Object) (answers.Answers, error) {
	text := func(cmdlet string, properties ...string) string {
		for _, o := range objects[cmdlet] {
			for _, p := range properties {
				if v, err := o.String(p); err == nil && v != "" {
					return v
				}
			}
		}
		return ""
	}
	var domains []string
	tenant, first := "", ""
	for _, o := range objects["Get-AcceptedDomain"] {
		name, _ := o.String("DomainName")
		name = strings.ToLower(name)
		prefix, cloud := strings.CutSuffix(name, ".onmicrosoft.com")
		isDefault, _ := o.Bool("Default")
		switch {
		case cloud:
			tenant = strings.TrimSuffix(prefix, ".mail") + ".onmicrosoft.com"
		case !strings.Contains(name, ".") || strings.ContainsAny(name, "*/"):
		case isDefault:
			first = name
			domains = append([]string{name}, domains...)
		default:
			domains = append(domains, name)
		}
	}
	if len(domains) == 0 {
		return answers.Answers{}, fmt.Errorf("%w: there is no Get-AcceptedDomain with a domain: name an answers file "+
			"with --answers FILE", ErrExported)
	}
	first = cmp.Or(first, domains[0])
	host := cmp.Or(webHost(text("Get-WebServicesVirtualDirectory", "ExternalUrl", "InternalUrl")), "mail."+first)
	label, _, _ := strings.Cut(first, ".")
	server := strings.ToLower(cmp.Or(text("Get-ExchangeServer", "Fqdn"), host))
	forest := map[string]any{
		"name": label, "domains": domains,
		"namespace": map[string]any{"autodiscover": "autodiscover." + first, "ews": host, "smtp": host},
		"directory": map[string]any{"domain": first, "bind": map[string]any{"kind": "kerberos"}},
		"exchange": map[string]any{"server": server,
			"credential": map[string]any{"kind": "kerberos"}},
	}
	a := map[string]any{"apiVersion": "hybridge/v1", "kind": "Answers", "forests": []any{forest},
		"organization": cmp.Or(text("Get-OrganizationConfig", "Name"), label),
		// Answers name a cloud. Without a domain of the tenant in the files, its name is a guess.
		"exchangeOnline": map[string]any{"cloud": "worldwide", "tenant": cmp.Or(tenant, label+".onmicrosoft.com"),
			"credential": map[string]any{"kind": "deviceCode"}}}
	raw, err := json.Marshal(a)
	if err != nil {
		return answers.Answers{}, err
	}
	return answers.Parse("the answers that the files give", raw)
}

// webHost is the host of an address; empty: it is none.
func webHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
