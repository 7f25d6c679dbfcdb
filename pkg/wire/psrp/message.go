package psrp

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// messageType names a message ([MS-PSRP] 2.2.1).
type messageType uint32

const (
	sessionCapability      messageType = 0x00010002
	initRunspacePool       messageType = 0x00010004
	publicKey              messageType = 0x00010005
	encryptedSessionKey    messageType = 0x00010006
	setMaxRunspaces        messageType = 0x00021002
	setMinRunspaces        messageType = 0x00021003
	runspaceAvailability   messageType = 0x00021004
	runspacePoolState      messageType = 0x00021005
	createPipeline         messageType = 0x00021006
	getAvailableRunspaces  messageType = 0x00021007
	applicationPrivateData messageType = 0x00021009
	getCommandMetadata     messageType = 0x0002100A
	resetRunspaceState     messageType = 0x0002100C
	runspacePoolHostCall   messageType = 0x00021100
	pipelineInput          messageType = 0x00041002
	endOfPipelineInput     messageType = 0x00041003
	pipelineOutput         messageType = 0x00041004
	errorRecordMessage     messageType = 0x00041005
	pipelineState          messageType = 0x00041006
	debugRecord            messageType = 0x00041007
	verboseRecord          messageType = 0x00041008
	warningRecord          messageType = 0x00041009
	progressRecord         messageType = 0x00041010
	informationRecord      messageType = 0x00041011
	pipelineHostCall       messageType = 0x00041100
)

const (
	toClient      uint32 = 1
	toServer      uint32 = 2
	messageHeader        = 40
)

// States of a pool and of a pipeline.
const (
	poolOpened = 2
	poolClosed = 3
	poolBroken = 5

	pipelineStopped   int64 = 3
	pipelineCompleted int64 = 4
	pipelineFailed    int64 = 5
)

// message is a remoting message: little-endian destination and type, the GUIDs of pool and pipeline
// in .NET's order, CLIXML.
type message struct {
	destination    uint32
	kind           messageType
	pool, pipeline GUID
	data           []byte
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func (m message) bytes() []byte {
	b := make([]byte, 0, messageHeader+len(byteOrderMark)+len(m.data))
	b = binary.LittleEndian.AppendUint32(b, m.destination)
	b = binary.LittleEndian.AppendUint32(b, uint32(m.kind))
	pool, pipeline := m.pool.swapped(), m.pipeline.swapped()
	b = append(append(b, pool[:]...), pipeline[:]...)
	return append(append(b, byteOrderMark...), m.data...)
}

func parseMessage(b []byte) (message, error) {
	if len(b) < messageHeader {
		return message{}, fmt.Errorf("message of %d bytes is shorter than its header", len(b))
	}
	m := message{destination: binary.LittleEndian.Uint32(b), kind: messageType(binary.LittleEndian.Uint32(b[4:]))}
	copy(m.pool[:], b[8:24])
	copy(m.pipeline[:], b[24:40])
	m.pool, m.pipeline = m.pool.swapped(), m.pipeline.swapped()
	m.data = bytes.TrimPrefix(b[messageHeader:], byteOrderMark)
	return m, nil
}

// members is a message's data: an object whose extended properties are the members.
func members(list ...Property) *Object { return &Object{Extended: list} }

// member reads the data of a message as an object with members.
func (m message) members() (*Object, error) {
	v, err := unmarshalOne(m.data)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, fmt.Errorf("message %#x holds no object", uint32(m.kind))
	}
	return o, nil
}

// output reads the data of a PIPELINE_OUTPUT message: $null comes as a message without data.
func (m message) output() (any, error) {
	if len(m.data) == 0 {
		return nil, nil
	}
	return unmarshalOne(m.data)
}

// voidCall is the call id of the host's methods that return nothing (ServerDispatchTable.VoidCallId
// of PowerShell).
const voidCall = -100

// hostCall is a call of a method of the client's host ([MS-PSRP] 2.2.2.15, 2.2.2.27).
type hostCall struct {
	method     string
	answered   bool // the server waits for a result
	parameters []any
}

func (m message) hostCall() hostCall {
	o, err := m.members()
	if err != nil {
		return hostCall{method: "unreadable", answered: true}
	}
	method, _ := o.Get("mi")
	parameters, _ := o.Get("mp")
	list, _ := listOf(parameters)
	return hostCall{method: link.Line(Text(method)), answered: integerOf(o, "ci", 0) != voidCall, parameters: list}
}

// warning is the text of a call that shows a warning.
func (c hostCall) warning() (string, bool) {
	if c.method != "WriteWarningLine" || len(c.parameters) == 0 {
		return "", false
	}
	return Text(c.parameters[0]), true
}

// integer reads a whole number, plain or under an enum.
func integer(v any) (int64, bool) {
	if o, ok := v.(*Object); ok {
		v = o.Value
	}
	n, ok := v.(int64)
	return n, ok
}

func integerOf(o *Object, name string, absent int64) int64 {
	v, _ := o.Get(name)
	if n, ok := integer(v); ok {
		return n
	}
	return absent
}

func textOf(o *Object, name string) string {
	v, _ := o.Get(name)
	return Text(v)
}

// enum is a .NET enumeration's value.
func enum(typeName, text string, n int64) *Object {
	return &Object{Types: []string{typeName, "System.Enum", "System.ValueType", "System.Object"}, Text: text, Value: n}
}
