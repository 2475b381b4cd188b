package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// served is a directory as Engine.SyncSource opens it.
type served struct {
	mu      sync.Mutex
	chained         // everything
	changes chained // since any mark
	mark    string
	fail    error    // to open
	reading error    // after the users
	opened  []string // "whole" or the mark since which changes were wanted
}

func (d *served) open(_ context.Context, _ provision.Connection, since string) (provision.SyncSource, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	src := opened{d.chained, d.mark, d.reading}
	if since != "" {
		src.chained = d.changes
		d.opened = append(d.opened, since)
	} else {
		d.opened = append(d.opened, "whole")
	}
	if d.fail != nil {
		return nil, d.fail
	}
	return src, nil
}

func (d *served) times() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.opened)
}

func (d *served) set(fail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// since returns how the directory was opened since it was asked last.
func (d *served) since() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	how := strings.Join(d.opened, " ")
	d.opened = nil
	return how
}

type opened struct {
	chained
	mark    string
	reading error
}

func (o opened) Mark() string { return o.mark }

func (o opened) Users(ctx context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		for u, err := range o.chained.Users(ctx) {
			if !yield(u, err) {
				return
			}
		}
		if o.reading != nil {
			yield(provision.SyncUser{}, o.reading)
		}
	}
}

// serve has the connection read a directory.
func (tn *tenant) serve(d *served) {
	tn.t.Helper()
	tn.engine.SyncSource = d.open
	l := bound(provision.SecretText{})
	if err := tn.saveLDAP(&l); err != nil {
		tn.t.Fatal(err)
	}
}

func (tn *tenant) syncStatus() provision.SyncStatus {
	tn.t.Helper()
	s, err := tn.dir.SyncStatus(tn.t.Context())
	if err != nil {
		tn.t.Fatal(err)
	}
	return s
}

// When what is read of a directory.
func TestDirectoryIsReadByTheClock(t *testing.T) {
	away := errors.New("connection refused")
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		d := served{mark: "m1"}
		d.users = []provision.SyncUser{person(t, "1", "ann")}
		tn.serve(&d)
		edit := func(fn func(*provision.Connection)) func() {
			return func() {
				_, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), func(c *provision.Connection) error { fn(c); return nil })
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		steps := []struct {
			name  string
			after time.Duration
			do    func()
			want  string
		}{
			{"at first", 0, nil, "whole"},
			{"at once", 0, nil, ""},
			{"before five minutes", 4 * time.Minute, nil, ""},
			{"after five minutes", time.Minute, func() { d.mark = "m2" }, "m1"},
			{"five minutes later", 5 * time.Minute, nil, "m2"},
			{"a mark that is no good", 5 * time.Minute, func() { d.fail = provision.ErrSyncMark }, "m2 whole"},
			{"and everything fails then", 10 * time.Second, nil, ""},
			{"the source is back", 2 * time.Minute, func() { d.fail = nil }, "whole"},
			{"a mark that turns out to be no good", 5 * time.Minute, func() { d.reading = provision.ErrSyncMark }, "m2 whole"},
			{"the source is well again", 2 * time.Minute, func() { d.reading = nil }, "whole"},
			{"after an hour", 70 * time.Minute, nil, "whole"},
			{"a failure", 5 * time.Minute, func() { d.fail = away }, "m2"},
			{"soon after it", 59 * time.Second, nil, ""},
			{"a minute after it", time.Second, nil, "m2"},
			{"a minute later", time.Minute, nil, ""},
			{"two minutes later", time.Minute, nil, "m2"},
			{"two more minutes later", 2 * time.Minute, nil, ""},
			{"other settings, which are tried at once", 0, edit(func(c *provision.Connection) { c.LDAP.Filter = "(a=b)" }), "whole"},
			{"they fail, too", 30 * time.Second, nil, ""},
			{"it is mended", time.Minute, func() { d.fail = nil }, "whole"},
			{"people log in by it, which is nothing to read", 0, edit(func(c *provision.Connection) { c.LDAP.Login = true }), ""},
			{"no mark is told", 70 * time.Minute, func() { d.mark = "" }, "whole"},
			{"so changes are not read", 10 * time.Minute, nil, ""},
			{"but everything each hour", time.Hour, nil, "whole"},
			{"every five minutes", 6 * time.Minute, edit(func(c *provision.Connection) { c.LDAP.IntervalSeconds = 300 }), "whole"},
			{"never", 3 * time.Hour, edit(func(c *provision.Connection) { c.LDAP.IntervalSeconds = -1 }), ""},
			{"hourly again, of a closed connection", 3 * time.Hour, edit(func(c *provision.Connection) { c.LDAP.IntervalSeconds, c.Disabled = 0, true }), ""},
			{"open again", 0, edit(func(c *provision.Connection) { c.Disabled = false }), "whole"},
			{"without a directory", 3 * time.Hour, edit(func(c *provision.Connection) { c.LDAP = nil }), ""},
		}
		for _, s := range steps {
			tn.clock.add(s.after)
			if s.do != nil {
				s.do()
			}
			tn.runOnce()
			if got := d.since(); got != s.want {
				t.Errorf("%s: read %q, want %q", s.name, got, s.want)
			}
			status := tn.syncStatus()
			if status.Running != nil || s.want != "" && (status.Last == nil || !status.Last.Ended.Equal(tn.clock.Now())) {
				t.Errorf("%s: the status is %+v", s.name, status)
			}
		}
		expectSame(t, "active", []string{"ann"}, tn.withStatus(policy.StatusActive))
		if s := tn.syncStatus(); !s.Next.IsZero() {
			t.Errorf("the next sync is at %v", s.Next)
		}
	})
}

