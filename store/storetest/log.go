package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
)

// log is the tier of the request log.
func (s *suite) log(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"pages", s.logPages},
		{"append again", s.logAgain},
		{"replace", s.logReplace},
		{"prune", s.logPrune},
		{"what is no entry", s.logRefused},
		{"beside other scopes", s.logScopes},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

// entry returns an entry whose data says its number.
func entry(part int, number int64, keys ...string) *store.LogEntry {
	return &store.LogEntry{Part: part, Number: number, Keys: keys, Data: fmt.Appendf(nil, `{"ü":%d}`, number)}
}

func entryNumbers(entries []*store.LogEntry) (list []int64) {
	for _, e := range entries {
		list = append(list, e.Number)
	}
	return list
}

// kept returns the numbers of the entries that a query finds.
func kept(t *testing.T, st store.Store, q store.LogQuery) (list []int64) {
	t.Helper()
	view(t, st, func(r store.Reader) error {
		entries, err := r.LogEntries(q)
		list = entryNumbers(entries)
		return err
	})
	return list
}

// fillLog appends entries 10, 20, ... to a part, not in their order: those of odd tens
// with the key "odd", those of even ones with "even", all with "all".
func fillLog(t *testing.T, st store.Store, part, n int) {
	t.Helper()
	update(t, st, func(tx store.Tx) error {
		var list []*store.LogEntry
		for i := range int64(n) {
			i = (i*7)%int64(n) + 1
			list = append(list, entry(part, i*10, []string{"even", "odd"}[i%2], "all"))
		}
		return tx.AppendLog(list...)
	})
}

func (s *suite) logPages(t *testing.T, st store.Store) {
	fillLog(t, st, 0, 9)
	fillLog(t, st, 3, 2)
	for _, test := range []struct {
		query store.LogQuery
		want  []int64
	}{
		{store.LogQuery{}, []int64{90, 80, 70, 60, 50, 40, 30, 20, 10}},
		{store.LogQuery{Limit: 2}, []int64{90, 80}},
		{store.LogQuery{Before: 80, Limit: 2}, []int64{70, 60}},
		{store.LogQuery{Before: 81, From: 60}, []int64{80, 70, 60}},
		{store.LogQuery{From: 61, Before: 70}, nil},
		{store.LogQuery{From: 91}, nil},
		{store.LogQuery{Before: 10}, nil},
		{store.LogQuery{Key: "odd"}, []int64{90, 70, 50, 30, 10}},
		{store.LogQuery{Key: "odd", Before: 70, Limit: 2}, []int64{50, 30}},
		{store.LogQuery{Key: "even", From: 40, Limit: 9}, []int64{80, 60, 40}},
		{store.LogQuery{Key: "o"}, nil},
		{store.LogQuery{Key: "odd all"}, nil},
		{store.LogQuery{Part: 3}, []int64{20, 10}},
		{store.LogQuery{Part: 3, Key: "odd"}, []int64{10}},
		{store.LogQuery{Part: 1}, nil},
	} {
		same(t, fmt.Sprintf("%+v", test.query), kept(t, st, test.query), test.want)
	}
	view(t, st, func(r store.Reader) error {
		got, err := r.LogEntries(store.LogQuery{Part: 3, Limit: 1})
		same(t, "the whole of an entry", got, []*store.LogEntry{entry(3, 20, "even", "all")})
		return err
	})
}

// logAgain appends entries that are there: alone, among others, and twice at once.
func (s *suite) logAgain(t *testing.T, st store.Store) {
	first := entry(0, 5, "all")
	update(t, st, func(tx store.Tx) error { return tx.AppendLog(first) })
	again := &store.LogEntry{Number: 5, Keys: []string{"new"}, Data: []byte("{}")}
	update(t, st, func(tx store.Tx) error {
		return all(tx.AppendLog(), tx.AppendLog(again), tx.AppendLog(entry(0, 4, "all"), again, entry(0, 6, "all"), entry(0, 6, "new"), entry(1, 5, "all")))
	})
	same(t, "entries", kept(t, st, store.LogQuery{}), []int64{6, 5, 4})
	same(t, "by a key of what was not stored", kept(t, st, store.LogQuery{Key: "new"}), []int64(nil))
	view(t, st, func(r store.Reader) error {
		got, err := r.LogEntries(store.LogQuery{From: 5, Before: 6})
		same(t, "the first one", got, []*store.LogEntry{first})
		return err
	})
}

func (s *suite) logReplace(t *testing.T, st store.Store) {
	fillLog(t, st, 0, 4)
	next := &store.LogEntry{Number: 20, Keys: []string{"all", "new"}, Data: []byte(`{"a":"b"}`)}
	for _, test := range []struct {
		entry *store.LogEntry
		want  bool
	}{
		{next, true},
		{entry(0, 21, "new"), false},
		{entry(1, 20, "new"), false},
		{&store.LogEntry{Number: 30, Data: []byte("{}")}, true},
	} {
		update(t, st, func(tx store.Tx) error {
			replaced, err := tx.ReplaceLogEntry(test.entry)
			if replaced != test.want {
				t.Errorf("ReplaceLogEntry(%d): %t", test.entry.Number, replaced)
			}
			return err
		})
	}
	for key, want := range map[string][]int64{"": {40, 30, 20, 10}, "all": {40, 20, 10}, "even": {40}, "odd": {10}, "new": {20}} {
		same(t, "by key "+key, kept(t, st, store.LogQuery{Key: key}), want)
	}
	view(t, st, func(r store.Reader) error {
		got, err := r.LogEntries(store.LogQuery{Key: "new"})
		same(t, "the new entry", got, []*store.LogEntry{next})
		return err
	})
}

