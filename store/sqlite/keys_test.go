package sqlite_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// TestReplaceKeys replaces the keys of one resource step by step and looks each
// value up after every step. Another resource holds "taken".
func TestReplaceKeys(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	key := func(value string, unique bool) store.Key {
		return store.Key{Attribute: "a", Value: value, Unique: unique}
	}
	var many []store.Key
	for n := range 40 {
		many = append(many, key(fmt.Sprint("many ", n), n == 20))
	}
	user := func(id string, version int64, keys []store.Key) *store.Resource {
		return &store.Resource{ID: id, Type: "User", Version: version, Document: store.Document(`{}`), Keys: keys}
	}
	update(t, s, func(tx store.Tx) error { return tx.PutResource(user("other", 1, []store.Key{key("taken", false)})) })

	values := []string{"", "x", "y", "4:a", "many 0", "many 20", "many 39"}
	version := int64(1)
	for _, test := range []struct {
		name     string
		keys     []store.Key
		conflict bool
		found    []string // which of the values above
	}{
		{name: "insert", keys: []store.Key{key("x", true), key("y", false)}, found: []string{"x", "y"}},
		{name: "nil keeps", found: []string{"x", "y"}},
		{name: "other order", keys: []store.Key{key("y", false), key("x", true)}, found: []string{"x", "y"}},
		{name: "no longer unique", keys: []store.Key{key("x", false)}, found: []string{"x"}},
		{name: "unique again", keys: []store.Key{key("x", true)}, found: []string{"x"}},
		{name: "twice, once unique", keys: []store.Key{key("y", false), key("y", true), key("y", false)}, found: []string{"y"}},
		{name: "empty and odd", keys: []store.Key{key("", true), key("4:a", false)}, found: []string{"", "4:a"}},
		{name: "taken by a plain key", keys: []store.Key{key("x", true), key("taken", true)}, conflict: true, found: []string{"", "4:a"}},
		{name: "plain key of another", keys: []store.Key{key("taken", false), key("x", true)}, found: []string{"x"}},
		{name: "many", keys: many, found: []string{"many 0", "many 20", "many 39"}},
		{name: "none", keys: []store.Key{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			update(t, s, func(tx store.Tx) error {
				err := tx.PutResource(user("one", version, test.keys))
				var conflict *store.ConflictError
				switch {
				case !test.conflict:
					version++
					return err
				case !errors.As(err, &conflict) || conflict.ID != "other" || conflict.Attribute != "a":
					t.Errorf("error %v", err)
				}
				return nil
			})
			var found []string
			view(t, s, func(r store.Reader) error {
				for _, value := range values {
					// The filter matches on the type alone, so that only the index decides.
					page, err := r.Query(store.Query{Filter: store.Compare{
						Op: store.EQ, Path: store.Path{Keys: []string{"meta", "resourceType"}, Type: store.Exact},
						Value: "User", Key: "a", Folded: value,
					}})
					if err != nil {
						return err
					}
					if page.Total > 0 {
						found = append(found, value)
					}
				}
				return nil
			})
			if diff := cmp.Diff(test.found, found); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteResource("", "one") })
	update(t, s, func(tx store.Tx) error { return tx.PutResource(user("one", 1, many)) })
}

// TestManyCandidates finds more resources by one key than are read at once.
func TestManyCandidates(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	const users = 300
	update(t, s, func(tx store.Tx) error {
		for n := range int64(users) {
			r := benchResource(n)
			r.Keys = append(r.Keys, store.Key{Attribute: "shared", Value: "v"})
			if err := tx.PutResource(r); err != nil {
				return err
			}
		}
		return nil
	})
	filter := store.Compare{
		Op: store.EQ, Path: store.Path{Keys: []string{"meta", "resourceType"}, Type: store.Exact},
		Value: "User", Key: "shared", Folded: "v",
	}
	view(t, s, func(r store.Reader) error {
		page, err := r.Query(store.Query{Filter: filter, Offset: 290, Limit: 5})
		if err != nil {
			return err
		}
		if page.Total != users || len(page.Resources) != 5 || page.Resources[0].ID != userID(290) {
			t.Errorf("%d in all, %d on the page", page.Total, len(page.Resources))
		}
		return nil
	})
}
