package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// refusals returns what is counted for a connection, as "minute address cause
// count".
func refusals(t *testing.T, e *provision.Engine, connection string, since time.Time) []string {
	t.Helper()
	list, err := e.Refusals(t.Context(), connection, since)
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{}
	for _, r := range list {
		rows = append(rows, fmt.Sprintf("%s %s %s %d", r.Minute.Format("15:04"), r.Address, r.Cause, r.Count))
	}
	return rows
}

func flush(t *testing.T, engines ...*provision.Engine) {
	t.Helper()
	for _, e := range engines {
		if err := e.FlushRefusals(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func total(t *testing.T, e *provision.Engine, connection string) (rows, count int) {
	t.Helper()
	list, err := e.Refusals(t.Context(), connection, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		count += r.Count
	}
	return len(list), count
}

// Refusals are counted by minute, address and cause, in all processes together,
// and are no events.
func TestRefusals(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		there := &provision.Engine{Store: st, Now: tn.clock.Now}
		at, began := tn.lastEvent(), tn.clock.Now()
		tn.engine.CountRefusal("acme", "192.0.2.1:443", "unauthenticated")
		tn.engine.CountRefusal("acme", "[2001:db8::1%eth0]:443", "unauthenticated")
		there.CountRefusal("acme", "::ffff:192.0.2.1", "unauthenticated")
		there.CountRefusal("acme", "192.0.2.1", "invalidSyntax")
		want := []string{"03:04 192.0.2.1 unauthenticated 1", "03:04 2001:db8::1 unauthenticated 1"}
		if diff := cmp.Diff(want, refusals(t, tn.engine, "acme", time.Time{})); diff != "" {
			t.Errorf("before they are stored (-want +got):\n%s", diff)
		}
		flush(t, tn.engine, there)
		tn.clock.add(time.Minute)
		tn.engine.CountRefusal("acme", "192.0.2.1", "unauthenticated")
		flush(t, tn.engine)
		tn.engine.CountRefusal("acme", "192.0.2.1", "unauthenticated")
		want = []string{
			"03:04 192.0.2.1 invalidSyntax 1", "03:04 192.0.2.1 unauthenticated 2", "03:04 2001:db8::1 unauthenticated 1",
			"03:05 192.0.2.1 unauthenticated 2",
		}
		if diff := cmp.Diff(want, refusals(t, tn.engine, "acme", time.Time{})); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, refusals(t, tn.engine, "acme", began)); diff != "" {
			t.Errorf("since the minute in which they began (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[3:], refusals(t, tn.engine, "acme", began.Add(time.Minute))); diff != "" {
			t.Errorf("since a minute later (-want +got):\n%s", diff)
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("counting made events %v", got)
		}
	})
}

// What a client chooses is never kept: no text as address, cause or connection.
func TestRefusalsKeepNoText(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		const text = "'; DROP TABLE--"
		tn.engine.CountRefusal(text, text, text)
		tn.engine.CountRefusal("nobody", "192.0.2.1", "forbidden")
		tn.engine.CountRefusal("acme", strings.Repeat("1", 99), strings.Repeat("c", 41))
		tn.engine.CountRefusal("acme", "", "")
		for _, when := range []string{"waiting", "stored"} {
			if diff := cmp.Diff([]string{"03:04  other 1", "03:04 192.0.2.1 forbidden 1"}, refusals(t, tn.engine, "", time.Time{})); diff != "" {
				t.Errorf("of no connection, %s (-want +got):\n%s", when, diff)
			}
			flush(t, tn.engine)
		}
		if diff := cmp.Diff([]string{"03:04  other 2"}, refusals(t, tn.engine, "acme", time.Time{})); diff != "" {
			t.Errorf("of acme (-want +got):\n%s", diff)
		}
		if _, err := tn.engine.Refusals(t.Context(), "nobody", time.Time{}); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("an unknown connection: %v, want ErrNotFound", err)
		}
	})
}

// However many addresses, causes and connections a client uses, what is kept is
// bounded, and nothing goes uncounted.
func TestRefusalsAreBounded(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) }
	const flood = 3 * provision.RefusalBuffer
	for i := range flood {
		tn.engine.CountRefusal(fmt.Sprint("c", i), address(i), fmt.Sprint("cause", i))
	}
	if got, most := tn.engine.WaitingRefusals(), provision.RefusalBuffer*12/10; got > most {
		t.Errorf("%d rows wait in memory, want at most %d", got, most)
	}
	flush(t, tn.engine)
	if rows, count := total(t, tn.engine, ""); count != flood || rows > provision.RefusalMinute+101 {
		t.Errorf("of no connection %d refusals in %d rows, want %d in at most %d", count, rows, flood, provision.RefusalMinute+101)
	}

	sent, i := 0, 0
	for range 60 {
		tn.clock.add(time.Minute)
		for range 2 * provision.RefusalMinute {
			tn.engine.CountRefusal("acme", address(i), "unauthenticated")
			i++
			sent++
		}
		flush(t, tn.engine)
		flush(t, tn.engine)
	}
	// A row without an address for each minute comes to those of the day.
	if rows, count := total(t, tn.engine, "acme"); count != sent || rows > provision.RefusalDay+60 {
		t.Errorf("of acme %d refusals in %d rows, want %d in at most %d", count, rows, sent, provision.RefusalDay+60)
	}
}

