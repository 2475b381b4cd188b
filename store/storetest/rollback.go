package storetest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

// writes has for each method that writes one effective use of it in a scope
// that fill has filled.
var writes = map[string][]func(s *suite, tx store.Tx) error{
	"PutResource": {
		func(s *suite, tx store.Tx) error { return tx.PutResource(s.user("new")) },
		func(s *suite, tx store.Tx) error {
			r := s.resource("User", "id-ann", `{"userName":"renamed","displayName":"x"}`)
			r.Version = 2
			return tx.PutResource(r)
		},
	},
	"AddKeys": {
		func(_ *suite, tx store.Tx) error {
			return tx.AddKeys("User", "id-ann", []store.Key{{Attribute: addedAttribute, Value: "ann"}})
		},
	},
	"DeleteResource": {
		func(_ *suite, tx store.Tx) error { return tx.DeleteResource("User", "id-ann") },
		func(_ *suite, tx store.Tx) error { return tx.DeleteResource("Group", "id-staff") },
	},
	"PutMembership": {
		func(_ *suite, tx store.Tx) error { return put(tx, "id-staff", "id-staff") },
		func(_ *suite, tx store.Tx) error {
			_, err := tx.PutMembership(store.Membership{Group: "id-staff", Member: "id-ann", Source: store.SourceJIT, Kind: "User"})
			return err
		},
	},
	"DeleteMembership": {
		func(_ *suite, tx store.Tx) error {
			_, err := tx.DeleteMembership("id-staff", "id-ann", store.SourceSCIM)
			return err
		},
		func(_ *suite, tx store.Tx) error {
			_, err := tx.DeleteMembership("id-staff", "id-bob", "")
			return err
		},
	},
	"StageMembers": {stageAnn},
	"ShowStage":    {stageAnn},
	"DeleteStaged": {func(_ *suite, tx store.Tx) error {
		members, err := tx.Memberships("id-staff", "", 0)
		_, stageErr := tx.StageMembers(1, nil, members)
		return all(err, stageErr, tx.DeleteStaged("Group", "id-staff", 1))
	}},
	"SettleStage": {func(s *suite, tx store.Tx) error {
		_, err := tx.SettleStage(1, 1)
		return all(stageAnn(s, tx), err)
	}},
	"PutAccount": {
		func(s *suite, tx store.Tx) error { return tx.PutAccount(s.account("acc-new", "id-bob")) },
		func(s *suite, tx store.Tx) error {
			a := s.account("acc-ann", "")
			a.SiteAdmin, a.UserName = true, "renamed"
			return tx.PutAccount(a)
		},
		func(s *suite, tx store.Tx) error {
			a := s.account("acc-admin", "")
			a.SiteAdmin = true
			return tx.PutAccount(a)
		},
	},
	"AppendEvent": {func(s *suite, tx store.Tx) error { return tx.AppendEvent(s.event("new")) }},
	"ReplaceEvent": {func(s *suite, tx store.Tx) error {
		e := s.event("replaced")
		e.Sequence, e.Changes = 1, nil
		_, err := tx.ReplaceEvent(e)
		return err
	}},
	"PruneEvents": {
		func(_ *suite, tx store.Tx) error { _, err := tx.PruneEvents(1); return err },
		func(_ *suite, tx store.Tx) error { _, err := tx.PruneEvents(2); return err },
	},
	"AppendLog": {
		func(_ *suite, tx store.Tx) error { return tx.AppendLog(entry(0, 9, "new"), entry(7, 1, "odd")) },
		func(_ *suite, tx store.Tx) error {
			_, err := tx.PruneLog(store.LogBounds{From: 3}, 9)
			return all(err, tx.AppendLog(entry(0, 1, "new")))
		},
	},
	"ReplaceLogEntry": {func(_ *suite, tx store.Tx) error {
		_, err := tx.ReplaceLogEntry(entry(0, 1, "new"))
		return err
	}},
	"PruneLog": {
		func(_ *suite, tx store.Tx) error { _, err := tx.PruneLog(store.LogBounds{From: 2}, 9); return err },
		func(_ *suite, tx store.Tx) error { _, err := tx.PruneLog(store.LogBounds{Until: 2}, 9); return err },
	},
	"PutRecord": {
		func(_ *suite, tx store.Tx) error { return tx.PutRecord(&store.Record{Kind: "once", Key: "new"}) },
		func(_ *suite, tx store.Tx) error {
			r, err := tx.Record("lease", "k")
			if err != nil {
				return err
			}
			return tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Version: r.Version, Value: []byte("new")})
		},
	},
	"DeleteRecord": {func(_ *suite, tx store.Tx) error { return tx.DeleteRecord("lease", "l", 0) }},
	"PruneRecords": {func(s *suite, tx store.Tx) error {
		_, err := tx.PruneRecords("lease", s.base().Add(time.Hour))
		return err
	}},
}

