package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// storm is one process after another, each without others, on a store that fails and
// under operators who interfere.
type storm struct {
	*site
	stores []store.Store
	random *rand.Rand

	alone    bool
	rare     int // how much rarer faults are
	fence    int64
	mu       sync.Mutex
	calm     bool
	away     bool
	least    map[int64]int64 // version of the account that an event left, by sequence
	seen     map[int64]bool
	skipped  map[int64]bool
	last     map[string]int64 // sequence, by line
	versions map[string]int64
	problems []string
}

// chance reports true once in n times, before it is calm.
func (s *storm) chance(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.calm && s.random.IntN(n*s.rare) == 0
}

func (s *storm) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *storm) take(ctx context.Context, d outbox.Delivery) error {
	time.Sleep(time.Duration(s.pick(40)) * time.Millisecond)
	switch {
	case s.chance(12):
		return errors.New("not now")
	case s.chance(40):
		panic("not now")
	case s.chance(41):
		runtime.Goexit()
	case s.chance(60):
		<-ctx.Done() // it hangs
		return ctx.Err()
	case s.chance(100):
		time.Sleep(5 * time.Second) // it is left behind
		return errors.New("late")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Fence < s.fence {
		return errors.New("a stale process")
	}
	s.fence = d.Fence
	ev := d.Event
	line := ev.AccountID
	if ev.Type == store.DeliveryParked {
		line = ""
	}
	if !s.seen[ev.Sequence] && !s.skipped[ev.Sequence] && ev.Sequence < s.last[line] {
		s.problem("event %d of %q came after %d", ev.Sequence, line, s.last[line])
	}
	s.seen[ev.Sequence] = true
	s.last[line] = max(s.last[line], ev.Sequence)
	if ev.AccountID == "" {
		return nil
	}
	version := int64(0)
	if d.Account != nil {
		version = d.Account.Version
	}
	if version < s.least[ev.Sequence] {
		s.problem("event %d left version %d of %q and came with %d", ev.Sequence, s.least[ev.Sequence], ev.AccountID, version)
	}
	if version < s.versions[ev.AccountID] {
		s.problem("event %d came with version %d of %q after %d", ev.Sequence, version, ev.AccountID, s.versions[ev.AccountID])
	}
	s.versions[ev.AccountID] = max(version, s.versions[ev.AccountID])
	return nil
}

func (s *storm) pick(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// broken is the store of a process: it fails while it is away and after it died.
type broken struct {
	store.Store
	storm *storm
	dead  chan struct{}
}

func (b *broken) fails() error {
	select {
	case <-b.dead:
		return errAway
	default:
	}
	b.storm.mu.Lock()
	defer b.storm.mu.Unlock()
	if b.storm.away || !b.storm.calm && b.storm.random.IntN(100*b.storm.rare) == 0 {
		return errAway
	}
	return nil
}

func (b *broken) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if err := b.fails(); err != nil {
		return err
	}
	return b.Store.View(ctx, scope, fn)
}

// Update fails before or after it has committed.
func (b *broken) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if err := b.fails(); err != nil {
		return err
	}
	if err := b.Store.Update(ctx, scope, fn); err != nil || b.storm.chance(200) {
		return errors.Join(err, errAway)
	}
	return nil
}

type life struct {
	stop func() error
	dead chan struct{}
}

func (s *storm) live(st store.Store) life {
	dead := make(chan struct{})
	c := s.process(&broken{Store: st, storm: s, dead: dead})
	c.Hung = &outbox.Hung{}
	if s.alone {
		c.Alone, c.Redriven, c.Moved = true, s.Redriven, s.Moved
	}
	return life{s.start(c, s.take, outbox.Options{Attempts: 3, Timeout: 3 * time.Second, Lease: 4 * time.Second}), dead}
}

// write is one transaction: some accounts are put, with events or without, and some
// events tell of accounts that are not put.
func (s *storm) write() {
	type told struct{ sequence, version int64 }
	var all []told
	st := s.stores[s.pick(len(s.stores))]
	s.must(st.Update(s.t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		for range 1 + s.pick(4) {
			account := []string{"ada", "grace", "annie", "bob", ""}[s.pick(5)]
			what := s.pick(6)
			if account != "" && what != 0 {
				if err := put(tx, account); err != nil {
					return err
				}
			}
			if what == 1 {
				continue
			}
			ev := &store.Event{Type: store.AccountUpdated, Time: time.Now(), Connection: "acme", AccountID: account}
			if err := tx.AppendEvent(ev); err != nil {
				return err
			}
			all = append(all, told{ev.Sequence, 0})
		}
		for i := range all { // as the transaction leaves them
			events, err := tx.Events(all[i].sequence-1, 1)
			if err != nil {
				return err
			}
			if a, err := tx.Account(events[0].AccountID); err == nil {
				all[i].version = a.Version
			}
		}
		return nil
	}))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range all {
		s.least[t.sequence] = t.version
	}
}

