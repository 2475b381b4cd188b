package provision_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// duty is something that goes by a time which was noted before a jump of the clock.
type duty struct {
	name   string
	policy string

	// before has the time noted. What it returns is for after the jump: the duty goes
	// on within seconds, and what nobody can undo has waited.
	before func(*life) (after func())
}

// Every duty goes on within seconds after a jump of the clock in any direction, and
// what nobody can undo waits where the clock may be wrong.
func TestDutiesOverJumps(t *testing.T) {
	for _, d := range duties {
		t.Run(d.name, func(t *testing.T) { overJumps(t, d) })
	}
}

var duties = []duty{
	{"delivery", "", delivers},
	{"delivery, tried again", "", deliversAgain},
	{"job", "", doesJob},
	{"mass guard", "", guardsMasses},
	{"sync lease", "", leasesSync},
	{"directory", "", readsDirectory},
	{"directory, tried again", "", readsDirectoryAgain},
	{"deletion", `{"deprovisionMethod":"delete","deleteAfterDays":30}`, deletes},
	{"lapse", `{"provisionOnFirstLogin":true,"roles":[{"groups":"Staff","role":"editor"}]}`, lapses},
	{"pruning of events", "", prunesEvents},
	{"refusals", "", countsRefusals},
	{"used keys", "", keepsKeys},
	{"logouts", `{"provisionOnFirstLogin":true}`, endsLogins},
	{"refused logins", "", tellsDenials},
	{"expiry notices", "", tellsExpiry},
	{"pending credentials", "", dropsPending},
	{"last use", "", notesUse},
	{"remembered credentials", "", forgetsCredentials},
	{"rate and cursors", "", limitsRate},
	{"failures", "", slowsGuesses},
	{"attempts", "", countsAttempts},
	{"lost default group", `{"defaultGroups":"Everyone"}`, warnsOfLoss},
	{"warning", "", warnsOfJump},
}

// taken is what a consumer has taken.
type taken struct {
	mu     sync.Mutex
	events []int64
	refuse bool
}

func (k *taken) take(ctx context.Context, d provision.Delivery) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse {
		return errors.New("not now")
	}
	k.events = append(k.events, d.Event.Sequence)
	return nil
}

func (k *taken) set(refuse bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = refuse
}

func (k *taken) all() []int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.events)
}

func (l *life) deliver(fn func(context.Context, provision.Delivery) error) {
	consumer, ctx := l.engine.Consumer("host"), l.ctx
	l.going.Go(func() { _ = consumer.Deliver(ctx, fn, provision.DeliveryOptions{}) })
}

