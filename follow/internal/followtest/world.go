// Package followtest is what must hold of a follow.Follower on any database.
package followtest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

const connection = "corp"

var operator = provision.Actor{Kind: "operator", ID: "test"}

// Run runs the tests. open returns an empty database.
func Run[Tx any](t *testing.T, open func(*testing.T) follow.Database[Tx]) {
	for _, test := range []struct {
		name string
		run  func(*world[Tx])
	}{
		{"repeats", repeats[Tx]},
		{"fence", fence[Tx]},
		{"failures", failures[Tx]},
		{"parked", parkedEvents[Tx]},
		{"outdated", outdated[Tx]},
		{"link", links[Tx]},
		{"link after a crash", linkAfterCrash[Tx]},
		{"fell behind", fellBehind[Tx]},
		{"fell behind a deleted connection", fellBehindDeleted[Tx]},
		{"resync fails for one", resyncFails[Tx]},
		{"resync comes late", resyncLate[Tx]},
		{"restored", restored[Tx]},
		{"any order", anyOrder[Tx]},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newWorld(t, open(t))) })
	}
}

// world is an engine, and an application with its own tables: users, and taken,
// which counts how often each event was.
type world[Tx any] struct {
	*testing.T
	db       follow.Database[Tx]
	store    *flakyStore
	engine   *provision.Engine
	dir      *provision.Directory
	follower *follow.Follower[Tx]

	mu     sync.Mutex
	now    time.Time
	refuse map[string]error // by account; panicking stands for a panic
	seen   []provision.Delivery
	after  func(provision.Delivery)
}

// flakyStore is a store that may refuse to write, and that lets something happen
// after the first read of the connection that follows a write.
type flakyStore struct {
	store.Store
	err     error
	then    func()
	written bool
}

// View implements store.Store.
func (s *flakyStore) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	err := s.Store.View(ctx, scope, fn)
	if then := s.then; then != nil && s.written && scope == connection {
		s.then = nil
		then()
	}
	return err
}

// Update implements store.Store.
func (s *flakyStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if s.err != nil {
		return s.err
	}
	s.written = s.written || s.then != nil && scope == connection
	return s.Store.Update(ctx, scope, fn)
}

func newWorld[Tx any](t *testing.T, db follow.Database[Tx]) *world[Tx] {
	w := &world[Tx]{
		T: t, db: db, store: &flakyStore{Store: memory.New()}, refuse: map[string]error{},
		now: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC),
	}
	w.engine = &provision.Engine{Store: w.store, Now: w.clock, Logger: slog.New(slog.DiscardHandler)}
	w.dir = w.engine.Directory(connection).As(operator)
	_, err := w.dir.UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Policy.DeprovisionMethod = policy.MethodDelete
		return nil
	})
	w.check(err)
	w.follower = follow.New(w.engine, "users-table", db, w.take)
	for range 2 { // the second time nothing is left to do
		w.check(w.follower.Create(t.Context()))
	}
	w.check(db.InTx(t.Context(), func(tx Tx) error {
		for _, table := range []string{
			`CREATE TABLE users (account TEXT PRIMARY KEY, username TEXT, status TEXT, hostid TEXT)`,
			`CREATE TABLE taken (sequence INTEGER PRIMARY KEY, times INTEGER)`,
		} {
			if _, err := db.Exec(t.Context(), tx, table); err != nil {
				return err
			}
		}
		return nil
	}))
	return w
}

func (w *world[Tx]) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world[Tx]) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

const panicking = "panic"

