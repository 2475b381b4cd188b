package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// onEveryStore runs a test on each store, in a bubble whose time goes on as soon
// as everybody waits.
func onEveryStore(t *testing.T, test func(*testing.T, store.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, memory.New()) })
	})
	t.Run("alone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, single{memory.New()}) })
	})
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "test.db"), Synchronous: sqlite.Normal})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			test(t, st)
		})
	})
}

// onServersToo is onEveryStore for a test that waits for no time to pass: it runs on
// PostgreSQL, too, where the time is that of the wall.
func onServersToo(t *testing.T, test func(*testing.T, store.Store)) {
	t.Helper()
	onEveryStore(t, test)
	t.Run("postgres", func(t *testing.T) { test(t, postgrestest.Open(t)) })
}

// single is a store with one process.
type single struct{ store.Store }

// site is a store whose events a test writes, and the consumer "host" of one
// process.
type site struct {
	t  *testing.T
	st store.Store
	*outbox.Consumer
	connections []string
	logs        *logs
}

func newSite(t *testing.T, st store.Store, connections ...string) *site {
	t.Helper()
	s := &site{t: t, st: st, connections: connections, logs: &logs{}}
	s.Consumer = s.process(st)
	_, s.Alone = st.(single)
	for _, id := range connections {
		s.update(id, func(tx store.Tx) error {
			return records.Connection.Put(tx, "", []byte(`{}`))
		})
	}
	return s
}

// elsewhere is a store as another process has it: it hears what is stored when it
// asks.
type elsewhere struct{ store.Store }

func (e elsewhere) Watch() store.Watcher { return deaf{e.Store.Watch()} }

type deaf struct{ store.Watcher }

func (deaf) C() <-chan struct{} { return nil }

// process returns the consumer in a process of its own.
func (s *site) process(st store.Store) *outbox.Consumer {
	return &outbox.Consumer{
		Name: "host", Store: st, Now: time.Now, Logger: slog.New(s.logs),
		Connections: func(context.Context) ([]string, error) { return s.connections, nil },
		Pending:     func(_ store.Reader, list []*store.Account) ([]*store.Account, error) { return list, nil },
		Redriven:    &outbox.News{}, Moved: &outbox.News{},
	}
}

func (s *site) update(connection string, fn func(store.Tx) error) {
	s.t.Helper()
	if err := s.st.Update(s.t.Context(), connection, func(_ context.Context, tx store.Tx) error { return fn(tx) }); err != nil {
		s.t.Fatal(err)
	}
}

// change appends an event of an account of connection acme, whose version it
// counts up, as the engine does. Without an account it is of the connection.
func (s *site) change(account string) int64 {
	s.t.Helper()
	return s.changeIn("acme", account)
}

func (s *site) changeIn(connection, account string) (sequence int64) {
	s.t.Helper()
	s.update(connection, func(tx store.Tx) error {
		ev := &store.Event{Type: store.ConnectionUpdated, Time: time.Now(), Connection: connection}
		if account != "" {
			a, err := tx.Account(account)
			if errors.Is(err, store.ErrNotFound) {
				a, err = &store.Account{ID: account, Connection: connection, UserName: account}, nil
			}
			if err != nil {
				return err
			}
			a = a.Clone()
			a.Version++
			if err := tx.PutAccount(a); err != nil {
				return err
			}
			ev.Type, ev.AccountID = store.AccountUpdated, account
		}
		err := tx.AppendEvent(ev)
		sequence = ev.Sequence
		return err
	})
	return sequence
}

// start delivers until the test ends or stop is called, which returns what
// Deliver returned.
func (s *site) start(c *outbox.Consumer, fn outbox.Func, o outbox.Options) (stop func() error) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Deliver(ctx, fn, o) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	s.t.Cleanup(func() { _ = stop() })
	return stop
}

// host is a consumer that refuses the accounts it is told to refuse.
type host struct {
	mu      sync.Mutex
	refused map[string]bool // by account; "" refuses events without one
	seen    []string
	tried   []time.Time // when an event was refused
}

func refusing(accounts ...string) *host {
	h := &host{refused: map[string]bool{}}
	h.refuse(accounts...)
	return h
}

func (h *host) refuse(accounts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range accounts {
		h.refused[a] = true
	}
}

var errRefused = errors.New("refused")

func (h *host) take(_ context.Context, d outbox.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	account := d.Event.AccountID
	if d.Event.Type == store.DeliveryParked {
		account = ""
	}
	if h.refused[account] {
		h.tried = append(h.tried, time.Now())
		return errRefused
	}
	h.seen = append(h.seen, describe(d.Event))
	return nil
}

func (h *host) accept(accounts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range accounts {
		delete(h.refused, a)
	}
}

// said returns what was seen since it was called last.
func (h *host) said() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.seen
	h.seen = nil
	return list
}

func (h *host) attempts() []time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.tried
	h.tried = nil
	return list
}

func describe(ev *store.Event) string {
	switch {
	case ev.Type == store.DeliveryParked:
		return fmt.Sprintf("parked %s at %s", ev.AccountID, ev.Changes[0].After)
	case ev.AccountID != "":
		return fmt.Sprintf("%d %s", ev.Sequence, ev.AccountID)
	}
	return fmt.Sprintf("%d %s", ev.Sequence, ev.Type)
}

func (s *site) parked() []outbox.Parked {
	s.t.Helper()
	list, err := s.Parked(s.t.Context(), "acme")
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex
	list []slog.Record
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, r)
	return nil
}

// of returns the attributes of what was logged with a message, each as a text.
func (l *logs) of(level slog.Level, message string) []map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]string
	for _, r := range l.list {
		if r.Level != level || r.Message != message {
			continue
		}
		attrs := map[string]string{}
		r.Attrs(func(a slog.Attr) bool {
			attrs[a.Key] = a.Value.String()
			return true
		})
		out = append(out, attrs)
	}
	return out
}

// newMemorySite is a site with connection acme.
func newMemorySite(t *testing.T) *site {
	t.Helper()
	return newSite(t, memory.New(), "acme")
}
