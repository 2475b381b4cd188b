package provision_test

import (
	"errors"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

func TestSign(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		a, b := &provision.Engine{Store: st}, &provision.Engine{Store: st}
		signed, err := a.Sign(t.Context(), "one", []byte("payload"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Verify(t.Context(), "one", signed); err != nil || string(got) != "payload" {
			t.Errorf("another engine on the store reads %q, %v", got, err)
		}
		forged := append([]byte{}, signed...)
		forged[len(forged)-1] ^= 1
		for name, bad := range map[string][]byte{"another payload": forged, "cut": signed[:10], "empty": nil} {
			if _, err := b.Verify(t.Context(), "one", bad); !errors.Is(err, provision.ErrSignature) {
				t.Errorf("%s: %v, want ErrSignature", name, err)
			}
		}
		if _, err := b.Verify(t.Context(), "two", signed); !errors.Is(err, provision.ErrSignature) {
			t.Errorf("another purpose: %v, want ErrSignature", err)
		}
	})
}
