package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// writerWork counts what transactions that write do with members.
type writerWork struct {
	store.Store
	updates int
	before  func(update int) // nil, or called before each
	read    int              // memberships that were listed
	written int              // memberships that were added or removed, or found as they were to be
	viewed  int              // memberships that views listed
}

func (w *writerWork) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return w.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error {
		return fn(ctx, viewedMembers{r, w})
	})
}

type viewedMembers struct {
	store.Reader
	work *writerWork
}

func (r viewedMembers) Memberships(group, after string, limit int) ([]store.Membership, error) {
	list, err := r.Reader.Memberships(group, after, limit)
	r.work.viewed += len(list)
	return list, err
}

func (r viewedMembers) UnnamedMemberships(group, after string, limit int) ([]store.Membership, error) {
	list, err := r.Reader.UnnamedMemberships(group, after, limit)
	r.work.viewed += len(list)
	return list, err
}

func (w *writerWork) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if w.updates++; w.before != nil {
		w.before(w.updates)
	}
	return w.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		return fn(ctx, workingTx{tx, w})
	})
}

type workingTx struct {
	store.Tx
	work *writerWork
}

func (tx workingTx) Memberships(group, after string, limit int) ([]store.Membership, error) {
	list, err := tx.Tx.Memberships(group, after, limit)
	tx.work.read += len(list)
	return list, err
}

func (tx workingTx) UnnamedMemberships(group, after string, limit int) ([]store.Membership, error) {
	list, err := tx.Tx.UnnamedMemberships(group, after, limit)
	tx.work.read += len(list)
	return list, err
}

func (tx workingTx) PutMembership(m store.Membership) (bool, error) {
	tx.work.written++
	return tx.Tx.PutMembership(m)
}

func (tx workingTx) DeleteMembership(group, member string, source store.Source) (bool, error) {
	tx.work.written++
	return tx.Tx.DeleteMembership(group, member, source)
}

func removeNamed(i int) string {
	return patchRequest(fmt.Sprintf(`{"op":"remove","path":"members[display eq \"dmember%06d\"]"}`, i))
}

// putMembers is the body of a PUT that lists members.
func putMembers(ids []string) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = `{"value":"` + id + `"}`
	}
	return `{` + coreGroup + `"displayName":"crowd","members":[` + strings.Join(list, ",") + `]}`
}

// TestMembersAreReadOnce counts the members that a PUT of a large group reads: all of
// them once where it changes few, and nobody knows by which it is.
func TestMembersAreReadOnce(t *testing.T) {
	const members = 3500
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			c := newCrowded(t, open(t), members)
			work := &writerWork{Store: c.store}
			c.engine.Store = work
			path := "/Groups/" + c.group + "?excludedAttributes=members"
			for i, ids := range [][]string{c.want, c.want, c.want[1:], c.want} {
				rows := 0
				c.update(func(tx store.Tx) error {
					list, err := tx.UnnamedMemberships(c.group, "", 0)
					rows = len(list)
					return err
				})
				work.viewed, work.read = 0, 0
				if a := c.do(http.MethodPut, path, acmeToken, putMembers(ids)); a.status != http.StatusOK {
					t.Fatalf("%d %.300s", a.status, a.body)
				}
				again := rows/provision.MembersPage + 10                         // pages end before a member whose rows may go on
				if read := work.viewed + work.read; i > 0 && read > rows+again { // the first one changes many
					t.Errorf("PUT %d: %d memberships of %d were read", i, read, rows)
				}
			}
		})
	}
}

// TestKnownMembersAreNotWritten counts what a PUT of a list that fits into a transaction
// writes there: nothing of those who are members.
func TestKnownMembersAreNotWritten(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			c := newCrowded(t, open(t), 400)
			work := &writerWork{Store: c.store}
			c.engine.Store = work
			for i, ids := range [][]string{c.want, c.want, c.want[1:], c.want} {
				work.written = 0
				a := c.do(http.MethodPut, "/Groups/"+c.group, acmeToken, putMembers(ids))
				if got, _ := c.members(a); !cmp.Equal(got, ids) {
					t.Errorf("PUT %d: %d %.300s", i, a.status, a.body)
				}
				if want := []int{0, 0, 2, 1}[i]; i > 0 && work.written != want {
					t.Errorf("PUT %d: %d members were written, want %d", i, work.written, want)
				}
			}
		})
	}
}

