package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

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
	there := &provision.Engine{Store: st, Now: tn.clock.Now}
	if got := append(refusals(t, there, "acme"), refusals(t, there, "")...); len(got) != 2 {
		t.Errorf("stored %v, want both", got)
	}
}
