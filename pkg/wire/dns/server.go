package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Fault is how a Server misbehaves for a name.
type Fault string

// The faults. NotFound and ServerFailure answer with that code, Refused too; Silent never answers;
// Truncated makes UDP answers too large, so that the question is asked over TCP; Empty says NOERROR
// without records.
const (
	NotFound      Fault = "NXDOMAIN"
	ServerFailure Fault = "SERVFAIL"
	Refused       Fault = "REFUSED"
	Silent        Fault = "silent"
	Truncated     Fault = "truncated"
	Empty         Fault = "empty"
)

// Server is an authoritative name server on loopback for simulated estates and tests. Its names are
// data. It is safe for concurrent use: records and faults may change while it runs.
type Server struct {
	mu      sync.RWMutex
	zones   []string
	records map[string][]dns.RR
	faults  map[string]Fault
	running []*dns.Server
	address string
}

// NewServer makes a server that is authoritative for the zones and refuses questions about other
// names. Records are lines of a zone file with full names: "contoso.com. 300 IN MX 10
// mail.contoso.com."
func NewServer(zones []string, records ...string) (*Server, error) {
	s := &Server{records: map[string][]dns.RR{}, faults: map[string]Fault{}}
	for _, z := range zones {
		s.zones = append(s.zones, Name(z))
	}
	return s, s.Add(records...)
}

