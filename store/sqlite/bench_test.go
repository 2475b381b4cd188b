package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// BenchmarkCreate writes what the creation of a user writes: a resource with its
// index keys, an account and an event, durably. The floor is a transaction
// written by hand for the same rows, one for each user.
func BenchmarkCreate(b *testing.B) {
	for _, clients := range []int{1, 8} {
		b.Run(fmt.Sprintf("peer=sqlite/clients=%d", clients), func(b *testing.B) {
			s := openBench(b)
			inParallel(b, clients, func(n int64) error { return create(s, n) })
		})
		b.Run(fmt.Sprintf("peer=floor/clients=%d", clients), func(b *testing.B) {
			f := openFloor(b)
			inParallel(b, clients, f.create)
		})
	}
}

// BenchmarkRead reads a user among users by id and by a key.
func BenchmarkRead(b *testing.B) {
	const users = 10_000
	s := openBench(b)
	fill(b, s, users)
	byKey := func(attribute string, value func(int64) string) func(r store.Reader, n int64) error {
		return func(r store.Reader, n int64) error {
			page, err := r.Query(store.Query{
				Types: []string{"User"}, Limit: 10, With: store.WithGroups,
				Filter: store.Compare{
					Op: store.EQ, Path: store.Path{Keys: []string{attribute}, Type: store.String},
					Value: value(n), Key: attribute, Folded: value(n),
				},
			})
			if err == nil && page.Total != 1 {
				err = fmt.Errorf("%s finds %d", value(n), page.Total)
			}
			return err
		}
	}
	for _, test := range []struct {
		name string
		read func(r store.Reader, n int64) error
	}{
		{"get", func(r store.Reader, n int64) error {
			_, err := r.Resource("User", userID(n), store.WithGroups)
			return err
		}},
		{"userName", byKey("userName", userName)},
		{"account", func(r store.Reader, n int64) error {
			_, err := r.AccountOf(userID(n))
			return err
		}},
		{"list100", func(r store.Reader, n int64) error {
			_, err := r.Query(store.Query{Types: []string{"User"}, Offset: int(n) % 1000, Limit: 100, With: store.WithGroups})
			return err
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			inParallel(b, 1, func(n int64) error {
				return s.View(b.Context(), benchScope, func(_ context.Context, r store.Reader) error {
					return test.read(r, n*7919%users)
				})
			})
		})
	}
}

// BenchmarkReplace is a PATCH of active: read, replace, account, event.
func BenchmarkReplace(b *testing.B) {
	const users = 10_000
	for _, clients := range []int{1, 8} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := openBench(b)
			fill(b, s, users)
			b.ResetTimer()
			inParallel(b, clients, func(n int64) error { return replace(s, n*7919%users) })
		})
	}
}

const benchScope = "bench"

