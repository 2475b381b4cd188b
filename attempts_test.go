package provision_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// Whoever tries at the same time has as many attempts together as one alone.
func TestAttempts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		take := func(key string) bool {
			ok, err := tn.engine.Plumbing().TakeAttempt(t.Context(), "acme", key, 3, 30*time.Minute)
			if err != nil {
				t.Error(err)
			}
			return ok
		}
		var taken atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if take("ada") {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if n := taken.Load(); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		if !take("bob") {
			t.Error("another key has attempts of its own")
		}
		tn.clock.add(30*time.Minute - time.Second)
		if take("ada") {
			t.Error("an attempt before the window is over")
		}
		tn.clock.add(time.Second)
		if !take("ada") {
			t.Error("no attempt after the window")
		}
		for _, n := range []int{3, 1, 0} { // are returned
			if err := tn.engine.Plumbing().ReturnAttempts(t.Context(), "acme", "ada", n); err != nil {
				t.Fatal(err)
			}
			for i := range n + 1 {
				if got := take("ada"); got != (i < n) {
					t.Errorf("attempt %d after %d were returned: %t", i+1, n, got)
				}
			}
		}
		// Spaced attempts count together, until the latest is a window old.
		for i, want := range []bool{true, true, true, false, false, true} {
			if i > 0 {
				tn.clock.add(10 * time.Minute)
			}
			if got := take("eve"); got != want {
				t.Errorf("attempt %d, ten minutes after the one before: %t, want %t", i+1, got, want)
			}
		}
		if _, err := tn.engine.Plumbing().TakeAttempt(t.Context(), "nobody", "ada", 3, time.Minute); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of an unknown connection: %v", err)
		}
	})
}
