package scim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// server is a SCIM server under measurement.
type server struct {
	handler http.Handler
	token   string
	users   []string // ids, by number

	store store.Store  // of ours only
	floor *floorServer // of peer=floor only
	peer  *elimityPeer // of peer=elimity only
}

// benchConnection is the connection of a server with one client.
const benchConnection = "bench"

// newServer returns our handler on a store, with a connection and a token for
// each name.
func newServer(tb testing.TB, st store.Store, connections ...string) *server {
	tb.Helper()
	logger := slog.New(slog.DiscardHandler)
	engine := &provision.Engine{Store: st, Logger: logger, SingleProcess: true}
	ctx, actor := context.Background(), provision.Actor{Kind: "system"}
	for _, id := range connections {
		c := provision.Connection{ID: id, SCIM: true}
		if _, err := engine.Directory(c.ID).As(actor).UpdateConnection(ctx, with(c)); err != nil {
			tb.Fatal(err)
		}
		secret := provision.Secret{Token: benchToken(id)}
		if _, err := engine.Directory(id).As(actor).SetCredential(ctx, secret, time.Time{}); err != nil {
			tb.Fatal(err)
		}
	}
	handler := &scim.Handler{Engine: engine, Logger: logger, Limits: scim.Limits{Rate: -1}, BaseURL: func(*http.Request, string) string {
		return "https://app.example/scim/v2"
	}}
	return &server{handler: handler, token: benchToken(connections[0]), store: st}
}

func benchToken(connection string) string {
	return "a-token-for-benchmarks-and-nothing-else-" + connection
}

func newMemory(tb testing.TB, users int) *server {
	tb.Helper()
	s := newServer(tb, memory.New(), benchConnection)
	s.fill(tb, users)
	return s
}

// newSQLite fills a file and keeps it, without a name, since filling it takes
// longer than anything else. Each benchmark works on a copy.
func newSQLite(tb testing.TB, users int) *server {
	tb.Helper()
	if users != benchUsers {
		s := newServer(tb, openSQLite(tb, tb.TempDir(), sqlite.Full), benchConnection)
		s.fill(tb, users)
		return s
	}
	filledSQLite.Do(func() { filledSQLite.file, filledSQLite.users = fillSQLite(tb, users) })
	if filledSQLite.file == nil {
		tb.Fatal("filling the database failed before")
	}
	dir := tb.TempDir()
	copied, err := os.Create(filepath.Join(dir, benchFile))
	if err != nil {
		tb.Fatal(err)
	}
	size, err := filledSQLite.file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = io.Copy(copied, io.NewSectionReader(filledSQLite.file, 0, size))
	}
	if err = errors.Join(err, copied.Close()); err != nil {
		tb.Fatal(err)
	}
	s := newServer(tb, openSQLite(tb, dir, sqlite.Full), benchConnection)
	s.users = filledSQLite.users
	return s
}

var filledSQLite struct {
	sync.Once
	file  *os.File
	users []string
}

func fillSQLite(tb testing.TB, users int) (*os.File, []string) {
	tb.Helper()
	dir := tb.TempDir()
	st := openSQLite(tb, dir, sqlite.Normal)
	s := newServer(tb, st, benchConnection)
	s.fill(tb, users)
	if err := st.Close(); err != nil {
		tb.Fatal(err)
	}
	// The directory goes with tb, the open file stays until the process ends.
	file, err := os.Open(filepath.Join(dir, benchFile))
	if err != nil {
		tb.Fatal(err)
	}
	return file, s.users
}

const benchFile = "bench.db"

func openSQLite(tb testing.TB, dir string, synchronous sqlite.Synchronous) *sqlite.Store {
	tb.Helper()
	st, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, benchFile), Synchronous: synchronous})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = st.Close() })
	return st
}

// kind is one row of the table of what is compared. open returns a server with
// some users.
type kind struct {
	name   string
	onDisk bool
	open   func(tb testing.TB, users int) *server
}

