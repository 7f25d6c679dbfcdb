package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// getSchedule asks Microsoft Graph for a mailbox's free/busy, as Exchange SE does when its lookups
// are routed there.
func (p *premise) getSchedule(ctx context.Context, address, token, mailbox string, w ews.Window) ([]ews.Event, error) {
	type moment struct {
		DateTime string `json:"dateTime"`
		TimeZone string `json:"timeZone"`
	}
	const layout = "2006-01-02T15:04:05"
	body, err := json.Marshal(map[string]any{
		"schedules": []string{mailbox}, "startTime": moment{w.Start.UTC().Format(layout), "UTC"},
		"endTime": moment{w.End.UTC().Format(layout), "UTC"}, "availabilityViewInterval": 30,
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	client := p.link.Client(nil)
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the remote server returned an error: (%d) %s", response.StatusCode,
			http.StatusText(response.StatusCode))
	}
	var found struct {
		Value []struct {
			ScheduleItems []struct {
				Status     string
				Start, End moment
			}
			Error *struct{ ResponseCode, Message string }
		}
	}
	if err := json.Unmarshal(answer, &found); err != nil || len(found.Value) == 0 {
		return nil, fmt.Errorf("the answer of Microsoft Graph cannot be read: %w", err)
	}
	if e := found.Value[0].Error; e != nil {
		return nil, failed(e.ResponseCode, "%s", e.Message)
	}
	status := map[string]ews.BusyType{"tentative": ews.Tentative, "busy": ews.Busy, "oof": ews.OutOfOffice,
		"workingElsewhere": ews.WorkingElsewhere}
	var list []ews.Event
	for _, item := range found.Value[0].ScheduleItems {
		start, err1 := time.Parse(layout, item.Start.DateTime[:min(len(layout), len(item.Start.DateTime))])
		end, err2 := time.Parse(layout, item.End.DateTime[:min(len(layout), len(item.End.DateTime))])
		if err1 == nil && err2 == nil {
			list = append(list, ews.Event{Start: start, End: end, Busy: status[item.Status]})
		}
	}
	return list, nil
}
