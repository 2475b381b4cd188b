//go:build unix

package scim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// replica is a server of its own on a database that it shares.
type replica struct {
	t      *testing.T
	engine *provision.Engine
	url    string
}

var byOperator = provision.Actor{Kind: "operator", ID: "test"}

// startReplicas starts two servers on one database with connection acme.
func startReplicas(t *testing.T) (list [2]*replica) {
	t.Helper()
	url := postgrestest.Start(t).Database(t)
	for i := range list {
		st, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		engine := &provision.Engine{Store: st}
		var n atomic.Int64
		server := httptest.NewServer(&scim.Handler{Engine: engine, Address: func(*http.Request) string {
			return fmt.Sprint("client ", n.Add(1)) // whose failures are not those of others
		}})
		t.Cleanup(server.Close)
		list[i] = &replica{t, engine, server.URL}
	}
	d := list[0].engine.Directory("acme").As(byOperator)
	conn := provision.Connection{ID: "acme", SCIM: true, Dialect: "rfc"}
	conn.Policy.ProvisionOnFirstLogin = policy.FirstLoginProvision
	if _, err := d.UpdateConnection(t.Context(), with(conn)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetCredential(t.Context(), provision.Secret{Token: acmeToken}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	return list
}

// do sends a request and returns the status and the body.
func (r *replica) do(method, path, token, body string, headers ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/scim+json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Error(err)
	}
	return resp.StatusCode, string(data)
}

// made returns the id of what a POST has made.
func (r *replica) made(path, body string) (id string) {
	r.t.Helper()
	status, text := r.do(http.MethodPost, path, acmeToken, body)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != http.StatusCreated {
		r.t.Fatalf("POST %s: %d %s", path, status, text)
	}
	return made.ID
}

// atOnce sends n requests at the same time, in turn to both servers, and returns how
// often each status came.
func atOnce(list [2]*replica, n int, send func(r *replica, i int) int) map[int]int {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		came = map[int]int{}
		now  = make(chan struct{})
	)
	for i := range n {
		wg.Go(func() {
			<-now
			status := send(list[i%2], i)
			mu.Lock()
			defer mu.Unlock()
			came[status]++
		})
	}
	close(now)
	wg.Wait()
	return came
}

