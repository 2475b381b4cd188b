package provision_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// onEveryStore runs a test on each store. Tests in a bubble of testing/synctest have
// memory and SQLite only: what waits for a socket keeps the bubble's time from passing.
func onEveryStore(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Helper()
	onOwnStores(t, test)
	t.Run("postgres", func(t *testing.T) { test(t, postgrestest.Open(t)) })
}

// onOwnStores runs a test on each store that is in this process.
func onOwnStores(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, memory.New()) })
	t.Run("sqlite", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		test(t, st)
	})
}

// clock is a time that tests move by hand.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	began time.Time // since when it also goes by itself; zero: it does not
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		return c.now
	}
	return c.now.Add(time.Since(c.began)) // without a monotonic part, which nobody could set
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var tester = provision.Actor{Kind: "operator", ID: "test"}

// tenant is one connection of an engine, with short words for what tests do.
type tenant struct {
	t      *testing.T
	engine *provision.Engine
	dir    *provision.Directory
	clock  *clock
}

// newTenant saves a connection with a policy given as JSON.
func newTenant(t *testing.T, st store.Store, policyJSON string) *tenant {
	t.Helper()
	tn := unsavedTenant(t, st)
	tn.setPolicy(policyJSON)
	return tn
}

// unsavedTenant is a connection that is not stored yet.
func unsavedTenant(t *testing.T, st store.Store) *tenant {
	t.Helper()
	c := newClock()
	engine := &provision.Engine{Now: c.Now}
	engine.Store = clocktest.New(st, func() time.Time { // that of the process
		if engine.Now == nil {
			return time.Now()
		}
		return engine.Now()
	})
	tn := &tenant{t: t, engine: engine, clock: c}
	tn.dir = engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
	return tn
}

func (tn *tenant) setPolicy(policyJSON string) {
	tn.t.Helper()
	config, err := policy.Parse([]byte(policyJSON))
	if err != nil {
		tn.t.Fatal(err)
	}
	conn := provision.Connection{ID: "acme", SCIM: true, Policy: config}
	if _, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(tn.t.Context(), with(conn)); err != nil {
		tn.t.Fatal(err)
	}
}

var standard = schema.Standard()

