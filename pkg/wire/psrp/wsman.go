package psrp

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const (
	shellNS     = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
	transferNS  = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	resourceURI = "http://schemas.microsoft.com/powershell/"
	anonymous   = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
	namespaces  = `xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
		`xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ` +
		`xmlns:x="` + transferNS + `" ` +
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" ` +
		`xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" ` +
		`xmlns:rsp="` + shellNS + `"`

	actionCreate  = transferNS + "/Create"
	actionDelete  = transferNS + "/Delete"
	actionCommand = shellNS + "/Command"
	actionSend    = shellNS + "/Send"
	actionReceive = shellNS + "/Receive"
	actionSignal  = shellNS + "/Signal"
	actionFault   = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"

	signalTerminate = shellNS + "/signal/Terminate"
	commandDone     = shellNS + "/CommandState/Done"
	commandRunning  = shellNS + "/CommandState/Running"

	soapType = "application/soap+xml;charset=UTF-8"
)

// node is an XML element.
type node struct {
	name       string // local; the protocol has no two of one name where it matters
	attributes []xml.Attr
	text       string
	kids       []*node
}

const (
	maxEnvelopeDepth = 64
	maxEnvelopeNodes = 100_000
)

func parseNode(data []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, byteOrderMark)))
	var root *node
	var open []*node
	var texts [][]byte // of the open elements: text comes in pieces, as many as a hostile peer likes
	count := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if root == nil || len(open) > 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > maxEnvelopeNodes || len(open) >= maxEnvelopeDepth {
				return nil, errors.New("too many elements")
			}
			n := &node{name: t.Name.Local, attributes: t.Attr}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.kids = append(parent.kids, n)
			case root == nil:
				root = n
			default:
				return nil, errors.New("more than one document")
			}
			open, texts = append(open, n), append(texts, nil)
		case xml.EndElement:
			last := len(open) - 1
			open[last].text = string(texts[last])
			open, texts = open[:last], texts[:last]
		case xml.CharData:
			if last := len(open) - 1; last >= 0 {
				texts[last] = append(texts[last], t...)
			}
		case xml.Directive:
			return nil, errors.New("a document type is not allowed")
		}
	}
}

func (n *node) attribute(name string) string {
	if n != nil {
		for _, a := range n.attributes {
			if a.Name.Local == name {
				return a.Value
			}
		}
	}
	return ""
}

// at follows names downwards, taking the first of each; nil when there is none.
func (n *node) at(names ...string) *node {
	for _, name := range names {
		if n == nil {
			return nil
		}
		var next *node
		for _, k := range n.kids {
			if k.name == name {
				next = k
				break
			}
		}
		n = next
	}
	return n
}

