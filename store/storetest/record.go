package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

func (s *suite) records(t *testing.T, st store.Store) {
	r := &store.Record{Kind: "lease", Key: "k", Value: []byte{0, 1, 255}, Expires: s.base()}
	update(t, st, func(tx store.Tx) error {
		r.Version = 0 // the function may run again
		return tx.PutRecord(r)
	})
	if r.Version < 1 {
		t.Fatalf("version %d after an insertion", r.Version)
	}
	update(t, st, func(tx store.Tx) error {
		got, err := tx.Record("lease", "k")
		is(t, "Record", err, nil)
		same(t, "record", got, r)
		_, err = tx.Record("lease", "K")
		is(t, "another key", err, missing("lease", "K"))
		_, err = tx.Record("once", "k")
		is(t, "another kind", err, missing("once", "k"))

		is(t, "inserting again", tx.PutRecord(&store.Record{Kind: "lease", Key: "k"}), changed("lease", "k"))
		is(t, "a version of nothing", tx.PutRecord(&store.Record{Kind: "lease", Key: "x", Version: 1}), changed("lease", "x"))
		is(t, "a wrong version", tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Version: r.Version + 1}), changed("lease", "k"))

		next := &store.Record{Kind: "lease", Key: "k", Version: r.Version, Value: []byte("new")}
		is(t, "PutRecord", tx.PutRecord(next), nil)
		if next.Version == r.Version {
			t.Error("the version did not change")
		}
		is(t, "the version before", tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Version: r.Version}), changed("lease", "k"))
		got, err = tx.Record("lease", "k")
		is(t, "Record", err, nil)
		same(t, "replaced record", got, next)

		is(t, "deleting another version", tx.DeleteRecord("lease", "k", r.Version), changed("lease", "k"))
		is(t, "deleting an unknown key", tx.DeleteRecord("lease", "x", 0), missing("lease", "x"))
		is(t, "deleting a version of an unknown key", tx.DeleteRecord("lease", "x", 1), missing("lease", "x"))
		is(t, "deleting", tx.DeleteRecord("lease", "k", next.Version), nil)
		is(t, "deleting again", tx.DeleteRecord("lease", "k", 0), missing("lease", "k"))
		empty := &store.Record{Kind: "lease", Key: "k"}
		is(t, "inserting after deletion", tx.PutRecord(empty), nil)
		got, err = tx.Record("lease", "k")
		same(t, "empty record", got, empty)
		return all(err, tx.DeleteRecord("lease", "k", 0))
	})
}

func (s *suite) recordPages(t *testing.T, st store.Store) {
	want := []string{"A", "B", "a", "a%", "a_", "b", "ü"}
	update(t, st, func(tx store.Tx) error {
		for i := range want {
			if err := tx.PutRecord(&store.Record{Kind: "lease", Key: want[len(want)-1-i]}); err != nil {
				return err
			}
		}
		return tx.PutRecord(&store.Record{Kind: "once", Key: "aa"})
	})
	view(t, st, func(r store.Reader) error {
		for limit := range 9 {
			var got []string
			after := ""
			for {
				page, err := r.Records("lease", after, limit)
				if err != nil {
					return err
				}
				for _, record := range page {
					got = append(got, record.Key)
				}
				if limit == 0 || len(page) < limit {
					break
				}
				after = page[len(page)-1].Key
			}
			same(t, "keys in pages of "+strconv.Itoa(limit), got, want)
		}
		page, err := r.Records("nothing", "", 0)
		same(t, "an unknown kind", page, []*store.Record(nil))
		return err
	})
}

func (s *suite) expiredRecords(t *testing.T, st store.Store) {
	now := s.base()
	update(t, st, func(tx store.Tx) error {
		err := tx.PutRecord(&store.Record{Kind: "once", Key: "other kind", Expires: now.Add(-time.Hour)})
		for key, expires := range map[string]time.Time{
			"never": {}, "before": now.Add(-s.opts.Precision), "at": now, "after": now.Add(s.opts.Precision),
		} {
			err = all(err, tx.PutRecord(&store.Record{Kind: "lease", Key: key, Expires: expires}))
		}
		return err
	})
	update(t, st, func(tx store.Tx) error {
		n, err := tx.PruneRecords("lease", now)
		if n != 2 || err != nil {
			t.Errorf("PruneRecords = %d, %v, want 2", n, err)
		}
		var got []string
		records, err := tx.Records("lease", "", 0)
		for _, record := range records {
			got = append(got, record.Key)
		}
		same(t, "left", got, []string{"after", "never"})
		_, other := tx.Record("once", "other kind")
		return all(err, other)
	})
}
