package provision_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// clockJumps are how far a clock was wrong before it was set right.
var clockJumps = []time.Duration{-3 * 365 * oneDay, -time.Hour, -15 * time.Second, time.Hour, 3 * 365 * oneDay}

// afterJump calls fn before and after a jump, within a process and across a restart.
func afterJump(t *testing.T, policyJSON string, before, after func(tn *tenant)) {
	for _, jump := range clockJumps {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, restart %v", jump, restart), func(t *testing.T) {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					tn := newTenant(t, st, policyJSON)
					before(tn)
					tn.clock.add(jump)
					if restart {
						tn.engine = &provision.Engine{Store: st, Now: tn.clock.Now, Limits: tn.engine.Limits}
						tn.dir = tn.engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
					}
					after(tn)
				})
			})
		}
	}
}

// Whatever was done before, the mass guard lets nobody go without counting, and does
// not count what a wrong clock says of the past.
func TestMassGuardAfterJump(t *testing.T) {
	afterJump(t, `{"requiredGroups":"Staff"}`, func(tn *tenant) {
		tn.group("Staff", tn.people(60)...)
		tn.group("Few", tn.user(`{"userName":"few","active":true}`))
		tn.setPolicy(`{"requiredGroups":["Staff","Few"]}`)
		tn.setPolicy(`{"requiredGroups":"Staff"}`) // one goes, which begins an hour
	}, func(tn *tenant) {
		tn.setPolicy(`{"requiredGroups":"Nobody"}`)
		if n := len(tn.held()); n != 60 {
			tn.t.Errorf("%d accounts are held, want 60", n)
		}
	})
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

// A sync that does not go on blocks the next one for minutes, whatever the clock said
// when it began.
func TestSyncLeaseAfterJump(t *testing.T) {
	var src stuck
	var first chan error
	afterJump(t, `{}`, func(tn *tenant) {
		src = stuck{listed: listed{t: tn.t, users: named("ann")}, began: make(chan struct{}), goOn: make(chan struct{})}
		first = make(chan error, 1)
		go func() {
			_, err := tn.engine.Directory("acme").Sync(context.Background(), src, provision.SyncOptions{})
			first <- err
		}()
		<-src.began
	}, func(tn *tenant) {
		tn.clock.add(5 * time.Minute)
		tn.sync(listed{users: named("bob")}, provision.SyncOptions{})
		close(src.goOn)
		if err := <-first; !errors.Is(err, provision.ErrSyncRunning) {
			tn.t.Errorf("the first sync: %v, want that another one runs", err)
		}
		if got := tn.withStatus(policy.StatusActive); len(got) != 1 || got[0] != "bob" {
			tn.t.Errorf("active are %v, want bob", got)
		}
	})
}

// Jobs go on after a jump.
func TestJobAfterJump(t *testing.T) {
	afterJump(t, `{}`, func(tn *tenant) {
		tn.group("Staff", tn.people(30)...)
		tn.engine.Limits = provision.Limits{Inline: 5, Batch: 4, Deprovision: -1}
		tn.setPolicy(`{"requiredGroups":"Nobody"}`)
		tn.work(2)
	}, func(tn *tenant) {
		tn.runUntilSettled()
		if n := tn.count(policy.StatusDisabled); n != 30 {
			tn.t.Errorf("%d accounts are disabled, want 30", n)
		}
	})
}