// expectAll wants every event taken once, in order.
func (l *life) expectAll(k *taken) {
	l.t.Helper()
	l.soon("delivered", func() bool { return int64(len(k.all())) >= l.lastEvent() })
	var want []int64
	for i := range l.lastEvent() {
		want = append(want, i+1)
	}
	if diff := cmp.Diff(want, k.all()); diff != "" {
		l.t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

// delivers crashes, or has the clock set, while it holds the lease.
func delivers(l *life) func() {
	var k taken
	release := make(chan struct{})
	l.deliver(func(ctx context.Context, d provision.Delivery) error {
		select {
		case <-release:
			return k.take(ctx, d)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	l.user(`{"userName":"ann"}`)
	l.pass(2 * time.Second)
	return func() {
		if l.restart {
			l.deliver(k.take)
		}
		close(release)
		l.user(`{"userName":"bob"}`)
		l.expectAll(&k)
	}
}

// deliversAgain has an account wait for its next try.
func deliversAgain(l *life) func() {
	k := taken{refuse: true}
	l.deliver(k.take)
	l.user(`{"userName":"ann"}`)
	l.pass(8 * time.Second)
	return func() {
		if l.restart {
			l.deliver(k.take)
		}
		k.set(false)
		l.soon("delivered", func() bool { return int64(len(k.all())) == l.lastEvent() })
	}
}

func doesJob(l *life) func() {
	l.group("Staff", l.people(30)...)
	l.engine.Limits = provision.Limits{Inline: 5, Batch: 4, Deprovision: -1}
	l.setPolicy(`{"requiredGroups":"Nobody"}`)
	l.work(2)
	return func() {
		l.soon("done", func() bool { return l.countPending() == 0 && l.count(policy.StatusDisabled) == 30 })
	}
}

// Whatever was done before, the guard lets nobody go without counting, and does not
// count what a wrong clock says of the past.
func guardsMasses(l *life) func() {
	people := l.people(80)
	l.group("Staff", people[:60]...)
	l.group("Few", people[60:70]...)
	l.group("Some", people[70:]...)
	l.setPolicy(`{"requiredGroups":["Staff","Few","Some"]}`)
	l.setPolicy(`{"requiredGroups":["Staff","Some"]}`) // ten go, which begins an hour
	l.is("gone", l.count(policy.StatusActive) == 70)
	return func() {
		l.pass(2 * time.Hour)
		l.setPolicy(`{"requiredGroups":"Staff"}`)
		l.is("gone in another hour", l.count(policy.StatusActive) == 60)
		l.setPolicy(`{"requiredGroups":"Nobody"}`)
		l.is("held", len(l.held()) == 60)
	}
}

// stuck is a source that does not go on before it is let.
type stuck struct {
	listed
	began, goOn chan struct{}
}

func (s stuck) Users(ctx context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		close(s.began)
		<-s.goOn
		s.listed.Users(ctx)(yield)
	}
}

// A sync whose process has ended blocks the next one for minutes, and one whose source does
// not go on for half an hour, whatever the clock said when it began.
func leasesSync(l *life) func() {
	src := stuck{listed: listed{t: l.t, users: named("ann")}, began: make(chan struct{}), goOn: make(chan struct{})}
	first := make(chan error, 1)
	d := l.engine.Directory("acme")
	go func() {
		_, err := d.Sync(context.Background(), src, provision.SyncOptions{})
		first <- err
	}()
	<-src.began
	return func() {
		l.pass(3 * time.Minute)
		if !l.restart {
			if _, err := l.dir.Sync(l.t.Context(), listed{t: l.t, users: named("bob")}, provision.SyncOptions{}); !errors.Is(err, provision.ErrSyncRunning) {
				l.t.Errorf("beside a sync that goes on: %v", err)
			}
			l.pass(30 * time.Minute)
		}
		l.sync(listed{users: named("bob")}, provision.SyncOptions{})
		close(src.goOn)
		if err := <-first; !errors.Is(err, provision.ErrSyncRunning) && !errors.Is(err, errCrashed) {
			l.t.Errorf("the first sync: %v, want that another one runs", err)
		}
		if got := l.withStatus(policy.StatusActive); !slices.Equal(got, []string{"bob"}) {
			l.t.Errorf("active are %v, want bob", got)
		}
	}
}

// readsDirectory has a directory read, and wants it read again.
func readsDirectory(l *life) func() {
	var d served
	d.users = []provision.SyncUser{person(l.t, "1", "ann")}
	l.serve(&d)
	l.pass(70 * time.Second)
	l.is("read", d.times() == 1)
	return func() {
		l.pass(10 * time.Second)
		n := d.times()
		for range 3 {
			l.pass(time.Hour)
			l.pass(2 * time.Second)
		}
		l.is("read again after hours", d.times() > n)
		l.is("known", len(l.withStatus(policy.StatusActive)) == 1)
	}
}

// readsDirectoryAgain has a directory wait after a failure.
func readsDirectoryAgain(l *life) func() {
	d := served{fail: errors.New("away")}
	d.users = []provision.SyncUser{person(l.t, "1", "ann")}
	l.serve(&d)
	for range 3 {
		l.pass(6 * time.Minute)
		l.pass(2 * time.Second)
	}
	return func() {
		d.set(nil)
		for range 3 {
			l.pass(time.Hour)
			l.pass(2 * time.Second)
		}
		l.is("read", len(l.withStatus(policy.StatusActive)) == 1)
	}
}

// goesOn wants that work which nobody can undo has not been done, that it waits where
// the clock may be wrong, and that it is done when its time has come by a clock that
// is right.
func (l *life) goesOn(what string, done func() bool) {
	l.t.Helper()
	l.pass(10 * time.Second)
	l.is("spared: "+what, !done())
	l.confirm()
	if l.jump < threeYears {
		l.pass(2 * time.Second)
		l.is("spared until its time: "+what, !done())
		l.pass(40 * oneDay)
	}
	l.soon(what, done)
}

func deletes(l *life) func() {
	id := l.user(`{"userName":"ann","active":true}`)
	l.set(id, `{"userName":"ann","active":false}`)
	return func() {
		l.goesOn("deleted", func() bool { return len(l.accounts("ann")) == 0 })
	}
}

func lapses(l *life) func() {
	l.login(provision.Identity{UserName: "ann", Groups: []provision.IdentityGroup{{Value: "Staff"}}})
	l.is("editor", len(l.account("ann").Roles) == 1)
	return func() {
		l.setPolicy(`{"provisionOnFirstLogin":true,"roles":[{"groups":"Staff","role":"editor"}],"company":"derived again"}`)
		l.is("derived again", l.account("ann").Company != "")
		l.goesOn("without the role", func() bool { return len(l.account("ann").Roles) == 0 })
	}
}

func prunesEvents(l *life) func() {
	before := l.user(`{"userName":"ann"}`)
	first := l.kept()[0].Sequence
	return func() {
		l.set(before, `{"userName":"ann","title":"Dr"}`)
		gone := func() bool {
			kept := l.kept()
			return len(kept) == 0 || kept[0].Sequence > first
		}
		l.pass(10 * time.Second)
		l.is("kept", !gone())
		l.confirm()
		if l.jump < threeYears {
			l.pass(60 * oneDay)
			l.is("kept for 60 days", !gone())
			l.set(before, `{"userName":"ann","title":"Prof"}`) // one stays
			l.pass(60 * oneDay)
		}
		l.soon("pruned", gone)
	}
}

func countsRefusals(l *life) func() {
	count := func(address string) {
		l.engine.Plumbing().CountRefusal("acme", address, "unauthenticated")
		l.pass(15 * time.Second)
	}
	kept := func() (out []string) {
		list, err := l.engine.Refusals(l.ctx, "acme", time.Time{})
		if err != nil {
			l.t.Fatal(err)
		}
		for _, r := range list {
			out = append(out, r.Address)
		}
		slices.Sort(out)
		return out
	}
	count("192.0.2.1")
	return func() {
		count("192.0.2.2")
		expectSame(l.t, "counted", []string{"192.0.2.1", "192.0.2.2"}, kept())
		l.confirm()
		l.pass(40 * oneDay)
		expectSame(l.t, "left after 40 days", nil, kept())
	}
}
