package storetest

import (
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

// basic is the tier of single operations.
func (s *suite) basic(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"unknown scope is empty", s.unknownScope},
		{"resource round trip", s.resourceRoundTrip},
		{"resource versions", s.resourceVersions},
		{"unique keys", s.uniqueKeys},
		{"two unique keys", s.twoUniqueKeys},
		{"kept keys", s.keptKeys},
		{"added keys", s.addedKeys},
		{"deleted resource", s.deletedResource},
		{"memberships", s.memberships},
		{"membership names", s.membershipNames},
		{"groups in groups of scopes", s.groupsInScopes},
		{"membership pages", s.membershipPages},
		{"membership sources", s.membershipSources},
		{"parts", s.parts},
		{"accounts", s.accounts},
		{"every field", s.everyField},
		{"account queries", s.accountQueries},
		{"records", s.records},
		{"record pages", s.recordPages},
		{"expired records", s.expiredRecords},
		{"global scope", s.globalScope},
		{"own writes", s.ownWrites},
		{"clock", s.clock},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

func (s *suite) unknownScope(t *testing.T, st store.Store) {
	same(t, "an unknown scope", dump(t, st, "nowhere"), state{})
}

func (s *suite) resourceRoundTrip(t *testing.T, st store.Store) {
	r := s.resource("User", "id-1", `{"userName":"Ann \"A\" 😀\u0001","emails":[{"value":"a@b.c","primary":true}],"x":1.50}`)
	r.Display, r.Source = "Ann", store.SourceJIT
	update(t, st, func(tx store.Tx) error { return tx.PutResource(r) })
	if r.Position < 1 {
		t.Errorf("position %d was not assigned", r.Position)
	}
	view(t, st, func(rd store.Reader) error {
		for _, typ := range []string{"User", ""} {
			got, err := rd.Resource(typ, "id-1", 0)
			is(t, "Resource", err, nil)
			same(t, "resource", []*store.Resource{got}, strip(r))
		}
		types, err := rd.Types("id-1", "nobody", "", "id-1")
		is(t, "Types", err, nil)
		same(t, "types", types, map[string]string{"id-1": "User"})
		types, err = rd.Types()
		is(t, "Types of nothing", err, nil)
		same(t, "types of nothing", types, map[string]string{})
		_, err = rd.Resource("Group", "id-1", 0)
		is(t, "Resource of another type", err, missing("Group", "id-1"))
		_, err = rd.Resource("User", "id-2", 0)
		is(t, "Resource that is not there", err, missing("User", "id-2"))
		_, err = rd.Resource("", "id-2", 0)
		is(t, "Resource of any type", err, missing(store.KindResource, "id-2"))
		_, err = rd.Resource("User", "ID-1", 0)
		is(t, "Resource with the id in another case", err, missing("User", "ID-1"))
		return nil
	})
}

func (s *suite) resourceVersions(t *testing.T, st store.Store) {
	first := s.user("ann")
	update(t, st, func(tx store.Tx) error { return all(tx.PutResource(first), tx.PutResource(s.user("bob"))) })

	second := s.resource("User", "id-ann", `{"userName":"anna"}`)
	second.Version, second.Source = 2, store.SourceSCIM
	update(t, st, func(tx store.Tx) error {
		is(t, "inserting an id again", tx.PutResource(s.user("ann")), changed("User", "id-ann"))
		other := s.group("x")
		other.ID = "id-ann"
		is(t, "inserting an id again with another type", tx.PutResource(other), changed("Group", "id-ann"))
		third := *second
		third.Version = 3
		is(t, "skipping a version", tx.PutResource(&third), changed("User", "id-ann"))
		unknown := s.user("nobody")
		unknown.Version = 2
		is(t, "replacing what is not there", tx.PutResource(unknown), missing("User", "id-nobody"))
		return tx.PutResource(second)
	})
	if second.Position != first.Position {
		t.Errorf("position %d after a replacement, want %d", second.Position, first.Position)
	}
	update(t, st, func(tx store.Tx) error {
		stale := *second
		is(t, "the same version again", tx.PutResource(&stale), changed("User", "id-ann"))
		return nil
	})
	view(t, st, func(r store.Reader) error {
		got, err := r.Resource("User", "id-ann", 0)
		is(t, "Resource", err, nil)
		same(t, "replaced resource", []*store.Resource{got}, strip(second))
		for name, want := range map[string][]string{"ann": nil, "anna": {"id-ann"}} {
			page, err := r.Query(store.Query{Filter: keyed("userName", name), Limit: 10})
			is(t, "Query", err, nil)
			same(t, "found by "+name, ids(page.Resources), want)
		}
		page, err := r.Query(store.Query{Limit: 10})
		same(t, "order of position", ids(page.Resources), []string{"id-ann", "id-bob"})
		return err
	})
}

func (s *suite) uniqueKeys(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error { return all(tx.PutResource(s.user("ann")), tx.PutResource(s.user("bob"))) })
	update(t, st, func(tx store.Tx) error {
		second := s.user("ANN")
		conflict(t, tx.PutResource(second), "userName", "id-ann")
		_, err := tx.Resource("", second.ID, 0)
		is(t, "the refused resource", err, missing(store.KindResource, second.ID))

		renamed := s.resource("User", "id-bob", `{"userName":"Ann"}`)
		renamed.Version = 2
		conflict(t, tx.PutResource(renamed), "userName", "id-ann")
		got, err := tx.Resource("User", "id-bob", 0)
		if err != nil || got.Version != 1 {
			t.Errorf("after a refused replacement: %+v, %v", got, err)
		}

		again := s.resource("User", "id-ann", `{"userName":"ANN"}`)
		again.Version = 2
		is(t, "a resource keeps its own key", tx.PutResource(again), nil)

		device := s.resource("Device", "id-device", `{"userName":"ann"}`)
		is(t, "a key of another type", tx.PutResource(device), nil)
		twin := s.resource("User", "id-twin", `{"userName":"twin","displayName":"same"}`)
		twin2 := s.resource("User", "id-twin2", `{"userName":"twin2","displayName":"same"}`)
		return all(tx.PutResource(twin), tx.PutResource(twin2))
	})
	update(t, st, func(tx store.Tx) error {
		is(t, "deleting the holder", tx.DeleteResource("User", "id-ann"), nil)
		free := s.user("Ann")
		return tx.PutResource(free)
	})
}

