package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision/store"
)

// RunSame takes n random steps on all stores, which are new and empty, and
// fails the test as soon as their answers differ: the results of writes, the
// ids, order and total of queries with random filters, and in the end
// everything they hold. Each query is also compared with the meaning that
// store.Match and store.Sort give it, so one store is enough.
//
// The same seed takes the same steps.
func RunSame(t *testing.T, seed uint64, n int, stores ...store.Store) {
	t.Helper()
	s := sameRun{suite: suite{opts: Options{Precision: time.Microsecond}}, stores: stores,
		rand: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // tests must be repeatable
	for step := range n {
		s.write(t)
		if step%2 == 0 {
			s.compareQuery(t)
			s.compareAccounts(t)
		}
		if t.Failed() {
			t.Fatalf("after %d steps with the seed %d", step+1, seed)
		}
	}
	want := placed(dump(t, stores[0], scope))
	for _, st := range stores[1:] {
		same(t, "all that the stores hold", placed(dump(t, st, scope)), want)
	}
}

// placed numbers the resources of a scope: which positions a store assigns is
// its choice, only their order counts.
func placed(s state) state {
	list := make([]*store.Resource, len(s.Resources))
	for i, r := range s.Resources {
		c := *r
		c.Position = int64(i)
		list[i] = &c
	}
	s.Resources = list
	return s
}

// sameRun is one run of RunSame.
type sameRun struct {
	suite
	stores []store.Store
	rand   *rand.Rand
	ids    []string // every id that was ever used
	stage  int64    // the last number of a stage
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// id returns an id that is in use, or was, or never will be.
func (s *sameRun) id() string {
	if len(s.ids) == 0 || s.rand.IntN(20) == 0 {
		return "nobody"
	}
	return pick(s.rand, s.ids)
}

// write applies one to four random writes in one update to all stores. One
// update in eight rolls back.
func (s *sameRun) write(t *testing.T) {
	t.Helper()
	steps := make([]func(tx store.Tx) string, 1+s.rand.IntN(4))
	for i := range steps {
		steps[i] = s.step()
	}
	fails := s.rand.IntN(8) == 0
	var want []string
	for i, st := range s.stores {
		var got []string
		err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			results := make([]string, len(steps))
			for i, step := range steps {
				results[i] = step(tx)
			}
			got = results
			if fails {
				return errRollback
			}
			return nil
		})
		if !fails || !errors.Is(err, errRollback) {
			is(t, "Update of store "+strconv.Itoa(i), err, nil)
		}
		if i == 0 {
			want = got
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results of store %d differ (-first +this):\n%s", i, diff)
		}
	}
}

// step returns a random write, which returns its result as text.
func (s *sameRun) step() func(tx store.Tx) string {
	id, other, n := s.id(), s.id(), s.rand.IntN(6)
	source := pick(s.rand, []store.Source{store.SourceSCIM, store.SourceJIT})
	switch s.rand.IntN(17) {
	case 0, 1, 2:
		id = "r" + strconv.Itoa(s.rand.IntN(1000)) // not in order of creation
		s.ids = append(s.ids, id)
		typ, doc := pick(s.rand, []string{"User", "User", "User", "Group", "Device"}), s.document()
		return func(tx store.Tx) string { return outcome(nil, tx.PutResource(s.resource(typ, id, doc))) }
	case 3, 4:
		doc, skip := s.document(), int64(s.rand.IntN(8)/7)
		return func(tx store.Tx) string {
			old, err := tx.Resource("", id, 0)
			if err != nil {
				return outcome(nil, err)
			}
			r := s.resource(old.Type, id, doc)
			r.Version = old.Version + 1 + skip
			return outcome(nil, tx.PutResource(r))
		}
	case 15:
		keys := []store.Key{{Attribute: "externalId", Value: pick(s.rand, texts)}, {Attribute: "userName", Value: pick(s.rand, texts), Unique: true}}
		return func(tx store.Tx) string { return outcome(nil, tx.AddKeys("", id, keys)) }
	case 5:
		return func(tx store.Tx) string { return outcome(nil, tx.DeleteResource("", id)) }
	case 16:
		return s.logStep()
	case 6, 7:
		return func(tx store.Tx) string { return s.join(tx, id, other, source) }
	case 8:
		if n == 0 {
			source = ""
		}
		return func(tx store.Tx) string { return outcome(tx.DeleteMembership(id, other, source)) }
	case 9:
		a := s.account("a"+strconv.Itoa(n), pick(s.rand, []string{"", id}))
		a.UserName, a.Email, a.SiteAdmin = pick(s.rand, words), pick(s.rand, words), n%2 == 0
		return func(tx store.Tx) string { return outcome(nil, tx.PutAccount(a.Clone())) }
	case 10:
		through := int64(s.rand.IntN(40) - 20)
		return func(tx store.Tx) string {
			e := s.event("x")
			return outcome(nil, tx.AppendEvent(e)) + outcome(e.Sequence, nil) + outcome(tx.PruneEvents(through))
		}
	case 12, 13:
		s.stage++
		stage, other := s.stage, []string{other, s.id(), s.id()}
		return func(tx store.Tx) string { return stageRandom(tx, stage, id, source, other) }
	case 14:
		stage := max(1, s.stage-int64(n))
		return func(tx store.Tx) string {
			for {
				if more, err := tx.SettleStage(stage, 2); !more || err != nil {
					return outcome(nil, err)
				}
			}
		}
	}
	key, version := "k"+strconv.Itoa(n), int64(s.rand.IntN(3))
	return func(tx store.Tx) string {
		if version == 2 {
			return outcome(nil, tx.DeleteRecord("lease", key, 0))
		}
		return outcome(nil, tx.PutRecord(&store.Record{Kind: "lease", Key: key, Version: version, Value: []byte(id)}))
	}
}

