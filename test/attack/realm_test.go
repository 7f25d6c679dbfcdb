package attack_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

const (
	realmName = "CONTOSO.TEST"
	userName  = "admin"
	password  = "s3cret-of-the-administrator"
	aes256    = 18
)

// realm answers as the domain controllers of CONTOSO.TEST do: it knows the user's password. A rogue
// changes its answers on the way.
type realm struct {
	t        testing.TB
	keys     *keytab.Keytab
	user     types.EncryptionKey
	lifetime time.Duration // of the user's ticket

	mu      sync.Mutex
	session types.EncryptionKey // of the last ticket for the user
	service types.EncryptionKey // of the last ticket for a service
	issued  int
}

func newRealm(t testing.TB) *realm {
	t.Helper()
	r := &realm{t: t, keys: keytab.New(), lifetime: time.Hour}
	for _, name := range []string{"krbtgt/" + realmName, "HTTP/ex1.contoso.test", "ldap/dc1.contoso.test"} {
		if err := r.keys.AddEntry(name, realmName, "key of "+name, time.Now(), 1, aes256); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.user, _, err = crypto.GetKeyFromPassword(password, types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, userName),
		realmName, aes256, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is what the domain controller says to a request.
func (r *realm) answer(request []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, err := r.reply(request)
	if err != nil {
		r.t.Error(err)
	}
	return answer
}

func (r *realm) reply(request []byte) ([]byte, error) {
	var as messages.ASReq
	if as.Unmarshal(request) == nil {
		if !as.PAData.Contains(patype.PA_ENC_TIMESTAMP) {
			return wants(r.t, types.ETypeInfo2{entry(aes256, 4096)}), nil
		}
		fields, session, err := r.ticket(as.ReqBody, "krbtgt/"+realmName, r.user, keyusage.AS_REP_ENCPART)
		if err != nil {
			return nil, err
		}
		r.session = session
		fields.MsgType = 11
		fields.PAData = []types.PAData{{PADataType: patype.PA_ETYPE_INFO2,
			PADataValue: info(r.t, types.ETypeInfo2{entry(
				aes256, 4096)})}}
		rep := messages.ASRep{KDCRepFields: fields}
		return rep.Marshal()
	}
	var tgs messages.TGSReq
	if err := tgs.Unmarshal(request); err != nil {
		return nil, errors.New("neither AS-REQ nor TGS-REQ")
	}
	fields, service, err := r.ticket(tgs.ReqBody, tgs.ReqBody.SName.PrincipalNameString(), r.session,
		keyusage.TGS_REP_ENCPART_SESSION_KEY)
	if err != nil {
		return nil, err
	}
	r.service = service
	r.issued++
	fields.MsgType = 13
	rep := messages.TGSRep{KDCRepFields: fields}
	return rep.Marshal()
}

// ticket is a ticket for a service, and its key encrypted for the user.
func (r *realm) ticket(body messages.KDCReqBody, spn string, key types.EncryptionKey,
	usage uint32) (messages.KDCRepFields, types.EncryptionKey, error) {
	service := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, spn)
	user := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, userName)
	now := time.Now().UTC().Truncate(time.Second)
	flags := types.NewKrbFlags()
	end := now.Add(r.lifetime)
	ticket, session, err := messages.NewTicket(user, realmName, service, realmName, flags, r.keys, aes256, 1, now, now,
		end, now.Add(24*time.Hour))
	if err != nil {
		return messages.KDCRepFields{}, session, err
	}
	part := messages.EncKDCRepPart{
		Key: session, LastReqs: []messages.LastReq{{LRValue: now}}, Nonce: body.Nonce, Flags: flags, AuthTime: now,
		StartTime: now, EndTime: end, RenewTill: now.Add(24 * time.Hour), SRealm: realmName, SName: body.SName,
	}
	plain, err := part.Marshal()
	if err != nil {
		return messages.KDCRepFields{}, session, err
	}
	sealed, err := crypto.GetEncryptedData(plain, key, usage, 1)
	return messages.KDCRepFields{PVNO: 5, CRealm: realmName, CName: user, Ticket: ticket, EncPart: sealed}, session, err
}

// opens reports whether an AP-REQ within a GSS token is made with the key of the realm's last
// ticket for a service.
func (r *realm) opens(token []byte) error {
	at := 0 // of the token id of KRB_AP_REQ, 01 00
	for ; at+2 < len(token) && (token[at] != 1 || token[at+1] != 0); at++ {
	}
	var request messages.APReq
	if err := request.Unmarshal(token[min(at+2, len(token)):]); err != nil {
		return fmt.Errorf("no AP-REQ: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := crypto.DecryptEncPart(request.EncryptedAuthenticator, r.service, keyusage.AP_REQ_AUTHENTICATOR)
	return err
}

func info(t testing.TB, entries types.ETypeInfo2) []byte {
	t.Helper()
	data, err := asn1.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wants is the answer of a domain controller that requires pre-authentication, with these
// parameters of the key derivation.
func wants(t testing.TB, entries types.ETypeInfo2) []byte {
	t.Helper()
	data, err := asn1.Marshal(types.PADataSequence{{PADataType: 19, PADataValue: info(t, entries)}, {PADataType: 2}})
	if err != nil {
		t.Fatal(err)
	}
	e := messages.NewKRBError(types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "krbtgt/"+realmName), realmName, 25, "")
	e.EData = data
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func entry(kind int32, iterations ...uint32) types.ETypeInfo2Entry {
	e := types.ETypeInfo2Entry{EType: kind, Salt: realmName + userName}
	for _, n := range iterations {
		e.S2KParams = binary.BigEndian.AppendUint32(e.S2KParams, n)
	}
	return e
}

// cache is a ticket cache (FILE, version 4) with the user's ticket.
func (r *realm) cache(t testing.TB) string {
	t.Helper()
	fields, session, err := r.ticket(messages.KDCReqBody{}, "krbtgt/"+realmName, r.user, keyusage.AS_REP_ENCPART)
	if err != nil {
		t.Fatal(err)
	}
	r.session = session
	ticket, err := fields.Ticket.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	out := []byte{5, 4, 0, 0}
	number := func(n int) { out = binary.BigEndian.AppendUint32(out, uint32(n)) } //nolint:gosec // small
	data := func(b []byte) {
		number(len(b))
		out = append(out, b...)
	}
	principal := func(kind int, parts ...string) {
		number(kind)
		number(len(parts))
		data([]byte(realmName))
		for _, p := range parts {
			data([]byte(p))
		}
	}
	principal(1, userName)
	principal(1, userName)
	principal(2, "krbtgt", realmName)
	out = binary.BigEndian.AppendUint16(out, aes256)
	data(session.KeyValue)
	now := int(time.Now().Unix())
	for _, at := range []int{now, now, now + 3600, now + 7200} {
		number(at)
	}
	out = append(out, 0) // not for a user's session key
	for range 3 {        // flags, addresses, authorization data
		number(0)
	}
	data(ticket)
	data(nil)
	path := filepath.Join(t.TempDir(), "cache")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
