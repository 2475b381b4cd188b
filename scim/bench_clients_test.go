package scim_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision/store/sqlite"
)

// BenchmarkPostClients creates users by 8 clients at a time in a durable SQLite
// store: all on one connection, or each on its own.
func BenchmarkPostClients(b *testing.B) {
	const clients = 8
	for _, connections := range []int{1, 8} {
		names := make([]string, connections)
		for i := range names {
			names[i] = fmt.Sprint("bench", i)
		}
		b.Run(fmt.Sprintf("clients=%d/connections=%d", clients, connections), func(b *testing.B) {
			run := func(name string, h http.Handler) {
				var next atomic.Int64
				b.Run(name, func(b *testing.B) { postInParallel(b, h, clients, names, &next) })
			}
			run("store=sqlite", newServer(b, openSQLite(b, b.TempDir(), sqlite.Full), names...).handler)
			run("peer=floor", openRows(b, names))
		})
	}
}

// postInParallel sends b.N requests. next is the number of the next user, which
// goes on from run to run, since they share the store.
func postInParallel(b *testing.B, h http.Handler, clients int, connections []string, next *atomic.Int64) {
	b.ReportAllocs()
	started := cpuTime()
	var sent atomic.Int64
	done := make(chan error, clients)
	for i := range clients {
		c := newClient(h, benchToken(connections[i%len(connections)]))
		go func() {
			body := make([]byte, 0, 4096)
			for sent.Add(1) <= int64(b.N) {
				body = appendBenchUser(body[:0], int(next.Add(1)), "Pilot")
				if err := c.send(http.StatusCreated, http.MethodPost, "/Users", "", body); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-started)/float64(b.N), "cpu-ns/op")
}

// rowsServer answers a POST with one transaction, written by hand, that writes
// the rows which ours writes for it: a resource with its keys, an account, an event,
// and the numbers of its scope. It neither decodes nor checks nor encodes anything; it cuts the values
// of the keys out of the body, and pads account and event to their usual size.
type rowsServer struct {
	db                            *sql.DB
	resource, key, account, event *sql.Stmt
	state, count                  *sql.Stmt
	scopes                        map[string]int // by Authorization header, from 1

	mu     sync.Mutex // held from BEGIN to COMMIT
	writes []int64    // by scope: how many users, and so events
}

const (
	rowsAccountSize = 740
	rowsEventSize   = 805
)

func openRows(b *testing.B, connections []string) *rowsServer {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(filepath.Join(b.TempDir(), "rows.db"))+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	files, err := fs.Glob(sqlite.Migrations(), "*.sql")
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(sqlite.Migrations(), name)
		if err == nil {
			_, err = db.Exec(string(text))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	prepare := func(query string) *sql.Stmt {
		stmt, err := db.Prepare(query)
		if err != nil {
			b.Fatal(err)
		}
		return stmt
	}
	s := &rowsServer{
		db: db, scopes: map[string]int{}, writes: make([]int64, len(connections)+1),
		resource: prepare(`INSERT INTO provision_resources (scope, position, type, id, version, created, modified, display, keys, document, source)
			VALUES (?, ?, 'User', ?, 1, ?, ?, ?, ?, ?, 'scim')`),
		key: prepare(`INSERT INTO provision_keys (scope, attribute, value, type, slot, position)
			VALUES (?, ?, ?, 'User', ?, ?)` + strings.Repeat(`, (?, ?, ?, 'User', ?, ?)`, 5)),
		account: prepare(`INSERT INTO provision_accounts (scope, id, resource_id, user_name, external_id, email, status, site_admin, data)
			VALUES (?, ?, ?, ?, ?, ?, 'active', 0, ?)`),
		event: prepare(`INSERT INTO provision_events (scope, sequence, data) VALUES (?, ?, ?)`),
		state: prepare(`UPDATE provision_scopes SET position = ?, sequence = ? WHERE scope = ?`),
		count: prepare(`UPDATE provision_types SET count = count + 1 WHERE scope = ? AND type = 'User'`),
	}
	for i, name := range connections {
		s.scopes["Bearer "+benchToken(name)] = i + 1
		_, err := db.Exec(`INSERT INTO provision_scopes (scope, name, position, sequence, pruned) VALUES (?, ?, 0, 0, 0)`, i+1, name)
		if err == nil {
			_, err = db.Exec(`INSERT INTO provision_types (scope, type, count, mark) VALUES (?, 'User', 0, 1)`, i+1)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func (s *rowsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.create(s.scopes[r.Header.Get("Authorization")], body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}

// create writes the rows. The statements use the only connection of the pool,
// so that they are in the transaction.
func (s *rowsServer) create(scope int, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.db.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := s.insert(scope, body); err != nil {
		_, rollback := s.db.Exec("ROLLBACK")
		return errors.Join(err, rollback)
	}
	_, err := s.db.Exec("COMMIT")
	return err
}

func (s *rowsServer) insert(scope int, body []byte) error {
	id, now := rand.Text(), time.Now().UTC().Format(time.RFC3339Nano)
	userName, externalID, displayName := valueOf(body, "userName"), valueOf(body, "externalId"), valueOf(body, "displayName")
	keys := fmt.Sprintf("userName:%s,externalId:%s,displayName:%s,emails.value:%[1]s,emails.value:%[1]s", userName, externalID, displayName)
	s.writes[scope]++
	position := int64(scope)<<40 + s.writes[scope]
	_, err := s.resource.Exec(scope, position, id, now, now, displayName, keys, string(body))
	if err != nil {
		return err
	}
	_, err = s.key.Exec(
		scope, "userName", userName, 0, position,
		scope, "externalId", externalID, position, position,
		scope, "displayName", displayName, position, position,
		scope, "emails.value", userName, position, position,
		scope, "emails.value", userName+".home", position, position,
		scope, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "26118915-6090-4610-87e4-49d8ca9f808d", position, position)
	if err != nil {
		return err
	}
	_, err = s.account.Exec(scope, rand.Text(), id, userName, externalID, userName, string(body[:rowsAccountSize]))
	if err != nil {
		return err
	}
	if _, err = s.event.Exec(scope, s.writes[scope], string(body[:rowsEventSize])); err != nil {
		return err
	}
	if _, err = s.state.Exec(position, s.writes[scope], scope); err != nil {
		return err
	}
	_, err = s.count.Exec(scope)
	return err
}

// valueOf cuts the text of an attribute out of a document.
func valueOf(document []byte, attribute string) string {
	_, rest, _ := bytes.Cut(document, []byte(`"`+attribute+`":"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}
