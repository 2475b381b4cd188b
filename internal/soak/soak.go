package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// jumps are what the clock is set to, away from that of the machine.
var jumps = []time.Duration{
	0, 15 * time.Second, -15 * time.Second, time.Hour, -time.Hour,
	3 * 365 * 24 * time.Hour, -3 * 365 * 24 * time.Hour,
}

const (
	deliveryEnd = 10 * time.Minute // for what waits after the load: what was parked is looked for among all events
	quietFor    = 12               // seconds without a delivery: longer than an attempt, a lease and a retry take

	mostGrowth   = 1.5 // of the heap, and of what the process takes
	slackHeap    = 8 << 20
	slackProcess = 32 << 20
	walMost      = 80 << 20 // sqlite.Config.WALLimit is 64 MiB
	moreRoutes   = 50       // goroutines
)

// run is one soak.
type soakRun struct {
	options
	out     io.Writer
	server  *process
	journal *journal
	draw    *rand.Rand
	tenants []*tenant
	pause   sync.RWMutex
	saying  sync.Mutex
	began   time.Time
	killed  atomic.Int64
	jumped  atomic.Int64
}

func soak(ctx context.Context, o options, out io.Writer) error {
	r := &soakRun{options: o, out: out, server: newProcess(o.folder), journal: &journal{}, draw: rand.New(rand.NewPCG(o.seed, 0)), began: time.Now()} //nolint:gosec // to be drawn again
	if err := r.server.start(ctx, o.connections); err != nil {
		return err
	}
	r.say("%d connections, %d clients, %v, seed %d", o.connections, o.clients, o.duration, o.seed)
	stopped := false
	defer func() {
		if !stopped {
			_ = r.server.kill()
		}
	}()
	first, last, err := r.load(ctx)
	if err == nil {
		err = r.deliverAll(ctx)
	}
	if err != nil {
		_ = r.server.kill() // if it has not ended
		stopped = true
		return fmt.Errorf("%w\n%s\nthe server said: %s", err, strings.Join(r.journal.problems, "\n"), tail(r.server.said.String()))
	}
	stopped = true
	if err := r.server.stop(); err != nil {
		return err
	}
	r.compareMemory(first, last)
	n, err := check(ctx, o.folder, r.tenants, r.journal)
	return errors.Join(err, r.result(n))
}

func (r *soakRun) say(format string, args ...any) {
	r.saying.Lock()
	defer r.saying.Unlock()
	_, _ = fmt.Fprintf(r.out, "%6s  "+format+"\n", append([]any{time.Since(r.began).Round(time.Second)}, args...)...)
}

// load runs all clients for the duration, and returns what the last process took when
// it had warmed up and in the end.
func (r *soakRun) load(ctx context.Context) (first, last stats, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if err := r.hire(ctx, &wg); err != nil {
		return first, last, err
	}
	wg.Go(func() { r.report(ctx) })
	if err := r.disturb(ctx, r.duration*2/3, true); err != nil {
		return first, last, err
	}
	if err := r.server.stop(); err != nil { // a stop that is asked for is tried, too
		return first, last, err
	}
	if err := r.server.start(ctx, 0); err != nil {
		return first, last, err
	}
	if err := r.disturb(ctx, r.duration/10, false); err != nil {
		return first, last, err
	}
	if first, err = r.measure(ctx, "the memory of the last process begins with"); err != nil {
		return first, last, err
	}
	if err := r.disturb(ctx, r.duration*7/30, false); err != nil {
		return first, last, err
	}
	last, err = r.measure(ctx, "the memory of the last process ends with")
	return first, last, err
}

// hire starts the clients, hostile ones included.
func (r *soakRun) hire(ctx context.Context, wg *sync.WaitGroup) error {
	clients := make([]*client, r.clients)
	for i := range clients {
		clients[i] = &client{server: r.server, journal: r.journal, draw: rand.New(rand.NewPCG(r.draw.Uint64(), 0)), pause: &r.pause} //nolint:gosec // to be drawn again
	}
	for i := range r.connections {
		t := &tenant{number: i, crews: [2]*crew{{members: map[string]int{}}, {members: map[string]int{}}}}
		r.tenants = append(r.tenants, t)
		c := clients[i%len(clients)]
		c.tenants = append(c.tenants, t)
	}
	for i := range 2 {
		a := &attacker{server: r.server, number: r.connections + i}
		if err := a.arm(ctx, r.fat, r.crowd); err != nil {
			return fmt.Errorf("what hostile clients need: %w", err)
		}
		c := &client{journal: r.journal, draw: rand.New(rand.NewPCG(r.draw.Uint64(), 0)), pause: &r.pause} //nolint:gosec // to be drawn again
		wg.Go(func() { a.run(ctx, c) })
	}
	for _, c := range clients {
		wg.Go(func() { c.run(ctx) })
	}
	return nil
}