func (s *storm) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// skip ends the line of somebody who is parked, or of all.
func (s *storm) skip() {
	parked := s.parked()
	if len(parked) == 0 {
		return
	}
	account := parked[s.pick(len(parked))].AccountID
	s.must(s.st.View(s.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		events, err := r.Events(0, 0)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, ev := range events {
			line := ev.AccountID
			if ev.Type == store.DeliveryParked {
				line = ""
			}
			if line == account {
				s.skipped[ev.Sequence] = true
			}
		}
		return err
	}))
	if err := s.SkipParked(s.t.Context(), "acme", account); err != nil && !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
}

// Whatever fails, dies and is asked for: each event that was not skipped is seen, those
// of one account in order, and no account comes older than it was.
func TestStorm(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint("alone, seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { weather(t, seed, memory.New()) })
		})
		t.Run(fmt.Sprint("two processes, seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := memory.New()
				weather(t, seed, st, elsewhere{st})
			})
		})
		if seed > 2 {
			continue
		}
		path := filepath.Join(t.TempDir(), "storm.db")
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprint(n, " files, seed ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var stores []store.Store
					for range n {
						st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path + fmt.Sprint(n), Synchronous: sqlite.Normal})
						if err != nil {
							t.Fatal(err)
						}
						defer func() { _ = st.Close() }()
						stores = append(stores, st)
					}
					weather(t, seed, stores...)
				})
			})
		}
	}
}

// weather is a storm over a store as each of some processes has it.
func weather(t *testing.T, seed uint64, stores ...store.Store) {
	s := &storm{
		stores: stores, site: newSite(t, stores[0], "acme"), random: rand.New(rand.NewPCG(seed, 3)), rare: []int{1, 10, 100}[seed%3], alone: len(stores) == 1,
		least: map[int64]int64{}, seen: map[int64]bool{}, skipped: map[int64]bool{}, last: map[string]int64{}, versions: map[string]int64{},
	}
	s.must(s.Register(t.Context()))
	var lives []life
	for _, st := range stores {
		lives = append(lives, s.live(st))
	}
	for range 300 {
		var writers sync.WaitGroup
		for range s.pick(4) {
			writers.Go(s.write)
		}
		writers.Wait()
		time.Sleep(time.Duration(s.pick(300)*s.pick(3)) * time.Millisecond)
		i := s.pick(len(stores))
		switch s.pick(30 * (1 + s.rare/10)) {
		case 0, 1:
			close(lives[i].dead)
			_ = lives[i].stop()
			lives[i] = s.live(stores[i])
		case 2:
			_ = lives[i].stop()
			lives[i] = s.live(stores[i])
		case 3, 4:
			s.redriveAll()
		case 5:
			s.skip()
		case 6:
			s.setAway(true)
			time.Sleep(time.Duration(s.pick(3000)) * time.Millisecond)
			s.setAway(false)
		}
	}
	s.settle(lives)
	slices.Sort(s.problems)
	for _, p := range s.problems[:min(len(s.problems), 10)] {
		t.Error(p)
	}
}

// settle ends the storm, and looks whether something was missed.
func (s *storm) settle(lives []life) {
	s.mu.Lock()
	s.calm, s.away = true, false
	s.mu.Unlock()
	for range 5 {
		time.Sleep(2 * time.Minute)
		s.redriveAll()
	}
	s.write()
	time.Sleep(time.Minute)
	for _, l := range lives {
		_ = l.stop()
	}
	var missed []int64
	s.must(s.st.View(s.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		_, last, err := r.EventRange()
		for n := int64(1); n <= last; n++ {
			if !s.seen[n] && !s.skipped[n] {
				missed = append(missed, n)
			}
		}
		return err
	}))
	if len(missed) > 0 || len(s.parked()) > 0 {
		s.t.Errorf("%d events were missed, such as %v; parked are %v", len(missed), missed[:min(len(missed), 20)], s.parked())
	}
}
