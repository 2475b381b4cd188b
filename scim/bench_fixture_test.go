package scim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// benchUser is an enterprise user with every attribute of RFC 7643 section 8.3
// that a client writes. #n is the number of the user, #t the title.
const benchUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
	`"externalId":"00u#nharbor","userName":"ines.#n@harbor.example",` +
	`"name":{"formatted":"Ms. Ines Maria Okafor #n, MSc","familyName":"Okafor #n","givenName":"Ines","middleName":"Maria","honorificPrefix":"Ms.","honorificSuffix":"MSc"},` +
	`"displayName":"Ines Okafor #n","nickName":"Ina","profileUrl":"https://people.harbor.example/#n",` +
	`"emails":[{"value":"ines.#n@harbor.example","type":"work","primary":true},{"value":"ines.#n@quay.example","type":"home"}],` +
	`"addresses":[{"type":"work","streetAddress":"12 Pier Road","locality":"Harwich","region":"Essex","postalCode":"CO12 3HH","country":"GB","formatted":"12 Pier Road\nHarwich CO12 3HH\nGB","primary":true},` +
	`{"type":"home","streetAddress":"7 Cliff Lane","locality":"Dovercourt","region":"Essex","postalCode":"CO12 4EB","country":"GB","formatted":"7 Cliff Lane\nDovercourt CO12 4EB\nGB"}],` +
	`"phoneNumbers":[{"value":"tel:+44-1255-#n","type":"work"},{"value":"tel:+44-7700-#n","type":"mobile"}],` +
	`"ims":[{"value":"ines#n","type":"xmpp"}],` +
	`"photos":[{"value":"https://photos.harbor.example/#n/F","type":"photo"},{"value":"https://photos.harbor.example/#n/T","type":"thumbnail"}],` +
	`"userType":"Employee","title":"#t","preferredLanguage":"en-GB","locale":"en-GB","timezone":"Europe/London","active":true,` +
	`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"#n","costCenter":"4130","organization":"Harbor Logistics","division":"Pilotage","department":"Night Operations",` +
	`"manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`

// benchUserParts is benchUser cut before each placeholder.
var benchUserParts = strings.Split(benchUser, "#")

// appendBenchUser writes user n. It costs little, so that a benchmark can make
// its bodies as it goes.
func appendBenchUser(b []byte, n int, title string) []byte {
	b = append(b, benchUserParts[0]...)
	for _, part := range benchUserParts[1:] {
		if part[0] == 'n' {
			b = appendNumber(b, n)
		} else {
			b = append(b, title...)
		}
		b = append(b, part[1:]...)
	}
	return b
}

// appendNumber writes n with seven digits, so that all users have one size.
func appendNumber(b []byte, n int) []byte { return strconv.AppendInt(b, int64(1_000_000+n), 10) }

func benchUserName(n int) string   { return "ines." + string(appendNumber(nil, n)) + "@harbor.example" }
func benchExternalID(n int) string { return "00u" + string(appendNumber(nil, n)) + "harbor" }

// filterQuery is the query of a GET for the resources whose attribute is value.
func filterQuery(attribute, value string) string {
	return "filter=" + url.QueryEscape(attribute+` eq "`+value+`"`)
}

// client calls a handler in process. It reuses the request and the answer, so
// that what is measured is the handler; BenchmarkHarness measures the client.
type client struct {
	handler http.Handler
	request http.Request
	body    resetBody
	answer  answer
}

func newClient(h http.Handler, token string) *client {
	c := &client{handler: h, answer: answer{header: http.Header{}}}
	c.request = http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "app.example",
		URL: &url.URL{}, Header: http.Header{},
	}
	c.request.Header.Set("Authorization", "Bearer "+token)
	c.request.Header.Set("Content-Type", "application/scim+json")
	c.request.Header.Set("Accept", "application/scim+json")
	return c
}

// do sends one request and fails the benchmark unless the answer has the
// status. c.answer is valid until the next request.
func (c *client) do(tb testing.TB, want int, method, path, query string, body []byte) {
	if err := c.send(want, method, path, query, body); err != nil {
		tb.Fatal(err)
	}
}

func (c *client) send(want int, method, path, query string, body []byte) error {
	c.request.Method = method
	c.request.URL.Path, c.request.URL.RawQuery = path, query
	c.body.Reset(body)
	c.request.Body, c.request.ContentLength = &c.body, int64(len(body))
	clear(c.answer.header)
	c.answer.status, c.answer.body = http.StatusOK, c.answer.body[:0]
	c.handler.ServeHTTP(&c.answer, &c.request)
	if c.answer.status != want {
		return fmt.Errorf("%s %s?%s: status %d, want %d: %.400s", method, path, query, c.answer.status, want, c.answer.body)
	}
	return nil
}

// create sends a POST and returns the id of what it made.
func (c *client) create(path string, body []byte) (string, error) {
	if err := c.send(http.StatusCreated, http.MethodPost, path, "", body); err != nil {
		return "", err
	}
	_, after, _ := bytes.Cut(c.answer.body, []byte(`"id":"`))
	id, _, ok := bytes.Cut(after, []byte(`"`))
	if !ok {
		return "", fmt.Errorf("POST %s: no id in %.400s", path, c.answer.body)
	}
	return string(id), nil
}

type resetBody struct{ bytes.Reader }

func (*resetBody) Close() error { return nil }

// answer is a ResponseWriter that keeps the last answer.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return len(b), nil
}

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
	engine := &provision.Engine{Store: st, Logger: logger}
	ctx, actor := context.Background(), provision.Actor{Kind: "system"}
	for _, id := range connections {
		c := provision.Connection{ID: id, SCIM: true, Policy: policy.Default()}
		if _, err := engine.SaveConnection(ctx, c, actor); err != nil {
			tb.Fatal(err)
		}
		secret := provision.Secret{Token: benchToken(id)}
		if _, err := engine.SetCredential(ctx, id, secret, time.Time{}, actor); err != nil {
			tb.Fatal(err)
		}
	}
	handler := &scim.Handler{Engine: engine, Logger: logger, BaseURL: func(*http.Request, string) string {
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

// measure runs an operation as often as the benchmark asks, with its number. It
// reports processor time too: that counts the garbage collector, which runs
// beside the operation on another core, and depends less on what else the
// machine does.
func measure(b *testing.B, operation func(i int)) {
	b.Helper()
	b.ReportAllocs()
	started := cpuTime()
	for i := 0; b.Loop(); i++ {
		operation(i)
	}
	b.ReportMetric(float64(cpuTime()-started)/float64(b.N), "cpu-ns/op")
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
		for _, id := range members {
			r := &store.Resource{
				ID: id, Type: provision.TypeUser, Version: 1, Created: now, Modified: now, Display: id,
				Document: store.Document("{}"), Keys: []store.Key{},
			}
			if err := tx.PutResource(r); err != nil {
				return err
			}
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