// Names of connections that do not exist reach no store, however many a client
// makes up: storing their counts is one update, of the connection "".
func TestRefusalsOfUnknownConnections(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		seen := &scopes{Store: st}
		tn := newTenant(t, seen, `{}`)
		seen.updated = nil
		for i := range 1000 {
			tn.engine.CountRefusal(fmt.Sprint("made-up-", i), "192.0.2.1", "unauthenticated")
		}
		flush(t, tn.engine)
		if diff := cmp.Diff([]string{""}, seen.updated); diff != "" {
			t.Errorf("updated scopes (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"03:04 192.0.2.1 unauthenticated 1000"}, refusals(t, tn.engine, "", time.Time{})); diff != "" {
			t.Errorf("of no connection (-want +got):\n%s", diff)
		}
		flush(t, tn.engine)
		if len(seen.updated) != 1 {
			t.Errorf("storing nothing updated scopes %q", seen.updated[1:])
		}
	})
}

// scopes is a store that notes which scopes are updated.
type scopes struct {
	store.Store
	updated []string
}

func (s *scopes) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	s.updated = append(s.updated, scope)
	return s.Store.Update(ctx, scope, fn)
}

// A connection that is listed but was never saved, as a crash leaves it, does not
// exist: its counts go to those of "" at once. Nothing is lost while the list
// cannot be read.
func TestRefusalsOfUnsavedConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		broken := &brokenUpdates{Store: st}
		tn := newTenant(t, broken, `{}`)
		err := st.Update(t.Context(), store.Global, func(_ context.Context, tx store.Tx) error {
			return tx.PutRecord(&store.Record{Kind: "connection", Key: "half", Value: []byte("{}")})
		})
		if err != nil {
			t.Fatal(err)
		}
		tn.engine.CountRefusal("half", "192.0.2.1", "a")
		tn.engine.CountRefusal("", "192.0.2.1", "a")
		broken.views = errors.New("no disk")
		if err := tn.engine.FlushRefusals(t.Context()); !errors.Is(err, broken.views) {
			t.Errorf("storing: %v, want %v", err, broken.views)
		}
		broken.views = nil
		flush(t, tn.engine)
		if diff := cmp.Diff([]string{"03:04 192.0.2.1 a 2"}, refusals(t, tn.engine, "", time.Time{})); diff != "" {
			t.Errorf("of no connection (-want +got):\n%s", diff)
		}
	})
}

// Old counts go, and what cannot be stored is counted again.
func TestRefusalsRetention(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		broken := &brokenUpdates{Store: st}
		tn := newTenant(t, broken, `{}`)
		tn.engine.CountRefusal("acme", "192.0.2.1", "a")
		broken.err = errors.New("no disk")
		if err := tn.engine.FlushRefusals(t.Context()); !errors.Is(err, broken.err) {
			t.Errorf("storing: %v, want %v", err, broken.err)
		}
		broken.err = nil
		flush(t, tn.engine)
		tn.clock.add(30*24*time.Hour - 6*time.Second)
		tn.engine.CountRefusal("acme", "192.0.2.1", "a")
		flush(t, tn.engine)
		for _, want := range [][]string{
			{"03:04 192.0.2.1 a 1", "03:03 192.0.2.1 a 1"},
			{"03:03 192.0.2.1 a 1"},
		} {
			if err := tn.engine.PruneRefusals(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, refusals(t, tn.engine, "acme", time.Time{})); diff != "" {
				t.Errorf("at %v (-want +got):\n%s", tn.clock.Now(), diff)
			}
			tn.clock.add(time.Second)
		}
	})
}

// brokenUpdates is a store whose writes can fail, and its reads.
type brokenUpdates struct {
	store.Store
	err, views error
}

func (s *brokenUpdates) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if s.views != nil {
		return s.views
	}
	return s.Store.View(ctx, scope, fn)
}

func (s *brokenUpdates) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Update(ctx, scope, fn)
}

// Run stores what was counted before it ends.
func TestRunStoresRefusals(t *testing.T) {
	st := memory.New()
	tn := newTenant(t, st, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tn.engine.Run(ctx) }()
	tn.engine.CountRefusal("acme", "192.0.2.1", "a")
	tn.engine.CountRefusal("gone", "192.0.2.1", "a")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ended with %v", err)
	}
	there := &provision.Engine{Store: st, Now: tn.clock.Now}
	if got := append(refusals(t, there, "acme", time.Time{}), refusals(t, there, "", time.Time{})...); len(got) != 2 {
		t.Errorf("stored %v, want both", got)
	}
}
