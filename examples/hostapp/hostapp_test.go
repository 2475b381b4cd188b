package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	t           *testing.T
	cmd         *exec.Cmd
	scim, token string
	progress    string
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0",
		"-db", filepath.Join(dir, "facts.db"), "-users", filepath.Join(dir, "users.db"))}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for c.progress == "" && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "SCIM base URL":
			c.scim = value
		case "Token":
			c.token = value
		case "Progress":
			c.progress = value
		}
	}
	if c.progress == "" {
		t.Fatal("the application ended before it was ready")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return c
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

func (c *child) do(method, path, body string) (answer struct{ ID string }, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.scim+path, strings.NewReader(body))
	if err != nil {
		return answer, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return answer, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if resp.StatusCode != http.StatusNoContent {
		err = json.NewDecoder(resp.Body).Decode(&answer)
	}
	return answer, err
}

// live creates, changes and deletes users until a request fails, as all do after
// a kill, and says so after each.
func (c *child) live(name string, done func()) {
	for n := range 10_000 {
		u, err := c.do(http.MethodPost, "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%s-%d@example.com"}`, name, n))
		if err == nil {
			done()
			_, err = c.do(http.MethodPatch, "/Users/"+u.ID, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":%t}]}`, n%2 == 1))
		}
		if err == nil && n%5 == 0 {
			done()
			_, err = c.do(http.MethodDelete, "/Users/"+u.ID, "")
		}
		if err != nil {
			return
		}
		done()
	}
}

// await polls until the users table has taken all events.
func (c *child) await() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var got struct{ Users, Behind int }
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.progress, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			c.t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		if got.Users > 0 && got.Behind == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("the users table stays behind: %+v", got)
		}
	}
}

// TestKill kills the application in the middle of a load, again and again. After
// each start the users table becomes what the accounts are, and every event was
// applied exactly once.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		c := startChild(t, dir)
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
		c.await()
		c.end(syscall.SIGTERM)
		if diff := cmp.Diff(accountRows(t, dir), userRows(t, dir)); diff != "" {
			t.Fatalf("round %d: the accounts and the users (-want +got):\n%s", round, diff)
		}
	}
}

// row is one user of the table, as it must be.
type row struct {
	UserName string
	Active   bool
	Version  int64
	Changes  int64 // how many events wrote it
}

func accountRows(t *testing.T, dir string) map[string]row {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "facts.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	engine := &provision.Engine{Store: st}
	d := engine.Directory(connection)
	list, err := d.Accounts(t.Context(), store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := d.Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]int64{}
	for _, ev := range events {
		if ev.Account != nil {
			changes[ev.AccountID]++
		}
	}
	out := map[string]row{}
	for _, a := range list {
		out[a.ID] = row{a.UserName, a.Status == policy.StatusActive, a.Version, changes[a.ID]}
	}
	return out
}

func userRows(t *testing.T, dir string) map[string]row {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), `SELECT account, userName, active, version, changes FROM users`)
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
		if err := rows.Scan(&id, &r.UserName, &r.Active, &r.Version, &r.Changes); err != nil {
			t.Fatal(err)
		}
		out[id] = r
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
