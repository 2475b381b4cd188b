package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// ledger knows which updates were acknowledged, and compares that with what is stored.
type ledger struct {
	scope string

	mu           sync.Mutex
	acknowledged map[string]bool
	refused      map[string]error // updates that the store was away for
	heard        chan struct{}    // closed, and made anew, with each update
}

func newLedger(scope string) *ledger {
	return &ledger{scope: scope, acknowledged: map[string]bool{}, refused: map[string]error{}, heard: make(chan struct{})}
}

// entry is the update of a name: a record, a member and an event. To run it again after
// it was committed fails.
func entry(name string) func(context.Context, store.Tx) error {
	return func(_ context.Context, tx store.Tx) error {
		if err := tx.PutRecord(&store.Record{Kind: "once", Key: name, Value: []byte("x")}); err != nil {
			return err
		}
		if _, err := tx.PutMembership(store.Membership{Group: "g", Member: name, Source: store.SourceSCIM, Kind: "User"}); err != nil {
			return err
		}
		return tx.AppendEvent(&store.Event{Type: store.AccountUpdated, AccountID: name})
	}
}

// acknowledge notes that an update has succeeded.
func (l *ledger) acknowledge(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[name] = true
	l.tell()
}

func (l *ledger) tell() {
	close(l.heard)
	l.heard = make(chan struct{})
}

// write writes entries by some writers at once until stop is called. The only error is
// that the store is away.
func (l *ledger) write(t *testing.T, s store.Store, name string, writers int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("%s-%d-%d", name, i, n)
				err := s.Update(context.WithoutCancel(ctx), l.scope, entry(name))
				if err == nil {
					l.acknowledge(name)
					continue
				}
				l.mu.Lock()
				l.refused[name] = err
				l.tell()
				l.mu.Unlock()
				if away := new(store.UnavailableError); !errors.As(err, &away) || away.RetryAfter < time.Second {
					t.Errorf("%s: %v, want an UnavailableError", name, err)
					return
				}
				time.Sleep(20 * time.Millisecond) // not as long as RetryAfter, but the server needs the processor
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
	}
}

// await waits until n more updates are acknowledged.
func (l *ledger) await(t *testing.T, n int) {
	t.Helper()
	l.awaitMore(t, n, "acknowledged", func() int { return len(l.acknowledged) })
}

// awaitRefusals waits until n more updates are refused.
func (l *ledger) awaitRefusals(t *testing.T, n int) {
	t.Helper()
	l.awaitMore(t, n, "refused", func() int { return len(l.refused) })
}

func (l *ledger) awaitMore(t *testing.T, n int, what string, count func() int) {
	t.Helper()
	want := -1
	for deadline := time.After(time.Minute); ; {
		l.mu.Lock()
		have, heard := count(), l.heard
		l.mu.Unlock()
		if want < 0 {
			want = have + n
		}
		if have >= want {
			return
		}
		select {
		case <-heard:
		case <-deadline:
			t.Fatalf("%d updates were %s, want %d", have, what, want)
		}
	}
}

// check checks that every acknowledged update is there, that none of those is which were
// refused, unless the error says that nobody knows, that every update which is there is
// there once and whole, and that the numbers of events have no gap.
func (l *ledger) check(t *testing.T, s store.Store) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	events, members, records := map[string]int{}, map[string]bool{}, map[string]bool{}
	err := s.View(t.Context(), l.scope, func(_ context.Context, r store.Reader) error {
		list, err := r.Events(0, 0)
		if err != nil {
			return err
		}
		for i, e := range list {
			events[e.AccountID]++
			if e.Sequence != int64(i+1) {
				t.Fatalf("event %d has the number %d", i+1, e.Sequence)
			}
		}
		memberships, err := r.Memberships("g", "", 0)
		if err != nil {
			return err
		}
		for _, m := range memberships {
			members[m.Member] = true
		}
		stored, err := r.Records("once", "", 0)
		for _, record := range stored {
			records[record.Key] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range events {
		if n != 1 || !members[name] || !records[name] {
			t.Errorf("%s: %d events, a member: %t, a record: %t", name, n, members[name], records[name])
		}
	}
	if len(members) != len(events) || len(records) != len(events) {
		t.Errorf("%d events, %d members and %d records", len(events), len(members), len(records))
	}
	for name, err := range l.refused {
		if events[name] > 0 && !errors.Is(err, postgres.ErrUnknown) {
			t.Errorf("%s was refused, and is there: %v", name, err)
		}
	}
	lost := 0
	for name := range l.acknowledged {
		if events[name] == 0 {
			lost++
		}
	}
	if lost > 0 || len(l.acknowledged) == 0 {
		t.Errorf("%d updates of %d that were acknowledged are lost", lost, len(l.acknowledged))
	}
	t.Logf("%d updates acknowledged, %d refused, %d there", len(l.acknowledged), len(l.refused), len(events))
}
