package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
)

// TestPostgreSQLPoolExhausted uses up a pool of one and of two connections: whoever needs
// one fails in time, whoever has one is refused a second, and both go on when there are
// some again. A request is answered 503 with Retry-After.
func TestPostgreSQLPoolExhausted(t *testing.T) {
	db := newDatabase(t)
	for _, size := range []int{1, 2} {
		config := db.config()
		config.URL, config.Pool = "", connected(t, db, size)
		config.AcquireTimeout = time.Second / 2 // less, and a busy machine fails those who need not wait
		s := open(t, config)
		w := s.Watch()
		c := newClient(t, s, fmt.Sprint("connection", size))
		var group sync.WaitGroup
		goOn := make(chan struct{})
		for range size {
			inside := make(chan struct{})
			group.Go(func() {
				err := s.View(t.Context(), "acme", func(ctx context.Context, r store.Reader) error {
					if _, err := r.Records("once", "", 0); err != nil {
						return err
					}
					if err := s.Update(ctx, "acme", appendEvent); !errors.Is(err, store.ErrNested) {
						t.Errorf("an update in a view: %v", err)
					}
					if err := s.Ping(ctx); !errors.Is(err, store.ErrNested) {
						t.Errorf("a view in a view: %v", err)
					}
					close(inside)
					<-goOn
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
			<-inside
		}
		unavailable(t, "an update", s.Update(t.Context(), "acme", appendEvent))
		unavailable(t, "a view", s.Ping(t.Context()))
		_, err := s.Scan(t.Context(), "acme", store.Query{Limit: 1})
		unavailable(t, "a scan", err)
		_, err = w.Look(t.Context())
		unavailable(t, "a look", err)
		if answer := c.do("GET", "/Users", ""); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Errorf("a request: %d, Retry-After %q", answer.Code, answer.Header().Get("Retry-After"))
		}
		close(goOn)
		group.Wait()
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Errorf("an update after that: %v", err)
		}
		if answer := c.do("GET", "/Users", ""); answer.Code != http.StatusOK {
			t.Errorf("a request after that: %d %s", answer.Code, answer.Body)
		}
		w.Close()
	}
}

// connected returns a pool whose connections are made: nothing waits for that.
func connected(t *testing.T, db *database, size int) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), fmt.Sprintf("%s pool_max_conns=%d", db.url, size))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for range size {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	return pool
}

// TestPostgreSQLTooManyRequests lets no more requests wait than may. The next one is
// answered 503 with Retry-After, and those of other connections are served.
func TestPostgreSQLTooManyRequests(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.MaxWaiting = 1
	s := open(t, config)
	busy, idle := newClient(t, s, "busy"), newClient(t, s, "idle")
	var group sync.WaitGroup
	inside, goOn := make(chan struct{}), make(chan struct{})
	group.Go(func() {
		err := s.Update(t.Context(), "busy", func(context.Context, store.Tx) error {
			close(inside)
			<-goOn
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	body := func(n int) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%d"}`, n)
	}
	group.Go(func() {
		if answer := busy.do("POST", "/Users", body(1)); answer.Code != http.StatusCreated {
			t.Errorf("the request that waits: %d %s", answer.Code, answer.Body)
		}
	})
	for s.Waiting() < 2 {
		time.Sleep(time.Millisecond) // it waits in a goroutine of its own
	}
	answer := busy.do("POST", "/Users", body(2))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") != "1" {
		t.Errorf("one request too many: %d, Retry-After %q, %s", answer.Code, answer.Header().Get("Retry-After"), answer.Body)
	}
	if answer := idle.do("POST", "/Users", body(3)); answer.Code != http.StatusCreated {
		t.Errorf("a request of another connection: %d %s", answer.Code, answer.Body)
	}
	close(goOn)
	group.Wait()
	if answer := busy.do("POST", "/Users", body(2)); answer.Code != http.StatusCreated {
		t.Errorf("the request, repeated: %d %s", answer.Code, answer.Body)
	}
}
