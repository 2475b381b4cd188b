package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
)

// scan is the tier of queries with many candidates.
func (s *suite) scan(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"same pages", s.scanPages},
		{"bounds", s.scanBounds},
		{"scopes", s.scanScopes},
		{"canceled", s.scanCanceled},
		{"beside others", s.scanBeside},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

// scanUsers is how many users the scans of this tier look at.
const scanUsers = 4 * store.ScanLook

// crowd writes many users, every other one of them in a group. The title of all
// is the same.
func (s *suite) crowd(t *testing.T, st store.Store, title string) {
	t.Helper()
	update(t, st, func(tx store.Tx) error {
		err := tx.PutResource(s.group("crew"))
		for i := range scanUsers {
			err = all(err, tx.PutResource(s.crowdUser(i, title)))
			if i%2 == 0 {
				err = all(err, put(tx, "id-crew", crowdID(i)))
			}
		}
		return err
	})
}

func (s *suite) crowdUser(i int, title string) *store.Resource {
	return s.resource("User", crowdID(i), fmt.Sprintf(`{"userName":"user%d","title":%q,"score":%d}`, i, title, i*7919%scanUsers))
}

func crowdID(i int) string { return fmt.Sprintf("id-%04d", i) }

// scans are queries that look at many resources.
func scans() map[string]store.Query {
	titled := store.Compare{Path: path(store.String, "title"), Op: store.CO, Value: "TITLE"}
	byScore := &store.Sort{Path: path(store.Number, "score")}
	list := map[string]store.Query{
		"filter":            {Types: []string{"User"}, Filter: titled, Limit: 2000},
		"filter, no total":  {Types: []string{"User"}, Filter: titled, Limit: 2000, NoTotal: true},
		"filter, all types": {Filter: titled, Limit: 2000},
		"sort":              {Types: []string{"User"}, Sort: byScore, Limit: 2000},
		"filter and sort":   {Types: []string{"User"}, Filter: titled, Sort: byScore, Limit: 2000},
		"group":             {Types: []string{"User"}, Filter: store.And{store.MemberOf{Group: "id-crew"}, titled}, Limit: 2000},
		"group alone":       {Types: []string{"User"}, Filter: store.MemberOf{Group: "id-crew"}, Limit: 2000},
		"any group":         {Types: []string{"User"}, Filter: store.Or{store.MemberOf{}, titled}, Limit: 2000},
	}
	for name, q := range list {
		q.ScanTime = time.Minute // a busy machine takes long; what bounds the time is tested apart
		list[name] = q
	}
	return list
}

// scanPages compares pages with those of a View, whatever is asked for.
func (s *suite) scanPages(t *testing.T, st store.Store) {
	s.crowd(t, st, "A title")
	for name, q := range scans() {
		for _, edit := range []func(*store.Query){
			func(*store.Query) {},
			func(q *store.Query) { q.Filter = nil },
			func(q *store.Query) { q.Offset, q.Limit = 100, 50 },
			func(q *store.Query) { q.With, q.Limit = store.WithGroups|store.WithMembers, 30 },
			func(q *store.Query) { q.With, q.Bytes = store.WithGroups|store.WithMembers, 20_000 },
			func(q *store.Query) { q.From, q.Limit = place(t, st, q.Sort, crowdID(500)), 20 },
			func(q *store.Query) { q.From, q.Backward, q.Limit = place(t, st, q.Sort, crowdID(500)), true, 20 },
			func(q *store.Query) { q.After = place(t, st, nil, crowdID(500)).Position() },
		} {
			q := q
			q.Limit = 200
			edit(&q)
			var want store.Page
			view(t, st, func(r store.Reader) (err error) {
				want, err = r.Query(q)
				return err
			})
			got, err := st.Scan(t.Context(), scope, q)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %+v: %v (-View +Scan):\n%.2000s", name, q, err, diff)
			}
		}
	}
}

