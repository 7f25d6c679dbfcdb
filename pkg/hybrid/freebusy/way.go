package freebusy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
)

// station is a kind of hop of a lookup, in the order in which a lookup passes them.
type station int

const (
	asks      station = iota // the side where the lookup starts: who is asked, and where the mailbox is
	leads                    // connector, relationship or address space
	discovers                // autodiscover of the other side
	signsIn
	answers // EWS or Microsoft Graph
	holds   // the mailbox
)

// breaks is the station at which causes of a layer break a lookup.
var breaks = map[string]station{
	"access": asks, "directory": asks, "identity": asks, "organization": leads, "autodiscover": discovers,
	"dns": discovers, "network": discovers, "tls": discovers, "certificate": discovers,
	"time": signsIn, "oauth": signsIn, "entra": signsIn, "federation": signsIn, "ews": answers, "mailbox": holds,
}

// path draws the way of a lookup from the side that asks to the mailbox, with the first hop marked
// that the most likely cause breaks. Where no cause is known, none is.
func (a Answer) path() report.Path {
	p := report.Path{Label: msg.Of("way"), Hops: a.Route}
	if a.Probe == MessageProbe || len(a.Route) == 0 {
		return p
	}
	from, to, _ := strings.Cut(a.Direction, " -> ")
	p.Hops = []string{from}
	at := []station{asks}
	put := func(s station, hop string) {
		p.Hops, at = append(p.Hops, hop), append(at, s)
	}
	signIn := ""
	switch {
	case from == "online" || to == "online":
		signIn = "sign-in with a token of Entra"
	case strings.HasPrefix(a.Route[0], "availability address space"):
		signIn = "sign-in with the account of the address space"
	}
	for i, hop := range a.Route {
		s := leads
		switch {
		case strings.HasPrefix(hop, "autodiscover "):
			s = discovers
		case strings.HasPrefix(hop, "https://"), strings.HasPrefix(hop, "Microsoft Graph "):
			s = answers
		}
		if s == answers && signIn != "" && i > 0 {
			put(signsIn, signIn)
			signIn = ""
		}
		put(s, hop)
	}
	if at[len(at)-1] == discovers { // which address it gives, only the server that asks knows
		if signIn != "" {
			put(signsIn, signIn)
		}
		put(answers, "EWS of "+to)
	}
	put(holds, a.To)
	p.Broken = 1 + a.breaksAt(p.Hops, at)
	return p
}

// breaksAt is the first hop that the most likely cause breaks; -1 where it is not known.
func (a Answer) breaksAt(hops []string, at []station) int {
	if strings.HasPrefix(a.Route[0], "no connector, ") {
		return slices.Index(at, leads)
	}
	if len(a.Diagnosis) == 0 {
		return -1
	}
	row, known := diagnose.Find(diagnose.ID(a.Diagnosis[0].ID))
	s, placed := breaks[row.Layer]
	if !known || !placed {
		return -1
	}
	if s == discovers { // which of the addresses, the error says
		for i, hop := range hops {
			_, address, _ := strings.Cut(" "+hop, " https://")
			u, err := url.Parse("https://" + address)
			if err == nil && u.Host != "" && strings.Contains(a.Error, u.Hostname()) {
				return i
			}
		}
	}
	return slices.IndexFunc(at, func(have station) bool { return have >= s })
}
