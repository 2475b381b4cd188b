package provision_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// ledger is what the consumer of several replicas keeps: it fences off stale
// replicas and remembers in which order events were first seen.
type ledger struct {
	mu      sync.Mutex
	random  *rand.Rand
	faulty  bool
	fence   int64
	seen    map[int64]bool
	last    map[string]int64 // by account
	problem []string
}

func (l *ledger) take(_ context.Context, d provision.Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ev := d.Event
	if d.Fence < l.fence {
		return errors.New("a stale replica")
	}
	l.fence = d.Fence
	if l.faulty && l.random.IntN(3) == 0 {
		return errors.New("not now")
	}
	account := ev.AccountID
	if ev.Type == store.DeliveryParked {
		account = ""
	}
	if !l.seen[ev.Sequence] && ev.Sequence < l.last[account] {
		l.problem = append(l.problem, fmt.Sprintf("event %d of account %q came after %d", ev.Sequence, account, l.last[account]))
	}
	l.seen[ev.Sequence] = true
	l.last[account] = max(l.last[account], ev.Sequence)
	return nil
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// Two replicas on one store: whatever fails and crashes, each event is seen, and
// those of one account are first seen in order.
func TestDeliverOnReplicas(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				deliverOnReplicas(t, st, seed)
			})
		}
	})
}

func deliverOnReplicas(t *testing.T, st store.Store, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	tn := newTenant(t, st, `{}`)
	tn.engine.Delivery.Attempts = 2
	if err := tn.engine.SkipEvents(t.Context(), "host", "acme"); err != nil { // those of the seeds before
		t.Fatal(err)
	}
	before := tn.lastEvent()
	l := &ledger{random: rand.New(rand.NewPCG(seed, 2)), faulty: true, seen: map[int64]bool{}, last: map[string]int64{}}
	replicas := []*replica{tn.startReplica(l.take), tn.startReplica(l.take)}
	var users []string
	for n := range 60 {
		switch {
		case len(users) < 5:
			users = append(users, tn.user(fmt.Sprintf(`{"userName":"u%d of %d"}`, len(users), seed)))
		default:
			i := random.IntN(len(users))
			tn.set(users[i], fmt.Sprintf(`{"userName":"u%d of %d","displayName":"%d"}`, i, seed, n))
		}
		i := random.IntN(2)
		switch random.IntN(8) {
		case 0:
			replicas[i].crash()
			tn.clock.add(10 * time.Second) // the lease of the dead, and of the living
			replicas[i] = tn.startReplica(l.take)
		case 1:
			replicas[i].stop()
			replicas[i] = tn.startReplica(l.take)
		case 2:
			tn.redriveAll()
		}
	}
	l.mu.Lock()
	l.faulty = false
	l.mu.Unlock()
	until(t, "all events", func() bool {
		tn.clock.add(time.Second)
		tn.redriveAll()
		return len(tn.parked()) == 0 && int64(l.count()) == tn.lastEvent()-before
	})
	for _, p := range l.problem {
		t.Error(p)
	}
	for _, r := range replicas {
		r.stop()
	}
}

func (tn *tenant) redriveAll() {
	tn.t.Helper()
	for _, p := range tn.parked() {
		err := tn.engine.Redrive(tn.t.Context(), "host", "acme", p.AccountID)
		if err != nil && !errors.Is(err, provision.ErrNotFound) {
			tn.t.Fatal(err)
		}
	}
}
