package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
)

// asked has for each method that reads some uses of it in a scope that fill has filled.
// Each returns what it found as text.
var asked = map[string][]func(r store.Reader) string{
	"Resource": {
		func(r store.Reader) string { return found(r.Resource("User", "id-ann", 0)) },
		func(r store.Reader) string { return found(r.Resource("", "id-ann", store.WithGroups)) },
		func(r store.Reader) string {
			return found(r.Resource("Group", "id-staff", store.WithGroups|store.WithMembers))
		},
		func(r store.Reader) string { return found(r.Resource("Group", "id-ann", 0)) },
		func(r store.Reader) string { return found(r.Resource("User", "id-new", 0)) },
	},
	"Query": {
		func(r store.Reader) string { return foundPage(r, store.Query{Limit: 10}) },
		func(r store.Reader) string { return foundPage(r, store.Query{Types: []string{"User"}, Limit: 10}) },
		func(r store.Reader) string { return foundPage(r, store.Query{Types: []string{"User", "Group"}}) },
		func(r store.Reader) string {
			return foundPage(r, store.Query{Filter: keyed("userName", "ann"), Limit: 1, With: store.WithGroups})
		},
		func(r store.Reader) string { return foundPage(r, store.Query{Filter: byID("id-bob"), Limit: 1}) },
		func(r store.Reader) string {
			return foundPage(r, store.Query{Filter: in("userName", "new", "renamed"), Limit: 5})
		},
		func(r store.Reader) string {
			return foundPage(r, store.Query{Filter: store.MemberOf{Group: "id-staff"}, Limit: 5, NoTotal: true})
		},
	},
	"Memberships": {
		func(r store.Reader) string { return found(r.Memberships("id-staff", "", 0)) },
		func(r store.Reader) string { return found(r.Memberships("id-staff", "id-ann", 1)) },
	},
	"UnnamedMemberships": {
		func(r store.Reader) string { return found(r.UnnamedMemberships("id-staff", "", 0)) },
		func(r store.Reader) string { return found(r.UnnamedMemberships("id-staff", "id-ann", 1)) },
	},
	"Types": {
		func(r store.Reader) string { return found(r.Types("id-ann", "id-staff", "id-new")) },
	},
	"BareAccountOf": {
		func(r store.Reader) string { return found(r.BareAccountOf("id-ann")) },
		func(r store.Reader) string { return found(r.BareAccountOf("id-bob")) },
	},
	"MembershipsOf": {
		func(r store.Reader) string { return found(r.MembershipsOf("id-ann")) },
		func(r store.Reader) string { return found(r.MembershipsOf("id-ann", "id-bob", "id-staff", "id-ann")) },
	},
	"Ancestors": {
		func(r store.Reader) string { return found(r.Ancestors("id-ann")) },
		func(r store.Reader) string { return found(r.Ancestors("id-bob", "id-staff", "id-ann", "id-bob")) },
	},
	"GroupsIn": {func(r store.Reader) string { return found(r.GroupsIn("id-staff", "id-ann")) }},
	"IsMember": {
		func(r store.Reader) string { return found(r.IsMember("id-staff", "id-ann")) },
		func(r store.Reader) string { return found(r.IsMember("id-staff", "")) },
		func(r store.Reader) string { return found(r.IsMember("", "id-ann")) },
	},
	"Account": {
		func(r store.Reader) string { return found(r.Account("acc-ann")) },
		func(r store.Reader) string { return found(r.Account("acc-new")) },
	},
	"AccountOf": {
		func(r store.Reader) string { return found(r.AccountOf("id-ann")) },
		func(r store.Reader) string { return found(r.AccountOf("id-bob")) },
	},
	"Accounts": {
		func(r store.Reader) string { return found(r.Accounts(store.AccountQuery{})) },
		func(r store.Reader) string {
			return found(r.Accounts(store.AccountQuery{UserName: "renamed", Email: "acc-ann@example.com"}))
		},
		func(r store.Reader) string {
			return found(r.Accounts(store.AccountQuery{SiteAdmin: true, Statuses: []string{"active", "staged"}, Limit: 2}))
		},
	},
	"Events": {func(r store.Reader) string { return found(r.Events(0, 0)) }},
	"LatestEvents": {
		func(r store.Reader) string { return found(r.LatestEvents(store.EventQuery{Limit: 2})) },
		func(r store.Reader) string {
			return found(r.LatestEvents(store.EventQuery{Account: "acc-ann", Before: 9}))
		},
	},
	"EventRange": {func(r store.Reader) string { return fmt.Sprint(r.EventRange()) }},
	"LogEntries": {
		func(r store.Reader) string { return found(r.LogEntries(store.LogQuery{})) },
		func(r store.Reader) string {
			return found(r.LogEntries(store.LogQuery{Key: "odd", From: 1, Before: 9, Limit: 2}))
		},
	},
	"Record": {
		func(r store.Reader) string { return found(r.Record("lease", "k")) },
		func(r store.Reader) string { return found(r.Record("once", "new")) },
	},
	"Records": {func(r store.Reader) string { return found(r.Records("lease", "", 0)) }},
}