func (s *suite) logPrune(t *testing.T, st store.Store) {
	fillLog(t, st, 1, 3)
	fillLog(t, st, 0, 9)
	for _, test := range []struct {
		keep    store.LogBounds
		limit   int
		removed int
		want    []int64
	}{
		{store.LogBounds{}, 99, 0, []int64{90, 80, 70, 60, 50, 40, 30, 20, 10}},
		{store.LogBounds{From: 20}, 99, 1, []int64{90, 80, 70, 60, 50, 40, 30, 20}},
		{store.LogBounds{Until: 80}, 99, 2, []int64{70, 60, 50, 40, 30, 20}},
		{store.LogBounds{Keep: 6}, 99, 0, []int64{70, 60, 50, 40, 30, 20}},
		{store.LogBounds{Keep: 99}, 99, 0, []int64{70, 60, 50, 40, 30, 20}},
		{store.LogBounds{Keep: 5}, 99, 1, []int64{70, 60, 50, 40, 30}},
		{store.LogBounds{Keep: 3}, 1, 1, []int64{70, 60, 50, 40}},
		{store.LogBounds{Keep: 3, From: 41, Until: 70}, 99, 2, []int64{60, 50}},
		{store.LogBounds{Keep: 1, From: 55, Until: 60}, 1, 1, []int64{50}},
		{store.LogBounds{Part: 1, From: 99}, 2, 2, []int64{50}},
		{store.LogBounds{Part: 2, From: 99}, 2, 0, []int64{50}},
		{store.LogBounds{From: 99, Until: 99}, 9, 1, nil},
	} {
		update(t, st, func(tx store.Tx) error {
			n, err := tx.PruneLog(test.keep, test.limit)
			if n != test.removed {
				t.Errorf("PruneLog(%+v, %d) = %d, want %d", test.keep, test.limit, n, test.removed)
			}
			return err
		})
		same(t, fmt.Sprintf("after %+v", test.keep), kept(t, st, store.LogQuery{}), test.want)
		same(t, fmt.Sprintf("by key after %+v", test.keep), kept(t, st, store.LogQuery{Key: "all"}), test.want)
	}
	same(t, "another part", kept(t, st, store.LogQuery{Part: 1}), []int64{30})
	fillLog(t, st, 0, 2) // nothing of what was removed is in the way
	same(t, "by a key, anew", kept(t, st, store.LogQuery{Key: "odd"}), []int64{10})
}

func (s *suite) logRefused(t *testing.T, st store.Store) {
	for _, e := range []*store.LogEntry{
		{Part: -1, Number: 1, Data: []byte("{}")},
		{Number: 0, Data: []byte("{}")},
		{Number: 1},
		{Number: 1, Data: []byte("{}"), Keys: []string{""}},
		{Number: 1, Data: []byte("{}"), Keys: []string{"a b"}},
		{Number: 1, Data: []byte("{}"), Keys: []string{"ä"}},
		{Number: 1, Data: []byte("{}"), Keys: []string{"a", "b", "a"}},
		{Number: 1, Data: []byte("{}"), Keys: []string{strings.Repeat("a", 201)}},
	} {
		for what, write := range map[string]func(store.Tx) error{
			"AppendLog":       func(tx store.Tx) error { return tx.AppendLog(e) },
			"ReplaceLogEntry": func(tx store.Tx) error { _, err := tx.ReplaceLogEntry(e); return err },
		} {
			err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return write(tx) })
			if err == nil || err.Error() != e.Check().Error() {
				t.Errorf("%s(%+v): %v, want %v", what, e, err, e.Check())
			}
		}
	}
	update(t, st, func(tx store.Tx) error { return tx.AppendLog(entry(0, 1, strings.Repeat("~", 200), "!")) })
	same(t, "the longest key", kept(t, st, store.LogQuery{Key: strings.Repeat("~", 200)}), []int64{1})
}

// logScopes has entries of the same number in several scopes, the one outside any
// connection included.
func (s *suite) logScopes(t *testing.T, st store.Store) {
	scopes := []string{scope, "other", store.Global}
	for i, id := range scopes {
		updateIn(t, st, id, func(tx store.Tx) error { return tx.AppendLog(entry(i, 1, "all")) })
	}
	for i, id := range scopes {
		viewIn(t, st, id, func(r store.Reader) error {
			for part := range scopes {
				got, err := r.LogEntries(store.LogQuery{Part: part, Key: "all"})
				if (len(got) == 1) != (part == i) || err != nil {
					t.Errorf("scope %q has %d entries in part %d, %v", id, len(got), part, err)
				}
			}
			return nil
		})
	}
}

// logStep returns a random write of the log, for the tier "same".
func (s *sameRun) logStep() func(tx store.Tx) string {
	number, part, n := 1+int64(s.rand.IntN(20)), s.rand.IntN(2), s.rand.IntN(6)
	key, bound := pick(s.rand, []string{"odd", "all"}), int64(s.rand.IntN(20))
	return func(tx store.Tx) string {
		list, err := tx.LogEntries(store.LogQuery{Part: part, Key: key, From: bound - 10, Before: bound, Limit: n})
		text := outcome(entryNumbers(list), err)
		switch n {
		case 0:
			return text + outcome(tx.PruneLog(store.LogBounds{Part: part, From: bound - 8, Until: bound, Keep: 5}, 3))
		case 1:
			return text + outcome(tx.ReplaceLogEntry(entry(part, number, key)))
		}
		return text + outcome(nil, tx.AppendLog(entry(part, number, key, "new"), entry(part, bound+1)))
	}
}