const patchStart = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`

// TestReplicas sends requests to two servers on one PostgreSQL at once.
func TestReplicas(t *testing.T) {
	list := startReplicas(t)
	first, second := list[0], list[1]
	user := func(name string) string {
		return first.made("/Users", `{`+coreUser+`"userName":"`+name+`"}`)
	}

	t.Run("members of one group", func(t *testing.T) {
		const people = 40
		ids := make([]string, people)
		for i := range ids {
			ids[i] = user(fmt.Sprint("member", i))
		}
		group := first.made("/Groups", `{`+coreGroup+`"displayName":"Staff"}`)
		came := atOnce(list, people, func(r *replica, i int) int {
			status, _ := r.do(http.MethodPatch, "/Groups/"+group, acmeToken, patchStart+`{"op":"add","path":"members","value":[{"value":"`+ids[i]+`"}]}]}`)
			return status
		})
		if came[http.StatusOK]+came[http.StatusNoContent] != people {
			t.Errorf("the answers were %v", came)
		}
		for i, r := range list {
			_, text := r.do(http.MethodGet, "/Groups/"+group, acmeToken, "")
			var got struct{ Members []struct{ Value string } }
			if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Members) != people {
				t.Errorf("server %d: %d members, want %d, %v", i, len(got.Members), people, err)
			}
		}
	})
	t.Run("one name", func(t *testing.T) {
		for i := range 10 {
			came := atOnce(list, 2, func(r *replica, _ int) int {
				status, _ := r.do(http.MethodPost, "/Users", acmeToken, fmt.Sprintf(`{`+coreUser+`"userName":"same%d"}`, i))
				return status
			})
			if came[http.StatusCreated] != 1 || came[http.StatusConflict] != 1 {
				t.Errorf("the answers were %v", came)
			}
		}
	})
	t.Run("one version", func(t *testing.T) {
		for i := range 5 {
			id := user(fmt.Sprint("version", i))
			came := atOnce(list, 6, func(r *replica, i int) int {
				status, _ := r.do(http.MethodPatch, "/Users/"+id, acmeToken, patchStart+fmt.Sprintf(`{"op":"replace","path":"title","value":"T%d"}]}`, i), "If-Match", `W/"1"`)
				return status
			})
			if came[http.StatusOK] != 1 || came[http.StatusPreconditionFailed] != 5 {
				t.Errorf("the answers were %v", came)
			}
		}
	})
	t.Run("deletion beside a change", func(t *testing.T) {
		for i := range 10 {
			id := user(fmt.Sprint("leaver", i))
			came := atOnce(list, 2, func(r *replica, i int) int {
				var status int
				if i == 0 {
					status, _ = r.do(http.MethodDelete, "/Users/"+id, acmeToken, "")
				} else if status, _ = r.do(http.MethodPatch, "/Users/"+id, acmeToken, patchStart+`{"op":"replace","path":"active","value":true}]}`); status == http.StatusNotFound {
					status = http.StatusOK // it came too late
				}
				return status
			})
			if came[http.StatusNoContent] != 1 || came[http.StatusOK] != 1 {
				t.Errorf("the answers were %v", came)
			}
			for n, r := range list {
				if status, _ := r.do(http.MethodGet, "/Users/"+id, acmeToken, ""); status != http.StatusNotFound {
					t.Errorf("server %d: the user is there: %d", n, status)
				}
			}
			accounts, err := second.engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{UserName: fmt.Sprint("leaver", i)})
			if err != nil || slices.ContainsFunc(accounts, func(a *store.Account) bool { return a.Status == policy.StatusActive }) {
				t.Errorf("the account is active after the deletion, %v", err)
			}
		}
	})
	t.Run("logins of one person", func(t *testing.T) {
		for i := range 5 {
			name := fmt.Sprint("visitor", i)
			atOnce(list, 6, func(r *replica, _ int) int {
				_, err := r.engine.Directory("acme").Login(t.Context(), provision.Identity{UserName: name, Evidence: policy.EvidenceAbsent})
				if err != nil {
					t.Error(err)
				}
				return 0
			})
			accounts, err := first.engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{UserName: name})
			if err != nil || len(accounts) != 1 {
				t.Errorf("%d accounts, %v", len(accounts), err)
			}
		}
	})
}

// TestReplicasSeeAtOnce changes credentials and the connection at one server. The other
// one, which remembers what it has read, knows with the next request.
func TestReplicasSeeAtOnce(t *testing.T) {
	list := startReplicas(t)
	here, there := list[0].engine.Directory("acme").As(byOperator), list[1]
	get := func(token string) int {
		status, _ := there.do(http.MethodGet, "/Users?count=1", token, "")
		return status
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	update := func(change func(*provision.Connection)) {
		t.Helper()
		_, err := here.UpdateConnection(t.Context(), func(c *provision.Connection) error {
			change(c)
			return nil
		})
		must(err)
	}
	expect := func(when, token string, want int) {
		t.Helper()
		if got := get(token); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	for range 5 { // each time what it remembers is fresh
		token, credential, err := here.IssueToken(t.Context(), time.Time{})
		must(err)
		expect("a token that was just issued", token, http.StatusOK)
		must(here.RevokeCredential(t.Context(), credential.ID))
		expect("a token that was just revoked", token, http.StatusUnauthorized)

		update(func(c *provision.Connection) { c.Disabled = true })
		expect("a connection that was just disabled", acmeToken, http.StatusUnauthorized)
		update(func(c *provision.Connection) { c.Disabled = false })
		expect("a connection that was just enabled", acmeToken, http.StatusOK)
	}

	user := there.made("/Users", `{`+coreUser+`"userName":"ann"}`)
	update(func(c *provision.Connection) { c.Policy.Company = "Globex" })
	if status, text := there.do(http.MethodPatch, "/Users/"+user, acmeToken, patchStart+`{"op":"replace","path":"title","value":"Dr"}]}`); status != http.StatusOK {
		t.Errorf("PATCH: %d %s", status, text)
	}
	accounts, err := there.engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{UserName: "ann"})
	if err != nil || len(accounts) != 1 || accounts[0].Company != "Globex" {
		t.Errorf("the accounts are %+v, %v", accounts, err)
	}

	must(here.DeleteConnection(t.Context(), nil))
	expect("a connection that was just deleted", acmeToken, http.StatusUnauthorized)
}