// take is the application's own function.
func (w *world[Tx]) take(ctx context.Context, tx Tx, d provision.Delivery) (string, error) {
	w.seen = append(w.seen, d)
	if w.after != nil {
		defer w.after(d)
	}
	if d.Event.Sequence > 0 {
		if err := w.write(ctx, tx, `INSERT INTO taken AS t (sequence, times) VALUES ($1, 1)
			ON CONFLICT (sequence) DO UPDATE SET times = t.times + 1`, d.Event.Sequence); err != nil {
			return "", err
		}
	}
	if d.Event.Type == store.ConnectionDeleted {
		return "", w.write(ctx, tx, `DELETE FROM users`)
	}
	if d.Account == nil {
		return "", nil
	}
	a := d.Account
	hostID := "row " + a.ID
	err := w.write(ctx, tx, `INSERT INTO users (account, username, status, hostid) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account) DO UPDATE SET username = excluded.username, status = excluded.status, hostid = excluded.hostid`,
		a.ID, a.UserName, string(a.Status), a.HostID)
	if err != nil {
		return "", err
	}
	if err := w.refuse[a.ID]; err != nil {
		if err.Error() == panicking {
			panic(err)
		}
		return "", err
	}
	return hostID, nil
}

// sql writes a statement in the dialect of the database.
func (w *world[Tx]) sql(query string) string {
	if w.db.Dialect() == follow.SQLite {
		return strings.ReplaceAll(query, "$", "?")
	}
	return query
}

func (w *world[Tx]) write(ctx context.Context, tx Tx, query string, args ...any) error {
	_, err := w.db.Exec(ctx, tx, w.sql(query), args...)
	return err
}

// login logs somebody in, who is made where they are new.
func (w *world[Tx]) login(name string) *provision.Account {
	w.Helper()
	a, err := w.dir.Login(w.Context(), provision.Identity{ID: "id " + name, UserName: name})
	w.check(err)
	return a
}

func (w *world[Tx]) account(id string) *provision.Account {
	w.Helper()
	a, err := w.dir.Account(w.Context(), id)
	w.check(err)
	return a
}

// events returns those that are about accounts.
func (w *world[Tx]) events() []*provision.Event {
	w.Helper()
	all, err := w.dir.Events(w.Context(), 0, 0)
	w.check(err)
	var list []*provision.Event
	for _, ev := range all {
		if ev.AccountID != "" {
			list = append(list, ev)
		}
	}
	return list
}

// delivery is an event with its account as it is now.
func (w *world[Tx]) delivery(ev *provision.Event, fence int64) provision.Delivery {
	w.Helper()
	return provision.Delivery{Event: ev, Account: w.account(ev.AccountID), Attempt: 1, Fence: fence}
}

// status returns what the application's table says of an account; empty where it
// has none.
func (w *world[Tx]) status(account string) (status string) {
	w.Helper()
	w.check(w.db.InTx(w.Context(), func(tx Tx) error {
		_, err := w.db.Row(w.Context(), tx, []any{&status}, w.sql(`SELECT status FROM users WHERE account = $1`), account)
		return err
	}))
	return status
}

// expectAccounts compares the application's table with the accounts.
func (w *world[Tx]) expectAccounts() {
	w.Helper()
	list, err := w.dir.Accounts(w.Context(), store.AccountQuery{})
	w.check(err)
	want, got := map[string]string{}, map[string]string{}
	for _, a := range list {
		want[a.ID] = fmt.Sprintf("%q is %s, %s", a.UserName, a.Status, "row "+a.ID)
	}
	w.check(w.db.InTx(w.Context(), func(tx Tx) error {
		for last := ""; ; {
			var name, status, hostID string
			found, err := w.db.Row(w.Context(), tx, []any{&last, &name, &status, &hostID},
				w.sql(`SELECT account, username, status, hostid FROM users WHERE account > $1 ORDER BY account LIMIT 1`), last)
			if err != nil || !found {
				return err
			}
			got[last] = fmt.Sprintf("%q is %s, %s", name, status, hostID)
		}
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("the accounts and the users (-want +got):\n%s", diff)
	}
}

// expectOnce checks that each of the events took effect once.
func (w *world[Tx]) expectOnce(events []*provision.Event) {
	w.Helper()
	w.check(w.db.InTx(w.Context(), func(tx Tx) error {
		for _, ev := range events {
			times := 0
			if _, err := w.db.Row(w.Context(), tx, []any{&times}, w.sql(`SELECT times FROM taken WHERE sequence = $1`), ev.Sequence); err != nil {
				return err
			}
			if times != 1 {
				w.Errorf("event %d (%s) took effect %d times", ev.Sequence, ev.Type, times)
			}
		}
		return nil
	}))
}
