package secret

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
)

// Service is the service under which hybridge stores secrets in a keyring.
const Service = "hybridge"

// InKeyring is the reference to a secret that Store has stored for an account.
func InKeyring(account string) Ref { return Ref("keyring:" + Service + "/" + account) }

// unlocking is how long a keyring may take: it may ask the person to unlock it.
const unlocking = time.Minute

// Store stores a secret in the keyring of the operating system, where InKeyring refers to.
func Store(ctx context.Context, account string, v Value) error {
	if account == "" || strings.ContainsAny(account, "\x00\n") {
		return fmt.Errorf("%q is no name for an item of a keyring", account)
	}
	ctx, cancel := context.WithTimeout(ctx, unlocking)
	defer cancel()
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, keyring.Set(Service, account, v.Reveal()) })
	if err != nil {
		return fmt.Errorf("the keyring of this machine cannot be used: %w", err)
	}
	return nil
}
