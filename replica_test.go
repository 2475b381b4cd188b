//go:build unix

package provision_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

// replicas are two processes on one database, each with a tenant on the same
// connection. The clock of the second is an hour ahead.
type replicas struct {
	*tenant // the first
	other   *tenant
	stores  [2]*batches
	logs    finished
}

// onReplicas runs a test of two processes in a bubble, where they share a store in
// memory or a file, and on PostgreSQL by the time of the wall.
func onReplicas(t *testing.T, policyJSON string, test func(t *testing.T, r *replicas)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := memory.New()
			test(t, newReplicas(t, policyJSON, st, st))
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		synctest.Test(t, func(t *testing.T) {
			var list [2]store.Store
			for i := range list {
				st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Synchronous: sqlite.Normal})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = st.Close() }()
				list[i] = st
			}
			test(t, newReplicas(t, policyJSON, list[0], list[1]))
		})
	})
	t.Run("postgres", func(t *testing.T) {
		list := openPostgres(t)
		test(t, newReplicas(t, policyJSON, list[0], list[1]))
	})
}

// openPostgres opens an empty database twice.
func openPostgres(t *testing.T) (list [2]store.Store) {
	t.Helper()
	url := postgrestest.Start(t).Database(t)
	for i := range list {
		st, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		list[i] = st
	}
	return list
}

func newReplicas(t *testing.T, policyJSON string, a, b store.Store) *replicas {
	t.Helper()
	r := &replicas{}
	r.tenant, r.other = r.process(t, 0, a, 0), r.process(t, 1, b, time.Hour)
	r.setPolicy(policyJSON)
	return r
}

func (r *replicas) process(t *testing.T, i int, st store.Store, ahead time.Duration) *tenant {
	r.stores[i] = &batches{Store: st}
	now := func() time.Time { return time.Now().Add(ahead) }
	engine := &provision.Engine{Store: r.stores[i], Now: now, Logger: slog.New(&r.logs)}
	tn := &tenant{t: t, engine: engine, clock: newClock()}
	tn.dir = engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
	return tn
}

// both does something in the processes in turn.
func (r *replicas) both(times int, do func(*tenant)) {
	for i := range times {
		do([]*tenant{r.tenant, r.other}[i%2])
	}
}

// running does the background work of both processes, until the test ends.
func (r *replicas) running() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	for _, tn := range []*tenant{r.tenant, r.other} {
		wg.Go(func() { _ = tn.engine.Run(ctx) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// eventually waits until something is so, for a minute at most.
func (r *replicas) eventually(what string, is func() bool) {
	r.t.Helper()
	for range 1200 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.t.Fatalf("after a minute: not %s", what)
}

// batches is the store of a process that counts the batches of a job which it has
// stored, and may end without a further write.
type batches struct {
	store.Store
	n     atomic.Int64
	gone  atomic.Bool
	after func(*batches) // a batch
}

func (b *batches) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if b.gone.Load() {
		return errCrashed
	}
	saved := false
	err := b.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		saved = false
		return fn(ctx, batchTx{tx, &saved})
	})
	if err == nil && saved {
		b.n.Add(1)
		if b.after != nil {
			b.after(b)
		}
	}
	return err
}

type batchTx struct {
	store.Tx
	saved *bool
}

func (t batchTx) PutRecord(r *store.Record) error {
	if r.Kind == records.Job.Row().Name && r.Version > 0 {
		*t.saved = true
	}
	return t.Tx.PutRecord(r)
}

// finished keeps how many accounts jobs say that they have derived.
type finished struct {
	mu       sync.Mutex
	accounts []int64
}

func (f *finished) Enabled(context.Context, slog.Level) bool { return true }
func (f *finished) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f *finished) WithGroup(string) slog.Handler            { return f }

func (f *finished) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "job finished" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "accounts" {
			f.accounts = append(f.accounts, a.Value.Int64())
		}
		return true
	})
	return nil
}