func found(value any, err error) string {
	var missing *store.NotFoundError
	if errors.As(err, &missing) {
		return fmt.Sprintf("%+v", *missing)
	}
	text, encodingErr := json.Marshal(value)
	return fmt.Sprint(position.ReplaceAllString(string(text), ""), err, encodingErr)
}

// position is that of a resource, which may be another one when it is made again.
var position = regexp.MustCompile(`"Position":\d+,`)

func foundPage(r store.Reader, q store.Query) string {
	page, err := r.Query(q)
	return found(page, err)
}

// readAll returns everything that asked has, in the order of the methods.
func readAll(r store.Reader) (list []string) {
	eachAsked(func(method string, read func(store.Reader) string) {
		list = append(list, method+": "+read(r))
	})
	return list
}

// announced is everything that asked has, as what is going to be read.
func announced() (list []store.Read) {
	eachAsked(func(_ string, read func(store.Reader) string) {
		list = append(list, func(r store.Reader) { _ = read(r) })
	})
	return list
}

func eachAsked(fn func(method string, read func(store.Reader) string)) {
	for method := range reflect.TypeFor[store.Reader]().Methods() {
		for _, read := range asked[method.Name] {
			fn(method.Name, read)
		}
	}
}

// expect is the tier of what is announced: it changes no answer.
func (s *suite) expect(t *testing.T) {
	for method := range reflect.TypeFor[store.Reader]().Methods() {
		if len(asked[method.Name]) == 0 && method.Name != "Expect" && method.Name != "Now" { // which changes by itself
			t.Errorf("storetest reads nothing by the method %s", method.Name)
		}
	}
	st := s.open(t)
	s.fill(t, st, scope)
	t.Run("View", func(t *testing.T) {
		var want []string
		view(t, st, func(r store.Reader) error { want = readAll(r); return nil })
		view(t, st, func(r store.Reader) error {
			r.Expect()
			r.Expect(announced()...)
			r.Expect(announced()[:2]...)
			unchanged(t, "once", want, readAll(r))
			unchanged(t, "twice", want, readAll(r))
			r.Expect(announced()...) // and not read
			return nil
		})
	})
	t.Run("View of nothing more", func(t *testing.T) {
		var want []string
		view(t, st, func(r store.Reader) error { want = readAll(r); return nil })
		for name, reads := range map[string][]store.Read{"all": announced(), "one": announced()[:1], "some": announced()[:3], "none": nil} {
			var got []string
			view(t, st, func(r store.Reader) error {
				r.Expect(reads...)
				r.Expect(store.NothingMore)
				_ = readAll(r)
				r.Expect(announced()...) // when it may be over
				got = readAll(r)
				return nil
			})
			unchanged(t, name, want, got)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		viewIn(t, st, "other", func(r store.Reader) error {
			r.Expect(announced()...)
			got := found(r.Resource("User", "id-ann", 0))
			if want := fmt.Sprintf("%+v", store.NotFoundError{Kind: "User", ID: "id-ann"}); got != want {
				t.Errorf("a resource of another scope: %s", got)
			}
			return nil
		})
	})
	// After each write the answers are those without an announcement, whether what was
	// announced was sent before the write, or read, or neither.
	for method, list := range writes {
		t.Run(method, func(t *testing.T) {
			for _, write := range list {
				want := s.askAfter(t, st, func(store.Tx) {}, write)
				for name, before := range map[string]func(tx store.Tx){
					"announced":           func(tx store.Tx) { tx.Expect(announced()...) },
					"announced and asked": func(tx store.Tx) { tx.Expect(announced()...); _, _ = tx.Record("any", "any") },
					"read":                func(tx store.Tx) { tx.Expect(announced()...); _ = readAll(tx) },
				} {
					unchanged(t, name, want, s.askAfter(t, st, before, write))
				}
			}
		})
	}
}

// askAfter returns the answers after a write that is undone.
func (s *suite) askAfter(t *testing.T, st store.Store, before func(store.Tx), write func(*suite, store.Tx) error) (list []string) {
	t.Helper()
	err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		before(tx)
		if err := write(s, tx); err != nil {
			t.Errorf("the write failed: %v", err)
		}
		list = readAll(tx)
		return errRollback
	})
	is(t, "Update", err, errRollback)
	return list
}

func unchanged(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: other answers than without an announcement (-want +got):\n%s", what, diff)
	}
}
