package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// maxBatch is how many requests Graph takes in one batch.
const maxBatch = 20

// call is one request of a batch; the path follows the version.
type call struct {
	method, path string
	body         any
}

type reply struct {
	raw []byte
	err error // *Error
}

// batch sends requests together and returns one reply per request. Requests that Graph throttles
// are sent again, as single requests are. An error is about a whole batch.
func (c *Client) batch(ctx context.Context, calls []call) ([]reply, error) {
	replies := make([]reply, len(calls))
	todo := make([]int, len(calls))
	for i := range calls {
		todo[i] = i
	}
	for try := 1; len(todo) > 0; try++ {
		var throttled []int
		var wait time.Duration
		for start := 0; start < len(todo); start += maxBatch {
			part := todo[start:min(start+maxBatch, len(todo))]
			asked, err := c.batchOnce(ctx, calls, part, replies)
			if err != nil {
				return nil, err
			}
			for _, i := range asked {
				if e, ok := replies[i].err.(*Error); ok { //nolint:errorlint // made by batchOnce
					wait = max(wait, e.RetryAfter)
				}
			}
			throttled = append(throttled, asked...)
		}
		if wait == 0 {
			wait = time.Second << (try - 1)
		}
		deadline, limited := ctx.Deadline()
		if len(throttled) == 0 || try == maxBatchTries || limited && time.Until(deadline) < wait {
			break
		}
		if err := c.pause(ctx, wait); err != nil {
			return nil, err
		}
		todo = throttled
	}
	return replies, nil
}

const maxBatchTries = 4

func (c *Client) pause(ctx context.Context, d time.Duration) error {
	if c.o.Waiting != nil {
		c.o.Waiting(link.Wait{Host: c.base.Host, For: d, Status: http.StatusTooManyRequests})
	}
	if c.o.Wait != nil {
		return c.o.Wait(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// batchOnce sends one batch and fills in the replies. It returns the requests that were throttled.
func (c *Client) batchOnce(ctx context.Context, calls []call, part []int, replies []reply) (throttled []int,
	err error) {
	type request struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    any               `json:"body,omitempty"`
	}
	requests := make([]request, len(part))
	for n, i := range part {
		requests[n] = request{strconv.Itoa(n), calls[i].method, calls[i].path,
			map[string]string{"Content-Type": "application/json"}, calls[i].body}
	}
	raw, err := c.do(ctx, http.MethodPost, "/$batch", map[string]any{"requests": requests})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Responses []struct {
			ID      string            `json:"id"`
			Status  int               `json:"status"`
			Headers map[string]string `json:"headers"`
			Body    json.RawMessage   `json:"body"`
		} `json:"responses"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, c.malformed(http.MethodPost, "/$batch")
	}
	for _, i := range part {
		replies[i] = reply{err: fmt.Errorf("%s %s at %s: the batch holds no answer", calls[i].method,
			withoutQuery(calls[i].path), c.base.Host)}
	}
	for _, r := range answer.Responses {
		n, err := strconv.Atoi(r.ID)
		if err != nil || n < 0 || n >= len(part) {
			continue
		}
		i := part[n]
		if r.Status/100 == 2 {
			replies[i] = reply{raw: r.Body}
			continue
		}
		header := http.Header{}
		for name, value := range r.Headers {
			header.Set(name, value)
		}
		refused := c.parseError(calls[i].method, "", &http.Response{StatusCode: r.Status, Header: header},
			r.Body)
		refused.Path = withoutQuery(calls[i].path)
		replies[i] = reply{err: refused}
		if r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable &&
			strings.TrimSpace(header.Get("Retry-After")) != "" {
			throttled = append(throttled, i)
		}
	}
	return throttled, nil
}
