package requestlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// onEveryStore runs a test on each store.
func onEveryStore(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Run("memory", func(t *testing.T) { test(t, newShop(t, memory.New())) })
	t.Run("sqlite", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		test(t, newShop(t, st))
	})
	t.Run("postgres", func(t *testing.T) { test(t, newShop(t, postgrestest.Open(t))) })
}

// shop is a store with the connection acme, and a log of its requests.
type shop struct {
	*requestlog.Log
	t     *testing.T
	now   time.Time
	store *watched
	list  []string // of connections
	lists error    // of reading the list
}

func newShop(t *testing.T, st store.Store) *shop {
	t.Helper()
	err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		return records.Connection.Put(tx, "", json.RawMessage("{}"))
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), store: &watched{Store: st}, list: []string{"acme"}}
	s.Log = s.replica()
	return s
}

// replica returns a log of another process.
func (s *shop) replica() *requestlog.Log {
	return &requestlog.Log{
		Counts: &requestlog.Counts{}, Store: s.store,
		Now:         func() time.Time { return s.now },
		Connections: func(context.Context) ([]string, error) { return s.list, s.lists },
	}
}

func (s *shop) flush(more ...*requestlog.Log) {
	s.t.Helper()
	for _, log := range append(more, s.Log) {
		if err := log.Flush(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// rows returns what is counted for a connection.
func (s *shop) rows(connection string, since time.Time) []requestlog.Refusal {
	s.t.Helper()
	rows, err := s.Refusals(s.t.Context(), connection, since)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// expect compares what is counted for a connection with lines such as "minute
// address cause count".
func (s *shop) expect(when, connection string, since time.Time, want ...string) {
	s.t.Helper()
	got := []string{}
	for _, r := range s.rows(connection, since) {
		got = append(got, fmt.Sprintf("%s %s %s %d", r.Minute.Format("15:04"), r.Address, r.Cause, r.Count))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s: counted for %q (-want +got):\n%s", when, connection, diff)
	}
}

// total returns how many rows a connection has, how many of them with an
// address, and how many requests they count.
func (s *shop) total(connection string) (rows, named, count int) {
	s.t.Helper()
	for _, r := range s.rows(connection, time.Time{}) {
		rows++
		count += r.Count
		if r.Address != "" {
			named++
		}
	}
	return rows, named, count
}

// address returns the i-th address.
func address(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) }

// watched is a store that notes which scopes are updated, and whose writes can
// fail.
type watched struct {
	store.Store
	updated []string
	err     error
}

func (w *watched) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if w.err != nil {
		return w.err
	}
	w.updated = append(w.updated, scope)
	return w.Store.Update(ctx, scope, fn)
}

// Refusals are counted by minute, address and cause, in all processes together.
func TestRefusals(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *shop) {
		there, began := s.replica(), s.now
		s.Count("acme", "192.0.2.1:443", "unauthenticated")
		s.Count("acme", "[2001:db8::1%eth0]:443", "unauthenticated")
		there.Count("acme", "::ffff:192.0.2.1", "unauthenticated")
		there.Count("acme", "192.0.2.1", "invalidSyntax")
		s.expect("before they are stored", "acme", time.Time{}, "03:04 192.0.2.1 unauthenticated 1", "03:04 2001:db8::1 unauthenticated 1")
		s.flush(there)
		s.now = s.now.Add(time.Minute)
		s.Count("acme", "192.0.2.1", "unauthenticated")
		s.flush()
		s.Count("acme", "192.0.2.1", "unauthenticated")
		want := []string{
			"03:04 192.0.2.1 invalidSyntax 1", "03:04 192.0.2.1 unauthenticated 2", "03:04 2001:db8::1 unauthenticated 1",
			"03:05 192.0.2.1 unauthenticated 2",
		}
		s.expect("stored", "acme", time.Time{}, want...)
		s.expect("since the minute in which they began", "acme", began, want...)
		s.expect("since a minute later", "acme", began.Add(time.Minute), want[3:]...)
	})
}

// What a client chooses is never kept: no text as address, cause or connection.
func TestNoTextOfClients(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *shop) {
		const text = "'; DROP TABLE--"
		s.Count(text, text, text)
		s.Count("nobody", "192.0.2.1", "forbidden")
		s.Count("acme", strings.Repeat("1", 99), strings.Repeat("c", 41))
		s.Count("acme", "", "")
		s.Count("acme", "", "grün")
		for _, when := range []string{"waiting", "stored"} {
			s.expect(when, "", time.Time{}, "03:04  other 1", "03:04 192.0.2.1 forbidden 1")
			s.flush()
		}
		s.expect("stored", "acme", time.Time{}, "03:04  other 3")
		if _, err := s.Refusals(t.Context(), "nobody", time.Time{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown connection: %v, want ErrNotFound", err)
		}
	})
}

