package provision_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

var (
	tenantConnections = flag.Int("tenants.connections", 1000, "connections of BenchmarkTenants, beside one")
	tenantSettle      = flag.Duration("tenants.settle", 0, "how long BenchmarkTenants waits before it watches an idle process, which has looked at the duties of all connections by then")
	tenantIdle        = flag.Duration("tenants.idle", 5*time.Second, "how long BenchmarkTenants watches an idle process")
)

// BenchmarkTenants measures what connections cost that share a process: writes by 8
// clients, each to another connection in turn, while [provision.Engine.Run] and
// [provision.Consumer.Deliver] work; how long after a write its event comes; and what
// the process uses while nothing happens.
func BenchmarkTenants(b *testing.B) {
	benchOnEveryStore(b, "", func(b *testing.B, st store.Store) {
		began := 0
		for _, n := range []int{1, *tenantConnections} {
			b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
				s := newSite(b, st, began, n)
				began += n
				b.Run("write", s.write)
				b.Run("latency", s.latency)
				b.Run("idle", s.idle)
				b.Run("start", s.start)
			})
		}
	})
}

// site is an application with connections, where everything runs.
type site struct {
	engine *provision.Engine
	stop   func()   // what run began
	ids    []string // of the connections that are written
	users  atomic.Int64
	came   atomic.Int64 // events of accounts

	mu   sync.Mutex
	seen map[string]chan time.Time // by user name: when the event came
}

// newSite makes the connections after the first that are there already.
func newSite(b *testing.B, st store.Store, first, n int) *site {
	b.Helper()
	s := &site{engine: &provision.Engine{Store: st, Logger: slog.New(slog.DiscardHandler), SingleProcess: true}, seen: map[string]chan time.Time{}}
	for i := range n {
		s.ids = append(s.ids, fmt.Sprint("tenant", first+i))
	}
	s.each(b, n, func(i int) error {
		_, err := s.engine.Directory(s.ids[i]).As(tester).SaveConnection(b.Context(), provision.Connection{ID: s.ids[i], SCIM: true})
		return err
	})
	s.run()
	b.Cleanup(func() { s.stop() })
	for i := range s.ids {
		s.created(b, i)
	}
	return s
}

// run begins what works beside requests, in a new engine.
func (s *site) run() {
	s.engine = &provision.Engine{Store: s.engine.Store, Logger: s.engine.Logger, SingleProcess: true}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.engine.Run(ctx) })
	running.Go(func() { _ = s.engine.Consumer("host").Deliver(ctx, s.take, provision.DeliveryOptions{}) })
	s.stop = func() {
		cancel()
		running.Wait()
	}
}

// each calls fn with 0 to n-1, by 8 clients.
func (s *site) each(b *testing.B, n int, fn func(int) error) {
	var (
		next    atomic.Int64
		clients sync.WaitGroup
		errs    = make([]error, 8)
	)
	for c := range errs {
		clients.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					errs[c] = err
					return
				}
			}
		})
	}
	clients.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
}

func (s *site) create(ctx context.Context, connection int) (user int64, err error) {
	user = s.users.Add(1)
	dir := s.engine.Directory(s.ids[connection]).Via(store.SourceSCIM).As(tester)
	_, err = create(ctx, dir, "User", fmt.Sprintf(rederivePerson, user))
	return user, err
}

// created creates a user and returns after how long the event has come.
func (s *site) created(b *testing.B, connection int) time.Duration {
	b.Helper()
	came := make(chan time.Time, 1)
	s.mu.Lock()
	s.seen[fmt.Sprintf("person%d@example.com", s.users.Load()+1)] = came
	s.mu.Unlock()
	if _, err := s.create(b.Context(), connection); err != nil {
		b.Fatal(err)
	}
	stored := time.Now()
	return (<-came).Sub(stored)
}

func (s *site) take(_ context.Context, d provision.Delivery) error {
	if d.Account == nil {
		return nil
	}
	s.came.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if came := s.seen[d.Account.UserName]; came != nil {
		came <- time.Now()
		delete(s.seen, d.Account.UserName)
	}
	return nil
}

// write creates users. What is still on its way to the consumer counts.
func (s *site) write(b *testing.B) {
	b.ReportAllocs()
	cpu := cpuTime()
	s.each(b, b.N, func(i int) error {
		_, err := s.create(b.Context(), i%len(s.ids))
		return err
	})
	for s.came.Load() < s.users.Load() {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
}

func (s *site) latency(b *testing.B) {
	var all []time.Duration
	for b.Loop() {
		all = append(all, s.created(b, len(all)%len(s.ids)))
	}
	slices.Sort(all)
	b.ReportMetric(all[len(all)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(all[len(all)/2].Seconds()*1000, "p50-ms")
}

// start measures from the start of a process until the first event has come.
func (s *site) start(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s.stop()
		b.StartTimer()
		s.run()
		s.created(b, 0)
	}
}

// idle measures the process while nothing happens.
func (s *site) idle(b *testing.B) {
	time.Sleep(*tenantSettle)
	for b.Loop() {
		cpu, began := cpuTime(), time.Now()
		time.Sleep(*tenantIdle)
		b.ReportMetric(100*(cpuTime()-cpu).Seconds()/time.Since(began).Seconds(), "%core")
	}
}
