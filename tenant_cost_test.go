package provision_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// asked counts what a store is asked.
type asked struct {
	store.Store
	views, updates, looks atomic.Int64
}

func (a *asked) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	a.views.Add(1)
	return a.Store.View(ctx, scope, fn)
}

func (a *asked) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	a.updates.Add(1)
	return a.Store.Update(ctx, scope, fn)
}

func (a *asked) Watch() store.Watcher { return &askedWatcher{a.Store.Watch(), a} }

type askedWatcher struct {
	store.Watcher
	by *asked
}

func (w *askedWatcher) Look(ctx context.Context) ([]store.Appended, error) {
	w.by.looks.Add(1)
	return w.Watcher.Look(ctx)
}

type questions struct{ Views, Updates, Looks int64 }

// during returns what was asked while something happened.
func (a *asked) during(fn func()) questions {
	before := questions{a.views.Load(), a.updates.Load(), a.looks.Load()}
	fn()
	return questions{a.views.Load() - before.Views, a.updates.Load() - before.Updates, a.looks.Load() - before.Looks}
}

// A write costs the same with one connection and with many, and its event comes at
// once. A connection where nothing happens costs a look at its duties now and then.
func TestCostOfConnections(t *testing.T) {
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprint("SingleProcess=", alone), func(t *testing.T) {
			one := costOfConnections(t, 1, alone)
			if many := costOfConnections(t, 300, alone); many != one {
				t.Errorf("a write among 300 connections asks %+v, with one %+v", many, one)
			}
			want := questions{Views: 1, Updates: 3} // the lease, and the cursor with the lease given back
			if alone {
				want = questions{Views: 1, Updates: 2}
			}
			if one != want {
				t.Errorf("a write asks %+v, want %+v", one, want)
			}
		})
	}
}

func costOfConnections(t *testing.T, n int, alone bool) (write questions) {
	synctest.Test(t, func(t *testing.T) {
		st := &asked{Store: memory.New()}
		engine := &provision.Engine{Store: st, Logger: slog.New(slog.DiscardHandler), SingleProcess: alone}
		for i := range n {
			id := fmt.Sprint("c", i)
			if _, err := engine.Directory(id).As(tester).SaveConnection(t.Context(), provision.Connection{ID: id, SCIM: true}); err != nil {
				t.Fatal(err)
			}
		}
		var came atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = engine.Run(ctx) })
		running.Go(func() {
			_ = engine.Consumer("host").Deliver(ctx, func(_ context.Context, d provision.Delivery) error {
				if d.Account != nil {
					came.Add(1)
				}
				return nil
			}, provision.DeliveryOptions{})
		})
		create := func(person int) {
			if _, err := create(ctx, engine.Directory("c0").Via(store.SourceSCIM).As(tester), "User", fmt.Sprintf(rederivePerson, person)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Second / 2)
		create(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		began := time.Now()
		write = st.during(func() { create(2) })
		if came.Load() != 2 || time.Since(began) > 0 {
			t.Errorf("%d of 2 events came within %v", came.Load(), time.Since(began))
		}
		time.Sleep(time.Minute)
		idle := st.during(func() { time.Sleep(time.Hour) })
		if most := int64(n*100 + 4*3600); idle.Views > most || idle.Updates > 10 || idle.Looks > 2*3600 {
			t.Errorf("%d idle connections in an hour: %+v, want at most %d views, 10 updates and 2 looks a second", n, idle, most)
		}
		cancel()
		running.Wait()
	})
	return write
}
