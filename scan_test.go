package provision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// countedScans is a store that notes its scans, and lets them stand still.
type countedScans struct {
	store.Store

	scans  []string      // the connections
	inside chan struct{} // where not nil, one for each scan that stands still
	open   chan struct{}
}

func (c *countedScans) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	if c.inside != nil {
		select {
		case c.inside <- struct{}{}:
			<-c.open
		case <-ctx.Done(): // nobody expects it
			return store.Page{}, ctx.Err()
		}
	} else {
		c.scans = append(c.scans, scope)
	}
	return c.Store.Scan(ctx, scope, q)
}

// manyUsers are more than a look-up may look at.
const manyUsers = 1020

// crowded returns a tenant with many users, all of them in a group, ten of them with
// another title.
func crowded(t *testing.T, st store.Store) (*tenant, *countedScans) {
	t.Helper()
	counted := &countedScans{Store: st}
	tn := newTenant(t, counted, `{}`)
	err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		group := &store.Resource{ID: "crew", Type: "Group", Version: 1, Document: store.Document(`{"displayName":"Crew"}`)}
		err := tx.PutResource(group)
		for i := range manyUsers {
			name, title := fmt.Sprintf("user%04d", i), "pilot"
			if i%100 == 50 {
				title = "Captain"
			}
			r := &store.Resource{
				ID: name, Type: "User", Version: 1, Document: store.Document(fmt.Sprintf(`{"userName":%q,"title":%q}`, name, title)),
				Keys: []store.Key{{Attribute: "userName", Value: name}, {Attribute: "displayName", Value: store.NameKey(title)}},
			}
			err = errors.Join(err, tx.PutResource(r))
			_, memberErr := tx.PutMembership(store.Membership{Group: "crew", Member: name, Source: store.SourceSCIM, Kind: "User"})
			err = errors.Join(err, memberErr)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tn, counted
}

func titled(op store.Operator, value, key string) store.Filter {
	return store.Compare{Path: store.Path{Keys: []string{"title"}, Type: store.String}, Op: op, Value: value, Key: key, Folded: store.NameKey(value)}
}

// What has few candidates is looked up, also where a group has many members; the
// rest is a scan, with the same answer. The bounds of the caller hold in both.
func TestQueryScans(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, counted := crowded(t, st)
		byName := &store.Sort{Path: store.Path{Keys: []string{"userName"}, Type: store.String}, Descending: true}
		captain := titled(store.CO, "APT", "")
		for _, test := range []struct {
			name  string
			q     store.Query
			scans bool
			total int
			rows  int // of the ScanError
		}{
			{"everything", store.Query{Types: []string{"User"}}, false, manyUsers, 0},
			{"by key", store.Query{Types: []string{"User"}, Filter: titled(store.EQ, "captain", "displayName")}, false, 10, 0},
			{"by key, and more", store.Query{Types: []string{"User"}, Filter: store.And{titled(store.EQ, "captain", "displayName"), captain}, Sort: byName}, false, 10, 0},
			{"few of a type", store.Query{Types: []string{"Group"}, Filter: captain}, false, 0, 0},
			{"few to sort", store.Query{Types: []string{"Group"}, Sort: byName}, false, 1, 0},
			{"many", store.Query{Filter: captain}, true, 10, 0},
			{"many by key", store.Query{Types: []string{"User"}, Filter: titled(store.EQ, "pilot", "displayName")}, true, manyUsers - 10, 0},
			{"many to sort", store.Query{Types: []string{"User"}, Sort: byName}, true, manyUsers, 0},
			{"many members", store.Query{Filter: store.And{store.MemberOf{Group: "crew"}, captain}}, true, 10, 0},
			{"none found among many", store.Query{Filter: titled(store.CO, "nobody", "")}, true, 0, 0},
			{"more than a scan may", store.Query{Filter: captain, ScanRows: manyUsers}, true, 0, manyUsers},
			{"as many as a scan may", store.Query{Filter: captain, ScanRows: manyUsers + 1}, true, 10, 0},
			{"more than the caller wants", store.Query{Filter: captain, ScanRows: 500}, false, 0, 500},
		} {
			counted.scans = nil
			test.q.Limit, test.q.ScanTime = 20, time.Minute // also on a busy machine
			page, err := tn.dir.Query(t.Context(), test.q)
			var spent *store.ScanError
			switch {
			case test.rows > 0 && (!errors.As(err, &spent) || spent.Rows != test.rows):
				t.Errorf("%s: %v", test.name, err)
			case test.rows == 0 && (err != nil || page.Total != test.total || len(page.Resources) != min(20, test.total)):
				t.Errorf("%s: %d of %d, %v", test.name, len(page.Resources), page.Total, err)
			}
			if scans := len(counted.scans) > 0; scans != test.scans {
				t.Errorf("%s: scans: %v", test.name, counted.scans)
			}
		}
		counted.scans = nil
		if _, err := tn.engine.Directory("nobody").Query(t.Context(), store.Query{Filter: captain}); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of an unknown connection: %v", err)
		}
	})
}

// A connection has two scans at a time. A further one is refused at once; another
// connection, and look-ups of the same one, are not.
func TestScansOfAConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, counted := crowded(t, st)
		counted.inside, counted.open = make(chan struct{}), make(chan struct{})
		scan := store.Query{Filter: titled(store.CO, "apt", ""), Limit: 20}
		results := make(chan int, 2)
		for range 2 {
			go func() {
				page, err := tn.dir.Query(t.Context(), scan)
				if err != nil {
					t.Error(err)
				}
				results <- len(page.Resources)
			}()
			<-counted.inside
		}
		var limit *provision.LimitError
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := tn.dir.Query(ctx, scan)
		if !errors.As(err, &limit) {
			t.Fatalf("the third scan: %v", err)
		}
		if diff := cmp.Diff(provision.LimitError{Limit: "Limits.Scans", Max: 2}, *limit); diff != "" {
			t.Errorf("the third scan (-want +got):\n%s", diff)
		}
		page, err := tn.dir.Query(t.Context(), store.Query{Types: []string{"User"}, Filter: titled(store.EQ, "captain", "displayName"), Limit: 20})
		if err != nil || len(page.Resources) != 10 {
			t.Errorf("a look-up beside: %d, %v", len(page.Resources), err)
		}
		close(counted.open)
		if got := []int{<-results, <-results}; !slices.Equal(got, []int{10, 10}) {
			t.Errorf("the scans found %v", got)
		}
		counted.inside = nil
		if _, err := tn.dir.Query(t.Context(), scan); err != nil {
			t.Errorf("a scan after those: %v", err)
		}
	})
}
