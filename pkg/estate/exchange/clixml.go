package exchange

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// ReadCLIXML reads the objects of a file that Export-Clixml wrote. A list that was exported as one
// object is its elements.
func ReadCLIXML(data []byte) ([]Object, error) {
	values, err := psrp.Unmarshal(data)
	if err != nil {
		return nil, err
	}
	if len(values) == 1 {
		if o, ok := values[0].(*psrp.Object); ok && o != nil {
			if list, ok := o.Value.([]any); ok {
				values = list
			}
		}
	}
	c := conversion{left: maxValues}
	out := make([]Object, 0, len(values))
	for _, v := range values {
		if v != nil {
			out = append(out, c.output(v))
		}
	}
	return out, nil
}

// CmdletOf finds the Get cmdlet of this side that a file's name begins or ends with: GetAcceptedDomain.xml,
// Get-ExchangeCertificate-EX1.xml, EX1_Get-Queue.xml. exact says that the name holds nothing else.
func (c Cmdlets) CmdletOf(name string, side Side) (cmdlet string, exact bool) {
	lower := strings.ToLower(name)
	at := strings.Index(lower, "get")
	for ; at >= 0; at = next(lower, at) {
		rest := strings.TrimPrefix(lower[at+len("get"):], "-")
		for _, full := range c.Names(side) {
			noun, is := strings.CutPrefix(strings.ToLower(full), "get-")
			after, starts := strings.CutPrefix(rest, noun)
			if is && starts && len(full) > len(cmdlet) && (after == "" || after[0] < 'a' || after[0] > 'z') {
				cmdlet, exact = full, at == 0 && after == ""
			}
		}
		if cmdlet != "" {
			break
		}
	}
	return cmdlet, exact
}

func next(s string, at int) int {
	if i := strings.Index(s[at+1:], "get"); i >= 0 {
		return at + 1 + i
	}
	return -1
}
