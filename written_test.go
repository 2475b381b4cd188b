package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// membershipStore counts how often transactions read in which groups people are, and
// accounts with theirs.
type membershipStore struct {
	store.Store
	reads, accounts int
}

type membershipTx struct {
	store.Tx
	counted *membershipStore
}

func (s *membershipStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		return fn(ctx, membershipTx{tx, s})
	})
}

func (t membershipTx) MembershipsOf(members ...string) ([]store.Membership, error) {
	t.counted.reads++
	return t.Tx.MembershipsOf(members...)
}

func (t membershipTx) Ancestors(members ...string) ([]store.Membership, error) {
	t.counted.reads++
	return t.Tx.Ancestors(members...)
}

func (t membershipTx) AccountOf(resource string) (*store.Account, error) {
	t.counted.accounts++
	return t.Tx.AccountOf(resource)
}

// TestWriteReadsNoGroups writes a user: the groups of the person are read only where a
// policy may see the difference, and those of the account where it changes.
func TestWriteReadsNoGroups(t *testing.T) {
	const body = `{"userName":"ann","active":true,"title":"Pilot","emails":[{"value":"ann@example.com"}]}`
	tests := []struct {
		name, body string
		reads      bool
		event      store.EventType
	}{
		{name: "title", body: `{"userName":"ann","active":true,"title":"Captain","emails":[{"value":"ann@example.com"}]}`},
		{name: "department, which the connection maps", body: `{"userName":"ann","active":true,"title":"Pilot","emails":[{"value":"ann@example.com"}],
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Tugs"}}`, event: store.AccountUpdated},
		{name: "e-mail", body: `{"userName":"ann","active":true,"title":"Pilot","emails":[{"value":"ann@example.net"}]}`, event: store.AccountUpdated},
		{name: "name", body: `{"userName":"Ann","displayName":"Ann Lee","active":true}`, event: store.AccountUpdated},
		{name: "time zone", body: `{"userName":"ann","active":true,"timezone":"Europe/Berlin"}`, reads: true, event: store.AccountUpdated},
		{name: "active", body: `{"userName":"ann","active":false}`, reads: true, event: store.AccountDisabled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				counted := &membershipStore{Store: st}
				tn := newTenant(t, counted, `{"requiredGroups":"Crew*","emailDomains":["example.net"]}`)
				_, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), func(c *provision.Connection) error {
					c.Attributes = []string{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				id := tn.user(body)
				for i := range 3 {
					tn.group(fmt.Sprint("Crew ", i), id)
				}
				before := tn.account("ann")
				last := tn.lastEvent()
				counted.reads, counted.accounts = 0, 0
				tn.set(id, test.body)
				if (counted.reads > 0) != test.reads {
					t.Errorf("groups were read %d times", counted.reads)
				}
				if (counted.accounts > 0) != (test.event != "") {
					t.Errorf("the account was read %d times with its groups", counted.accounts)
				}
				var want []store.EventType
				if test.event != "" {
					want = append(want, test.event)
				}
				if got := tn.events(last); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("events %v, want %v", got, want)
				}
				after, err := tn.dir.Account(t.Context(), before.ID)
				if err != nil {
					t.Fatal(err)
				}
				if verified := test.name == "e-mail"; after.EmailVerified != verified || test.event != store.AccountDisabled && len(after.Groups) != 3 {
					t.Errorf("after: %+v", after)
				}
			})
		})
	}
}

// queryStore counts the queries of transactions.
type queryStore struct {
	store.Store
	queries int
}

type queryTx struct {
	store.Tx
	counted *queryStore
}

func (s *queryStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, queryTx{tx, s}) })
}

func (t queryTx) Query(q store.Query) (store.Page, error) {
	t.counted.queries++
	return t.Tx.Query(q)
}

// TestManyEmailsAreAskedForTogether counts the queries of writes of users with many
// e-mails, each of which another user, or somebody whom logins made, may have.
func TestManyEmailsAreAskedForTogether(t *testing.T) {
	body := func(n int) string {
		emails := make([]string, n)
		for i := range emails {
			emails[i] = fmt.Sprintf(`{"value":"%d@example.com"}`, i)
		}
		return `{"userName":"ann","active":true,"emails":[` + strings.Join(emails, ",") + `]}`
	}
	for _, n := range []int{2, 2_000} {
		t.Run(fmt.Sprint(n, " e-mails"), func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				counted := &queryStore{Store: st}
				tn := newTenant(t, counted, `{"uniqueEmails":true,"provisionOnFirstLogin":true}`)
				tn.login(provision.Identity{UserName: "kim", Email: "kim@example.com"})
				counted.queries = 0
				id := tn.user(body(n))
				tn.set(id, strings.ReplaceAll(body(n), "@example.com", "@example.net"))
				if counted.queries > 9 {
					t.Errorf("%d queries", counted.queries)
				}
				_, err := tn.dir.Create(t.Context(), "User", 0, func(d *provision.Draft) error {
					d.Write(content(t, "User", `{"userName":"lee","emails":[{"value":"none@example.com"},{"value":"1@EXAMPLE.net"}]}`))
					return nil
				})
				var conflict *store.ConflictError
				if !errors.As(err, &conflict) || conflict.ID != id {
					t.Errorf("an e-mail of %s was given again: %v", id, err)
				}
			})
		})
	}
}