// twoUniqueKeys gives resources two unique keys, of which one is taken: the other is
// free afterwards, whichever of them a store looks at first.
func (s *suite) twoUniqueKeys(t *testing.T, st store.Store) {
	resource := func(id, badge, name string, version int64) *store.Resource {
		r := s.resource("User", "id-"+id, `{}`)
		r.Version = version
		r.Keys = []store.Key{{Attribute: "badge", Value: badge, Unique: true}, {Attribute: "userName", Value: name, Unique: true}}
		return r
	}
	update(t, st, func(tx store.Tx) error {
		return all(tx.PutResource(resource("ann", "1", "ann", 1)), tx.PutResource(resource("bob", "2", "bob", 1)))
	})
	for _, test := range []struct {
		what          string
		refused, free *store.Resource // free has what refused could not take
		taken         string
	}{
		{"inserting, the first is taken", resource("carl", "1", "carl", 1), resource("c", "3", "carl", 1), "badge"},
		{"inserting, the second is taken", resource("dora", "4", "ann", 1), resource("d", "4", "dora", 1), "userName"},
		{"replacing, the first is taken", resource("bob", "1", "bert", 2), resource("e", "5", "bert", 1), "badge"},
		{"replacing, the second is taken", resource("bob", "6", "ann", 2), resource("f", "6", "fay", 1), "userName"},
	} {
		update(t, st, func(tx store.Tx) error {
			conflict(t, tx.PutResource(test.refused), test.taken, "id-ann")
			is(t, test.what+": the other key", tx.PutResource(test.free), nil)
			return nil
		})
	}
	update(t, st, func(tx store.Tx) error { // who could not be replaced has both keys still
		conflict(t, tx.PutResource(resource("g", "2", "guy", 1)), "badge", "id-bob")
		conflict(t, tx.PutResource(resource("h", "7", "bob", 1)), "userName", "id-bob")
		return nil
	})
}