func kinds() []kind {
	return []kind{
		{name: "store=memory", open: newMemory},
		{name: "store=sqlite", open: newSQLite, onDisk: true},
		{name: "peer=floor", open: newFloor},
		{name: "peer=elimity", open: newElimity},
	}
}

// benchUsers is how many users a directory has when a benchmark begins.
const benchUsers = 10_000

// withUsers runs fn on a server of each kind with benchUsers users. At most one
// such server is in memory at a time, since the garbage collector would charge
// the maps of one to the others.
func withUsers(b *testing.B, fn func(b *testing.B, s *server)) {
	for _, k := range kinds() {
		b.Run(k.name, func(b *testing.B) {
			s := k.open(b, benchUsers)
			b.Run(fmt.Sprintf("users=%d", benchUsers), func(b *testing.B) { fn(b, s) })
		})
	}
}

// fill creates the first users, by several clients at a time.
func (s *server) fill(tb testing.TB, users int) {
	tb.Helper()
	s.users = make([]string, users)
	const clients = 32 // they share the commits of a database
	var wg sync.WaitGroup
	for first := range clients {
		wg.Go(func() {
			c := newClient(s.handler, s.token)
			var body []byte
			for n := first; n < users; n += clients {
				body = appendBenchUser(body[:0], n, "Pilot")
				var err error
				if s.users[n], err = s.createUser(c, body); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
}

// createUser creates a user. The peers are filled behind their handlers, which
// saves half of the time that setting up takes.
func (s *server) createUser(c *client, body []byte) (string, error) {
	var create func(map[string]any) string
	switch {
	case s.floor != nil:
		create = s.floor.create
	case s.peer != nil:
		create = s.peer.users.create
	default:
		return c.create("/Users", body)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		return "", err
	}
	return create(m), nil
}

// fillGroups makes one group of each size and returns their ids. The members are
// resources without attributes, written behind the handlers.
func (s *server) fillGroups(tb testing.TB, sizes []int) []string {
	tb.Helper()
	members := make([]string, slices.Max(sizes))
	for i := range members {
		members[i] = "member" + string(appendNumber(nil, i))
	}
	ids := make([]string, len(sizes))
	c := newClient(s.handler, s.token)
	for i, size := range sizes {
		name := fmt.Sprintf("Crew of %d", size)
		switch {
		case s.floor != nil:
			ids[i] = s.floor.createGroup(members[:size])
		case s.peer != nil:
			ids[i] = s.peer.createGroup(name, members[:size])
		default:
			var err error
			body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"` + name + `"}`
			if ids[i], err = c.create("/Groups", []byte(body)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if s.store != nil {
		s.putMembers(tb, ids, sizes, members)
	}
	return ids
}

func (s *server) putMembers(tb testing.TB, groups []string, sizes []int, members []string) {
	tb.Helper()
	err := s.store.Update(context.Background(), benchConnection, func(_ context.Context, tx store.Tx) error {
		now := time.Now().UTC()
		if err := putPeople(tx, now, members); err != nil {
			return err
		}
		for i, group := range groups {
			for _, id := range members[:sizes[i]] {
				m := store.Membership{Group: group, Member: id, Source: store.SourceSCIM, Kind: provision.TypeUser}
				if _, err := tx.PutMembership(m); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// putPeople writes users without attributes.
func putPeople(tx store.Tx, now time.Time, ids []string) error {
	for _, id := range ids {
		r := &store.Resource{
			ID: id, Type: provision.TypeUser, Version: 1, Created: now, Modified: now, Display: id,
			Document: store.Document("{}"), Keys: []store.Key{},
		}
		if err := tx.PutResource(r); err != nil {
			return err
		}
	}
	return nil
}

// putOthers writes users who are in no group.
func (s *server) putOthers(tb testing.TB, n int) {
	tb.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = "other" + string(appendNumber(nil, i))
	}
	err := s.store.Update(context.Background(), benchConnection, func(_ context.Context, tx store.Tx) error {
		return putPeople(tx, time.Now().UTC(), ids)
	})
	if err != nil {
		tb.Fatal(err)
	}
}