// place returns the sort key of a user.
func place(t *testing.T, st store.Store, sort *store.Sort, id string) *store.SortKey {
	t.Helper()
	var key store.SortKey
	view(t, st, func(r store.Reader) error {
		res, err := r.Resource("User", id, 0)
		if err == nil {
			key = sort.Key(res)
		}
		return err
	})
	return &key
}

// scanBounds spends the bounds of scans, and of queries in a transaction, which
// goes on.
func (s *suite) scanBounds(t *testing.T, st store.Store) {
	s.crowd(t, st, "A title")
	for name, q := range scans() {
		rows, within := q, q
		rows.ScanRows = scanUsers/2 - 1
		within.ScanRows, within.ScanTime = scanUsers+1, time.Hour
		late := q
		late.ScanTime = time.Nanosecond
		for _, test := range []struct {
			q    store.Query
			want error
		}{
			{within, nil},
			{rows, &store.ScanError{Rows: rows.ScanRows}},
			{late, &store.ScanError{Time: late.ScanTime}},
		} {
			_, err := st.Scan(t.Context(), scope, test.q)
			if !sameError(err, test.want) {
				t.Errorf("%s: Scan: %v, want %v", name, err, test.want)
			}
			view(t, st, func(r store.Reader) error {
				if _, err := r.Query(test.q); !sameError(err, test.want) {
					t.Errorf("%s: Query: %v, want %v", name, err, test.want)
				}
				_, err := r.Resource("User", crowdID(0), 0)
				return err
			})
		}
	}
}

// sameError reports whether an error is a ScanError with the same bound, or none.
func sameError(err, want error) bool {
	var spent, expected *store.ScanError
	if !errors.As(want, &expected) {
		return err == nil
	}
	return errors.As(err, &spent) && *spent == *expected
}

func (s *suite) scanScopes(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	for name, q := range map[string]store.Query{
		"everything": {Limit: 10},
		"a sort":     {Limit: 10, Sort: &store.Sort{Path: path(store.String, "userName")}},
		"a filter":   {Limit: 10, Filter: store.Present{Path: path(store.String, "userName")}},
	} {
		for _, id := range []string{"unknown", store.Global} {
			page, err := st.Scan(t.Context(), id, q)
			if err != nil || page.Total != 0 || len(page.Resources) != 0 {
				t.Errorf("%s of scope %q: %d resources, %v", name, id, page.Total, err)
			}
		}
		page, err := st.Scan(t.Context(), scope, q)
		if err != nil || len(page.Resources) < 2 {
			t.Errorf("%s: %d resources, %v", name, len(page.Resources), err)
		}
		scan := func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, s.opts.Patience) // it could wait for the transaction
			defer cancel()
			_, err := st.Scan(ctx, scope, q)
			return err
		}
		err = st.View(t.Context(), scope, func(ctx context.Context, _ store.Reader) error { return scan(ctx) })
		is(t, name+" inside a view", err, store.ErrNested)
		err = st.Update(t.Context(), scope, func(ctx context.Context, _ store.Tx) error { return scan(ctx) })
		is(t, name+" inside an update", err, store.ErrNested)
	}
}

// gate is a context of which one look, by its number, waits until the gate is
// opened: the scan stands still in the middle of its work.
type gate struct {
	context.Context

	looks  atomic.Int64
	at     int64
	inside chan struct{} // closed when the scan stands still
	open   chan struct{}
}

func newGate(ctx context.Context, at int64) *gate {
	return &gate{Context: ctx, at: at, inside: make(chan struct{}), open: make(chan struct{})}
}

// Err implements context.Context.
func (g *gate) Err() error {
	if g.looks.Add(1) == g.at {
		close(g.inside)
		<-g.open
	}
	return g.Context.Err()
}