// addedKeys adds keys to what is there: they are found by, removed with the resource's
// next keys, and no version comes of them. A unique key stays unique, and none becomes it.
func (s *suite) addedKeys(t *testing.T, st store.Store) {
	added := []store.Key{{Attribute: "userName", Value: "ann"}, {Attribute: "title", Value: "x"}, {Attribute: "title", Value: "x", Unique: true}}
	titled := func(n int64, keys []store.Key) *store.Resource {
		r := s.user("ann")
		r.Version, r.Keys, r.Document = n, keys, store.Document(`{"userName":"ann","title":"x"}`)
		return r
	}
	found := func(what, attribute, value string, want int) {
		t.Helper()
		view(t, st, func(rd store.Reader) error {
			page, err := rd.Query(store.Query{Filter: store.Compare{Path: path(store.String, attribute), Op: store.EQ, Value: value, Key: attribute, Folded: value}, Limit: 1})
			if page.Total != want || want > 0 && page.Resources[0].Version != 1 {
				t.Errorf("%s: found %d times, want %d: %+v", what, page.Total, want, page.Resources)
			}
			return err
		})
	}
	update(t, st, func(tx store.Tx) error {
		return all(tx.PutResource(titled(1, s.user("ann").Keys)), tx.PutResource(s.user("bob")))
	})
	found("no key", "title", "x", 0)
	for range 2 {
		update(t, st, func(tx store.Tx) error { return tx.AddKeys("User", "id-ann", added) })
		found("added", "title", "x", 1)
		found("the key before", "userName", "ann", 1)
	}
	update(t, st, func(tx store.Tx) error {
		is(t, "keys of nobody", tx.AddKeys("User", "nobody", added), store.ErrNotFound)
		is(t, "keys of another type", tx.AddKeys("Group", "id-ann", added), store.ErrNotFound)
		is(t, "a title that is not unique", tx.AddKeys("", "id-bob", added[1:]), nil)
		conflict(t, tx.PutResource(withID(s.user("ann"), "other")), "userName", "id-ann")
		return nil
	})
	update(t, st, func(tx store.Tx) error { return tx.PutResource(titled(2, []store.Key{})) })
	found("removed", "title", "x", 0)
}

func withID(r *store.Resource, id string) *store.Resource {
	r.ID = id
	return r
}

// keptKeys replaces a resource without keys: nil keeps those stored, and an
// empty list removes them.
func (s *suite) keptKeys(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error { return tx.PutResource(s.user("ann")) })
	for version, test := range []struct {
		name  string
		keys  []store.Key
		found int
	}{
		{"nil", nil, 1}, {"empty", []store.Key{}, 0}, {"nil after empty", nil, 0},
	} {
		r := s.user("ann")
		r.Version, r.Keys = int64(version)+2, test.keys
		update(t, st, func(tx store.Tx) error { return tx.PutResource(r) })
		view(t, st, func(rd store.Reader) error {
			page, err := rd.Query(store.Query{Filter: keyed("userName", "ann"), Limit: 1})
			if page.Total != test.found {
				t.Errorf("%s keys: found %d times, want %d", test.name, page.Total, test.found)
			}
			return err
		})
	}
}

