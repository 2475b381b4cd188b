package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// kept returns the events of the connection.
func (tn *tenant) kept() []*provision.Event {
	tn.t.Helper()
	list, err := tn.dir.Events(tn.t.Context(), 0, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	return list
}

// bytes returns how large the events of the connection are.
func (tn *tenant) bytes() (n int64) {
	tn.t.Helper()
	for _, ev := range tn.kept() {
		text, err := json.Marshal(ev)
		if err != nil {
			tn.t.Fatal(err)
		}
		n += int64(len(text))
	}
	return n
}

// Events are kept for 90 days unless the host says something else.
func TestDefaultRetention(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		tn.clock.add(90 * 24 * time.Hour)
		tn.runOnce()
		if n := len(tn.kept()); n != 2 {
			t.Errorf("%d events after 90 days, want 2", n)
		}
		tn.clock.add(time.Millisecond)
		tn.engine.Retention = -1
		tn.runOnce()
		if n := len(tn.kept()); n != 2 {
			t.Errorf("%d events of a host that keeps them for ever, want 2", n)
		}
		tn.engine.Retention = 0
		tn.runOnce()
		if n := len(tn.kept()); n != 0 {
			t.Errorf("%d events after more than 90 days, want none", n)
		}
	})
}

// The oldest events go when all are too large, those of a transaction together, and
// no more than that: who has not seen them hears of it.
func TestRetentionBytes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		late := tn.engine.Consumer("late")
		if err := late.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		var people []string
		for i := range 60 {
			tn.clock.add(time.Second)
			people = append(people, tn.user(fmt.Sprintf(`{"userName":"user %d"}`, i)))
		}
		tn.runOnce()
		if n := len(tn.kept()); n != 61 {
			t.Fatalf("%d events within the default, want 61", n)
		}
		tn.clock.add(time.Second)
		tn.group("G", people...) // 61 events in one transaction
		all := tn.kept()
		tn.engine.RetentionBytes = -1
		tn.runOnce()
		if n := len(tn.kept()); n != len(all) {
			t.Errorf("%d events of a host that keeps any size, want %d", n, len(all))
		}
		tn.engine.RetentionBytes = tn.bytes() - 1
		tn.runOnce()
		if list := tn.kept(); len(list) != len(all)-1 || list[0].Sequence != 2 {
			t.Errorf("%d events from %d on, want %d from 2 on", len(list), list[0].Sequence, len(all)-1)
		}
		seen := func(context.Context, provision.Delivery) error { return nil }
		var expired *provision.CursorExpiredError
		if err := late.DeliverOnce(t.Context(), seen); !errors.As(err, &expired) {
			t.Errorf("a consumer that missed an event: %v", err)
		}
		tn.engine.RetentionBytes = tn.bytes() / 2
		tn.runOnce()
		if n := tn.bytes(); n > tn.engine.RetentionBytes {
			t.Errorf("%d bytes are kept, want at most %d", n, tn.engine.RetentionBytes)
		}
		tn.engine.RetentionBytes = 2000 // a part of the transaction
		tn.runOnce()
		if list := tn.kept(); len(list) != 0 {
			t.Errorf("%d events are left of one transaction", len(list))
		}
		tn.clock.add(time.Second)
		tn.user(ada)
		tn.runOnce()
		if n := len(tn.kept()); n != 1 {
			t.Errorf("%d new events, want 1", n)
		}
	})
}

// What is counted is what is kept, whatever was removed in between and however many
// processes count.
func TestCountedBytes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.RetentionBytes = 1<<20 - 1 // so little that every event is counted
		other := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now, RetentionBytes: tn.engine.RetentionBytes}
		for i := range 20 {
			tn.clock.add(24 * time.Hour)
			tn.user(fmt.Sprintf(`{"userName":"user %d"}`, i))
			tn.engine.Retention = time.Duration(5+i%3) * 24 * time.Hour
			tn.runOnce()
			if i%4 == 0 {
				done := make(chan error)
				go func() { done <- other.RunOnce(t.Context()) }()
				tn.runOnce()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			size, err := records.EventSize.View(t.Context(), st, "acme", "")
			if err != nil {
				t.Fatal(err)
			}
			if want := tn.bytes(); size.Value.Bytes != want {
				t.Errorf("after %d users %d bytes are counted, want %d", i+1, size.Value.Bytes, want)
			}
		}
	})
}

// To count and to remove reads each event a bounded number of times, and nothing
// where nothing happened.
func TestCostOfRetention(t *testing.T) {
	reads := &eventReads{}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		reads.Store = st
		tn := newTenant(t, reads, `{}`)
		for i := range 50 {
			tn.clock.add(time.Second)
			tn.user(fmt.Sprintf(`{"userName":"user %d"}`, i))
		}
		tn.runOnce()
		reads.events = 0
		tn.runOnce()
		if reads.events > 2 { // the oldest, and what is pruned
			t.Errorf("%d events were read where nothing happened", reads.events)
		}
		if updates := reads.updates; updates > 0 {
			reads.updates = 0
			tn.runOnce()
			if reads.updates > 0 {
				t.Errorf("%d updates where nothing happened", reads.updates)
			}
		}
	})
}

// eventReads counts the events that are read.
type eventReads struct {
	store.Store
	events, updates int
}

func (s *eventReads) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error { return fn(ctx, eventReader{r, s}) })
}

func (s *eventReads) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	s.updates++
	return s.Store.Update(ctx, scope, fn)
}

type eventReader struct {
	store.Reader
	reads *eventReads
}

func (r eventReader) Events(after int64, limit int) ([]*store.Event, error) {
	list, err := r.Reader.Events(after, limit)
	r.reads.events += len(list)
	return list, err
}

// The events of a deleted connection end, too, when nobody waits for them any more.
func TestRetentionOfDeletedConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		if err := tn.engine.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		tn.runOnce()
		left := func() (n int) {
			err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
				list, err := r.Events(0, 0)
				n = len(list)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if left() == 0 {
			t.Error("the events of a deleted connection are gone at once")
		}
		tn.clock.add(91 * 24 * time.Hour)
		tn.runOnce()
		if n := left(); n != 0 {
			t.Errorf("%d events are left of a connection that was deleted 91 days ago", n)
		}
		list, err := records.ConnectionEnded.View(t.Context(), st, store.Global, "acme")
		if err != nil || list.Stored() {
			t.Errorf("the connection is still remembered: %t, %v", list.Stored(), err)
		}
	})
}