// looks returns at which looks at the context a scan is stopped: the first ones,
// the last ones, and some between.
func (s *suite) looks(t *testing.T, st store.Store, name string, q store.Query) []int64 {
	t.Helper()
	counting := newGate(t.Context(), 0)
	_, err := st.Scan(counting, scope, q)
	is(t, name, err, nil)
	last := counting.looks.Load()
	if least := int64(scanUsers / 2 / store.ScanLook); last < least {
		t.Fatalf("%s: the scan looks at its context %d times, want %d at least", name, last, least)
	}
	list := []int64{1, 2, 3, last / 4, last / 2, last * 3 / 4, last - 2, last - 1, last}
	list = slices.DeleteFunc(list, func(n int64) bool { return n < 1 })
	slices.Sort(list)
	return slices.Compact(list)
}

// scanCanceled ends the context of a scan wherever it looks at it.
func (s *suite) scanCanceled(t *testing.T, st store.Store) {
	s.crowd(t, st, "A title")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, q := range scans() {
		_, err := st.Scan(ended, scope, q)
		is(t, name+", canceled before", err, context.Canceled)
		for _, at := range s.looks(t, st, name, q) {
			ctx, cancel := context.WithCancel(t.Context())
			g := newGate(ctx, at)
			go func() {
				<-g.inside
				cancel()
				close(g.open)
			}()
			_, err := st.Scan(g, scope, q)
			is(t, fmt.Sprintf("%s, canceled at look %d", name, at), err, context.Canceled)
		}
	}
	_, err := st.Scan(t.Context(), scope, store.Query{Sort: &store.Sort{Path: path(store.String, "userName")}})
	is(t, "a scan after those", err, nil)
}

// scanBeside reads and writes while a scan stands still, wherever it looks at its
// context. The scan then has the resources as they were before, or as they were
// after.
func (s *suite) scanBeside(t *testing.T, st store.Store) {
	s.crowd(t, st, "title 0")
	version := 1
	for name, q := range scans() {
		for _, at := range s.looks(t, st, name, q) {
			name := fmt.Sprintf("%s at look %d", name, at)
			g, result := newGate(t.Context(), at), make(chan error, 1)
			var page store.Page
			go func() {
				var err error
				page, err = st.Scan(g, scope, q)
				result <- err
			}()
			<-g.inside
			version++
			s.besides(t, st, name, version)
			close(g.open)
			is(t, name, <-result, nil)
			if t.Failed() {
				return // the others would wait as long
			}
			checkMoment(t, name, page.Resources)
		}
	}
}

// besides is a view and an update of the scope and of another one.
func (s *suite) besides(t *testing.T, st store.Store, name string, version int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.opts.Patience)
	defer cancel()
	err := st.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		_, err := r.Resource("User", crowdID(3), 0)
		return err
	})
	is(t, name+": a view beside", err, nil)
	if err != nil {
		return // the update would wait as long
	}
	err = st.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
		for _, i := range []int{0, 2, scanUsers / 2, scanUsers - 2} {
			r := s.crowdUser(i, fmt.Sprintf("title %d", version))
			r.Version = int64(version)
			if err := tx.PutResource(r); err != nil {
				return err
			}
		}
		return nil
	})
	is(t, name+": an update beside", err, nil)
	err = st.Update(ctx, "other", func(_ context.Context, tx store.Tx) error {
		return tx.PutResource(s.user(fmt.Sprintf("other%d", version)))
	})
	is(t, name+": an update of another scope beside", err, nil)
}

// checkMoment compares the titles of the users that are written together.
func checkMoment(t *testing.T, name string, page []*store.Resource) {
	t.Helper()
	titles := map[string]bool{}
	for _, r := range page {
		if strings.HasPrefix(r.ID, "id-") && r.Version > 1 {
			title, _ := r.Document.Get("title")
			titles[title.Text()] = true
		}
	}
	if len(titles) > 1 || len(page) == 0 {
		t.Errorf("%s: %d resources, with the titles of several moments: %v", name, len(page), titles)
	}
}
