package provision_test

import (
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// Connections are read page by page, in order, and one that is gone leaves no gap.
func TestConnectionsAfter(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		e := &provision.Engine{Store: st}
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			if _, err := e.Directory(id).SaveConnection(t.Context(), provision.Connection{ID: id, ManagedBy: provision.ManagedByFile}); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Directory("b").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			after string
			limit int
			want  []string
		}{
			{"", 0, []string{"a", "c", "d", "e"}},
			{"", 2, []string{"a", "c"}},
			{"c", 1, []string{"d"}},
			{"c", 2, []string{"d", "e"}},
			{"c", 3, []string{"d", "e"}},
			{"bb", 1, []string{"c"}},
			{"e", 5, nil},
		} {
			list, err := e.ConnectionsAfter(t.Context(), test.after, test.limit)
			var got []string
			for _, c := range list {
				got = append(got, c.ID)
				if c.ManagedBy != provision.ManagedByFile {
					t.Errorf("%s is managed by %q", c.ID, c.ManagedBy)
				}
			}
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%d after %q: %v, %v, want %v", test.limit, test.after, got, err, test.want)
			}
		}
	})
}