// Syncs are told: what they changed, why they failed, once for each reason, and that they
// are well again. Nobody is taken out by a failure.
func TestSyncsAreTold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		var d served
		d.users = []provision.SyncUser{person(t, "1", "ann"), person(t, "2", "bob")}
		d.groups = []provision.SyncGroup{team(t, "g", "Staff", "1")}
		tn.serve(&d)
		users, groups := d.users, d.groups
		steps := []struct {
			name string
			do   func()
			o    provision.SyncOptions
			want string // the event, and the failure
		}{
			{"at first", nil, provision.SyncOptions{}, "sync.finished"},
			{"nothing new", nil, provision.SyncOptions{}, ""},
			{"a dry run", func() { d.users = users[:1] }, provision.SyncOptions{DryRun: true}, ""},
			{"somebody left", nil, provision.SyncOptions{}, "sync.finished"},
			{"away", func() { d.fail = errors.New("connection refused") }, provision.SyncOptions{}, "sync.failed connection refused sync_source"},
			{"still away", nil, provision.SyncOptions{}, ""},
			{"still away, in other words", func() { d.fail = errors.New("connection refused, from port 40001") }, provision.SyncOptions{}, ""},
			{"another reason", func() { d.fail, d.reading = nil, codedError{"size limit exceeded (4)", "ldap_size_limit"} }, provision.SyncOptions{},
				"sync.failed reading the users to sync: size limit exceeded (4) ldap_size_limit"},
			{"the same, in other words", func() { d.reading = codedError{"size limit exceeded (4), from port 40001", "ldap_size_limit"} }, provision.SyncOptions{}, ""},
			{"no rights any more", func() { d.reading, d.users = nil, nil }, provision.SyncOptions{Force: true}, "sync.failed the sync has no users; nothing was changed sync_empty"},
			{"no rights on groups", func() { d.users, d.groups = users[:1], []provision.SyncGroup{} }, provision.SyncOptions{},
				"sync.failed the directory shows no groups any more, though syncs have brought some; they stay sync_no_groups"},
			{"well again", func() { d.groups = groups }, provision.SyncOptions{}, "sync.finished"},
			{"no groups, by force", func() { d.groups = []provision.SyncGroup{} }, provision.SyncOptions{Force: true}, "sync.finished"},
		}
		for _, s := range steps {
			at := tn.lastEvent()
			if s.do != nil {
				s.do()
			}
			report, err := tn.engine.Directory("acme").As(tester).SyncNow(t.Context(), s.o)
			if failed := strings.HasPrefix(s.want, "sync.failed"); failed != (err != nil) && s.want != "" {
				t.Errorf("%s: %+v, %v", s.name, report, err)
			}
			if got := tn.toldOfSyncs(at); got != s.want {
				t.Errorf("%s: told %q, want %q", s.name, got, s.want)
			}
			warnings, warned := tn.dir.Warnings(t.Context())
			if failing := slices.ContainsFunc(warnings, func(w provision.Warning) bool { return w.Code == "sync_failing" }); warned != nil || failing != (err != nil) {
				t.Errorf("%s: warnings %+v, %v", s.name, warnings, warned)
			}
			if s.name != "no groups, by force" && s.name != "at first" && len(groupNames(tn.account("ann"))) != 1 {
				t.Errorf("%s: ann has %+v", s.name, tn.account("ann"))
			}
			expectSame(t, s.name+": active", policy.StatusActive, tn.account("ann").Status)
		}
		if last := tn.syncStatus().Last; last == nil || last.Report.Groups.Absent != 1 || last.Failure != "" {
			t.Errorf("the last sync is %+v", last)
		}
	})
}