func openBench(b *testing.B) *sqlite.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// inParallel calls fn b.N times from some goroutines, with the number of the
// call.
func inParallel(b *testing.B, clients int, fn func(n int64) error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	done := make(chan error, clients)
	for range clients {
		go func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(b.N) {
					done <- nil
					return
				}
				if err := fn(n); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

func fill(b *testing.B, s *sqlite.Store, users int64) {
	b.Helper()
	for first := int64(0); first < users; first += 1000 {
		err := s.Update(b.Context(), benchScope, func(_ context.Context, tx store.Tx) error {
			for n := first; n < min(first+1000, users); n++ {
				if err := createIn(tx, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func create(s *sqlite.Store, n int64) error {
	return s.Update(context.Background(), benchScope, func(_ context.Context, tx store.Tx) error {
		return createIn(tx, n)
	})
}

func createIn(tx store.Tx, n int64) error {
	if err := tx.PutResource(benchResource(n)); err != nil {
		return err
	}
	a := benchAccount(n)
	if err := tx.PutAccount(a); err != nil {
		return err
	}
	return tx.AppendEvent(benchEvent(a))
}

func replace(s *sqlite.Store, n int64) error {
	return s.Update(context.Background(), benchScope, func(_ context.Context, tx store.Tx) error {
		r, err := tx.Resource("User", userID(n), store.WithGroups)
		if err != nil {
			return err
		}
		a, err := tx.AccountOf(r.ID)
		if err != nil {
			return err
		}
		changed := *r
		changed.Version++
		if err := tx.PutResource(&changed); err != nil {
			return err
		}
		a = a.Clone()
		a.Version++
		if err := tx.PutAccount(a); err != nil {
			return err
		}
		return tx.AppendEvent(benchEvent(a))
	})
}

// userID spreads the ids, as random ones are.
func userID(n int64) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n)*2654435761, n)
}

func userName(n int64) string { return fmt.Sprintf("user%d@example.com", n) }

var benchTime = time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)

var benchPadding = strings.Repeat("x", 1500)

func benchResource(n int64) *store.Resource {
	return &store.Resource{
		ID: userID(n), Type: "User", Version: 1, Created: benchTime, Modified: benchTime, Display: userName(n),
		Document: store.Document(fmt.Sprintf(`{"userName":%q,"externalId":"%d","active":true,"displayName":"User %d","note":%q}`,
			userName(n), n, n, benchPadding)),
		Keys: []store.Key{
			{Attribute: "userName", Value: userName(n), Unique: true},
			{Attribute: "externalId", Value: fmt.Sprint(n)},
			{Attribute: "displayName", Value: fmt.Sprint("user ", n)},
			{Attribute: "emails.value", Value: userName(n)},
		},
	}
}

func benchAccount(n int64) *store.Account {
	return &store.Account{
		ID: "a" + userID(n), Connection: benchScope, UserName: userName(n), ExternalID: fmt.Sprint(n), Email: userName(n),
		Name: "User", DisplayName: "User", Status: policy.StatusActive, Authentication: policy.AuthenticationSSO, Roles: []string{"editor"},
		TwoFactor: policy.TwoFactorSite, Version: 1, ResourceID: userID(n), Created: benchTime, Modified: benchTime,
		Reasons: []policy.Reason{{Option: "provisionOnFirstLogin", Effect: "admitted"}},
	}
}

func benchEvent(a *store.Account) *store.Event {
	return &store.Event{
		Time: benchTime, Type: store.AccountCreated, Connection: benchScope, Actor: store.Actor{Kind: "scim", ID: "c"},
		Resource: &store.ResourceRef{Type: "User", ID: a.ResourceID}, AccountID: a.ID, Account: a.EventAccount(), Reasons: a.Reasons,
	}
}

// floor writes the rows with statements prepared once, on one connection that
// the clients take in turns.
type floor struct {
	mu                            sync.Mutex
	begin, commit                 *sql.Stmt
	resource, key, account, event *sql.Stmt
	state, count                  *sql.Stmt
	position                      int64 // of the last resource
}

func openFloor(b *testing.B) *floor {
	b.Helper()
	path := filepath.Join(b.TempDir(), "floor.db")
	db, err := sql.Open("sqlite", "file:"+path+
		"?_journal_mode=WAL&_synchronous=FULL&_pragma=temp_store(MEMORY)&_pragma=cache_size(-32768)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	files, err := fs.Glob(sqlite.Migrations(), "*.sql")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(sqlite.Migrations(), file)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.ExecContext(b.Context(), string(text)); err != nil {
			b.Fatal(err)
		}
	}
	_, err = conn.ExecContext(b.Context(), `INSERT INTO provision_scopes (scope, name, position, sequence, pruned) VALUES (1, 'bench', 0, 0, 0);
		INSERT INTO provision_types (scope, type, count, mark) VALUES (1, 'User', 0, 1)`)
	if err != nil {
		b.Fatal(err)
	}
	prepare := func(query string) *sql.Stmt {
		stmt, err := conn.PrepareContext(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = stmt.Close() })
		return stmt
	}
	return &floor{
		begin: prepare(`BEGIN IMMEDIATE`), commit: prepare(`COMMIT`),
		resource: prepare(`INSERT INTO provision_resources
			(scope, position, type, id, version, created, modified, display, keys, document, source)
			VALUES (1, ?, 'User', ?, 1, ?, ?, ?, ?, ?, 'scim')`),
		key: prepare(`INSERT INTO provision_keys (scope, attribute, value, type, slot, position)
			VALUES (1, ?, ?, 'User', 0, ?), (1, ?, ?, 'User', ?, ?), (1, ?, ?, 'User', ?, ?), (1, ?, ?, 'User', ?, ?)`),
		account: prepare(`INSERT INTO provision_accounts
			(scope, id, resource_id, user_name, external_id, email, status, site_admin, data) VALUES (1, ?, ?, ?, ?, ?, 'active', 0, ?)`),
		event: prepare(`INSERT INTO provision_events (scope, sequence, data) VALUES (1, ?, ?)`),
		state: prepare(`UPDATE provision_scopes SET position = ?, sequence = ? WHERE scope = 1`),
		count: prepare(`UPDATE provision_types SET count = count + 1 WHERE scope = 1 AND type = 'User'`),
	}
}

func (f *floor) create(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin.Exec(); err != nil {
		return err
	}
	r, a := benchResource(n), benchAccount(n)
	at := r.Created.Format(time.RFC3339Nano)
	f.position++
	position := f.position
	_, err := f.resource.Exec(position, r.ID, at, at, r.Display, benchPadding[:120], string(r.Document))
	if err != nil {
		return err
	}
	_, err = f.key.Exec(
		r.Keys[0].Attribute, r.Keys[0].Value, position,
		r.Keys[1].Attribute, r.Keys[1].Value, position, position,
		r.Keys[2].Attribute, r.Keys[2].Value, position, position,
		r.Keys[3].Attribute, r.Keys[3].Value, position, position)
	if err != nil {
		return err
	}
	if _, err := f.account.Exec(a.ID, a.ResourceID, a.UserName, a.ExternalID, a.Email, benchPadding[:650]); err != nil {
		return err
	}
	if _, err := f.event.Exec(position, benchPadding[:1000]); err != nil {
		return err
	}
	if _, err := f.state.Exec(position, position); err != nil {
		return err
	}
	if _, err := f.count.Exec(); err != nil {
		return err
	}
	_, err = f.commit.Exec()
	return err
}
