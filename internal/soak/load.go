package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tenant is what a client knows of one connection: nobody else writes it.
type tenant struct {
	number int
	next   int
	people []*person
	crews  [2]*crew
	logins []string // user names of people who logged in
}

// person is a user. What may be stored is what was acknowledged last, or one of what
// was asked for since and got no answer.
type person struct {
	id, name string // id is empty where the POST got no answer
	may      []state
}

// state is a user as it is stored; the zero value is one that is not there.
type state struct {
	Title  string `json:"title"`
	Active bool   `json:"active"`
}

// crew is a group with the people who are in it, by id: 1 yes, 0 no, -1 unknown.
type crew struct {
	id      string // empty where it is not known to be there
	members map[string]int
}

// journal counts what clients did and keeps what was wrong.
type journal struct {
	writes, reads, unanswered, refused atomic.Int64

	mu       sync.Mutex
	problems []string
}

const keptProblems = 50

func (j *journal) problem(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.problems) < keptProblems {
		j.problems = append(j.problems, fmt.Sprintf(format, args...))
	}
}

// client sends the requests of its tenants, one after the other.
type client struct {
	server  *process
	journal *journal
	draw    *rand.Rand
	tenants []*tenant
	pause   *sync.RWMutex // held for writing while nothing may be sent
	took    *latencies    // of requests; or nil
	rest    time.Duration // between two of them
}

func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.pause.RLock()
		ok := c.step(ctx, c.tenants[c.draw.IntN(len(c.tenants))])
		c.pause.RUnlock()
		if c.rest > 0 {
			time.Sleep(c.rest)
		}
		if !ok {
			time.Sleep(20 * time.Millisecond) // the server is being started
		}
	}
}

// step does one thing, and reports whether there was an answer.
func (c *client) step(ctx context.Context, t *tenant) bool {
	if len(t.people) < 3 {
		return c.create(ctx, t)
	}
	p := t.people[c.draw.IntN(len(t.people))]
	g := t.crews[c.draw.IntN(len(t.crews))]
	switch n := c.draw.IntN(100); {
	case n < 40:
		return c.read(ctx, t, p)
	case n < 50:
		return c.find(ctx, t, p)
	case n < 55:
		return c.list(ctx, t)
	case n < 75:
		return c.patch(ctx, t, p)
	case n < 80 && len(t.people) < 40:
		return c.create(ctx, t)
	case n < 83:
		return c.remove(ctx, t, p)
	case n < 95:
		return c.join(ctx, t, g, p)
	default:
		return c.login(ctx, t)
	}
}

// do sends a request and reports whether it was answered, and not refused for the
// moment. Any other refusal that is not among those expected is a problem.
func (c *client) do(ctx context.Context, t *tenant, method, path, body string, expected ...int) (answer, bool) {
	began := time.Now()
	a, err := c.server.send(ctx, t.number, method, path, body)
	if c.took != nil {
		c.took.add(time.Since(began))
	}
	switch {
	case err != nil:
		c.journal.unanswered.Add(1)
		return a, false
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
		c.journal.refused.Add(1)
		return a, false
	case !slices.Contains(expected, a.status):
		c.journal.problem("connection %d: %s %s %s: %d %.300s", t.number, method, path, body, a.status, a.body)
		return a, false
	}
	if method == http.MethodGet {
		c.journal.reads.Add(1)
	} else {
		c.journal.writes.Add(1)
	}
	return a, true
}

const schemaOf = "urn:ietf:params:scim:schemas:core:2.0:"

func (c *client) create(ctx context.Context, t *tenant) bool {
	t.next++
	s := state{fmt.Sprint("t", t.next), true}
	p := &person{name: fmt.Sprintf("u%d", t.next), may: []state{{}, s}}
	t.people = append(t.people, p)
	body := fmt.Sprintf(`{"schemas":["%sUser"],"userName":"%s","externalId":"x%s","title":"%s","active":true,"emails":[{"value":"%s@c%d.example","type":"work","primary":true}]}`,
		schemaOf, p.name, p.name, s.Title, p.name, t.number)
	a, ok := c.do(ctx, t, http.MethodPost, "/Users", body, http.StatusCreated)
	if !ok {
		return false
	}
	p.may = []state{s}
	p.id = idOf(a.body)
	return true
}

func idOf(body []byte) string {
	var r struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(body, &r) // an empty id is seen
	return r.ID
}

