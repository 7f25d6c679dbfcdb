package link

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// stagger is how long an address is waited for before the next one is tried beside it (RFC 8305).
const stagger = 250 * time.Millisecond

// dialDirect connects without proxy, to the first of the host's addresses that answers.
func (l *Link) dialDirect(ctx context.Context, network, target string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil || l.lookupHost == nil {
		return (&net.Dialer{}).DialContext(ctx, network, target)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return (&net.Dialer{}).DialContext(ctx, network, target)
	}
	addresses, err := l.lookupHost(ctx, host)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, &classified{ErrUnreachable, Printable(err.Error()), err}
	}
	return race(ctx, network, addresses, port)
}

// race dials the addresses in order, the next one after a failure or a while, and keeps the first
// connection.
func race(ctx context.Context, network string, addresses []string, port string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addresses))
	started, ended := 0, 0
	start := func() {
		address := net.JoinHostPort(addresses[started], port)
		started++
		go func() {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			results <- result{conn, err}
		}()
	}
	var err error = &classified{class: ErrUnreachable, sentence: "the host has no address"}
	for ended < len(addresses) {
		if started == ended {
			start()
		}
		var next <-chan time.Time
		if started < len(addresses) {
			timer := time.NewTimer(stagger)
			defer timer.Stop()
			next = timer.C
		}
		select {
		case <-next:
			start()
		case r := <-results:
			if ended++; r.err == nil {
				go func(others int) { // dialers that are still under way
					for range others {
						if r := <-results; r.conn != nil {
							r.conn.Close()
						}
					}
				}(started - ended)
				return r.conn, nil
			}
			err = r.err
		}
	}
	return nil, err
}