func (s *suite) deletedResource(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	update(t, st, func(tx store.Tx) error {
		is(t, "deleting another type", tx.DeleteResource("Group", "id-ann"), missing("Group", "id-ann"))
		is(t, "deleting an unknown id", tx.DeleteResource("User", "nobody"), missing("User", "nobody"))
		is(t, "deleting", tx.DeleteResource("User", "id-ann"), nil)
		is(t, "deleting again", tx.DeleteResource("", "id-ann"), missing(store.KindResource, "id-ann"))
		return nil
	})
	view(t, st, func(r store.Reader) error {
		rows, err := r.Memberships("id-staff", "", 0)
		is(t, "Memberships", err, nil)
		if len(rows) != 1 || rows[0].Member != "id-bob" {
			t.Errorf("members after deleting one: %+v", rows)
		}
		page, err := r.Query(store.Query{Filter: keyed("userName", "ann"), Limit: 1})
		if page.Total != 0 || err != nil {
			t.Errorf("a deleted resource is found by its key: %+v, %v", page, err)
		}
		_, err = r.Account("acc-ann")
		is(t, "the account of a deleted resource", err, nil)
		return nil
	})
	var last int64
	update(t, st, func(tx store.Tx) error {
		is(t, "deleting the group", tx.DeleteResource("Group", "id-staff"), nil)
		again := s.user("ann")
		err := tx.PutResource(again)
		last = again.Position
		return err
	})
	view(t, st, func(r store.Reader) error {
		for _, member := range []string{"id-ann", "id-bob"} {
			rows, err := r.MembershipsOf(member)
			is(t, "MembershipsOf", err, nil)
			same(t, "groups of "+member, rows, []store.Membership(nil))
		}
		page, err := r.Query(store.Query{Limit: 10})
		same(t, "resources", ids(page.Resources), []string{"id-bob", "id-ann"})
		if last <= 3 {
			t.Errorf("position %d is not greater than all before", last)
		}
		return err
	})
}

func (s *suite) globalScope(t *testing.T, st store.Store) {
	updateIn(t, st, store.Global, func(tx store.Tx) error {
		return tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte("v")})
	})
	if got := dump(t, st, store.Global); len(got.Records) != 1 {
		t.Errorf("records in the global scope: %+v", got.Records)
	}
	same(t, "another scope", dump(t, st, scope), state{})
}

// ownWrites checks that a transaction sees what it wrote.
func (s *suite) ownWrites(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error {
		record := &store.Record{Kind: "lease", Key: "k"}
		err := all(tx.PutResource(s.group("g")), tx.PutResource(s.user("ann")), put(tx, "id-g", "id-ann"),
			tx.PutAccount(s.account("a", "id-ann")), tx.AppendEvent(s.event("e")), tx.PutRecord(record))
		if err != nil {
			return err
		}
		page, err := tx.Query(store.Query{Filter: store.MemberOf{Group: "id-g"}, Limit: 1, With: store.WithGroups})
		if len(page.Resources) != 1 || len(page.Resources[0].Groups) != 1 || err != nil {
			t.Errorf("own membership: %+v, %v", page, err)
		}
		accounts, err := tx.Accounts(store.AccountQuery{})
		events, eventErr := tx.Events(0, 0)
		records, recordErr := tx.Records("lease", "", 0)
		if len(accounts) != 1 || len(events) != 1 || len(records) != 1 {
			t.Errorf("own writes: %d accounts, %d events, %d records", len(accounts), len(events), len(records))
		}
		record.Expires = time.Time{}
		return all(err, eventErr, recordErr, tx.PutRecord(record))
	})
}

// clock looks at the time that the store tells: it goes on while a transaction does, and
// from one to the next.
func (s *suite) clock(t *testing.T, st store.Store) {
	var last time.Time
	goesOn := func(r store.Reader) error {
		for until := time.Now().Add(s.opts.Patience); ; {
			now, err := r.Now()
			switch {
			case err != nil:
				return err
			case now.Location() != time.UTC || !now.Equal(now.Truncate(time.Millisecond)):
				t.Errorf("Now: %v, want milliseconds of UTC", now)
			case now.Before(last):
				t.Errorf("Now: %v after %v", now, last)
			case now.After(last) && !last.IsZero():
				return nil
			}
			last = now
			if time.Now().After(until) {
				t.Fatalf("Now: still %v", now)
			}
		}
	}
	update(t, st, inUpdate(goesOn))
	view(t, st, goesOn)
	viewIn(t, st, "nowhere", goesOn)
	update(t, st, inUpdate(goesOn))
	if s.opts.Join == nil {
		return
	}
	other := s.opts.Join(t, st)
	defer func() { _ = other.Close() }()
	view(t, other, goesOn) // it has the clock in common
}

// inUpdate reads in an update.
func inUpdate(read func(store.Reader) error) func(store.Tx) error {
	return func(tx store.Tx) error { return read(tx) }
}
