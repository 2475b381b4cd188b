package storetest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

// foreign says for each method of store.Tx what it must answer in a scope that
// has none of the values which fill wrote to another scope. A write that the
// method's contract allows there may succeed; in no case may the other scope
// change.
var foreign = map[string]func(s *suite, t *testing.T, tx store.Tx){
	"Resource": func(_ *suite, t *testing.T, tx store.Tx) {
		_, err := tx.Resource("", "id-ann", store.WithGroups)
		is(t, "Resource", err, store.ErrNotFound)
	},
	"Expect": func(_ *suite, t *testing.T, tx store.Tx) {
		tx.Expect(announced()...)
		for method, reads := range asked {
			if method != "Events" && method != "LatestEvents" && method != "EventRange" {
				_ = reads[0](tx)
			}
		}
		_, err := tx.Record("lease", "k")
		is(t, "Record", err, store.ErrNotFound)
	},
	"Query": func(_ *suite, t *testing.T, tx store.Tx) {
		for _, f := range []store.Filter{
			nil, byID("id-ann"), keyed("userName", "ann"), store.MemberOf{Group: "id-staff"}, store.HasMember{Member: "id-ann"},
			store.MemberOf{}, store.HasMember{}, store.Present{Path: path(store.String, "userName")},
		} {
			page, err := tx.Query(store.Query{Filter: f, Limit: 10})
			if page.Total != 0 || len(page.Resources) != 0 || err != nil {
				t.Errorf("Query %#v: %d of %d, %v", f, len(page.Resources), page.Total, err)
			}
		}
	},
	"Types": func(_ *suite, t *testing.T, tx store.Tx) {
		types, err := tx.Types("id-ann", "id-staff")
		if len(types) != 0 || err != nil {
			t.Errorf("Types: %v, %v", types, err)
		}
	},
	"PutResource": func(s *suite, t *testing.T, tx store.Tx) {
		second := s.user("ann")
		second.Version = 2
		is(t, "replacing a foreign resource", tx.PutResource(second), store.ErrNotFound)
		mine := s.user("ann")
		mine.Display = "mine"
		is(t, "the same id and unique key", tx.PutResource(mine), nil)
	},
	"AddKeys": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "AddKeys", tx.AddKeys("User", "id-ann", []store.Key{{Attribute: "userName", Value: "x"}}), store.ErrNotFound)
	},
	"DeleteResource": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "DeleteResource", tx.DeleteResource("User", "id-ann"), store.ErrNotFound)
	},
	"Memberships": func(_ *suite, t *testing.T, tx store.Tx) {
		rows, err := tx.Memberships("id-staff", "", 0)
		if len(rows) != 0 || err != nil {
			t.Errorf("Memberships: %+v, %v", rows, err)
		}
	},
	"UnnamedMemberships": func(_ *suite, t *testing.T, tx store.Tx) {
		rows, err := tx.UnnamedMemberships("id-staff", "", 0)
		if len(rows) != 0 || err != nil {
			t.Errorf("UnnamedMemberships: %+v, %v", rows, err)
		}
	},
	"MembershipsOf": func(_ *suite, t *testing.T, tx store.Tx) {
		rows, err := tx.MembershipsOf("id-ann")
		if len(rows) != 0 || err != nil {
			t.Errorf("MembershipsOf: %+v, %v", rows, err)
		}
	},
	"Ancestors": func(_ *suite, t *testing.T, tx store.Tx) {
		rows, err := tx.Ancestors("id-ann", "id-staff")
		if len(rows) != 0 || err != nil {
			t.Errorf("Ancestors: %+v, %v", rows, err)
		}
	},
	"GroupsIn": func(_ *suite, t *testing.T, tx store.Tx) {
		rows, err := tx.GroupsIn("id-staff", "id-all")
		if len(rows) != 0 || err != nil {
			t.Errorf("GroupsIn: %+v, %v", rows, err)
		}
	},
	"IsMember": func(_ *suite, t *testing.T, tx store.Tx) {
		for _, pair := range [][2]string{{"id-staff", "id-ann"}, {"", "id-ann"}, {"id-staff", ""}} {
			ok, err := tx.IsMember(pair[0], pair[1])
			if ok || err != nil {
				t.Errorf("IsMember(%q): %t, %v", pair, ok, err)
			}
		}
	},
	"PutMembership": func(s *suite, t *testing.T, tx store.Tx) {
		is(t, "a group of the same id", all(tx.PutResource(s.group("staff")), tx.PutResource(s.user("carl"))), nil)
		is(t, "PutMembership", put(tx, "id-staff", "id-carl"), nil)
		rows, err := tx.Memberships("id-staff", "", 0)
		if len(rows) != 1 || err != nil {
			t.Errorf("members of a group of the same id: %+v, %v", rows, err)
		}
	},
	"DeleteMembership": func(_ *suite, t *testing.T, tx store.Tx) {
		removed, err := tx.DeleteMembership("id-staff", "id-ann", "")
		if removed || err != nil {
			t.Errorf("DeleteMembership: %t, %v", removed, err)
		}
	},
	"StageMembers": func(_ *suite, t *testing.T, tx store.Tx) {
		m := store.Membership{Group: "id-staff", Member: "id-ann", Source: store.SourceSCIM}
		other := m
		other.Source = store.SourceJIT
		n, err := tx.StageMembers(1, []store.Membership{other}, []store.Membership{m})
		if n != 0 || err != nil {
			t.Errorf("StageMembers: %d, %v", n, err)
		}
	},
	"ShowStage": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "ShowStage", tx.ShowStage(1), nil)
	},
	"DeleteStaged": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "DeleteStaged", tx.DeleteStaged("Group", "id-staff", 1), store.ErrNotFound)
	},
	"SettleStage": func(_ *suite, t *testing.T, tx store.Tx) {
		more, err := tx.SettleStage(1, 100)
		if more || err != nil {
			t.Errorf("SettleStage: %t, %v", more, err)
		}
	},
	"Account": func(_ *suite, t *testing.T, tx store.Tx) {
		_, err := tx.Account("acc-ann")
		is(t, "Account", err, store.ErrNotFound)
	},
	"AccountOf": func(_ *suite, t *testing.T, tx store.Tx) {
		_, err := tx.AccountOf("id-ann")
		is(t, "AccountOf", err, store.ErrNotFound)
	},
	"BareAccountOf": func(_ *suite, t *testing.T, tx store.Tx) {
		_, err := tx.BareAccountOf("id-ann")
		is(t, "BareAccountOf", err, store.ErrNotFound)
	},
	"Accounts": func(_ *suite, t *testing.T, tx store.Tx) {
		for _, q := range []store.AccountQuery{{}, {UserName: "user acc-ann"}, {ExternalID: "ext-acc-ann"}, {Email: "acc-ann@example.com"}, {Statuses: []string{"active"}}} {
			list, err := tx.Accounts(q)
			if len(list) != 0 || err != nil {
				t.Errorf("Accounts(%+v): %d, %v", q, len(list), err)
			}
		}
	},
	"PutAccount": func(s *suite, t *testing.T, tx store.Tx) {
		mine := s.account("acc-ann", "id-ann")
		mine.UserName = "mine"
		is(t, "the same id and resource", tx.PutAccount(mine), nil)
	},
	"Events": func(_ *suite, t *testing.T, tx store.Tx) {
		list, err := tx.Events(0, 0)
		if len(list) != 0 || err != nil {
			t.Errorf("Events: %d, %v", len(list), err)
		}
	},
	"LatestEvents": func(_ *suite, t *testing.T, tx store.Tx) {
		for _, q := range []store.EventQuery{{}, {Account: "acc-ann"}} {
			list, err := tx.LatestEvents(q)
			if len(list) != 0 || err != nil {
				t.Errorf("LatestEvents(%+v): %d, %v", q, len(list), err)
			}
		}
	},
	"EventRange": func(_ *suite, t *testing.T, tx store.Tx) {
		first, last, err := tx.EventRange()
		if first != 0 || last != 0 || err != nil {
			t.Errorf("EventRange: %d, %d, %v", first, last, err)
		}
	},
	"AppendEvent": func(s *suite, t *testing.T, tx store.Tx) {
		e := s.event("mine")
		if err := tx.AppendEvent(e); err != nil || e.Sequence != 1 {
			t.Errorf("AppendEvent: sequence %d, %v", e.Sequence, err)
		}
	},
	"ReplaceEvent": func(s *suite, t *testing.T, tx store.Tx) {
		e := s.event("mine")
		e.Sequence = 1
		if replaced, err := tx.ReplaceEvent(e); replaced || err != nil {
			t.Errorf("ReplaceEvent: %t, %v", replaced, err)
		}
	},
	"PruneEvents": func(_ *suite, t *testing.T, tx store.Tx) {
		n, err := tx.PruneEvents(99)
		if n != 0 || err != nil {
			t.Errorf("PruneEvents: %d, %v", n, err)
		}
	},
	"LogEntries": func(_ *suite, t *testing.T, tx store.Tx) {
		for _, q := range []store.LogQuery{{}, {Key: "odd"}, {Part: 1}} {
			list, err := tx.LogEntries(q)
			if len(list) != 0 || err != nil {
				t.Errorf("LogEntries(%+v): %d, %v", q, len(list), err)
			}
		}
	},
	"AppendLog": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "the same number", tx.AppendLog(entry(0, 1, "mine")), nil)
	},
	"ReplaceLogEntry": func(_ *suite, t *testing.T, tx store.Tx) {
		if replaced, err := tx.ReplaceLogEntry(entry(0, 1, "mine")); replaced || err != nil {
			t.Errorf("ReplaceLogEntry: %t, %v", replaced, err)
		}
	},
	"PruneLog": func(_ *suite, t *testing.T, tx store.Tx) {
		n, err := tx.PruneLog(store.LogBounds{From: 99}, 99)
		if n != 0 || err != nil {
			t.Errorf("PruneLog: %d, %v", n, err)
		}
	},
	"Record": func(_ *suite, t *testing.T, tx store.Tx) {
		_, err := tx.Record("lease", "k")
		is(t, "Record", err, store.ErrNotFound)
	},
	"Records": func(_ *suite, t *testing.T, tx store.Tx) {
		list, err := tx.Records("lease", "", 0)
		if len(list) != 0 || err != nil {
			t.Errorf("Records: %d, %v", len(list), err)
		}
	},
	"PutRecord": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "a version of a foreign record", tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Version: 1}), store.ErrVersion)
		is(t, "the same key", tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte("mine")}), nil)
	},
	"DeleteRecord": func(_ *suite, t *testing.T, tx store.Tx) {
		is(t, "DeleteRecord", tx.DeleteRecord("lease", "k", 0), store.ErrNotFound)
	},
	"Now": func(_ *suite, t *testing.T, tx store.Tx) {
		if _, err := tx.Now(); err != nil {
			t.Errorf("Now: %v", err)
		}
	},
	"PruneRecords": func(_ *suite, t *testing.T, tx store.Tx) {
		n, err := tx.PruneRecords("lease", time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		if n != 0 || err != nil {
			t.Errorf("PruneRecords: %d, %v", n, err)
		}
	},
}

// isolation is the tier that keeps connections apart.
func (s *suite) isolation(t *testing.T) {
	for method := range reflect.TypeFor[store.Tx]().Methods() {
		t.Run(method.Name, func(t *testing.T) {
			run := foreign[method.Name]
			if run == nil {
				t.Fatalf("storetest has no isolation test for the method %s", method.Name)
			}
			for _, other := range []string{"other", scope + "2", "ACME", "%", "acm_", store.Global} {
				st := s.open(t)
				s.fill(t, st, scope)
				before := dump(t, st, scope)
				err := st.Update(t.Context(), other, func(_ context.Context, tx store.Tx) error {
					run(s, t, tx)
					return nil
				})
				is(t, "Update", err, nil)
				same(t, "the other scope", dump(t, st, scope), before)
				is(t, "Close", st.Close(), nil)
			}
		})
	}
}