func (n *node) value(names ...string) string {
	if n = n.at(names...); n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// all returns the text that the element and everything in it hold.
func (n *node) all() string {
	if n == nil {
		return ""
	}
	parts := []string{strings.TrimSpace(n.text)}
	for _, k := range n.kids {
		parts = append(parts, k.all())
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// envelope is a WS-Management request or answer.
type envelope struct {
	to, resource, action, messageID, relatesTo string
	maxSize                                    int
	timeout                                    time.Duration
	shell                                      string // selector ShellId
	options                                    map[string]string
	body                                       *node   // first element within the body; nil when empty
	all                                        []*node // all elements of the body
	fault                                      *node
}

func parseEnvelope(data []byte) (*envelope, error) {
	root, err := parseNode(data)
	if err != nil {
		return nil, err
	}
	if root.name != "Envelope" {
		return nil, fmt.Errorf("element %.40q where an envelope belongs", root.name)
	}
	head := root.at("Header")
	e := &envelope{
		to: head.value("To"), resource: head.value("ResourceURI"), action: head.value("Action"),
		messageID: head.value("MessageID"), relatesTo: head.value("RelatesTo"),
		options: map[string]string{},
	}
	_, _ = fmt.Sscanf(head.value("MaxEnvelopeSize"), "%d", &e.maxSize)
	if t, err := parseTimeSpan(head.value("OperationTimeout")); err == nil && t > 0 {
		e.timeout, _ = t.Duration()
	}
	if set := head.at("SelectorSet"); set != nil {
		for _, s := range set.kids {
			if s.attribute("Name") == "ShellId" {
				e.shell = strings.TrimSpace(s.text)
			}
		}
	}
	if set := head.at("OptionSet"); set != nil {
		for _, o := range set.kids {
			e.options[o.attribute("Name")] = strings.TrimSpace(o.text)
		}
	}
	body := root.at("Body")
	if body == nil {
		return nil, errors.New("envelope without a body")
	}
	e.all = body.kids
	if len(body.kids) > 0 {
		e.body = body.kids[0]
		if e.body.name == "Fault" {
			e.fault = e.body
		}
	}
	return e, nil
}

// option is a WS-Management option of a request.
type option struct{ name, value string }

// request is what a client's envelope is written from.
type request struct {
	to, resource, action, messageID, session, shell string
	command                                         string // that it is about; its id stands in the body
	maxSize                                         int
	timeout                                         time.Duration
	mustComply                                      bool
	options                                         []option
	body                                            string
}

func (r request) bytes() []byte {
	var b strings.Builder
	b.WriteString(`<s:Envelope ` + namespaces + `><s:Header><a:To>` + xmlText(r.to) +
		`</a:To><w:ResourceURI s:mustUnderstand="true">` + xmlText(r.resource) + `</w:ResourceURI>` +
		`<a:ReplyTo><a:Address s:mustUnderstand="true">` + anonymous +
		`</a:Address></a:ReplyTo><a:Action s:mustUnderstand="true">` + r.action + `</a:Action>`)
	fmt.Fprintf(&b, `<w:MaxEnvelopeSize s:mustUnderstand="true">%d</w:MaxEnvelopeSize>`, r.maxSize)
	b.WriteString(`<a:MessageID>` + r.messageID +
		`</a:MessageID><w:Locale xml:lang="en-US" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>` +
		`<p:SessionId s:mustUnderstand="false">` + r.session + `</p:SessionId>`)
	fmt.Fprintf(&b, `<w:OperationTimeout>%s</w:OperationTimeout>`, TimeSpan(r.timeout/100).xml())
	if len(r.options) > 0 {
		b.WriteString(`<w:OptionSet s:mustUnderstand="true">`)
		for _, o := range r.options {
			b.WriteString(`<w:Option Name="` + xmlText(o.name) + `"`)
			if r.mustComply {
				b.WriteString(` MustComply="true"`)
			}
			b.WriteString(`>` + xmlText(o.value) + `</w:Option>`)
		}
		b.WriteString(`</w:OptionSet>`)
	}
	if r.shell != "" {
		b.WriteString(`<w:SelectorSet><w:Selector Name="ShellId">` + xmlText(r.shell) + `</w:Selector></w:SelectorSet>`)
	}
	b.WriteString(`</s:Header><s:Body>` + r.body + `</s:Body></s:Envelope>`)
	return []byte(b.String())
}

func answerEnvelope(action, relatesTo, body string) []byte {
	return []byte(`<s:Envelope xml:lang="en-US" ` + namespaces + `><s:Header><a:Action>` + action +
		`</a:Action><a:MessageID>uuid:` + strings.ToUpper(NewGUID().String()) +
		`</a:MessageID><a:To>` + anonymous + `</a:To><a:RelatesTo>` + xmlText(relatesTo) +
		`</a:RelatesTo></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`)
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// streamBytes reads the base64 text of a stream element.
func streamBytes(n *node) ([]byte, error) {
	if n == nil {
		return nil, errors.New("stream is missing")
	}
	b, err := base64.StdEncoding.DecodeString(stripSpace(strings.TrimSpace(n.text)))
	if err != nil {
		return nil, errors.New("stream is not in base64")
	}
	return b, nil
}

// Fault is a WS-Management fault. errors.Is knows it as ErrShellLimit, ErrLoadLimit, ErrShellGone
// or link.ErrAccess when it says so.
type Fault struct {
	Code    uint32 // of WSManFault; 0 when the fault carries none
	Subcode string // "w:TimedOut"
	Reason  string
	Detail  string // what the provider says, if more than Reason
	Machine string // the server by its own name
	Status  int    // of HTTP

	command string // that the request was about
}

var (
	// ErrShellLimit says that the user has as many shells open as the throttling policy allows, 18
	// by default.
	ErrShellLimit = errors.New("too many remote PowerShell sessions of this user")
	// ErrLoadLimit says that the user's request rate exceeds the throttling policy.
	ErrLoadLimit = errors.New("too many remote PowerShell requests of this user")
	// ErrShellGone says that the server has no such shell: it was idle too long or the server was
	// restarted.
	ErrShellGone = errors.New("remote PowerShell session is gone")
	// ErrCommandGone says that the shell has no such command: it has ended, or the server has not
	// seen it yet.
	ErrCommandGone = errors.New("remote PowerShell command is gone")
)

// The texts with which servers refuse a session or request over the limit. Exchange 2010 has a
// fault code for the first; later versions answer Create with success and fail the first Receive,
// or break the pool, with a text and FailureCategory=AuthZ-AuthorizationException. The numbers
// within depend on the policy.
var (
	shellLimit = []string{"concurrent shells", "maximum number of connections allowed", "policy party : maxconcurrency"}
	loadLimit  = []string{"user load quota", "budget to create runspace"}
	waitTold   = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)wait for (\d{1,6}) seconds`)
	})
)

// isLimit reports whether a server's text means a limit.
func isLimit(limit error, text string) bool {
	var words []string
	switch {
	case errors.Is(limit, ErrShellLimit):
		words = shellLimit
	case errors.Is(limit, ErrLoadLimit):
		words = loadLimit
	}
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// RetryAfter is how long the server of a refused session asks to wait; 0 when it does not say.
func RetryAfter(err error) time.Duration {
	if err == nil || !errors.Is(err, ErrShellLimit) && !errors.Is(err, ErrLoadLimit) {
		return 0
	}
	found := waitTold().FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	seconds, _ := strconv.Atoi(found[1])
	return time.Duration(seconds) * time.Second
}

// Codes of faults. The first four are in recordings of real servers or in winerror.h as published;
// the others are recalled, and only the server half sends them.
const (
	faultAccessDenied  uint32 = 5
	faultTimedOut      uint32 = 2150858793 // 0x80338029
	faultShellGone     uint32 = 2150858843 // 0x8033805B
	faultQuotaShells   uint32 = 2150859173 // 0x803381A5 maximum number of concurrent shells of a user
	faultNoSuchSession uint32 = 2150858819 // 0x80338043 no session configuration of that name
	faultInvalid       uint32 = 2150858817 // 0x80338041 the request does not fit the schema
	faultUnsupported   uint32 = 2150858753 // 0x80338001 action
)

func (f *Fault) Error() string {
	text := f.Reason
	if text == "" {
		text = f.Subcode
	}
	if f.Detail != "" {
		text = strings.TrimSpace(text + " " + f.Detail)
	}
	return fmt.Sprintf("WS-Management fault %d: %s", f.Code, text)
}

// Is makes a fault one of the errors it stands for.
func (f *Fault) Is(target error) bool {
	text := f.Reason + " " + f.Detail
	switch target {
	case ErrShellLimit:
		return f.Code == faultQuotaShells || isLimit(target, text)
	case ErrLoadLimit:
		return isLimit(target, text)
	case ErrShellGone:
		return f.Code == faultShellGone && !f.aboutCommand()
	case ErrCommandGone:
		return f.Code == faultShellGone && f.aboutCommand()
	case link.ErrAccess:
		limited := isLimit(ErrShellLimit, text) || isLimit(ErrLoadLimit, text) // which servers file under authorization
		return !limited && (f.Code == faultAccessDenied || strings.HasSuffix(f.Subcode, ":AccessDenied"))
	}
	return false
}

// aboutCommand distinguishes a lost command from a lost shell, which have one code. Requests ask
// for English answers; a server that answers in another language names the id of what it does not
// find.
func (f *Fault) aboutCommand() bool {
	text := strings.ToLower(f.Reason + " " + f.Detail)
	return strings.Contains(text, "command identifier") ||
		f.command != "" && strings.Contains(text, strings.ToLower(f.command))
}

func (f *Fault) timedOut() bool {
	return f.Code == faultTimedOut || f.Code == 0 && strings.HasSuffix(f.Subcode, ":TimedOut")
}

func parseFault(n *node, status int) *Fault {
	f := &Fault{Status: status, Subcode: link.Line(n.value("Code", "Subcode", "Value")),
		Reason: link.Line(n.value("Reason", "Text"))}
	if w := n.at("Detail", "WSManFault"); w != nil {
		_, _ = fmt.Sscanf(w.attribute("Code"), "%d", &f.Code)
		f.Machine = link.Line(w.attribute("Machine"))
		f.Detail = link.Line(w.at("Message").all())
	} else {
		f.Detail = link.Line(n.at("Detail").all())
	}
	if f.Detail == f.Reason || strings.TrimSpace(f.Detail) == strings.TrimSpace(f.Reason) {
		f.Detail = ""
	}
	return f
}

func (f *Fault) body() string {
	role := "s:Sender"
	if f.Code == faultTimedOut {
		role = "s:Receiver"
	}
	return fmt.Sprintf(`<s:Fault><s:Code><s:Value>%s</s:Value><s:Subcode><s:Value>%s</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">%s</s:Text></s:Reason>`+
		`<s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="%d" Machine="%s"><f:Message>%s</f:Message></f:WSManFault></s:Detail></s:Fault>`,
		role, xmlText(f.Subcode), xmlText(f.Reason), f.Code, xmlText(f.Machine), xmlText(f.Reason))
}
