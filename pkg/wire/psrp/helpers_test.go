package psrp

import (
	"encoding/base64"
	"errors"
)

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func asRecord(err error, e **ErrorRecord) bool { return errors.As(err, e) }