// content puts the JSON of a resource into the form that the engine takes.
func content(t *testing.T, typ, body string) provision.Content {
	t.Helper()
	rt := standard.Type(typ)
	var d schema.Decoder
	d.Allow = schema.LooseSchemas
	o, err := d.Resource(rt, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return provision.Content{Document: o.AppendJSON(nil), Keys: rt.Keys(o), Display: rt.Display(o)}
}

// user creates a user and returns its id.
func (tn *tenant) user(body string) string {
	tn.t.Helper()
	c := content(tn.t, "User", body)
	r, err := tn.dir.Create(tn.t.Context(), "User", 0, func(d *provision.Draft) error {
		d.Write(c)
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	return r.ID
}

// set replaces the attributes of a user.
func (tn *tenant) set(id, body string) {
	tn.t.Helper()
	c := content(tn.t, "User", body)
	_, err := tn.dir.Update(tn.t.Context(), "User", id, 0, func(d *provision.Draft) error {
		d.Write(c)
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
}

// group creates a group with members and returns its id.
func (tn *tenant) group(name string, members ...string) string {
	tn.t.Helper()
	c := content(tn.t, "Group", `{"displayName":"`+name+`"}`)
	r, err := tn.dir.Create(tn.t.Context(), "Group", 0, func(d *provision.Draft) error {
		d.Write(c)
		for _, m := range members {
			d.AddMember(m)
		}
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	return r.ID
}

func (tn *tenant) change(group string, fn func(*provision.Draft)) {
	tn.t.Helper()
	_, err := tn.dir.Update(tn.t.Context(), "Group", group, 0, func(d *provision.Draft) error {
		fn(d)
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
}

func (tn *tenant) rename(group, name string) {
	tn.t.Helper()
	c := content(tn.t, "Group", `{"displayName":"`+name+`"}`)
	tn.change(group, func(d *provision.Draft) { d.Write(c) })
}

func (tn *tenant) join(group, member string) {
	tn.t.Helper()
	tn.change(group, func(d *provision.Draft) { d.AddMember(member) })
}

func (tn *tenant) leave(group, member string) {
	tn.t.Helper()
	tn.change(group, func(d *provision.Draft) { d.RemoveMember(member) })
}

func (tn *tenant) remove(typ, id string) {
	tn.t.Helper()
	if err := tn.dir.Delete(tn.t.Context(), typ, id, nil); err != nil {
		tn.t.Fatal(err)
	}
}

// account returns the only account with a user name, tombstones apart.
func (tn *tenant) account(userName string) *provision.Account {
	tn.t.Helper()
	list := tn.accounts(userName)
	if len(list) != 1 {
		tn.t.Fatalf("%d accounts named %q, want 1", len(list), userName)
	}
	return list[0]
}

func (tn *tenant) accounts(userName string) []*provision.Account {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{UserName: userName})
	if err != nil {
		tn.t.Fatal(err)
	}
	return list
}

// expectStatus compares the status of an account.
func (tn *tenant) expectStatus(userName string, want policy.Status) {
	tn.t.Helper()
	if got := tn.account(userName).Status; got != want {
		tn.t.Errorf("account %q is %s, want %s", userName, got, want)
	}
}

// groupNames returns the names of the groups that an account carries.
func groupNames(a *provision.Account) []string {
	names := []string{}
	for _, g := range a.Groups {
		names = append(names, g.Name)
	}
	return names
}

// events returns the types of the events after a sequence.
func (tn *tenant) events(after int64) []store.EventType {
	tn.t.Helper()
	list, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	types := []store.EventType{}
	for i, ev := range list {
		if want := after + int64(i) + 1; ev.Sequence != want {
			tn.t.Errorf("event %d has sequence %d, want %d", i, ev.Sequence, want)
		}
		types = append(types, ev.Type)
	}
	return types
}

func (tn *tenant) lastEvent() int64 {
	tn.t.Helper()
	var last int64
	err := tn.engine.Store.View(tn.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		var err error
		_, last, err = r.EventRange()
		return err
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	return last
}

// with replaces all settings of a connection.
func with(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}

// An Engine without a store, and none at all, say so instead of panicking.
func TestNoStore(t *testing.T) {
	for _, test := range []struct {
		engine *provision.Engine
		want   string
	}{
		{&provision.Engine{}, "Engine.Store is nil"},
		{nil, "the Engine is nil"},
	} {
		ctx, d := t.Context(), test.engine.Directory("acme")
		_, _, authenticate := test.engine.Authenticate(ctx, provision.Secret{Token: "x"})
		_, connections := test.engine.Connections(ctx)
		_, save := d.SaveConnection(ctx, provision.Connection{})
		_, get := d.Get(ctx, "User", "x", 0)
		_, create := d.Create(ctx, "User", 0, func(*provision.Draft) error { return nil })
		_, login := d.Login(ctx, provision.Identity{ID: "1", UserName: "ada"})
		_, issue := func() (string, error) { token, _, err := d.IssueToken(ctx, time.Time{}); return token, err }()
		once := test.engine.Plumbing().Once(ctx, "acme", provision.OnceKey{Text: "key"})
		deliver := test.engine.Consumer("x").DeliverOnce(ctx, func(context.Context, provision.Delivery) error { return nil })
		for name, err := range map[string]error{
			"Authenticate": authenticate, "Connections": connections, "SaveConnection": save, "Get": get, "Create": create,
			"Login": login, "IssueToken": issue, "Once": once, "DeliverOnce": deliver, "RunOnce": test.engine.RunOnce(ctx),
		} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want one that says %q", name, err, test.want)
			}
		}
	}
}
