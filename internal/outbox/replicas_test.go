package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
)

// ledger is what the consumer of several replicas keeps: it fences off stale
// replicas and remembers in which order events were first seen.
type ledger struct {
	mu       sync.Mutex
	random   *rand.Rand
	faulty   bool
	fence    int64
	seen     map[int64]bool
	last     map[string]int64 // sequence, by account
	versions map[string]int64 // by account
	problem  []string
}

func (l *ledger) take(_ context.Context, d outbox.Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ev := d.Event
	if d.Fence < l.fence {
		return errors.New("a stale replica")
	}
	l.fence = d.Fence
	if l.faulty {
		switch l.random.IntN(6) {
		case 0:
			return errors.New("not now")
		case 1:
			panic("not now")
		}
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
	if a := d.Account; a != nil {
		if a.Version < l.versions[a.ID] {
			l.problem = append(l.problem, fmt.Sprintf("version %d of account %q came after %d", a.Version, a.ID, l.versions[a.ID]))
		}
		l.versions[a.ID] = max(l.versions[a.ID], a.Version)
	}
	return nil
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// Several replicas on one store: whatever fails and crashes, each event is seen,
// and those of one account are first seen in order.
func TestReplicas(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) { deliverOnReplicas(t, st, seed) })
		})
	}
}

func deliverOnReplicas(t *testing.T, st store.Store, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	s := newSite(t, st, "acme")
	s.must(s.Register(t.Context()))
	l := &ledger{random: rand.New(rand.NewPCG(seed, 2)), faulty: true, seen: map[int64]bool{}, last: map[string]int64{}, versions: map[string]int64{}}
	options := outbox.Options{Attempts: 2, Lease: 4 * time.Second}
	replicas := []*replica{s.startReplica(l.take, options), s.startReplica(l.take, options)}
	for range 80 {
		s.change([]string{"", "ada", "grace", "annie", "bob"}[random.IntN(5)])
		time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		i := random.IntN(2)
		switch random.IntN(8) {
		case 0:
			replicas[i].crash()
			replicas[i] = s.startReplica(l.take, options)
		case 1:
			_ = replicas[i].stop()
			replicas[i] = s.startReplica(l.take, options)
		case 2:
			s.redriveAll()
		}
	}
	l.mu.Lock()
	l.faulty = false
	l.mu.Unlock()
	for range 4 {
		time.Sleep(10 * time.Second)
		s.redriveAll()
	}
	last := s.change("")
	time.Sleep(10 * time.Second)
	if n := l.count(); int64(n) != last || len(s.parked()) > 0 {
		t.Errorf("%d events were seen of %d, parked are %v", n, last, s.parked())
	}
	for _, p := range l.problem {
		t.Error(p)
	}
}

func (s *site) redriveAll() {
	s.t.Helper()
	for _, p := range s.parked() {
		err := s.Redrive(s.t.Context(), "acme", p.AccountID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			s.t.Fatal(err)
		}
	}
}
