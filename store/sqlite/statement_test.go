package sqlite_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

func keyFilter(attribute, value string) store.Filter {
	return store.Compare{
		Op: store.EQ, Path: store.Path{Keys: []string{attribute}, Type: store.String},
		Value: value, Key: attribute, Folded: value,
	}
}

// TestStatements counts the statements of the operations that matter, beside
// those that start and end a transaction.
func TestStatements(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	group := &store.Resource{ID: "g", Type: "Group", Version: 1, Display: "G", Document: store.Document(`{"displayName":"G"}`)}
	update(t, s, func(tx store.Tx) error {
		if err := tx.PutResource(group); err != nil {
			return err
		}
		for n := range int64(300) {
			if err := createIn(tx, n); err != nil {
				return err
			}
			if _, err := tx.PutMembership(store.Membership{Group: "g", Member: userID(n), Source: store.SourceSCIM, Kind: "User"}); err != nil {
				return err
			}
		}
		return nil
	})
	tr.take()

	page := func(q store.Query, total int) func(store.Reader) error {
		return func(r store.Reader) error {
			got, err := r.Query(q)
			if got.Total != total {
				t.Errorf("total %d, want %d", got.Total, total)
			}
			return err
		}
	}
	for _, test := range []struct {
		name string
		run  func(r store.Reader) error
		want int
	}{
		{"resource", func(r store.Reader) error {
			_, err := r.Resource("User", userID(1), 0)
			return err
		}, 1},
		{"resource with groups", func(r store.Reader) error {
			got, err := r.Resource("User", userID(1), store.WithGroups)
			if err == nil && len(got.Groups) != 1 {
				t.Errorf("%d groups", len(got.Groups))
			}
			return err
		}, 1},
		{"resource with both parts", func(r store.Reader) error {
			_, err := r.Resource("Group", "g", store.WithGroups|store.WithMembers)
			return err
		}, 1},
		{"filter by key", page(store.Query{Types: []string{"User"}, Filter: keyFilter("userName", userName(7)), Limit: 10}, 1), 1},
		{"filter by key with groups", page(store.Query{
			Types: []string{"User"}, Filter: keyFilter("userName", userName(7)), Limit: 10, With: store.WithGroups,
		}, 1), 2},
		{"filter without a match", page(store.Query{Filter: keyFilter("userName", "nobody"), Limit: 10, With: store.WithGroups}, 0), 1},
		{"members of a group", page(store.Query{Filter: store.MemberOf{Group: "g"}, Limit: 10}, 300), 2},
		{"list", page(store.Query{Types: []string{"User"}, Limit: 100, With: store.WithGroups}, 300), 3},
		{"list without total", page(store.Query{Types: []string{"User"}, Limit: 100, NoTotal: true}, 0), 1},
		{"count", page(store.Query{Types: []string{"User"}}, 300), 1},
		{"account", func(r store.Reader) error {
			_, err := r.AccountOf(userID(1))
			return err
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			view(t, s, test.run)
			queries := tr.take()
			if got := work(queries); len(got) != test.want {
				t.Errorf("%d statements, want %d:\n%s", len(got), test.want, strings.Join(got, "\n"))
			}
		})
	}

	// One for each call, two for the transaction, one that asks whether others have
	// written, and one for the number of the last event. A new resource asks for the
	// holders of its id and unique keys, writes its other keys, and is counted.
	t.Run("post", func(t *testing.T) {
		if err := create(s, 300); err != nil {
			t.Fatal(err)
		}
		if queries := tr.take(); len(queries) > 10 {
			t.Errorf("%d statements:\n%s", len(queries), strings.Join(queries, "\n"))
		}
	})
	t.Run("patch", func(t *testing.T) {
		if err := replace(s, 5); err != nil {
			t.Fatal(err)
		}
		queries := tr.take()
		if n := len(queries); n > 9 {
			t.Errorf("%d statements:\n%s", n, strings.Join(queries, "\n"))
		}
		if n := count(queries, "INSERT INTO provision_keys") + count(queries, "DELETE FROM provision_keys"); n != 0 {
			t.Errorf("%d statements on keys that stay the same", n)
		}
	})
	t.Run("patch of one key", func(t *testing.T) {
		update(t, s, func(tx store.Tx) error {
			r := benchResource(6)
			r.Version, r.Keys[2].Value = 2, "other"
			return tx.PutResource(r)
		})
		queries := tr.take()
		inserts, deletes := count(queries, "INSERT INTO provision_keys"), count(queries, "DELETE FROM provision_keys")
		if inserts != 1 || deletes != 1 {
			t.Errorf("%d insertions and %d deletions of keys, want 1 each", inserts, deletes)
		}
	})
}

// harmless are scans of something that the statement itself brings along; h is one row.
var harmless = regexp.MustCompile(`^SCAN (json_each|h|CONSTANT ROW|\d+-ROW VALUES CLAUSE)`)

// wholeScope are the statements that are to read a whole scope, in an index.
var wholeScope = regexp.MustCompile(`^SELECT (r\.position FROM provision_resources r WHERE r\.scope = \? AND r\.position [<>]|r\.count, r\.mark)`)

