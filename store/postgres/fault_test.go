package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestPostgreSQLLostConnections loses connections before, in and after COMMIT. Each
// update is there once, whatever happened.
func TestPostgreSQLLostConnections(t *testing.T) {
	db := newDatabase(t)
	for _, partitions := range []int{0, 4} {
		config := db.config()
		config.Partitions = partitions
		p, url := newProxy(t, config.URL)
		config.URL = url
		s := open(t, config)
		last := int64(0)
		for _, test := range []struct {
			name string
			cut  cut
			runs int
		}{
			{"never", never, 1},
			{"in a statement", inStatement, 2},
			{"before COMMIT", beforeCommit, 2},
			{"in the middle of COMMIT", inCommit, 2},
			{"after COMMIT", afterCommit, 1},
			{"with COMMIT", withCommit, 0}, // once or twice, as the server heard of it or not
			{"after all that", never, 1},
		} {
			runs := 0
			p.arm(test.cut)
			err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
				runs++
				return appendEvent(ctx, tx)
			})
			last++
			if err != nil || runs != test.runs && test.runs > 0 {
				t.Errorf("%d partitions, %s: %d runs, want %d; %v", partitions, test.name, runs, test.runs, err)
			}
			if want := min(int(test.cut), 1); p.happened() != want {
				t.Fatalf("%s: %d connections were cut, want %d", test.name, p.happened(), want)
			}
			if got := lastEvent(t, s, "acme"); got != last {
				t.Errorf("%d partitions, %s: %d events, want %d", partitions, test.name, got, last)
			}
		}
	}
}

// TestPostgreSQLUnknownCommit loses a COMMIT and lets nobody ask what became of it. The
// answer is that nobody knows, and the update does not run again.
func TestPostgreSQLUnknownCommit(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	p, url := newProxy(t, config.URL)
	config.URL = url
	s := open(t, config)
	postgres.ResolveTime(s, 100*time.Millisecond)
	p.arm(afterCommit)
	p.refuse(true)
	runs := 0
	err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
		runs++
		return appendEvent(ctx, tx)
	})
	unavailable(t, "an unknown COMMIT", err)
	if runs != 1 || postgres.RunAgain(err) {
		t.Errorf("%d runs; again: %t", runs, postgres.RunAgain(err))
	}
	unavailable(t, "a view while the server is away", s.Ping(t.Context()))
	unavailable(t, "an update while the server is away", s.Update(t.Context(), "acme", appendEvent))
	p.refuse(false)
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Fatal(err)
	}
	if got := lastEvent(t, s, "acme"); got != 2 {
		t.Errorf("%d events, want 2", got)
	}
}

// TestPostgreSQLManyLost cuts all connections again and again while many write.
func TestPostgreSQLManyLost(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	p, url := newProxy(t, config.URL)
	config.URL = url
	s := open(t, config)
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		done  int
	)
	for range 8 {
		group.Go(func() {
			for range 20 {
				err := s.Update(t.Context(), "acme", appendEvent)
				mu.Lock()
				if err == nil {
					done++
				} else if !errors.As(err, new(*store.UnavailableError)) {
					t.Error(err)
				}
				if done%40 == 10 {
					p.lose()
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if got := lastEvent(t, s, "acme"); got != int64(done) || done == 0 {
		t.Errorf("%d events, %d updates were acknowledged", got, done)
	}
}

// unavailable fails the test unless an error says that the store may be asked again.
func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	var away *store.UnavailableError
	if !errors.As(err, &away) || away.RetryAfter < time.Second {
		t.Errorf("%s: %v, want an UnavailableError", what, err)
	}
}

// TestPostgreSQLCommitAnswers checks what the answer to a COMMIT says.
func TestPostgreSQLCommitAnswers(t *testing.T) {
	s := open(t, newDatabase(t).config())
	const warning = `DO $$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; END $$`
	for _, test := range []struct {
		name, before, beside string
		sure, fails          bool
	}{
		{"as it should be", `SELECT 1`, `SELECT 1`, true, false},
		{"ROLLBACK", `SELECT 1/0`, "", true, true},
		{"an error beside it", `SELECT 1`, `SELECT 1/0`, true, true},
		{"a warning before", warning, `SELECT 1`, true, false},
		{"a warning with it", `SELECT 1`, warning, false, true},
	} {
		var beside []string
		if test.beside != "" {
			beside = append(beside, test.beside)
		}
		sure, err := postgres.Commit(t.Context(), s, test.before, beside...)
		if sure != test.sure || (err != nil) != test.fails {
			t.Errorf("%s: sure: %t, %v", test.name, sure, err)
		}
	}
}
