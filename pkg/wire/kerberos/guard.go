package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Guard stands between gokrb5 and the key distribution centers of a realm. It blocks the answers
// that gokrb5 must not see. A center's answers before the sign-in are not authenticated: they can
// ask for a proof that is cheap to break or for work without end, or crash the program.
type Guard struct {
	listener net.Listener
	realm    string
	centers  *config.Config // as it was: where the centers are

	asking sync.Mutex // of centers: gokrb5 shuffles its lists in place

	mu   sync.Mutex
	busy int   // calls of Work that have not ended
	next int   // center to ask
	last error // why the last request failed
}

// guardTries is how many centers gokrb5 tries for one request.
const guardTries = 4

// NewGuard makes a guard and changes the configuration so that gokrb5 asks it.
func NewGuard(cfg *config.Config, realm string) (*Guard, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends at once
	if err != nil {
		return nil, fmt.Errorf("check what domain controllers answer: %w", err)
	}
	before := *cfg
	before.Realms = slices.Clone(cfg.Realms)
	g := &Guard{listener: listener, realm: realm, centers: &before}
	cfg.Realms = slices.DeleteFunc(slices.Clone(cfg.Realms), func(r config.Realm) bool { return r.Realm == realm })
	// Its goroutine that renews tickets shuffles the list beside a running request. All entries are the same.
	here := slices.Repeat([]string{listener.Addr().String()}, guardTries)
	cfg.Realms = append(cfg.Realms, config.Realm{Realm: realm, KDC: here})
	cfg.LibDefaults.UDPPreferenceLimit = 1 // by TCP alone
	go g.serve()
	return g, nil
}

// Work lets gokrb5 ask centers until done. At other times the guard carries nothing: gokrb5 renews
// tickets in a goroutine of its own, in which a panic would end the program.
func (g *Guard) Work() (done func()) {
	g.count(1)
	return func() { g.count(-1) }
}

func (g *Guard) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy += n
}

func (g *Guard) working() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busy > 0
}

// Close ends the guard.
func (g *Guard) Close() { _ = g.listener.Close() }

// Fault is why the last request failed; nil when a center answered it.
func (g *Guard) Fault() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

func (g *Guard) serve() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			if !g.working() {
				return
			}
			err := g.relay(conn)
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.last = err; err != nil {
				g.next++
			}
		}()
	}
}

const (
	guardTime  = 4500 * time.Millisecond // gokrb5 gives up after 5 s
	maxMessage = 1 << 20
)

// relay carries one request to a center, and returns the answer when it is valid.
func (g *Guard) relay(conn net.Conn) (err error) {
	defer recovered(&err, "answer of a domain controller")
	deadline := time.Now().Add(guardTime)
	_ = conn.SetDeadline(deadline)
	request, err := readMessage(conn)
	if err != nil {
		return err
	}
	g.asking.Lock()
	_, centers, err := g.centers.GetKDCs(g.realm, true)
	g.asking.Unlock()
	if err != nil {
		return err
	}
	if len(centers) == 0 {
		return fmt.Errorf("no KDCs of %s", g.realm)
	}
	g.mu.Lock()
	center := centers[1+g.next%len(centers)]
	g.mu.Unlock()
	far, err := (&net.Dialer{Deadline: deadline}).Dial("tcp", center)
	if err != nil {
		return err
	}
	defer far.Close()
	_ = far.SetDeadline(deadline)
	if err := writeMessage(far, request); err != nil {
		return err
	}
	answer, err := readMessage(far)
	if err != nil {
		return fmt.Errorf("%s: %w", center, err)
	}
	if err := g.judge(answer); err != nil {
		return fmt.Errorf("%w: domain controller %s: %w", link.ErrUntrusted, center, err)
	}
	return writeMessage(conn, answer)
}

func readMessage(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("no message: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, fmt.Errorf("message cut off: %w", err)
	}
	return message, nil
}

func writeMessage(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))),
		message...)) //nolint:gosec // small
	return err
}

// judge refuses what gokrb5 must not see.
func (g *Guard) judge(answer []byte) (err error) {
	defer recovered(&err, "answer")
	switch answer[0] {
	case 0x7e:
		var e messages.KRBError
		if err := e.Unmarshal(answer); err != nil {
			return errors.New("an error that does not parse")
		}
		switch e.ErrorCode {
		case errorcode.KDC_ERR_WRONG_REALM:
			return fmt.Errorf("the account is of realm %s: write the user as name@REALM", link.Line(e.CRealm))
		case errorcode.KDC_ERR_PREAUTH_REQUIRED, errorcode.KDC_ERR_PREAUTH_FAILED:
			var data types.PADataSequence
			if len(e.EData) == 0 {
				return nil
			}
			if err := data.Unmarshal(e.EData); err != nil {
				return errors.New("pre-authentication data that do not parse")
			}
			return g.permitted(data)
		}
		return nil
	case 0x6b:
		var rep messages.ASRep
		if err := rep.Unmarshal(answer); err != nil {
			return errors.New("a reply that does not parse")
		}
		if err := g.permittedType(rep.EncPart.EType); err != nil {
			return err
		}
		return errors.Join(named(rep.Ticket), g.permitted(rep.PAData))
	case 0x6d:
		var rep messages.TGSRep
		if err := rep.Unmarshal(answer); err != nil {
			return errors.New("a reply that does not parse")
		}
		return named(rep.Ticket)
	}
	return errors.New("an answer that is no message of Kerberos")
}

// named refuses a ticket whose service has no name: gokrb5 looks at the first part of the name.
func named(ticket messages.Ticket) error {
	if len(ticket.SName.NameString) == 0 {
		return errors.New("a ticket for no service")
	}
	return nil
}

// Iterations of a key's derivation: 4,096 is the least that RFC 3962 suggests, and what domain
// controllers use.
const minIterations, maxIterations = 4096, 1 << 20

// permitted checks the parameters of the key derivation that a center asks for. gokrb5 takes the
// first entry, whatever it is.
func (g *Guard) permitted(data types.PADataSequence) error {
	for _, pa := range data {
		switch pa.PADataType {
		case patype.PA_ETYPE_INFO2:
			info, err := pa.GetETypeInfo2()
			if err != nil || len(info) == 0 {
				return errors.New("a list of encryption types that is empty or does not parse")
			}
			if err := g.permittedType(info[0].EType); err != nil {
				return err
			}
			switch p := info[0].S2KParams; len(p) {
			case 0:
			case 4:
				if n := binary.BigEndian.Uint32(p); n < minIterations || n > maxIterations {
					return fmt.Errorf("it wants a key of %d iterations, from %d to %d are taken", n, minIterations,
						maxIterations)
				}
			default:
				return errors.New("parameters of a key that do not parse")
			}
		case patype.PA_ETYPE_INFO:
			info, err := pa.GetETypeInfo()
			if err != nil || len(info) == 0 {
				return errors.New("a list of encryption types that is empty or does not parse")
			}
			if err := g.permittedType(info[0].EType); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Guard) permittedType(id int32) error {
	if !slices.Contains(g.centers.LibDefaults.PermittedEnctypeIDs, id) {
		return fmt.Errorf("it wants encryption type %d, which krb5.conf does not permit (permitted_enctypes)", id)
	}
	return nil
}