// codedError is the error of a source that has a code.
type codedError struct{ text, code string }

func (e codedError) Error() string    { return e.text }
func (e codedError) SyncCode() string { return e.code }

// toldOfSyncs returns what events say of syncs after a sequence.
func (tn *tenant) toldOfSyncs(after int64) string {
	var told []string
	for _, typ := range []store.EventType{store.SyncFinished, store.SyncFailed} {
		for _, ev := range tn.eventsOf(after, typ) {
			told = append(told, string(typ))
			for _, c := range ev.Changes {
				var text string
				if c.Attribute == "report" {
					var report provision.SyncReport
					if err := json.Unmarshal(c.After, &report); err != nil || report.Problems != nil {
						tn.t.Errorf("the report is %s", c.After)
					}
				} else if err := json.Unmarshal(c.After, &text); err != nil {
					tn.t.Error(err)
				} else {
					told = append(told, text)
				}
			}
			if ev.Actor.Kind != "sync" {
				tn.t.Errorf("the actor is %+v", ev.Actor)
			}
		}
	}
	return strings.Join(told, " ")
}

// A mark is stored with the end of the sync that it stands for, whatever fails.
func TestMarkFollowsWrites(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		done := false
		for n := 1; !done; n++ {
			m := &meddled{Store: st}
			tn := newTenant(t, scoped{m, strings.Repeat("x", n)}, `{}`)
			d := served{mark: "m1"}
			d.users = []provision.SyncUser{person(t, "1", "ann")}
			tn.serve(&d)
			tn.runOnce()
			d.mark, d.changes = "m2", chained{
				users:  []provision.SyncUser{person(t, "1", "ann", `"title":"new"`)},
				groups: []provision.SyncGroup{team(t, "g", "Staff", "1")},
			}
			m.reset()
			m.before = func(at int) error { return failAt(at, n) }
			_, err := tn.engine.Directory("acme").SyncNow(t.Context(), provision.SyncOptions{Changes: true})
			done = m.n < n
			m.reset()
			mark := tn.mark()
			if carries := len(tn.account("ann").Groups) == 1; mark == "m2" && !carries || done && (err != nil || mark != "m2") {
				t.Errorf("update %d failed (%v): the mark is %q, ann has the group: %t", n, err, mark, carries)
			}
			if mark != "m2" {
				tn.clock.add(10 * time.Minute)
				if d.since(); true {
					tn.runOnce()
				}
				if tn.mark() != "m2" || len(tn.account("ann").Groups) != 1 {
					t.Errorf("update %d failed: afterwards the mark is %q, read %q", n, tn.mark(), d.since())
				}
			}
		}
	})
}

// mark returns the mark of the directory that is stored.
func (tn *tenant) mark() string {
	tn.t.Helper()
	plan, err := records.SyncPlan.View(tn.t.Context(), tn.engine.Store, "acme", "")
	if err != nil {
		tn.t.Fatal(err)
	}
	return plan.Value.Mark
}

