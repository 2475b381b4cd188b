package provision_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// clockJump is how far a clock is set.
type clockJump struct {
	by time.Duration

	// running and restarted say whether work that nobody can undo waits then: after a
	// jump while a process runs, and while none does.
	running, restarted bool
}

const threeYears = 3 * 365 * oneDay

var clockJumps = []clockJump{
	{-threeYears, true, true},
	{-time.Hour, false, true},
	{-15 * time.Second, false, false},
	{time.Hour, false, false},
	{threeYears, true, true},
}

// crashing is the store of a process that may end without a further write.
type crashing struct {
	store.Store
	gone atomic.Bool
}

var errCrashed = errors.New("the process has ended")

func (c *crashing) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if c.gone.Load() {
		return errCrashed
	}
	return c.Store.Update(ctx, scope, fn)
}

// life is a connection over a jump of the clock, in a bubble whose time is the truth.
type life struct {
	*tenant
	jump  time.Duration
	waits bool // what nobody can undo

	restart bool
	reopen  func() store.Store
	store   *crashing
	round   func(context.Context) // of Run
	going   sync.WaitGroup
	cancel  context.CancelFunc // of what goes on in the process
	ctx     context.Context
}

// begin begins a process.
func (l *life) begin(st store.Store) {
	l.store = &crashing{Store: clocktest.New(st, l.clock.Now)}
	began := time.Now()
	l.ctx, l.cancel = context.WithCancel(l.t.Context())
	engine := &provision.Engine{Store: l.store, Now: l.clock.Now}
	if l.engine != nil {
		engine.Limits, engine.SingleProcess, engine.SyncSource = l.engine.Limits, l.engine.SingleProcess, l.engine.SyncSource
	}
	l.engine = engine
	l.dir = engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
	l.round = provision.Rounds(engine, func() time.Duration { return time.Since(began) }, func(what, scope string, err error) {
		l.t.Errorf("%s of %q: %v", what, scope, err)
	})
}

// leap sets the clock, while the process runs or after it has crashed.
func (l *life) leap() {
	if l.restart {
		l.store.gone.Store(true)
		l.end()
	}
	l.clock.add(l.jump)
	if l.restart {
		l.begin(l.reopen())
	}
}

// end ends what goes on in the process.
func (l *life) end() {
	l.cancel()
	l.going.Wait()
}

// pass lets time pass, in which the background work is done each second, or each
// twenty days.
func (l *life) pass(d time.Duration) {
	for d > 0 {
		step := time.Second
		if d > 5*time.Minute {
			step = min(d, 20*oneDay)
		}
		time.Sleep(step)
		l.round(l.ctx)
		d -= step
	}
}

// confirm lets an operator say that the clock is right.
func (l *life) confirm() {
	l.t.Helper()
	if err := l.engine.ConfirmClock(l.ctx); err != nil {
		l.t.Fatal(err)
	}
}

// soon waits for seconds until something is so.
func (l *life) soon(what string, is func() bool) {
	l.t.Helper()
	for range 30 {
		if is() {
			return
		}
		l.pass(time.Second)
	}
	l.t.Errorf("half a minute after the jump: not %s", what)
}

// is wants something.
func (l *life) is(what string, is bool) {
	l.t.Helper()
	if !is {
		l.t.Errorf("not %s", what)
	}
}

// overJumps runs a duty over each jump, within a process and across a restart, on each
// store.
func overJumps(t *testing.T, d duty) {
	for _, jump := range clockJumps {
		for _, restart := range []bool{false, true} {
			name := fmt.Sprintf("%v/restart=%v", jump.by, restart)
			waits := jump.running
			if restart {
				waits = jump.restarted
			}
			t.Run(name+"/memory", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := memory.New()
					d.live(t, &life{jump: jump.by, waits: waits, restart: restart, reopen: func() store.Store { return st }})
				})
			})
			t.Run(name+"/sqlite", func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "test.db")
				synctest.Test(t, func(t *testing.T) {
					var st store.Store
					d.live(t, &life{jump: jump.by, waits: waits, restart: restart, reopen: func() store.Store {
						if st != nil {
							_ = st.Close()
						}
						var err error
						if st, err = sqlite.Open(t.Context(), sqlite.Config{Path: path, Synchronous: sqlite.Normal}); err != nil {
							t.Fatal(err)
						}
						return st
					}})
					_ = st.Close()
				})
			})
		}
	}
}

// live goes through the jump.
func (d duty) live(t *testing.T, l *life) {
	st := l.reopen()
	policyJSON := d.policy
	if policyJSON == "" {
		policyJSON = `{}`
	}
	l.tenant = newTenant(t, st, policyJSON)
	l.clock.began = time.Now()
	l.begin(st)
	l.pass(2 * time.Second)
	after := d.before(l)
	l.leap()
	l.pass(2 * time.Second)
	after()
	l.end()
}
