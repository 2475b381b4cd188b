package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// attack is something that a client does to make a server slow, fat or deaf.
type attack struct {
	name string
	do   func(context.Context, *attacker) error
	rare bool // what it leaves behind grows
}

// attacker is a client of a connection of its own, which has what attacks need.
type attacker struct {
	server *process
	number int // of the connection
	fat    string
	group  string
	sent   map[string]*atomic.Int64
	bodies sync.Map // of attacks, made once: a client that works is no attack
}

// arm makes a user of 900 kB, some more of them, and a group of many members.
func (a *attacker) arm(ctx context.Context, users, members int) error {
	text := strings.Repeat("x", 60_000)
	for i := range users {
		addresses := make([]string, 15)
		for k := range addresses {
			addresses[k] = fmt.Sprintf(`{"type":"t%d","formatted":"%s"}`, k, text)
		}
		id, err := a.make(ctx, "/Users", fmt.Sprintf(`{"schemas":["%sUser"],"userName":"fat%d","addresses":[%s]}`, schemaOf, i, strings.Join(addresses, ",")))
		if err != nil {
			return err
		}
		a.fat = id
	}
	var list strings.Builder
	for first := 0; first < members; first += 500 {
		body := bulk(min(500, members-first), func(i int) string {
			return fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"b%d","data":{"schemas":["%sUser"],"userName":"crowd%d"}}`, i, schemaOf, first+i)
		})
		answer, err := a.server.send(ctx, a.number, http.MethodPost, "/Bulk", body)
		if err != nil {
			return err
		}
		for _, made := range madeUser.FindAllSubmatch(answer.body, -1) {
			list.WriteString(`,{"value":"` + string(made[1]) + `"}`)
		}
	}
	if n := strings.Count(list.String(), "value"); n != members {
		return fmt.Errorf("%d of %d users were made", n, members)
	}
	body := fmt.Sprintf(`{"schemas":["%sGroup"],"displayName":"crowd","members":[%s]}`, schemaOf, strings.TrimPrefix(list.String(), ","))
	var err error
	a.group, err = a.make(ctx, "/Groups", body)
	return err
}

// madeUser is the id in the location of a user.
var madeUser = regexp.MustCompile(`Users/([a-z0-9]+)"`)

func (a *attacker) make(ctx context.Context, path, body string) (string, error) {
	answer, err := a.server.send(ctx, a.number, http.MethodPost, path, body)
	if err != nil {
		return "", err
	}
	if answer.status != http.StatusCreated {
		return "", fmt.Errorf("%s: %d %.300s", path, answer.status, answer.body)
	}
	return idOf(answer.body), nil
}

func bulk(n int, operation func(i int) string) string {
	operations := make([]string, n)
	for i := range operations {
		operations[i] = operation(i)
	}
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

func patchBody(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

// request is an attack by one request. Its answer must be no fault of the server.
func request(method, path string, body func(*attacker) string) func(context.Context, *attacker) error {
	own := &path
	return func(ctx context.Context, a *attacker) error {
		made, ok := a.bodies.Load(own)
		if !ok && body != nil {
			made, _ = a.bodies.LoadOrStore(own, body(a))
		}
		text, _ := made.(string)
		path := strings.NewReplacer("<fat>", a.fat, "<group>", a.group).Replace(path)
		answer, err := a.server.exchange(ctx, a.number, method, path, text, begin)
		busy := answer.status == http.StatusServiceUnavailable && answer.header.Get("Retry-After") != ""
		if err == nil && answer.status >= 500 && !busy {
			return fmt.Errorf("%s %.80s: %d %.300s", method, path, answer.status, answer.body)
		}
		return nil // no answer: it was killed
	}
}

// begin keeps the begin of an answer and reads the rest.
func begin(r io.Reader) ([]byte, error) {
	head, err := io.ReadAll(io.LimitReader(r, 300))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return head, err
}

func filterOf(text string) string { return "/Users?count=1000&filter=" + url.QueryEscape(text) }

// attacks are the hostile requests: those of cases that were slow or fat once.
var attacks = []attack{
	{name: "filter of 99 terms without index", do: request(http.MethodGet, filterOf(strings.TrimSuffix(strings.Repeat(`title co "zz" or `, 99), " or ")), nil)},
	{name: "deep filter", do: request(http.MethodGet, filterOf(strings.Repeat("not (", 15)+`title pr`+strings.Repeat(")", 15)), nil)},
	{name: "sort without index", do: request(http.MethodGet, "/Users?count=1000&sortBy=title", nil)},
	{name: "list of fat users", do: request(http.MethodGet, "/Users?count=1000", nil)},
	{name: "bulk of 400 PATCH on a fat user", do: request(http.MethodPost, "/Bulk", func(a *attacker) string {
		return bulk(400, func(i int) string {
			return fmt.Sprintf(`{"method":"PATCH","path":"/Users/%s","data":%s}`, a.fat, patchBody(fmt.Sprintf(`{"op":"replace","path":"title","value":"x%d"}`, i)))
		})
	})},
	{name: "PATCH of 1,000 operations on a fat user", do: request(http.MethodPatch, "/Users/<fat>", func(*attacker) string {
		operations := make([]string, 1000)
		for i := range operations {
			operations[i] = fmt.Sprintf(`{"op":"add","path":"addresses[type eq \"t%d\"].locality","value":"%d"}`, i%15, i)
		}
		return patchBody(operations...)
	})},
	{name: "bulk of 200 renames of a large group", do: request(http.MethodPost, "/Bulk", func(a *attacker) string {
		return bulk(200, func(i int) string {
			return fmt.Sprintf(`{"method":"PATCH","path":"/Groups/%s","data":%s}`, a.group, patchBody(fmt.Sprintf(`{"op":"replace","path":"displayName","value":"crowd %d"}`, i)))
		})
	})},
	{name: "GET of a large group", do: request(http.MethodGet, "/Groups/<group>", nil)},
	{name: "100 filters on members", do: request(http.MethodPatch, "/Groups/<group>", func(*attacker) string {
		operations := make([]string, 100)
		for i := range operations {
			operations[i] = fmt.Sprintf(`{"op":"remove","path":"members[display eq \"q%d\"]"}`, i)
		}
		return patchBody(operations...)
	})},
	{name: "1,000 nested groups", rare: true, do: request(http.MethodPost, "/Bulk", func(*attacker) string {
		return bulk(1000, func(i int) string {
			member := ""
			if i > 0 {
				member = fmt.Sprintf(`{"value":"bulkId:g%d"}`, i-1)
			}
			return fmt.Sprintf(`{"method":"POST","path":"/Groups","bulkId":"g%d","data":{"schemas":["%sGroup"],"displayName":"nested %d","members":[%s]}}`, i, schemaOf, i, member)
		})
	})},
	{name: "deep JSON", do: request(http.MethodPost, "/Users", func(*attacker) string { return strings.Repeat(`{"a":`, 100_000) })},
	{name: "body beyond the limit", do: request(http.MethodPost, "/Users", func(*attacker) string { return `{"userName":"` + strings.Repeat("x", 2<<20) })},
	{name: "wrong tokens", do: wrongTokens},
	{name: "clients that do not read", do: func(ctx context.Context, a *attacker) error {
		return a.idle(ctx, "GET /Users?count=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token(a.number)+"\r\n\r\n")
	}},
	{name: "clients that send half a request", do: func(ctx context.Context, a *attacker) error {
		return a.idle(ctx, "POST /Users HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nAuthorization: Bearer "+token(a.number)+"\r\n\r\n{")
	}},
}

func wrongTokens(ctx context.Context, a *attacker) error {
	base, _ := a.server.front.Load().(string)
	for range 100 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/Users", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.Repeat("wrong", 10))
		resp, err := a.server.client.Do(req)
		if err != nil {
			return nil //nolint:nilerr // it was killed
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusTooManyRequests {
			return fmt.Errorf("a wrong token: %d", resp.StatusCode)
		}
	}
	return nil
}

// idle opens connections, sends a text on each and leaves them alone for a while.
func (a *attacker) idle(ctx context.Context, text string) error {
	base, _ := a.server.front.Load().(string)
	for range 20 {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(base, "http://"))
		if errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() != nil {
			return nil // it was killed
		}
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, text)
	}
	select {
	case <-ctx.Done():
	case <-time.After(3 * time.Second):
	}
	return nil
}

// mostRare is how often an attack is made that leaves something behind.
const mostRare = 3

// run attacks until ctx ends.
func (a *attacker) run(ctx context.Context, c *client) {
	a.sent = map[string]*atomic.Int64{}
	for _, at := range attacks {
		a.sent[at.name] = &atomic.Int64{}
	}
	draw := rand.New(rand.NewPCG(c.draw.Uint64(), 1)) //nolint:gosec // the same attacks again
	for ctx.Err() == nil {
		c.pause.RLock()
		at := attacks[draw.IntN(len(attacks))]
		if n := a.sent[at.name]; !at.rare || n.Load() < mostRare {
			n.Add(1)
			if err := at.do(ctx, a); err != nil && ctx.Err() == nil {
				c.journal.problem("hostile %s: %v", at.name, err)
			}
		}
		c.pause.RUnlock()
		time.Sleep(100 * time.Millisecond)
	}
}
