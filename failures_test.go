//go:build unix

package provision_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// Who guesses at one process is slowed by the other within two seconds.
func TestFailuresOfReplicas(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		defer r.running()()
		fail := func(tn *tenant) time.Duration { return tn.engine.Plumbing().CountFailure("192.0.2.1:443") }
		for i := range 9 {
			if wait := fail(r.tenant); wait != 0 {
				t.Errorf("failure %d waits %v", i, wait)
			}
		}
		if wait := fail(r.other); wait != 0 {
			t.Errorf("the first failure at the other process waits %v", wait)
		}
		tries := 1
		r.eventually("slowed at the other process", func() bool {
			time.Sleep(time.Second)
			tries++
			return fail(r.other) > 0
		})
		if tries > 9 {
			t.Errorf("the other process slows by its own count")
		}
		if wait := r.other.engine.Plumbing().CountFailure("192.0.2.2:443"); wait != 0 {
			t.Errorf("another address waits %v", wait)
		}
	})
}

// countedGlobal is a store that counts updates of the global scope.
type countedGlobal struct {
	store.Store
	n    atomic.Int64
	size atomic.Int64 // of the largest record
}

func (s *countedGlobal) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if scope == store.Global {
		s.n.Add(1)
	}
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, sizedTx{tx, s}) })
}

type sizedTx struct {
	store.Tx
	of *countedGlobal
}

func (t sizedTx) PutRecord(r *store.Record) error {
	t.of.size.Store(max(t.of.size.Load(), int64(len(r.Value)))) // one Update at a time
	return t.Tx.PutRecord(r)
}

// A flood of bad requests costs one write a second, of a bounded size; without any,
// nothing is written, and a process knows of the others within two seconds.
func TestFailuresCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countedGlobal{Store: memory.New()}
		r := newReplicas(t, `{}`, counted, memory.New())
		r.other.engine.Store = counted
		defer r.running()()
		time.Sleep(10 * time.Second)
		before := counted.n.Load()
		time.Sleep(time.Minute)
		if n := counted.n.Load() - before; n != 0 {
			t.Errorf("%d updates in a minute without failures", n)
		}
		for second := range 10 {
			for i := range 2000 {
				r.engine.Plumbing().CountFailure(fmt.Sprintf("10.%d.%d.%d:1", second, i>>8, i&255))
			}
			for range 2 {
				r.engine.Plumbing().CountFailure("192.0.2.1:1")
			}
			time.Sleep(time.Second)
		}
		if n := counted.n.Load() - before; n > 11 || counted.size.Load() > 64<<10 {
			t.Errorf("%d updates in ten seconds of a flood, the largest of %d bytes", n, counted.size.Load())
		}
		r.other.engine.Plumbing().CountFailure("192.0.2.1:1")
		time.Sleep(1100 * time.Millisecond)
		if wait := r.other.engine.Plumbing().CountFailure("192.0.2.1:1"); wait == 0 {
			t.Error("the other process does not know the guesser in the flood")
		}
		time.Sleep(61 * time.Second)
		if wait := r.other.engine.Plumbing().CountFailure("192.0.2.1:1"); wait != 0 {
			t.Errorf("a minute later: %v", wait)
		}
	})
}