// join adds a membership if both sides exist, as the contract asks.
func (s *sameRun) join(tx store.Tx, group, member string, source store.Source) string {
	_, err := tx.Resource("", group, 0)
	m, memberErr := tx.Resource("", member, 0)
	if err := errors.Join(err, memberErr); err != nil {
		return outcome(nil, store.ErrNotFound)
	}
	return outcome(tx.PutMembership(store.Membership{Group: group, Member: member, Source: source, Kind: m.Type}))
}

// stageRandom stages that those who are members of a group, of some users and groups,
// leave, and that the others join. It shows the stages with an even number.
func stageRandom(tx store.Tx, stage int64, group string, source store.Source, members []string) string {
	if _, err := tx.Resource("", group, 0); err != nil {
		return outcome(nil, err)
	}
	var joining, leaving []store.Membership
	for _, id := range slices.Compact(slices.Sorted(slices.Values(members))) {
		m := store.Membership{Group: group, Member: id, Source: source}
		of, err := tx.MembershipsOf(id)
		if err != nil {
			return outcome(nil, err)
		}
		if slices.ContainsFunc(of, func(o store.Membership) bool { return o.Group == group && o.Source == source }) {
			leaving = append(leaving, m)
		} else {
			joining = append(joining, m)
		}
	}
	n, err := tx.StageMembers(stage, joining, leaving)
	if stage%2 == 0 && err == nil {
		err = tx.ShowStage(stage)
	}
	return outcome(n, err)
}

// outcome describes a result so that it is the same for all stores.
func outcome(value any, err error) string {
	var taken *store.ConflictError
	switch {
	case errors.As(err, &taken):
		return "conflict on " + taken.Attribute
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrVersion), err == nil:
		return fmt.Sprint(value, err)
	}
	return "failure: " + err.Error()
}

var (
	words   = []string{"ann", "ANN", "bob", "straße", "STRASSE", "%", "a_b", "Ünal", "ünal", "U\u0308nal", "bo\u212a", "bok", "\u017fam", "sam", " ann", "ann\u00a0", "J\u030ca", "\u01f0a", ""}
	texts   = words[:len(words)-1] // that are not empty
	numbers = []string{"0", "-1", "1.0", "1", "1e2", "9007199254740993", "9007199254740992", "0.1"}
	odd     = []string{"null", "true", "0", `""`, "{}", "[]", `[["ann"]]`, `{"value":"ann"}`, `"2026-01-01T00:00:00Z"`, `"\u0061nn"`, "1e400"} // values of any type
	times   = []string{"2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.001Z", "never"}
)