// Add adds records, all or none.
func (s *Server) Add(records ...string) error {
	var parsed []dns.RR
	for _, line := range records {
		rr, err := dns.NewRR(line)
		if err != nil {
			return fmt.Errorf("record %q: %w", line, err)
		}
		if rr != nil {
			parsed = append(parsed, rr)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rr := range parsed {
		name := Name(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
	return nil
}

// Remove removes a name's records of a type, or all with an empty type.
func (s *Server) Remove(name string, t Type) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []dns.RR
	for _, rr := range s.records[Name(name)] {
		if t != "" && rr.Header().Rrtype != dns.StringToType[string(t)] {
			kept = append(kept, rr)
		}
	}
	if s.records[Name(name)] = kept; len(kept) == 0 {
		delete(s.records, Name(name))
	}
}

// SetFault makes a name misbehave; the empty Fault ends that.
func (s *Server) SetFault(name string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == "" {
		delete(s.faults, Name(name))
		return
	}
	s.faults[Name(name)] = f
}

// Listen starts to answer on an address ("127.0.0.1:0"), UDP and TCP on one port.
func (s *Server) Listen(address string) error {
	var pc net.PacketConn
	var config net.ListenConfig
	ctx := context.Background() // for the listening itself, which does not wait
	var l net.Listener
	for try := 0; ; try++ {
		var err error
		if pc, err = config.ListenPacket(ctx, "udp", address); err != nil {
			return fmt.Errorf("name server: %w", err)
		}
		// The system chose a UDP port; the TCP port of that number may be taken, then another one
		// is tried.
		if l, err = config.Listen(ctx, "tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
		if _, port, _ := net.SplitHostPort(address); port != "0" || try == 20 {
			return fmt.Errorf("name server: %w", err)
		}
	}
	ready := make(chan struct{}, 2)
	notify := func() { ready <- struct{}{} }
	udp := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(s.serve), NotifyStartedFunc: notify}
	tcp := &dns.Server{Listener: l, Handler: dns.HandlerFunc(s.serve), NotifyStartedFunc: notify}
	s.mu.Lock()
	s.running, s.address = []*dns.Server{udp, tcp}, pc.LocalAddr().String()
	s.mu.Unlock()
	for _, server := range []*dns.Server{udp, tcp} {
		// ends with Shutdown; an accept error ends it too, and questions then time out
		go func() { _ = server.ActivateAndServe() }()
	}
	<-ready
	<-ready
	return nil
}

// Address is where the server listens, HOST:PORT.
func (s *Server) Address() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.address
}

// Close ends the server.
func (s *Server) Close() error {
	s.mu.Lock()
	running := s.running
	s.running = nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var errs []error
	for _, r := range running {
		errs = append(errs, r.ShutdownContext(ctx))
	}
	return errors.Join(errs...)
}

func (s *Server) serve(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	limit := dns.MinMsgSize
	opt := q.IsEdns0()
	if opt != nil {
		limit = max(limit, int(opt.UDPSize()))
		m.SetEdns0(1232, false)
	}
	if rcode := refusal(q, opt); rcode != dns.RcodeSuccess {
		m.Rcode = rcode
		_ = w.WriteMsg(m) // the client may be gone
		return
	}
	m.Authoritative = true
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	name := Name(q.Question[0].Name)

	s.mu.RLock()
	fault := s.faults[name]
	switch {
	case fault == Silent:
		s.mu.RUnlock()
		return
	case fault == ServerFailure:
		m.Rcode = dns.RcodeServerFailure
	case fault == Refused || !s.within(name):
		m.Rcode, m.Authoritative = dns.RcodeRefused, false
	case fault == NotFound:
		m.Rcode = dns.RcodeNameError
	case fault == Empty:
	default:
		s.answer(m, name, q.Question[0].Qtype)
	}
	if len(m.Answer) == 0 && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError) {
		m.Ns = append(m.Ns, s.authority(name))
	}
	s.mu.RUnlock()

	if udp {
		if fault == Truncated {
			m.Answer, m.Truncated = nil, true
		}
		m.Truncate(limit)
	}
	_ = w.WriteMsg(m) // the client may be gone
}

// refusal is the code for a message that is no question to this server.
func refusal(q *dns.Msg, opt *dns.OPT) int {
	switch {
	case q.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case len(q.Question) != 1:
		return dns.RcodeFormatError
	case opt != nil && opt.Version() != 0:
		return dns.RcodeBadVers
	case q.Question[0].Qclass != dns.ClassINET && q.Question[0].Qclass != dns.ClassANY:
		return dns.RcodeRefused
	case q.Question[0].Qtype == dns.TypeAXFR || q.Question[0].Qtype == dns.TypeIXFR:
		return dns.RcodeRefused
	}
	return dns.RcodeSuccess
}

func (s *Server) within(name string) bool { return s.zone(name) != "" }

func (s *Server) zone(name string) string {
	best := ""
	for _, z := range s.zones {
		if (name == z || strings.HasSuffix(name, "."+z)) && len(z) > len(best) {
			best = z
		}
	}
	return best
}

// answer fills in the records of a name, following aliases within the server's data, and wildcards
// (RFC 4592) one label deep.
func (s *Server) answer(m *dns.Msg, name string, qtype uint16) {
	for range maxChain {
		found := s.at(name)
		owner := ""
		if len(found) == 0 {
			if _, parent, ok := strings.Cut(name, "."); ok && !s.exists(name) {
				found, owner = s.records["*."+parent], dns.Fqdn(name)
			}
		}
		if len(found) == 0 {
			if !s.exists(name) && s.within(name) {
				m.Rcode = dns.RcodeNameError
			}
			return
		}
		next := ""
		for _, rr := range found {
			if owner != "" {
				rr = dns.Copy(rr)
				rr.Header().Name = owner
			}
			if alias, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
				next = Name(alias.Target)
			} else if rr.Header().Rrtype == qtype || qtype == dns.TypeANY {
				m.Answer = append(m.Answer, rr)
			}
		}
		if next == "" {
			return
		}
		name = next
	}
}

// at returns the records of a name. A zone's apex has a SOA and an NS record.
func (s *Server) at(name string) []dns.RR {
	found := s.records[name]
	if s.zone(name) != name {
		return found
	}
	has := func(t uint16) bool {
		return slices.ContainsFunc(found, func(rr dns.RR) bool { return rr.Header().Rrtype == t })
	}
	found = slices.Clone(found)
	if !has(dns.TypeSOA) {
		found = append(found, s.authority(name))
	}
	if !has(dns.TypeNS) {
		zone := dns.Fqdn(name)
		found = append(found, &dns.NS{
			Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns." + strings.TrimPrefix(zone, "."),
		})
	}
	return found
}

// exists reports whether a name has records or names below it (an empty non-terminal exists).
func (s *Server) exists(name string) bool {
	if len(s.records[name]) > 0 || s.zone(name) == name {
		return true
	}
	for n := range s.records {
		if strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}

func (s *Server) authority(name string) dns.RR {
	zone := dns.Fqdn(s.zone(name))
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
		Ns:  "ns." + strings.TrimPrefix(zone, "."), Mbox: "hostmaster." + strings.TrimPrefix(zone, "."),
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60,
	}
}