// TestPlans asks SQLite how it would run every statement that the conformance of
// a store needs: none may read a whole table, or a scope
// where it needs a few rows.
func TestPlans(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	everything(t, s)
	host := openHost(t, filepath.Join(t.TempDir(), "plans.db"), &trace{})
	other, err := sqlite.Open(t.Context(), sqlite.Config{DB: host})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	for query := range unique(work(tr.take())) {
		if strings.Contains(query, "LIMIT ?") {
			t.Errorf("a bare parameter as limit, which is prepared again each time, in\n%s", query)
		}
		for _, detail := range plan(t, host, query) {
			if strings.HasPrefix(detail, "SCAN") && !harmless.MatchString(detail) {
				t.Errorf("%s in\n%s", detail, query)
			}
			if strings.HasSuffix(detail, "(scope=?)") && !wholeScope.MatchString(query) {
				t.Errorf("%s reads the whole scope in\n%s", detail, query)
			}
		}
	}
}

// plan returns the lines of a query plan.
func plan(t *testing.T, db *sql.DB, query string) (details []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			id, parent, unused int
			detail             string
		)
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		details = append(details, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return details
}

func unique(list []string) map[string]bool {
	set := map[string]bool{}
	for _, s := range list {
		set[s] = true
	}
	return set
}

// everything calls every method of a store.
func everything(t *testing.T, s store.Store) {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		for n := range int64(3) {
			if err := createIn(tx, n); err != nil {
				return err
			}
		}
		record := &store.Record{Kind: "k", Key: "a", Expires: benchTime}
		changed := benchResource(0)
		changed.Version, changed.Keys[0].Value, changed.Keys[1].Value = 2, "x", "y"
		for _, do := range []func() error{
			func() error { return tx.PutResource(changed) },
			func() error { return tx.PutRecord(record) },
			func() error { return tx.PutRecord(record) },
			func() error { return tx.DeleteRecord("k", "a", record.Version) },
			func() error { _, err := tx.PruneRecords("k", time.Now()); return err },
			func() error { _, err := tx.PruneEvents(1); return err },
			func() error {
				return tx.AppendLog(&store.LogEntry{Number: 1, Keys: []string{"a", "b"}, Data: []byte("{}")}, &store.LogEntry{Number: 2, Data: []byte("{}")})
			},
			func() error {
				_, err := tx.ReplaceLogEntry(&store.LogEntry{Number: 1, Keys: []string{"c"}, Data: []byte("{}")})
				return err
			},
			func() error { _, err := tx.PruneLog(store.LogBounds{From: 2, Until: 9, Keep: 1}, 9); return err },
			func() error { _, err := tx.ReplaceEvent(&store.Event{Sequence: 2, Time: benchTime}); return err },
			func() error {
				_, err := tx.PutMembership(store.Membership{Group: userID(1), Member: userID(2), Source: "scim"})
				return err
			},
			func() error { _, err := tx.DeleteMembership("g", "m", ""); return err },
			func() error { _, err := tx.DeleteMembership("g", "m", "scim"); return err },
			func() error { return tx.DeleteResource("User", userID(0)) },
			func() error { return tx.DeleteRecord("k", "b", 0) },
		} {
			if err := do(); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		conflict := benchResource(9)
		conflict.Keys[0].Value = userName(1)
		if err := tx.PutResource(conflict); err == nil {
			t.Error("no conflict")
		}
		return nil
	})
	place := (*store.Sort)(nil).Key(&store.Resource{Position: 2})
	view(t, s, func(r store.Reader) error {
		for _, q := range []store.Query{
			{Limit: 1},
			{Types: []string{"User"}, Limit: 1},
			{Types: []string{"User"}, Limit: 1, From: &place},
			{Types: []string{"User"}, Limit: 1, From: &place, Backward: true},
			{Limit: 1, From: &place, Backward: true},
			{Types: []string{"User", "Group"}, Limit: 1, With: store.WithGroups | store.WithMembers},
			{Filter: store.MemberOf{Group: "g"}}, {Filter: store.HasMember{Member: "m"}},
			{Filter: store.And{store.Present{Path: store.Path{Keys: []string{"userName"}}}, store.MemberOf{}, store.HasMember{}}, Limit: 1},
			{Filter: store.Or{keyFilter("userName", "a"), keyFilter("externalId", "b")}},
			{Filter: store.Or{
				store.Compare{Op: store.EQ, Path: store.Path{Keys: []string{"id"}, Type: store.Exact}, Value: userID(1)},
				store.MemberOf{Group: userID(1)},
			}, Limit: 2},
		} {
			if _, err := r.Query(q); err != nil {
				return err
			}
		}
		for _, q := range []store.AccountQuery{
			{}, {UserName: "u"}, {ExternalID: "e"}, {Email: "m"}, {Statuses: []string{"active"}}, {SiteAdmin: true}, {Unlinked: true, Limit: 1},
		} {
			if _, err := r.Accounts(q); err != nil {
				return err
			}
		}
		for _, with := range []store.Parts{0, store.WithGroups, store.WithMembers, store.WithGroups | store.WithMembers} {
			if _, err := r.Resource("", userID(1), with); err != nil {
				return err
			}
		}
		_, err := r.Account("a" + userID(1))
		if err == nil {
			_, err = r.Memberships("g", "", 1)
		}
		if err == nil {
			_, err = r.UnnamedMemberships("g", "", 1)
		}
		if err == nil {
			_, err = r.MembershipsOf("m")
		}
		if err == nil {
			_, err = r.GroupsIn("g", "h")
		}
		if err == nil {
			_, err = r.Events(0, 1)
		}
		if err == nil {
			_, _, err = r.EventRange()
		}
		if err == nil {
			_, err = r.LogEntries(store.LogQuery{Limit: 1})
		}
		if err == nil {
			_, err = r.LogEntries(store.LogQuery{Key: "a"})
		}
		if err == nil {
			_, err = r.Records("k", "", 1)
		}
		return err
	})
}