// TestMembersBeforeTransactions counts what PUT and PATCH of a group with many members
// do while the other writers wait: it depends on what they change, and not on how many
// members there are.
func TestMembersBeforeTransactions(t *testing.T) {
	const members, most = 3500, 10
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			c := newCrowded(t, st, members)
			work := &writerWork{Store: st}
			c.engine.Store = work
			path := "/Groups/" + c.group
			if a := c.do(http.MethodPut, path, acmeToken, putMembers(c.want)); a.status != http.StatusOK { // some were known from logins alone
				t.Fatalf("%d %.300s", a.status, a.body)
			}
			first, second := c.want[0], c.want[1]
			for _, test := range []struct {
				name, method, body string
				status             int
				want               []string
			}{
				{"PUT of the same list", http.MethodPut, putMembers(c.want), http.StatusOK, c.want},
				{"PUT with one less", http.MethodPut, putMembers(c.want[1:]), http.StatusOK, c.want[1:]},
				{"PUT with one more", http.MethodPut, putMembers(c.want), http.StatusOK, c.want},
				{"PATCH by a name", http.MethodPatch, removeNamed(0), http.StatusNoContent, c.want[1:]},
				{"PATCH by a name that is gone", http.MethodPatch, removeNamed(0), http.StatusNoContent, c.want[1:]},
				{"PATCH that adds and replaces", http.MethodPatch, patchRequest(
					`{"op":"add","path":"members","value":[{"value":"` + first + `"}]},` +
						`{"op":"replace","path":"members[display eq \"d` + second + `\"]","value":{"value":"` + second + `"}},` +
						`{"op":"remove","path":"members[display eq \"d` + first + `\"]"},` +
						`{"op":"add","path":"members","value":[{"value":"` + first + `"}]}`), http.StatusNoContent, c.want},
				{"PATCH that clears, adds and looks", http.MethodPatch, patchRequest(
					`{"op":"remove","path":"members[display eq \"nobody\"]"},{"op":"add","path":"members","value":[{"value":"` + second + `"}]}`), http.StatusNoContent, c.want},
			} {
				work.read, work.written = 0, 0
				a := c.do(test.method, path, acmeToken, test.body)
				if a.status != test.status {
					t.Errorf("%s: %d %.300s", test.name, a.status, a.body)
				}
				if read := work.read; read > 1001 || test.status == http.StatusNoContent && read > 0 || work.written > most {
					t.Errorf("%s: %d members were read and %d written inside a transaction", test.name, read, work.written)
				}
				if got, _ := c.members(c.do(http.MethodGet, path, acmeToken, "")); !cmp.Equal(got, test.want) {
					t.Errorf("%s: %d members, want %d", test.name, len(got), len(test.want))
				}
			}
		})
	}
}

// move makes somebody a member of a group, or no member.
func move(tx store.Tx, group, member string, in bool) error {
	var err error
	if in {
		_, err = tx.PutMembership(store.Membership{Group: group, Member: member, Source: store.SourceSCIM, Kind: provision.TypeUser})
	} else {
		_, err = tx.DeleteMembership(group, member, "")
	}
	if err != nil {
		return err
	}
	r, err := tx.Resource(provision.TypeGroup, group, 0)
	if err != nil {
		return err
	}
	next := *r
	next.Version, next.Keys = next.Version+1, nil
	return tx.PutResource(&next)
}

// TestMembersMove has somebody else change a group between the reading of its members
// and the transaction: a member with the same name comes, or comes and goes always.
func TestMembersMove(t *testing.T) {
	for _, test := range []struct {
		name, method string
		members      int
		always       bool
		status       int
		gone         bool // who has the name
	}{
		{"PATCH, once", http.MethodPatch, 1500, false, http.StatusNoContent, true},
		{"PATCH, always", http.MethodPatch, 1500, true, http.StatusServiceUnavailable, false},
		{"PATCH of few, always", http.MethodPatch, 15, true, http.StatusNoContent, true},
		{"PUT, once", http.MethodPut, 1500, false, http.StatusOK, true},
		{"PUT, always", http.MethodPut, 1500, true, http.StatusServiceUnavailable, false},
	} {
		for name, open := range stores {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				st := open(t)
				c := newCrowded(t, st, test.members)
				late := c.must("POST", "/Users", `{`+coreUser+`"userName":"late","displayName":"dmember000000"}`)
				work := &writerWork{Store: st}
				c.engine.Store = work
				path, moved := "/Groups/"+c.group, 0
				work.before = func(update int) {
					if test.method == http.MethodPatch && update == 1 || moved > 0 && !test.always {
						return // a PATCH learns in the first one that it asks for all members
					}
					c.update(func(tx store.Tx) error { return move(tx, c.group, late, moved%2 == 0) })
					moved++
				}
				body := removeNamed(0)
				if test.method == http.MethodPut {
					body = putMembers(c.want[1:])
				}
				a := c.do(test.method, path, acmeToken, body)
				if a.status != test.status || (a.header.Get("Retry-After") != "") != (a.status == http.StatusServiceUnavailable) {
					t.Errorf("%d %.300s", a.status, a.body)
				}
				if moved == 0 || work.read > 1001 || moved > 11 { // a first one, and two of each of five tries
					t.Errorf("moved %d times, %d members were read inside transactions", moved, work.read)
				}
				work.before = nil
				body = c.do(http.MethodGet, path, acmeToken, "").body
				if strings.Contains(body, `"member000000"`) == test.gone || test.gone && strings.Contains(body, late) {
					t.Errorf("the members are %.300s", body)
				}
			})
		}
	}
}
