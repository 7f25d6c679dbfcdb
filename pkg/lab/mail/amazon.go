package mail

import (
	"errors"
	"fmt"
	"net"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// amazon is WorkMail: it takes mail for its users, offers TLS and requires none, and sends straight
// to the mail exchangers of a domain.
type amazon struct{ *Transport }

func (t amazon) session(net.Addr) smtp.Config {
	config := smtp.Config{
		Refuses: func(_ smtp.Message, recipient string) string {
			if t.Find(recipient).Here {
				return ""
			}
			return t.unknown(recipient)
		},
		Takes: t.take,
	}
	for _, c := range t.Certificates() {
		config.Certificate = &c
	}
	return config
}

func (t amazon) admit(smtp.Message, *Header) (verdict, string) { return verdict{}, "" }

func (t amazon) route(string) (way, error) { return way{hello: t.Host}, nil }

func (t amazon) unknown(address string) string {
	return "550 5.1.1 Requested action not taken: mailbox unavailable (" + address + ")"
}

func (t amazon) explain(host string, err error) string {
	var reply *smtp.ReplyError
	switch {
	case errors.As(err, &reply):
		return status(reply)
	case errors.Is(err, dns.ErrAbsent), errors.Is(err, dns.ErrEmpty):
		return "451 4.4.4 " + host + " has no mail exchanger"
	}
	return fmt.Sprintf("451 4.4.1 %s: %v", host, err)
}
