package provision_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

func TestSign(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		a, b := &provision.Engine{Store: st}, &provision.Engine{Store: st}
		signed, err := a.Plumbing().Sign(t.Context(), "one", []byte("payload"))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := b.Plumbing().Verify(t.Context(), "one", signed); err != nil || !ok || string(got) != "payload" {
			t.Errorf("another engine on the store reads %q, %v", got, err)
		}
		forged := append([]byte{}, signed...)
		forged[len(forged)-1] ^= 1
		for name, bad := range map[string][]byte{"another payload": forged, "cut": signed[:10], "empty": nil} {
			if _, ok, err := b.Plumbing().Verify(t.Context(), "one", bad); ok || err != nil {
				t.Errorf("%s is accepted, or %v", name, err)
			}
		}
		if _, ok, err := b.Plumbing().Verify(t.Context(), "two", signed); ok || err != nil {
			t.Errorf("another purpose is accepted, or %v", err)
		}
	})
}

// useOnce uses a key and reports whether that was the first time.
func useOnce(t *testing.T, e *provision.Engine, key string, until time.Time) bool {
	t.Helper()
	err := e.Plumbing().Once(t.Context(), "acme", provision.OnceKey{Text: key, Until: until})
	var replay *provision.ReplayError
	if err != nil && (!errors.As(err, &replay) || replay.Key != key) {
		t.Error(err)
	}
	return err == nil
}

// TestOnce uses one key from two engines at the same time, and again later.
func TestOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		until := tn.clock.Now().Add(time.Minute)
		use := func() int {
			var mu sync.Mutex
			var wg sync.WaitGroup
			firsts := 0
			for range 16 {
				engine := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
				wg.Go(func() {
					if useOnce(t, engine, "assertion/_1", until) {
						mu.Lock()
						defer mu.Unlock()
						firsts++
					}
				})
			}
			wg.Wait()
			return firsts
		}
		if n := use(); n != 1 {
			t.Errorf("%d were told to be first", n)
		}
		tn.clock.add(time.Minute - time.Millisecond)
		if n := use(); n != 0 {
			t.Errorf("%d were told to be first before the key expired", n)
		}
		tn.clock.add(time.Millisecond)
		until = until.Add(time.Minute)
		if n := use(); n != 1 {
			t.Errorf("%d were told to be first after the key expired", n)
		}
		kept := func() int {
			t.Helper()
			if err := tn.engine.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			return usedKeys(t, st)
		}
		if n := kept(); n != 1 {
			t.Errorf("%d keys are kept whose time has not passed, want 1", n)
		}
		tn.clock.add(2 * time.Minute)
		if n := kept(); n != 1 {
			t.Errorf("%d keys are kept whose time a clock that jumps may have made pass, want 1", n)
		}
		tn.clock.add(time.Hour)
		if n := kept(); n != 0 {
			t.Errorf("%d keys are kept whose time has passed", n)
		}
	})
}

// refusals returns what is counted for a connection, as "minute address cause
// count".
func refusals(t *testing.T, e *provision.Engine, connection string) []string {
	t.Helper()
	list, err := e.Refusals(t.Context(), connection, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{}
	for _, r := range list {
		rows = append(rows, fmt.Sprintf("%s %s %s %d", r.Minute.Format("15:04"), r.Address, r.Cause, r.Count))
	}
	return rows
}

// Refusals are counted for the connections that exist, and are no events.
func TestRefusals(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		at := tn.lastEvent()
		tn.engine.Plumbing().CountRefusal("acme", "192.0.2.1:443", "unauthenticated")
		tn.engine.Plumbing().CountRefusal("no id", "192.0.2.1", "forbidden")
		tn.engine.Plumbing().CountRefusal("nobody", "192.0.2.1", "forbidden")
		if diff := cmp.Diff([]string{"03:04 192.0.2.1 unauthenticated 1"}, refusals(t, tn.engine, "acme")); diff != "" {
			t.Errorf("of acme (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"03:04 192.0.2.1 forbidden 2"}, refusals(t, tn.engine, "")); diff != "" {
			t.Errorf("of no connection (-want +got):\n%s", diff)
		}
		if _, err := tn.engine.Refusals(t.Context(), "nobody", time.Time{}); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("an unknown connection: %v, want ErrNotFound", err)
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("counting made events %v", got)
		}
	})
}

// Run stores what was counted before it ends.
func TestRunStoresRefusals(t *testing.T) {
	st := memory.New()
	tn := newTenant(t, st, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tn.engine.Run(ctx) }()
	tn.engine.Plumbing().CountRefusal("acme", "192.0.2.1", "a")
	tn.engine.Plumbing().CountRefusal("gone", "192.0.2.1", "a")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ended with %v", err)
	}
	there := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
	if got := append(refusals(t, there, "acme"), refusals(t, there, "")...); len(got) != 2 {
		t.Errorf("stored %v, want both", got)
	}
}