// disturb kills the server, or lets it live, and moves its clock for a while.
func (r *soakRun) disturb(ctx context.Context, d time.Duration, kill bool) error {
	ends := time.Now().Add(d)
	every := 15 * time.Second
	if r.kills > 0 {
		every = r.duration * 2 / 3 / time.Duration(r.kills+1)
	} else if most := r.duration * 2 / 3 / 60; most > every {
		every = most
	}
	every /= 2 // a kill, or a jump
	for {
		next := every/2 + time.Duration(r.draw.Int64N(int64(every)))
		if err := sleep(ctx, min(next, time.Until(ends))); err != nil {
			return err
		}
		if !time.Now().Before(ends) {
			return nil
		}
		offset := jumps[r.draw.IntN(len(jumps))]
		if kill && r.draw.IntN(2) == 0 {
			if err := r.server.kill(); err != nil {
				return err
			}
			r.killed.Add(1)
			if r.draw.IntN(2) == 0 { // the clock jumps while nobody looks
				r.server.offset.Store(int64(offset))
				r.jumped.Add(1)
			}
			if err := r.server.start(ctx, 0); err != nil {
				return err
			}
			continue
		}
		r.jumped.Add(1)
		if err := r.server.setClock(ctx, offset); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// measure returns what the process takes when nothing is asked of it.
func (r *soakRun) measure(ctx context.Context, what string) (s stats, err error) {
	r.pause.Lock()
	defer r.pause.Unlock()
	r.server.client.CloseIdleConnections()
	if err := sleep(ctx, r.settling); err != nil {
		return s, err
	}
	err = r.server.ask(ctx, http.MethodGet, "/stats", nil, &s)
	r.say("%s %d KiB of heap, %d MiB in all (at most %d), %d goroutines, %d MiB of database, %d MiB of WAL", what,
		s.Heap>>10, s.RSS>>20, s.Peak>>20, s.Goroutines, r.size("")>>20, r.size("-wal")>>20)
	return s, err
}

func (r *soakRun) size(suffix string) int64 {
	info, err := os.Stat(filepath.Join(r.folder, databaseFile+suffix))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (r *soakRun) compareMemory(first, last stats) {
	compare := func(what string, first, last, slack uint64) {
		if most := uint64(mostGrowth*float64(first)) + slack; last > most {
			r.journal.problem("the %s grew from %d to %d MiB", what, first>>20, last>>20)
		}
	}
	compare("heap", first.Heap, last.Heap, slackHeap)
	if !raceDetector {
		compare("memory of the process", first.RSS, last.RSS, slackProcess)
	}
	if last.Goroutines > first.Goroutines+moreRoutes {
		r.journal.problem("goroutines grew from %d to %d", first.Goroutines, last.Goroutines)
	}
	if n := r.size("-wal"); n > walMost {
		r.journal.problem("the WAL has %d MiB", n>>20)
	}
}

// report says now and then how far the run is.
func (r *soakRun) report(ctx context.Context) {
	every := min(max(r.duration/20, 5*time.Second), time.Minute)
	for sleep(ctx, every) == nil {
		j := r.journal
		j.mu.Lock()
		problems := len(j.problems)
		j.mu.Unlock()
		r.say("%d writes, %d reads, %d unanswered, %d refused for the moment, %d kills, %d jumps, clock %v, %d MiB of database, %d of WAL, %d problems",
			j.writes.Load(), j.reads.Load(), j.unanswered.Load(), j.refused.Load(), r.killed.Load(), r.jumped.Load(),
			time.Duration(r.server.offset.Load()), r.size("")>>20, r.size("-wal")>>20, problems)
	}
}

// deliverAll has consumers behave, and waits until they have seen all there is.
func (r *soakRun) deliverAll(ctx context.Context) error {
	began, quiet := time.Now(), 0
	for size := int64(-1); quiet < quietFor; {
		parked := 0
		if err := r.server.ask(ctx, http.MethodPost, "/calm", nil, &parked); err != nil {
			return err
		}
		now := int64(0)
		for _, consumer := range []string{mirror, wild} {
			if info, err := os.Stat(filepath.Join(r.folder, consumer+".log")); err == nil {
				now += info.Size()
			}
		}
		if quiet++; now != size || parked > 0 {
			quiet = 0
		}
		size = now
		if time.Since(began) > deliveryEnd {
			r.journal.problem("consumers are not done after %v: %d are parked", deliveryEnd, parked)
			return nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	r.say("consumers were done after %v", (time.Since(began) - quietFor*time.Second).Round(time.Second))
	return nil
}

// result says what came of the run, and returns an error when something was wrong.
func (r *soakRun) result(n checked) error {
	j := r.journal
	r.say("compared: %d users, %d groups, %d people who logged in, %d accounts, %d events with what two consumers saw",
		n.users, n.groups, n.logins, n.accounts, n.events)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.problems) == 0 {
		r.say("nothing was lost: %d writes, %d reads, %d kills, %d jumps of the clock", j.writes.Load(), j.reads.Load(), r.killed.Load(), r.jumped.Load())
		return nil
	}
	return fmt.Errorf("%d problems, or more:\n%s", len(j.problems), strings.Join(j.problems, "\n"))
}