// Of two processes one reads a directory, each time.
func TestDirectoryOfReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		r := newReplicas(t, `{}`, st, st)
		d := served{mark: "m"}
		d.users = []provision.SyncUser{person(t, "1", "ann")}
		r.other.engine.SyncSource = d.open
		r.serve(&d)
		stop := r.running()
		time.Sleep(64 * time.Minute)
		stop()
		how := strings.Fields(d.since())
		whole := 0
		for _, h := range how {
			if h == "whole" {
				whole++
			}
		}
		if whole != 2 && whole != 1 || len(how) < 10 || len(how) > 14 {
			t.Errorf("read %v", how)
		}
	})
}

// What a sync has done so far can be asked while it runs, and another one is told so.
func TestSyncProgress(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		src := stuck{listed: listed{t: t, users: named(many(250)...)}, began: make(chan struct{}), goOn: make(chan struct{})}
		done := make(chan error, 1)
		go func() {
			_, err := tn.dir.Sync(context.Background(), src, provision.SyncOptions{})
			done <- err
		}()
		<-src.began
		if s := tn.syncStatus(); s.Running == nil || !s.Running.Began.Equal(tn.clock.Now()) || s.Last != nil {
			t.Errorf("the status is %+v", s)
		}
		close(src.goOn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if s := tn.syncStatus(); s.Running != nil || s.Last == nil || s.Last.Report.Users.Created != 250 {
			t.Errorf("the status is %+v", s)
		}
	})
}

// SyncNow says what is missing.
func TestSyncNowRefuses(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		d := tn.engine.Directory("acme")
		refused := func(part string) {
			t.Helper()
			_, err := d.SyncNow(t.Context(), provision.SyncOptions{})
			var wrong *provision.ConnectionError
			if !errors.As(err, &wrong) || !strings.Contains(wrong.Reason, part) {
				t.Errorf("error %v, want one that says %q", err, part)
			}
		}
		refused("no directory")
		l := bound(provision.SecretText{})
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		refused("Engine.SyncSource")
		tn.engine.SyncSource = (&served{}).open
		if _, err := tn.engine.Directory("nobody").SyncNow(t.Context(), provision.SyncOptions{}); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("unknown connection: %v", err)
		}
		_, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Disabled = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		refused("disabled")
	})
}

// A quiet connection is read every five minutes, too.
func TestQuietDirectoryIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, memory.New(), `{}`)
		d := served{mark: "m"}
		d.users = []provision.SyncUser{person(t, "1", "ann")}
		tn.serve(&d)
		stop := tn.running()
		time.Sleep(31 * time.Minute)
		stop()
		if n := d.times(); n < 5 || n > 7 {
			t.Errorf("read %d times in 31 minutes", n)
		}
	})
}

// A directory that failed is tried at once by another secret, also where that was saved
// while it was read by the old one.
func TestSyncByNewSecret(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Secrets = keys(t, key(1))
		d := served{fail: errors.New("invalid credentials"), mark: "m1"}
		d.users = []provision.SyncUser{person(t, "1", "ann")}
		l := bound(provision.NewSecret("wrong"))
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		save := func(secret string) {
			l := bound(provision.NewSecret(secret))
			if err := tn.saveLDAP(&l); err != nil {
				t.Error(err)
			}
		}
		during := func() {}
		tn.engine.SyncSource = func(ctx context.Context, c provision.Connection, since string) (provision.SyncSource, error) {
			src, err := d.open(ctx, c, since)
			during()
			during = func() {}
			return src, err
		}
		for _, step := range []struct {
			name string
			do   func()
			want string
		}{
			{"at first", func() {}, "whole"},
			{"soon after it failed", func() {}, ""},
			{"the same secret again", func() { save("wrong") }, ""},
			{"another secret", func() { save("wrong too") }, "whole"},
			{"after that failed", func() {}, ""},
			{"another one, which is replaced while it is tried", func() { save("third"); during = func() { save("right"); d.fail = nil } }, "whole"},
			{"the one that was saved then", func() {}, "whole"},
			{"it succeeded", func() {}, ""},
		} {
			tn.clock.add(time.Second)
			step.do()
			tn.runOnce()
			if got := d.since(); got != step.want {
				t.Errorf("%s: read %q, want %q", step.name, got, step.want)
			}
		}
		expectSame(t, "active", []string{"ann"}, tn.withStatus(policy.StatusActive))
	})
}