// stageAnn makes ann leave, by a stage that is shown.
func stageAnn(_ *suite, tx store.Tx) error {
	_, err := tx.StageMembers(1, nil, []store.Membership{{Group: "id-staff", Member: "id-ann", Source: store.SourceSCIM}})
	return all(err, tx.ShowStage(1))
}

// rollback is the tier of transactions that come to nothing.
func (s *suite) rollback(t *testing.T) {
	readers := reflect.TypeFor[store.Reader]()
	for method := range reflect.TypeFor[store.Tx]().Methods() {
		if _, reads := readers.MethodByName(method.Name); reads {
			continue
		}
		t.Run(method.Name, func(t *testing.T) {
			if len(writes[method.Name]) == 0 {
				t.Fatalf("storetest has no rollback test for the method %s", method.Name)
			}
			for _, write := range writes[method.Name] {
				s.undone(t, []func(*suite, store.Tx) error{write})
			}
		})
	}
	t.Run("everything", func(t *testing.T) {
		for name, order := range map[string][]string{
			"deleting last":  {"PutResource", "PutMembership", "PutAccount", "AppendEvent", "AppendLog", "PutRecord", "DeleteMembership", "DeleteResource", "PruneEvents", "PruneLog", "PruneRecords"},
			"deleting first": {"DeleteRecord", "PruneEvents", "PruneLog", "DeleteMembership", "PutAccount", "AppendEvent", "AppendLog", "PutRecord"},
		} {
			t.Run(name, func(t *testing.T) {
				var list []func(*suite, store.Tx) error
				for _, method := range order {
					list = append(list, writes[method][0])
				}
				s.undone(t, list)
			})
		}
	})
}

// undone runs writes in an update that fails and in one that panics.
func (s *suite) undone(t *testing.T, list []func(*suite, store.Tx) error) {
	t.Helper()
	st := s.open(t)
	s.fill(t, st, scope)
	before := dump(t, st, scope)
	run := func(tx store.Tx) {
		for _, write := range list {
			if err := write(s, tx); err != nil {
				t.Errorf("the write failed: %v", err)
			}
		}
	}

	err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		run(tx)
		return errRollback
	})
	is(t, "Update", err, errRollback)
	same(t, "state after an error", dump(t, st, scope), before)
	s.indexesWork(t, st)

	func() {
		defer func() {
			if got := recover(); got != any(errRollback) {
				t.Errorf("recovered %v, want the panic of the function", got)
			}
		}()
		_ = st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			run(tx)
			panic(errRollback)
		})
	}()
	same(t, "state after a panic", dump(t, st, scope), before)
	s.indexesWork(t, st)

	update(t, st, func(tx store.Tx) error { run(tx); return nil })
	if after := dump(t, st, scope); reflect.DeepEqual(before, after) {
		t.Error("the same writes changed nothing when they were committed")
	}
}

// indexesWork looks up by index what fill wrote.
func (s *suite) indexesWork(t *testing.T, st store.Store) {
	t.Helper()
	view(t, st, func(r store.Reader) error {
		for name, count := range map[string]int{"ann": 1, "bob": 1, "new": 0, "renamed": 0} {
			page, err := r.Query(store.Query{Filter: keyed("userName", name), Limit: 2})
			if page.Total != count || len(page.Resources) != count || err != nil {
				t.Errorf("%q is found %d times, %v", name, page.Total, err)
			}
		}
		a, err := r.AccountOf("id-ann")
		if err != nil || a.ID != "acc-ann" {
			t.Errorf("AccountOf: %+v, %v", a, err)
		}
		for _, q := range []store.AccountQuery{{UserName: "user acc-ann"}, {ExternalID: "ext-acc-ann"}, {Email: "acc-ann@example.com"}} {
			list, err := r.Accounts(q)
			if len(list) != 1 || err != nil {
				t.Errorf("Accounts(%+v): %d, %v", q, len(list), err)
			}
		}
		admins, err := r.Accounts(store.AccountQuery{SiteAdmin: true})
		if len(admins) != 0 {
			t.Errorf("%d site admins", len(admins))
		}
		return err
	})
}
