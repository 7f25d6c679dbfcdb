package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The time limits of a message: of one attempt, and of all with their pauses.
const (
	attemptLimit = 10 * time.Second
	messageLimit = time.Minute
)

// notifyFile is the file of the state directory that says what each receiver knows.
const notifyFile = "notify.json"

// receivers is what receivers know, by their addresses as the answers file names them.
type receivers struct {
	APIVersion string                  `json:"apiVersion"`
	Receivers  map[string]notify.State `json:"receivers"`
}

// Notify sends each receiver of the answers file what changed since its last message. A receiver
// that does not take it gets it with the next run. The error names the receivers without their
// addresses, which may be secrets. What a snapshot says is no news: receivers hear of the systems, and
// the receivers that a snapshot names may be those of its maker.
func (d *Deployment) Notify(ctx context.Context, about report.About, seen []report.Outcome) error {
	if len(d.answers.Notify) == 0 || d.tape.Replays() {
		return nil
	}
	if info, err := os.Stat(d.options.StateDir); err == nil {
		if err := apply.Private(d.options.StateDir, info); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, messageLimit)
	defer cancel()
	path := filepath.Join(d.options.StateDir, notifyFile)
	known, err := readReceivers(path)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	var errs []error
	for i, r := range d.answers.Notify {
		key := r.Kind + " " + r.URL + r.URLSecret.String()
		changes, after := notify.Compare(known.Receivers[key], seen)
		if len(changes) > 0 {
			if err := d.send(ctx, r, about, changes); err != nil {
				errs = append(errs, fmt.Errorf("notify[%d] (%s) got no message; the next run sends it: %w", i, r.Kind,
					err))
				continue
			}
		}
		known.Receivers[key] = after
	}
	// A message that is sent twice is better than one that is lost: the file comes last.
	if err := writeReceivers(path, known); err != nil {
		errs = append(errs, fmt.Errorf("notify: the next run sends these messages again: %w", err))
	}
	return errors.Join(errs...)
}

func readReceivers(path string) (receivers, error) {
	known := receivers{APIVersion: report.APIVersion, Receivers: map[string]notify.State{}}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return known, nil
	case err != nil:
		return known, err
	}
	if err := json.Unmarshal(data, &known); err != nil || known.APIVersion != report.APIVersion {
		return known, fmt.Errorf("%s cannot be read; remove it, and the next run reports every finding again", path)
	}
	if known.Receivers == nil {
		known.Receivers = map[string]notify.State{}
	}
	return known, nil
}

func writeReceivers(path string, known receivers) error {
	data, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+notifyFile+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// send sends one message, again where the receiver puts it off.
func (d *Deployment) send(ctx context.Context, r answers.Receiver, about report.About, changes []notify.Change) error {
	address := r.URL
	if r.URLSecret != "" {
		v, err := d.secret(ctx, r.URLSecret, "address for notifications")
		if err != nil {
			return err
		}
		address = v.Reveal()
	}
	if err := answers.ReceiverURL(address); err != nil {
		return fmt.Errorf("its address %w", err)
	}
	key, err := d.secret(ctx, r.Secret, "key of notifications")
	if err != nil {
		return err
	}
	body, err := bodies[r.Kind](about, changes)
	if err != nil {
		return err
	}
	l, err := d.link.get(ctx)
	if err != nil {
		return err
	}
	id := notify.NewID()
	retry := link.Retry{
		MaxWait: messageLimit / 2, Timeout: attemptLimit,
		Prepare: func(try *http.Request) error {
			return notify.Sign(try.Header, id, time.Now(), body, []byte(key.Reveal()))
		},
	}
	// A receiver that gets a message twice knows it by its id: sending it again is safe, as a read
	// is.
	ctx = link.HiddenPath(link.Reading(ctx))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("its address is not a URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "hybridge/"+d.options.Version)
	client := retry.Client(l.Client(nil))
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // without the address
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("it answers %s", link.Line(response.Status))
	}
	return nil
}

// bodies are the forms of a message by the kind of receiver.
var bodies = map[string]func(report.About, []notify.Change) ([]byte, error){
	answers.NotifyWebhook: notify.Webhook, answers.NotifyTeams: notify.Teams,
}
