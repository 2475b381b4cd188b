package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// An overview has what the calls by themselves have, and leaves out what is not there.
func TestOverviews(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		e := &provision.Engine{Store: st}
		for _, id := range []string{"a", "b"} {
			if _, err := e.Directory(id).SaveConnection(t.Context(), provision.Connection{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := e.Directory("b").IssueToken(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		list, err := e.Overviews(t.Context(), "b", "none", "a")
		if err != nil || len(list) != 2 || list[0].Connection.ID != "b" || list[1].Connection.ID != "a" {
			t.Fatalf("overviews %+v, %v", list, err)
		}
		for _, o := range list {
			d := e.Directory(o.Connection.ID)
			c, errC := d.Connection(t.Context())
			credentials, errS := d.Credentials(t.Context())
			warnings, errW := d.Warnings(t.Context())
			want := provision.Overview{Connection: c, Credentials: credentials, Warnings: warnings}
			if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", o)); diff != "" || errors.Join(errC, errS, errW) != nil {
				t.Errorf("%s (-want +got):\n%s", o.Connection.ID, diff)
			}
		}
	})
}

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
