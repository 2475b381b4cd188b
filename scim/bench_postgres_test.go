//go:build unix

package scim_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store/postgres"
)

// BenchmarkPostgres reads and writes users in a durable PostgreSQL server, by some
// clients at a time on one connection or on many, with transactions written by hand
// beside. Each of a run's servers has a database of its own.
func BenchmarkPostgres(b *testing.B) {
	server := postgrestest.Start(b)
	server.Stop(b, "fast")
	server.StartAgain(b, "fsync=on", "max_connections=120")
	for _, load := range []struct{ clients, connections int }{{1, 1}, {8, 1}, {32, 1}, {8, 32}, {32, 32}} {
		names := make([]string, load.connections)
		for i := range names {
			names[i] = fmt.Sprint("bench", i)
		}
		b.Run(fmt.Sprintf("clients=%d/connections=%d", load.clients, load.connections), func(b *testing.B) {
			b.Run("store=postgres", func(b *testing.B) {
				benchCrowd(b, newServer(b, openPostgres(b, server.Database(b)), names...).handler, load.clients, names)
			})
			b.Run("peer=floor", func(b *testing.B) {
				benchCrowd(b, openPostgresRows(b, server.Database(b), names), load.clients, names)
			})
		})
	}
}

func openPostgres(b *testing.B, url string) *postgres.Store {
	b.Helper()
	st, err := postgres.Open(b.Context(), postgres.Config{URL: url + " pool_max_conns=32"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	return st
}

// crowdUsers is how many users there are when reads and changes are measured.
const crowdUsers = 256

// benchCrowd measures POST, GET and PATCH of users, by some clients at a time, each
// of which works on one connection after the other.
func benchCrowd(b *testing.B, h http.Handler, clients int, connections []string) {
	c := newCrowd(b, h, clients, connections)
	b.Run("op=post", func(b *testing.B) {
		c.measure(b, func(w *worker, n int) error {
			w.body = appendBenchUser(w.body[:0], crowdUsers+int(c.next.Add(1)), "Pilot")
			return w.client(n).send(http.StatusCreated, http.MethodPost, "/Users", "", w.body)
		})
	})
	b.Run("op=get", func(b *testing.B) {
		c.measure(b, func(w *worker, n int) error {
			return w.client(n).send(http.StatusOK, http.MethodGet, c.path(n), "", nil)
		})
	})
	bodies := [2][]byte{
		[]byte(patchRequest(`{"op":"replace","path":"active","value":false}`)),
		[]byte(patchRequest(`{"op":"replace","path":"active","value":true}`)),
	}
	b.Run("op=patch", func(b *testing.B) {
		c.measure(b, func(w *worker, n int) error {
			return w.client(n).send(http.StatusOK, http.MethodPatch, c.path(n), "", bodies[n/len(c.users)%2])
		})
	})
}

// crowd is some clients of one server.
type crowd struct {
	handler     http.Handler
	clients     int
	connections []string
	users       []string     // ids; the connection of user n is n modulo their number
	next        atomic.Int64 // how many users were made after those
}

// worker is one of the clients, with one credential of each connection.
type worker struct {
	clients []*client
	body    []byte
}

// client returns the client for operation n.
func (w *worker) client(n int) *client { return w.clients[n%len(w.clients)] }

func newCrowd(b *testing.B, h http.Handler, clients int, connections []string) *crowd {
	b.Helper()
	c := &crowd{handler: h, clients: clients, connections: connections, users: make([]string, crowdUsers)}
	err := c.each(crowdUsers, func(w *worker, n int) (err error) {
		w.body = appendBenchUser(w.body[:0], n, "Pilot")
		c.users[n], err = w.client(n).create("/Users", w.body)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func (c *crowd) path(n int) string { return "/Users/" + c.users[n%len(c.users)] }

// each does n operations, which the clients take from each other.
func (c *crowd) each(n int, operation func(w *worker, n int) error) error {
	var taken atomic.Int64
	var wg sync.WaitGroup
	failed := make([]error, c.clients)
	for i := range c.clients {
		wg.Go(func() {
			w := &worker{body: make([]byte, 0, 4096)}
			for _, name := range c.connections {
				w.clients = append(w.clients, newClient(c.handler, benchToken(name)))
			}
			for failed[i] == nil {
				k := int(taken.Add(1)) - 1
				if k >= n {
					return
				}
				failed[i] = operation(w, k)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// measure does b.N operations and reports the median of how long one takes.
func (c *crowd) measure(b *testing.B, operation func(w *worker, n int) error) {
	took := make([]time.Duration, b.N)
	started := cpuTime()
	b.ResetTimer()
	err := c.each(b.N, func(w *worker, n int) error {
		begun := time.Now()
		err := operation(w, n)
		took[n] = time.Since(begun)
		return err
	})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(cpuTime()-started)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// postgresRows does with transactions written by hand what ours does for a request:
// it reads and writes the same rows, and neither decodes nor checks nor encodes. What
// it sends needs the fewest trips that such a transaction takes: BEGIN, the reads in
// one batch, the writes in one batch, COMMIT. The row that every transaction of a scope
// changes comes last, so that its lock is held briefly.
type postgresRows struct {
	pool   *pgxpool.Pool
	scopes map[string]string // by Authorization header
	writes map[string]*atomic.Int64
}

func openPostgresRows(b *testing.B, url string, connections []string) *postgresRows {
	b.Helper()
	if err := openPostgres(b, url).Close(); err != nil { // which makes the tables
		b.Fatal(err)
	}
	pool, err := pgxpool.New(b.Context(), url+" pool_max_conns=32")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	s := &postgresRows{pool: pool, scopes: map[string]string{}, writes: map[string]*atomic.Int64{}}
	for _, name := range connections {
		s.scopes["Bearer "+benchToken(name)], s.writes[name] = name, &atomic.Int64{}
		_, err := pool.Exec(b.Context(), `INSERT INTO provision_scopes (scope) VALUES ($1)`, name)
		if err == nil {
			_, err = pool.Exec(b.Context(), `INSERT INTO provision_types (scope, type, count, mark) VALUES ($1, 'User', 0, 1)`, name)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func (s *postgresRows) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scope, id := s.scopes[r.Header.Get("Authorization")], strings.TrimPrefix(r.URL.Path, "/Users/")
	var body []byte
	var err error
	status := http.StatusOK
	switch r.Method {
	case http.MethodGet:
		err = s.pool.QueryRow(r.Context(), `SELECT document FROM provision_resources WHERE scope = $1 AND id = $2`, scope, id).Scan(&body)
	case http.MethodPatch:
		err = pgx.BeginFunc(r.Context(), s.pool, func(tx pgx.Tx) (err error) {
			body, err = s.patch(r.Context(), tx, scope, id)
			return err
		})
	default:
		if body, err = io.ReadAll(r.Body); err == nil {
			err = pgx.BeginFunc(r.Context(), s.pool, func(tx pgx.Tx) (err error) {
				body, err = s.insert(r.Context(), tx, scope, body)
				return err
			})
		}
		status = http.StatusCreated
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// insert writes the rows of a new user, and returns the document with its id.
func (s *postgresRows) insert(ctx context.Context, tx pgx.Tx, scope string, body []byte) ([]byte, error) {
	id, now := rand.Text(), time.Now().UTC().Format(time.RFC3339Nano)
	document := string(body[:len(body)-1]) + `,"id":"` + id + `"}`
	userName, externalID, displayName := valueOf(body, "userName"), valueOf(body, "externalId"), valueOf(body, "displayName")
	keys := fmt.Sprintf("userName:%s,externalId:%s,displayName:%s,emails.value:%[1]s,emails.value:%[1]s", userName, externalID, displayName)
	n := s.writes[scope].Add(1)
	var batch pgx.Batch
	batch.Queue(`INSERT INTO provision_resources (scope, position, type, id, version, created, modified, display, keys, document, source)
		VALUES ($1, $2, 'User', $3, 1, $4, $4, $5, $6, $7, 'scim')`, scope, n, id, now, displayName, keys, document)
	batch.Queue(`INSERT INTO provision_keys (scope, attribute, value, type, slot, position)
		SELECT $1, k.attribute, k.value, 'User', k.slot, $2 FROM unnest($3::text[], $4::text[], $5::bigint[]) AS k(attribute, value, slot)`,
		scope, n, []string{"userName", "externalId", "displayName", "emails.value", "emails.value", "manager.value"},
		[]string{userName, externalID, displayName, userName, userName + ".home", "26118915"}, []int64{0, n, n, n, n, n})
	batch.Queue(`INSERT INTO provision_accounts (scope, id, resource_id, user_name, external_id, email, status, site_admin, data)
		VALUES ($1, $2, $2, $3, $4, $3, 'active', false, $5)`, scope, id, userName, externalID, string(body[:rowsAccountSize]))
	s.tell(&batch, scope, n, body)
	batch.Queue(`UPDATE provision_types SET count = count + 1 WHERE scope = $1 AND type = 'User'`, scope)
	return []byte(document), tx.SendBatch(ctx, &batch).Close()
}

// patch reads a user with the account and writes both.
func (s *postgresRows) patch(ctx context.Context, tx pgx.Tx, scope, id string) (document []byte, err error) {
	var reads, writes pgx.Batch
	reads.Queue(`SELECT document FROM provision_resources WHERE scope = $1 AND id = $2 FOR UPDATE`, scope, id).
		QueryRow(func(row pgx.Row) error { return row.Scan(&document) })
	reads.Queue(`SELECT data FROM provision_accounts WHERE scope = $1 AND resource_id = $2`, scope, id).
		QueryRow(func(row pgx.Row) error { return row.Scan(new(string)) })
	if err := tx.SendBatch(ctx, &reads).Close(); err != nil {
		return nil, err
	}
	writes.Queue(`UPDATE provision_resources SET version = version + 1, document = $3 WHERE scope = $1 AND id = $2`, scope, id, string(document))
	writes.Queue(`UPDATE provision_accounts SET status = 'active', data = $3 WHERE scope = $1 AND id = $2`, scope, id, string(document[:rowsAccountSize]))
	s.tell(&writes, scope, s.writes[scope].Add(1), document)
	return document, tx.SendBatch(ctx, &writes).Close()
}

// tell appends an event and counts it.
func (s *postgresRows) tell(batch *pgx.Batch, scope string, n int64, body []byte) {
	batch.Queue(`INSERT INTO provision_events (scope, sequence, data) VALUES ($1, $2, $3)`, scope, n, string(body[:rowsEventSize]))
	batch.Queue(`UPDATE provision_scopes SET position = $2, sequence = $2 WHERE scope = $1`, scope, n)
}