// One process does a job. When it is killed the other takes over, not before its lease
// has ended, and derives nobody again.
func TestJobOfReplicas(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		const people, crash = 40, 3
		r.people(people)
		r.engine.Limits = provision.Limits{Inline: 1, Batch: 5}
		r.other.engine.Limits = r.engine.Limits
		var (
			once   sync.Once
			killed time.Time
			idle   int64 // batches of the other one by then
			took   time.Time
		)
		for i, st := range r.stores {
			next := r.stores[1-i]
			st.after = func(st *batches) {
				if st.n.Load() == crash {
					once.Do(func() {
						st.gone.Store(true)
						killed, idle = time.Now(), next.n.Load()
					})
				}
				if next.gone.Load() && took.IsZero() {
					took = time.Now()
				}
			}
		}
		at := r.lastEvent()
		r.setPolicy(`{"company":"Acme"}`)
		stop := r.running()
		defer stop()
		r.eventually("done", func() bool { return r.countEvents(at, store.JobFinished) == 1 })
		stop()
		if idle != 0 || took.Sub(killed) < 9*time.Second {
			t.Errorf("the other process had done %d batches before the first was killed, and took over %v later", idle, took.Sub(killed))
		}
		if n := r.countEvents(at, store.AccountUpdated); n != people || !slices.Equal(r.logs.accounts, []int64{people}) {
			t.Errorf("%d events and %d accounts derived, want %d", n, r.logs.accounts, people)
		}
	})
}

// A process that ends in order gives its job back: the other takes over at once, and
// derives nobody again.
func TestJobIsGivenBack(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		const people = 40
		r.people(people)
		r.engine.Limits = provision.Limits{Inline: 1, Batch: 5}
		r.other.engine.Limits = r.engine.Limits
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		r.stores[0].after = func(st *batches) {
			if st.n.Load() == 3 {
				stop()
			}
		}
		at := r.lastEvent()
		r.setPolicy(`{"company":"Acme"}`)
		if err := r.engine.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
		if n := r.countEvents(at, store.AccountUpdated); n == 0 || n == people {
			t.Fatalf("%d accounts were derived by then", n)
		}
		more, err := provision.Work(r.other.engine, t.Context(), "acme")
		if n := r.stores[1].n.Load(); err != nil || !more || n != 1 {
			t.Errorf("the other process has done %d batches, want 1; more %t, %v", n, more, err)
		}
		for n := 0; n < people && more && err == nil; n++ {
			more, err = provision.Work(r.other.engine, t.Context(), "acme")
		}
		if n := r.countEvents(at, store.AccountUpdated); err != nil || n != people {
			t.Errorf("%d events of accounts, want %d; %v", n, people, err)
		}
	})
}

// While both processes live, one of them does a job, and the hour between their clocks
// is no jump.
func TestReplicasLive(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		r.people(30)
		r.engine.Limits = provision.Limits{Inline: 1, Batch: 3}
		r.other.engine.Limits = r.engine.Limits
		at := r.lastEvent()
		stop := r.running()
		defer stop()
		for i := range 6 {
			before := [2]int64{r.stores[0].n.Load(), r.stores[1].n.Load()}
			r.setPolicy(fmt.Sprintf(`{"company":"Acme %d"}`, i))
			r.eventually("done", func() bool { return r.countEvents(at, store.JobFinished) == i+1 })
			if r.stores[0].n.Load() > before[0] && r.stores[1].n.Load() > before[1] {
				t.Errorf("both processes did job %d", i)
			}
		}
		stop()
		if jumped, err := r.engine.ClockJumped(t.Context()); err != nil || !jumped.IsZero() {
			t.Errorf("the clock has jumped at %v, %v", jumped, err)
		}
		if n := r.countEvents(at, store.ConnectionWarning); n != 0 {
			t.Errorf("%d warnings", n)
		}
	})
}

// Of two processes one syncs a connection, however long its source says nothing, but for
// one that has said nothing for half an hour; and not for as long as the clocks are apart.
func TestSyncOfReplicas(t *testing.T) {
	for _, first := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			st := memory.New()
			r := newReplicas(t, `{}`, st, st)
			pair := []*tenant{r.tenant, r.other}
			src := stuck{listed: listed{t: t, users: named("ann")}, began: make(chan struct{}), goOn: make(chan struct{})}
			done := make(chan error, 1)
			go func() {
				_, err := pair[first].engine.Directory("acme").Sync(t.Context(), src, provision.SyncOptions{})
				done <- err
			}()
			<-src.began
			another := func() error {
				_, err := pair[1-first].engine.Directory("acme").Sync(t.Context(), listed{t: t, users: named("bob")}, provision.SyncOptions{})
				return err
			}
			for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 25 * time.Minute} {
				time.Sleep(wait)
				if err := another(); !errors.Is(err, provision.ErrSyncRunning) {
					t.Errorf("beside process %d, %v later: %v", first, wait, err)
				}
			}
			time.Sleep(5 * time.Minute)
			if err := another(); err != nil {
				t.Errorf("after process %d was silent: %v", first, err)
			}
			close(src.goOn)
			if err := <-done; !errors.Is(err, provision.ErrSyncRunning) {
				t.Errorf("the sync of process %d ended with %v", first, err)
			}
		})
	}
}