// document returns a random document.
func (s *sameRun) document() string {
	r, doc := s.rand, []byte{'{'}
	add := func(chance int, format string, args ...any) {
		if r.IntN(10) >= chance {
			return
		}
		if len(doc) > 1 {
			doc = append(doc, ',')
		}
		doc = fmt.Appendf(doc, format, args...)
	}
	add(9, `"userName":%q`, pick(r, texts)+strconv.Itoa(r.IntN(6)))
	add(6, `"displayName":%q`, pick(r, texts))
	add(5, `"externalId":%q`, pick(r, texts))
	add(6, `"active":%t`, r.IntN(2) == 0)
	add(5, `"age":%s`, pick(r, numbers))
	add(5, `"birth":%q`, pick(r, times))
	add(5, `"name":{"givenName":%q}`, pick(r, texts))
	add(5, `"emails":[{"value":%q,"type":"work"},{"value":%q,"primary":%t}]`, pick(r, texts), pick(r, texts), r.IntN(2) == 0)
	add(3, `"tags":[%q,%s,[%q]]`, pick(r, texts), pick(r, odd), pick(r, texts))
	add(3, `"urn:x:User":{"department":%q,"manager":{"value":%q}}`, pick(r, texts), pick(r, texts))
	add(2, `"title":%s`, pick(r, odd))
	add(2, `"nick":%s`, pick(r, odd))
	return string(append(doc, '}'))
}

// filter returns a random filter.
func (s *sameRun) filter(depth int) store.Filter {
	r := s.rand
	kind := r.IntN(15)
	if depth == 0 {
		kind = 4 + r.IntN(11)
	}
	switch kind {
	case 0, 1:
		return store.And{s.filter(depth - 1), s.filter(depth - 1)}
	case 2:
		return store.Or{s.filter(depth - 1), s.filter(depth - 1)}
	case 3:
		return store.Not{Filter: s.filter(depth - 1)}
	case 4:
		return store.MemberOf{Group: pick(r, []string{"", s.id()})}
	case 5:
		return store.HasMember{Member: pick(r, []string{"", s.id()})}
	case 6:
		return store.Present{Path: pick(r, paths)}
	case 7:
		return byID(s.id())
	case 8, 9:
		return keyed(pick(r, []string{"displayName", "externalId", "emails.value"}), pick(r, texts))
	case 10:
		return store.Any{Path: path(0, "emails"), Filter: store.And{emailKeyed(pick(r, texts)),
			test(store.Operator(1+r.IntN(2)), path(store.String, "type"), "work")}}
	}
	if kind == 11 {
		attribute := pick(r, []string{"userName", "displayName", "externalId", "emails.value"})
		values := []string{pick(r, texts), pick(r, texts), pick(r, texts)}
		if attribute == "userName" {
			values[0] += strconv.Itoa(r.IntN(6))
		}
		return in(attribute, values...)
	}
	p := pick(r, paths)
	values := words
	switch p.Type {
	case store.Number:
		values = numbers
	case store.DateTime:
		values = times
	case store.Boolean:
		values = []string{"true", "false"}
	}
	return test(store.Operator(1+r.IntN(9)), p, pick(r, values))
}

var paths = []store.Path{
	path(store.String, "userName"), path(store.Exact, "userName"), path(store.String, "displayName"),
	path(store.Boolean, "active"), path(store.Number, "age"), path(store.DateTime, "birth"),
	path(store.String, "name", "givenName"), path(store.String, "emails", "value"), path(store.Boolean, "emails", "primary"),
	path(store.Exact, "id"), path(store.Exact, "meta", "resourceType"), path(store.DateTime, "meta", "created"),
	path(store.Exact, "meta", "version"), path(store.String, "nothing"), path(store.String, "tags"), path(store.Boolean, "tags"), path(store.Number, "title"), path(store.String, "title"),
	path(store.DateTime, "nick"), path(store.String, "nick", "value"), path(store.Exact, "urn:x:User", "department"), path(store.String, "urn:x:User", "manager", "value"),
}

