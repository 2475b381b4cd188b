package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// childEnv makes the test binary be the application itself.
const childEnv = "PROVISION_HOSTAPP"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// child is the application in a process of its own.
type child struct {
	*client
	cmd *exec.Cmd
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0", "-data", dir)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{newClient(t, out), cmd}
}

// end sends a signal and waits for the end of the process.
func (c *child) end(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Error(err)
	}
	if err := c.cmd.Wait(); (err == nil) != (s == syscall.SIGTERM) {
		c.t.Errorf("after %v the application ended with %v", s, err)
	}
}

// live creates, changes and deletes users until a request fails, as all do after
// a kill, and says so after each.
func (c *child) live(name string, done func()) {
	for n := range 10_000 {
		u, err := c.scim(http.MethodPost, "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%s-%d@example.com"}`, name, n))
		if err == nil {
			done()
			_, err = c.scim(http.MethodPatch, "/Users/"+u.ID, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":%t}]}`, n%2 == 1))
		}
		if err == nil && n%5 == 0 {
			done()
			_, err = c.scim(http.MethodDelete, "/Users/"+u.ID, "")
		}
		if err != nil {
			return
		}
		done()
	}
}

// await returns when the users table has taken all events: another process than
// the one that delivers may wait, too.
func await(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d, engine := openFacts(t, dir)
	list, err := d.Accounts(ctx, store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		for linked := false; !linked; { // the link of a new row is an event, too
			if err := engine.Consumer("users-table").Wait(ctx, "demo", a.ID); err != nil {
				t.Fatal(err)
			}
			if a, err = d.Account(ctx, a.ID); err != nil {
				t.Fatal(err)
			}
			linked = a.HostID != "" || a.Status == policy.StatusDeleted
		}
	}
	for _, a := range list {
		if err := engine.Consumer("users-table").Wait(ctx, "demo", a.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// openFacts opens the provisioning store until the test ends.
func openFacts(t *testing.T, dir string) (*provision.Directory, *provision.Engine) {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "provision.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	engine := &provision.Engine{Store: st}
	return engine.Directory("demo"), engine
}

// TestKill kills the application in the middle of a load, again and again. After
// each start the users table becomes what the accounts are, and every event was
// applied exactly once.
func TestKill(t *testing.T) {
	dir, token := t.TempDir(), ""
	for round := range 3 {
		c := startChild(t, dir)
		if token == "" {
			token = c.issue()
		}
		c.token = token
		var (
			wg    sync.WaitGroup
			count atomic.Int64
			kill  = make(chan struct{})
		)
		for worker := range 4 {
			wg.Go(func() {
				c.live(fmt.Sprintf("u%d-%d", round, worker), func() {
					if count.Add(1) == int64(50+20*round) {
						close(kill)
					}
				})
			})
		}
		select {
		case <-kill:
		case <-time.After(30 * time.Second):
			t.Error("the load does not get on")
		}
		c.end(syscall.SIGKILL)
		wg.Wait()

		c = startChild(t, dir)
		await(t, dir)
		c.end(syscall.SIGTERM)
		if diff := cmp.Diff(accountRows(t, dir), userRows(t, dir)); diff != "" {
			t.Fatalf("round %d: the accounts and the users (-want +got):\n%s", round, diff)
		}
	}
}

// row is one user of the table, as it must be.
type row struct {
	Name   string
	Active bool
	Events int // that wrote it
}

func accountRows(t *testing.T, dir string) map[string]row {
	t.Helper()
	d, _ := openFacts(t, dir)
	list, err := d.Accounts(t.Context(), store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := d.Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, ev := range events {
		count[ev.AccountID]++
	}
	out := map[string]row{}
	for _, a := range list {
		out[a.ID] = row{a.UserName, a.Status == policy.StatusActive, count[a.ID]}
	}
	return out
}

func userRows(t *testing.T, dir string) map[string]row {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "hostapp.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), `SELECT account, name, active, count(event) FROM users LEFT JOIN history ON user = id GROUP BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]row{}
	for rows.Next() {
		var (
			id string
			r  row
		)
		if err := rows.Scan(&id, &r.Name, &r.Active, &r.Events); err != nil {
			t.Fatal(err)
		}
		out[id] = r
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