// patch sets all that is compared, so that an acknowledgement settles what it was.
func (c *client) patch(ctx context.Context, t *tenant, p *person) bool {
	if p.id == "" {
		return c.find(ctx, t, p)
	}
	t.next++
	s := state{fmt.Sprint("t", t.next), c.draw.IntN(4) > 0}
	p.may = append(p.may, s)
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"title":"%s","active":%t}}]}`, s.Title, s.Active)
	a, ok := c.do(ctx, t, http.MethodPatch, "/Users/"+p.id, body, http.StatusOK, http.StatusNotFound)
	switch {
	case !ok:
	case a.status == http.StatusNotFound:
		c.gone(t, p, "PATCH")
	default:
		p.may = []state{s}
	}
	return ok
}

func (c *client) remove(ctx context.Context, t *tenant, p *person) bool {
	if p.id == "" {
		return c.find(ctx, t, p)
	}
	p.may = append(p.may, state{})
	a, ok := c.do(ctx, t, http.MethodDelete, "/Users/"+p.id, "", http.StatusNoContent, http.StatusNotFound)
	switch {
	case !ok:
	case a.status == http.StatusNotFound:
		c.gone(t, p, "DELETE")
	default:
		p.may = []state{{}}
		c.forget(t, p)
	}
	return ok
}

// gone is told of a user that is not there, which it may only be if it was deleted or
// never acknowledged.
func (c *client) gone(t *tenant, p *person, by string) {
	if !slices.Contains(p.may, state{}) {
		c.journal.problem("connection %d: %s: user %s is lost, want one of %v", t.number, by, p.name, p.may)
	}
	c.forget(t, p)
}

func (c *client) forget(t *tenant, p *person) {
	t.people = slices.DeleteFunc(t.people, func(other *person) bool { return other == p })
	for _, g := range t.crews {
		delete(g.members, p.id)
	}
}

func (c *client) read(ctx context.Context, t *tenant, p *person) bool {
	if p.id == "" {
		return c.find(ctx, t, p)
	}
	a, ok := c.do(ctx, t, http.MethodGet, "/Users/"+p.id, "", http.StatusOK, http.StatusNotFound)
	if !ok {
		return false
	}
	if a.status == http.StatusNotFound {
		c.gone(t, p, "GET")
		return true
	}
	c.compare(t, p, a.body)
	return true
}

func (c *client) compare(t *tenant, p *person, body []byte) {
	var s state
	if err := json.Unmarshal(body, &s); err != nil || !slices.Contains(p.may, s) {
		c.journal.problem("connection %d: user %s is %+v, want one of %v (%v)", t.number, p.name, s, p.may, err)
	}
	p.may = []state{s}
}

// find looks for a user by name.
func (c *client) find(ctx context.Context, t *tenant, p *person) bool {
	a, ok := c.do(ctx, t, http.MethodGet, "/Users?filter="+url.QueryEscape(`userName eq "`+p.name+`"`), "", http.StatusOK)
	if !ok {
		return false
	}
	var list struct {
		Resources []json.RawMessage `json:"Resources"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Resources) > 1 {
		c.journal.problem("connection %d: users named %s: %.300s (%v)", t.number, p.name, a.body, err)
		return true
	}
	if len(list.Resources) == 0 {
		c.gone(t, p, "filter")
		return true
	}
	p.id = idOf(list.Resources[0])
	c.compare(t, p, list.Resources[0])
	return true
}

func (c *client) list(ctx context.Context, t *tenant) bool {
	_, ok := c.do(ctx, t, http.MethodGet, "/Users?count=20", "", http.StatusOK)
	return ok
}

// join puts a person into a crew, or out of it.
func (c *client) join(ctx context.Context, t *tenant, g *crew, p *person) bool {
	if p.id == "" {
		return c.find(ctx, t, p)
	}
	if g.id == "" {
		return c.found(ctx, t, g)
	}
	in, op := 1, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":"%s"}]}`, p.id)
	if c.draw.IntN(3) == 0 {
		in, op = 0, fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, p.id)
	}
	g.members[p.id] = -1
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`, op)
	a, ok := c.do(ctx, t, http.MethodPatch, "/Groups/"+g.id, body, http.StatusNoContent, http.StatusOK, http.StatusBadRequest)
	switch {
	case !ok:
		return false
	case a.status == http.StatusBadRequest: // the member is unknown
		c.gone(t, p, "members")
	default:
		g.members[p.id] = in
	}
	return true
}

// found makes a crew, or finds the one whose POST got no answer.
func (c *client) found(ctx context.Context, t *tenant, g *crew) bool {
	name := "crew" + fmt.Sprint(slices.Index(t.crews[:], g))
	a, ok := c.do(ctx, t, http.MethodPost, "/Groups", fmt.Sprintf(`{"schemas":["%sGroup"],"displayName":"%s"}`, schemaOf, name), http.StatusCreated, http.StatusConflict)
	if !ok {
		return false
	}
	if a.status == http.StatusCreated {
		g.id = idOf(a.body)
		return true
	}
	a, ok = c.do(ctx, t, http.MethodGet, "/Groups?filter="+url.QueryEscape(`displayName eq "`+name+`"`), "", http.StatusOK)
	var list struct {
		Resources []json.RawMessage `json:"Resources"`
	}
	if ok && json.Unmarshal(a.body, &list) == nil && len(list.Resources) > 0 {
		g.id = idOf(list.Resources[0])
	}
	return ok
}

// login lets somebody in whom SCIM does not know.
func (c *client) login(ctx context.Context, t *tenant) bool {
	if len(t.logins) >= 5 {
		return c.list(ctx, t)
	}
	t.next++
	name, let := fmt.Sprintf("jit%d", t.next), false
	err := c.server.ask(ctx, http.MethodPost, "/login", url.Values{"connection": {connectionName(t.number)}, "userName": {name}}, &let)
	if err != nil {
		c.journal.unanswered.Add(1)
		return false
	}
	c.journal.writes.Add(1)
	if let {
		t.logins = append(t.logins, name)
	}
	return true
}