// What is counted or told by the hour is so for both processes together.
func TestSpansOfReplicas(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		told := r.lastEvent()
		r.both(6, func(tn *tenant) {
			var denied *provision.DeniedError
			if _, err := tn.engine.Directory("acme").Login(t.Context(), provision.Identity{UserName: "nobody", Evidence: policy.EvidenceAbsent}); !errors.As(err, &denied) {
				t.Errorf("the login: %v", err)
			}
		})
		if n := r.countEvents(told, store.LoginDenied); n != 1 {
			t.Errorf("a refused login is told %d times, want once", n)
		}

		people := r.people(20)
		r.group("Staff", people[:14]...)
		r.group("Few", people[14:17]...)
		r.group("Some", people[17:]...)
		for _, tn := range []*tenant{r.tenant, r.other} {
			tn.engine.Limits.Deprovision = 5
		}
		r.setPolicy(`{"requiredGroups":["Staff","Few","Some"]}`)
		r.setPolicy(`{"requiredGroups":["Staff","Some"]}`) // three go
		r.other.setPolicy(`{"requiredGroups":["Staff"]}`)
		if n := len(r.held()); n != 3 {
			t.Errorf("%d accounts are held of the three that are too many", n)
		}
	})
}

// Each event comes once, to one process at a time.
func TestDeliveryOfReplicas(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		var (
			mu     sync.Mutex
			inside int
			seen   []int64
			fence  int64
			wg     sync.WaitGroup
		)
		take := func(_ context.Context, d provision.Delivery) error {
			mu.Lock()
			inside++
			if inside > 1 || d.Fence < fence {
				t.Errorf("event %d comes with fence %d after %d, beside %d others", d.Event.Sequence, d.Fence, fence, inside-1)
			}
			fence = d.Fence
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			inside--
			seen = append(seen, d.Event.Sequence)
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		for _, tn := range []*tenant{r.tenant, r.other} {
			consumer := tn.engine.Consumer("host")
			wg.Go(func() { _ = consumer.Deliver(ctx, take, provision.DeliveryOptions{Lease: 2 * time.Second}) })
		}
		stop := func() {
			cancel()
			wg.Wait()
		}
		defer stop()
		people := 0
		for i := range 40 {
			r.both(i%3+1, func(tn *tenant) {
				tn.user(fmt.Sprintf(`{"userName":"u%d"}`, people))
				people++
			})
			time.Sleep(20 * time.Millisecond)
		}
		last := r.lastEvent()
		r.eventually("delivered", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return int64(len(seen)) >= last
		})
		stop()
		for i, sequence := range seen {
			if sequence != int64(i)+1 {
				t.Fatalf("the events came in the order %v", seen)
			}
		}
	})
}

// Of all uses of a key on both processes one is the first, and it stays used also where
// a process whose clock is ahead removes old keys.
func TestOnceOfReplicas(t *testing.T) {
	onReplicas(t, `{}`, func(t *testing.T, r *replicas) {
		const keys, uses = 30, 6
		until := time.Now().Add(5 * time.Minute)
		use := func() (first int64) {
			var n atomic.Int64
			var wg sync.WaitGroup
			for i := range keys * uses {
				wg.Go(func() {
					if useOnce(t, []*tenant{r.tenant, r.other}[i%2].engine, fmt.Sprint("assertion", i/uses), until) {
						n.Add(1)
					}
				})
			}
			wg.Wait()
			return n.Load()
		}
		if n := use(); n != keys {
			t.Errorf("%d uses of %d keys were the first", n, keys)
		}
		r.other.engine.Now = func() time.Time { return time.Now().Add(3 * time.Hour) }
		r.other.runOnce()
		r.other.engine.Now = time.Now
		if n := use(); n != 0 {
			t.Errorf("%d keys could be used again", n)
		}
	})
}
