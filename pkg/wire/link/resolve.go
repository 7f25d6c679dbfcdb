package link

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// stagger is the pause before the next address is tried in parallel (RFC 8305).
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

// race dials the addresses in their order, the next one after a failure or a pause. It keeps the
// first connection.
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

// Dead is an address of a host at which nothing answers.
type Dead struct {
	Address string
	Err     error
}

// reachLimit is the time limit for one address of several.
const reachLimit = 5 * time.Second

// DeadAddresses connects to each address of a host that has several. It returns those that fail,
// and the number of all. It skips hosts that are reached through the proxy or through connect-to,
// and addresses that this machine has no route to.
func (l *Link) DeadAddresses(ctx context.Context, host, port string) (dead []Dead, all int) {
	address := net.JoinHostPort(host, port)
	if target, mapped := l.Target(address); mapped || l.proxied("tcp", target) || l.lookupHost == nil {
		return nil, 0
	}
	addresses, err := l.lookupHost(ctx, host)
	if err != nil || len(addresses) < 2 {
		return nil, len(addresses)
	}
	ctx, cancel := context.WithTimeout(ctx, min(l.timeout, reachLimit))
	defer cancel()
	errs := make([]error, len(addresses))
	var wait sync.WaitGroup
	for i, a := range addresses {
		wait.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(a, port))
			if err == nil {
				conn.Close()
			}
			errs[i] = err
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil && !noRoute(err) {
			dead = append(dead, Dead{addresses[i], Classify(err)})
		}
	}
	return dead, len(addresses)
}

// noRoute reports whether this machine cannot get to an address at all, as to IPv6 without a
// router.
func noRoute(err error) bool {
	return hasErrno(err, syscall.ENETUNREACH, 10051) || hasErrno(err, syscall.EHOSTUNREACH, 10065) ||
		hasErrno(err, syscall.EADDRNOTAVAIL, 10049)
}