// However many addresses, causes and connections a client uses, memory and the
// rows of a minute are bounded, and nothing goes uncounted.
func TestFlood(t *testing.T) {
	s := newShop(t, memory.New())
	const flood = 30_000
	for i := range flood {
		s.Count(fmt.Sprint("c", i), address(i), fmt.Sprint("cause", i))
	}
	if got := s.Counts.Waiting(); got > 12_000 {
		t.Errorf("%d rows wait in memory, want at most 12,000", got)
	}
	s.flush()
	if rows, named, count := s.total(""); count != flood || named > 100 || rows > named+101 {
		t.Errorf("%d refusals in %d rows, %d with an address; want %d, and at most 100 with an address and 101 without", count, rows, named, flood)
	}
}

// A minute has 100 rows, and one without an address for the others.
func TestMinuteBound(t *testing.T) {
	s := newShop(t, memory.New())
	for i := range 130 {
		s.Count("acme", address(i), "a")
		if i%10 == 0 {
			s.flush()
		}
	}
	s.flush()
	if rows, named, count := s.total("acme"); rows != 101 || named != 100 || count != 130 {
		t.Errorf("%d refusals in %d rows, %d with an address; want 130, 101, 100", count, rows, named)
	}
	minute, err := records.Refusals.View(t.Context(), s.store, "acme", "2030-01-02T03:04Z")
	if len(minute.Value) != 101 || err != nil {
		t.Errorf("the record has %d rows, %v; want 101", len(minute.Value), err)
	}
}

// A day has 5,000 rows, and one without an address in each minute for the
// others, however its rows are spread over minutes and moments of storing.
func TestDayBound(t *testing.T) {
	s := newShop(t, memory.New())
	const size, minutes = 70, 75 // 71 minutes have 4,970 rows
	send := func() {
		for i := range size {
			s.Count("acme", address(i), "a")
			if i == size/2 {
				s.flush()
			}
		}
		s.flush()
		s.now = s.now.Add(time.Minute)
	}
	for range minutes {
		send()
	}
	if rows, named, count := s.total("acme"); rows != 5004 || named != 5000 || count != minutes*size {
		t.Errorf("%d refusals in %d rows, %d with an address; want %d, 5004, 5000", count, rows, named, minutes*size)
	}
	s.now = s.now.Truncate(24 * time.Hour).Add(24*time.Hour - time.Minute)
	send() // in the last minute
	send() // in the next day's first
	if _, named, _ := s.total("acme"); named != 5000+size {
		t.Errorf("%d rows with an address, want %d: those of the next day", named, 5000+size)
	}
}

// Names of connections that do not exist reach no store, however many a client
// makes up: storing their counts is one update, of the connection "".
func TestUnknownConnections(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *shop) {
		for i := range 1000 {
			s.Count(fmt.Sprint("made-up-", i), "192.0.2.1", "unauthenticated")
		}
		s.flush()
		s.flush() // of nothing
		if diff := cmp.Diff([]string{""}, s.store.updated); diff != "" {
			t.Errorf("updated scopes (-want +got):\n%s", diff)
		}
		s.expect("stored", "", time.Time{}, "03:04 192.0.2.1 unauthenticated 1000")
	})
}

// A connection that is listed but was never saved, as a crash leaves it, does not
// exist: its counts go to those of "" at once. Nothing is lost while the list
// cannot be read.
func TestUnsavedConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *shop) {
		s.list = []string{"acme", "half"}
		s.Count("half", "192.0.2.1", "a")
		s.Count("", "192.0.2.1", "a")
		s.lists = errors.New("no disk")
		if err := s.Flush(t.Context()); !errors.Is(err, s.lists) {
			t.Errorf("storing: %v, want %v", err, s.lists)
		}
		if _, err := s.Refusals(t.Context(), "", time.Time{}); !errors.Is(err, s.lists) {
			t.Errorf("reading: %v, want %v", err, s.lists)
		}
		s.lists = nil
		s.flush()
		s.expect("stored", "", time.Time{}, "03:04 192.0.2.1 a 2")
	})
}

// Old counts go, and what cannot be stored is counted again.
func TestRetention(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *shop) {
		s.Count("acme", "192.0.2.1", "a")
		s.store.err = errors.New("no disk")
		if err := s.Flush(t.Context()); !errors.Is(err, s.store.err) {
			t.Errorf("storing: %v, want %v", err, s.store.err)
		}
		s.store.err = nil
		s.flush()
		s.now = s.now.Add(30*24*time.Hour - 6*time.Second)
		s.Count("acme", "192.0.2.1", "a")
		s.flush()
		for _, want := range [][]string{
			{"03:04 192.0.2.1 a 1", "03:03 192.0.2.1 a 1"},
			{"03:03 192.0.2.1 a 1"},
		} {
			if err := s.Prune(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			s.expect(s.now.String(), "acme", time.Time{}, want...)
			s.now = s.now.Add(time.Second)
		}
		s.now = s.now.Add(31 * 24 * time.Hour)
		if err := s.Prune(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if days, err := records.RefusalDay.Any(t.Context(), s.store, "acme"); days || err != nil {
			t.Errorf("counts of days are left: %t, %v", days, err)
		}
	})
}