// compareQuery compares one random query with what it means.
func (s *sameRun) compareQuery(t *testing.T) {
	t.Helper()
	r := s.rand
	q := store.Query{
		Filter: s.filter(2), Offset: r.IntN(4), Limit: r.IntN(8),
		Types: pick(r, [][]string{nil, {"User"}, {"Group"}, {"User", "Device"}}),
	}
	switch r.IntN(4) {
	case 0:
		q.Sort = &store.Sort{Path: pick(r, paths), Descending: r.IntN(2) == 0}
	case 1:
		q.After = int64(r.IntN(20))
	case 2:
		q.Filter = nil
	}
	from := -1
	if r.IntN(3) == 0 {
		from, q.Backward, q.Offset = r.IntN(30), r.IntN(2) == 0, 0
	}
	for i, st := range s.stores {
		var want []string
		var total int
		view(t, st, func(rd store.Reader) error {
			if err := placeQuery(rd, &q, from); err != nil {
				return err
			}
			var err error
			if want, total, err = meaning(rd, q); err != nil {
				return err
			}
			page, err := rd.Query(q)
			if diff := cmp.Diff(want, ids(page.Resources), cmpopts.EquateEmpty()); diff != "" || page.Total != total {
				t.Errorf("store %d, %+v: total %d, want %d (-want +got):\n%s", i, q, page.Total, total, diff)
			}
			return err
		})
		page, err := st.Scan(t.Context(), scope, q)
		if diff := cmp.Diff(want, ids(page.Resources), cmpopts.EquateEmpty()); diff != "" || page.Total != total || err != nil {
			t.Errorf("store %d, scan of %+v: %v, total %d, want %d (-want +got):\n%s", i, q, err, page.Total, total, diff)
		}
	}
}

// compareAccounts compares one random query of accounts with what it means.
func (s *sameRun) compareAccounts(t *testing.T) {
	t.Helper()
	r := s.rand
	q := store.AccountQuery{SiteAdmin: r.IntN(4) == 0, Unlinked: r.IntN(4) == 0, Limit: r.IntN(4)}
	switch r.IntN(3) {
	case 0:
		q.UserName = pick(r, words)
	case 1:
		q.Email = pick(r, words)
	}
	for i, st := range s.stores {
		view(t, st, func(rd store.Reader) error {
			all, err := rd.Accounts(store.AccountQuery{})
			if err != nil {
				return err
			}
			var want, got []string
			for _, a := range all {
				if (q.UserName == "" || store.NameKey(a.UserName) == store.NameKey(q.UserName)) &&
					(q.Email == "" || store.NameKey(a.Email) == store.NameKey(q.Email)) &&
					(a.SiteAdmin || !q.SiteAdmin) && (a.ResourceID == "" || !q.Unlinked) && (len(want) < q.Limit || q.Limit == 0) {
					want = append(want, a.ID)
				}
			}
			found, err := rd.Accounts(q)
			for _, a := range found {
				got = append(got, a.ID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("store %d, %+v (-want +got):\n%s", i, q, diff)
			}
			return err
		})
	}
}

// placeQuery moves a query to the resource with a number, or to where one would
// be that does not exist.
func placeQuery(r store.Reader, q *store.Query, number int) error {
	if number < 0 {
		return nil
	}
	everything, err := r.Query(store.Query{Limit: 1 << 20})
	if err != nil {
		return err
	}
	at := store.Resource{Position: 1 << 40}
	if number < len(everything.Resources) {
		at = *everything.Resources[number]
	}
	key := q.Sort.Key(&at)
	q.From = &key
	return nil
}

// meaning evaluates a query on all resources, one by one.
func meaning(r store.Reader, q store.Query) (found []string, total int, err error) {
	everything, err := r.Query(store.Query{Limit: 1 << 20})
	if err != nil {
		return nil, 0, err
	}
	var matches []*store.Resource
	for _, one := range everything.Resources {
		if len(q.Types) > 0 && !slices.Contains(q.Types, one.Type) {
			continue
		}
		ok, err := store.Match(q.Filter, one, r)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			matches = append(matches, one)
		}
	}
	total = len(matches)
	slices.SortFunc(matches, func(a, b *store.Resource) int { return q.Sort.Compare(q.Sort.Key(a), q.Sort.Key(b)) })
	switch {
	case q.From != nil && q.Backward:
		matches = slices.DeleteFunc(matches, func(one *store.Resource) bool { return q.Sort.Compare(q.Sort.Key(one), *q.From) >= 0 })
		matches = matches[max(0, len(matches)-q.Limit):]
	case q.From != nil:
		matches = slices.DeleteFunc(matches, func(one *store.Resource) bool { return q.Sort.Compare(q.Sort.Key(one), *q.From) <= 0 })
	case q.Sort == nil:
		matches = slices.DeleteFunc(matches, func(one *store.Resource) bool { return one.Position <= q.After })
	}
	matches = matches[min(q.Offset, len(matches)):]
	return ids(matches[:min(q.Limit, len(matches))]), total, nil
}
