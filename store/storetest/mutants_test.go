package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/storetest"
)

// mutantVariable names the mutant that a child process runs the suite on.
const mutantVariable = "STORETEST_MUTANT"

// TestMutants runs the suite on stores that break one rule each: it must fail
// on every one. A failing suite fails its process, so each has a process of its
// own.
func TestMutants(t *testing.T) {
	if name := os.Getenv(mutantVariable); name != "" {
		open := func(*testing.T) store.Store { return mutants[name](memory.New()) }
		storetest.Run(t, open, storetest.Options{Writers: 10, Steps: 100, Patience: time.Second})
		return
	}
	for name := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMutants$", "-test.failfast", "-test.timeout=60s")
			child.Env = append(os.Environ(), mutantVariable+"="+name)
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case name == "none":
				if err != nil {
					t.Errorf("the suite fails on a good store: %v\n%s", err, out)
				}
			case !errors.As(err, &exit):
				t.Errorf("the suite passes: %v", err)
			}
		})
	}
}

// mutants break a store, each in one way.
var mutants = map[string]func(store.Store) store.Store{
	"none": func(s store.Store) store.Store { return s },

	"one scope for all":      func(s store.Store) store.Store { return oneScope{s} },
	"error commits":          func(s store.Store) store.Store { return errorCommits{s} },
	"panic commits":          func(s store.Store) store.Store { return panicCommits{s} },
	"panic is an error":      func(s store.Store) store.Store { return panicSwallowed{s} },
	"nesting is allowed":     func(s store.Store) store.Store { return unmarked{s} },
	"context is ignored":     func(s store.Store) store.Store { return patient{s} },
	"close does nothing":     func(s store.Store) store.Store { return unclosable{s} },
	"views see nothing":      func(s store.Store) store.Store { return blind{s} },
	"sequence is too high":   onTx(func(tx store.Tx) store.Tx { return highSequence{tx} }),
	"versions are ignored":   onTx(func(tx store.Tx) store.Tx { return anyVersion{tx} }),
	"keys are not unique":    onTx(func(tx store.Tx) store.Tx { return noUnique{tx} }),
	"keys are not added":     onTx(func(tx store.Tx) store.Tx { return addsNoKeys{tx} }),
	"keys are always lost":   onTx(func(tx store.Tx) store.Tx { return losesKeys{tx} }),
	"every source goes":      onTx(func(tx store.Tx) store.Tx { return everySource{tx} }),
	"account is changed":     onTx(func(tx store.Tx) store.Tx { return changesAccount{tx} }),
	"member after member":    onTx(func(tx store.Tx) store.Tx { return oneByOne{tx} }),
	"events stay":            onTx(func(tx store.Tx) store.Tx { return keepsEvents{tx} }),
	"log is of any key":      func(s store.Store) store.Store { return keylessLog{s} },
	"log is replaced":        onTx(func(tx store.Tx) store.Tx { return replacedLog{tx} }),
	"log keeps keys":         onTx(func(tx store.Tx) store.Tx { return keptLogKeys{tx} }),
	"log keeps one more":     onTx(func(tx store.Tx) store.Tx { return longLog{tx} }),
	"people are groups":      func(s store.Store) store.Store { return nestsPeople{s} },
	"names stay":             onTx(func(tx store.Tx) store.Tx { return oldNames{tx, map[string]string{}} }),
	"membership is new":      onTx(func(tx store.Tx) store.Tx { return alwaysNew{tx} }),
	"stages are seen":        onTx(func(tx store.Tx) store.Tx { return seenStages{tx} }),
	"stages are not seen":    onTx(func(tx store.Tx) store.Tx { return unseenStages{tx} }),
	"stages end early":       onTx(func(tx store.Tx) store.Tx { return endedStages{tx} }),
	"nobody stages to leave": onTx(func(tx store.Tx) store.Tx { return joinedStages{tx} }),
	"staged groups stay":     onTx(func(tx store.Tx) store.Tx { return keptGroups{tx} }),
	"announced is old":       onTx(func(tx store.Tx) store.Tx { return &oldAnswers{Tx: tx} }),
	"record without compare": onTx(func(tx store.Tx) store.Tx { return anyRecord{tx} }),
	"errors say nothing":     onTx(func(tx store.Tx) store.Tx { return bareErrors{tx} }),
	"expiry is exclusive":    onTx(func(tx store.Tx) store.Tx { return lateExpiry{tx} }),
	"time stands still":      onTx(func(tx store.Tx) store.Tx { return stands{tx, time.Now().UTC().Truncate(time.Millisecond)} }),
	"total is of the page":   onQuery(func(_ store.Query, p *store.Page) { p.Total = len(p.Resources) }),
	"sort is ascending":      beforeQuery(func(q *store.Query) { q.Sort = ascending(q.Sort) }),
	"sort has no effect":     beforeQuery(func(q *store.Query) { q.Sort = nil }),
	"types are ignored":      beforeQuery(func(q *store.Query) { q.Types = nil }),
	"after is ignored":       beforeQuery(func(q *store.Query) { q.After = 0 }),
	"places are ignored":     beforeQuery(func(q *store.Query) { q.From = nil }),
	"backward is ignored":    beforeQuery(func(q *store.Query) { q.Backward = false }),
	"parts are ignored":      beforeQuery(func(q *store.Query) { q.With = 0 }),
	"size is ignored":        beforeQuery(func(q *store.Query) { q.Bytes = 0 }),
	"no page is cut":         onQuery(func(_ store.Query, p *store.Page) { p.Cut = false }),
	"scan is unlimited":      beforeQuery(func(q *store.Query) { q.ScanRows = 1 << 30 }),
	"no filter on or":        beforeQuery(dropOr),

	"scan is an update":         func(s store.Store) store.Store { return scanUpdates{s} },
	"scan is a view":            func(s store.Store) store.Store { return scanViews{s} },
	"scan is not canceled":      func(s store.Store) store.Store { return scanGoesOn{s} },
	"scan has any rows":         beforeScan(func(q *store.Query) { q.ScanRows = 1 << 30 }),
	"scan takes any time":       beforeScan(func(q *store.Query) { q.ScanTime = time.Hour }),
	"scan has no parts":         beforeScan(func(q *store.Query) { q.With = 0 }),
	"scan has no place":         beforeScan(func(q *store.Query) { q.From = nil }),
	"query takes any time":      beforeQuery(func(q *store.Query) { q.ScanTime = 0 }),
	"scan is of several times":  func(s store.Store) store.Store { return scanTwice{s} },
	"scan is of a wrong scope":  func(s store.Store) store.Store { return scanElsewhere{s} },
	"scan inside a transaction": func(s store.Store) store.Store { return scanUnmarked{s} },
}

func ascending(s *store.Sort) *store.Sort {
	if s == nil {
		return nil
	}
	return &store.Sort{Path: s.Path}
}

func dropOr(q *store.Query) {
	if or, ok := q.Filter.(store.Or); ok && len(or) > 1 {
		q.Filter = or[:len(or)-1]
	}
}

type oneScope struct{ store.Store }

func (s oneScope) View(ctx context.Context, _ string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, "", fn)
}

func (s oneScope) Update(ctx context.Context, _ string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, "", fn)
}

type errorCommits struct{ store.Store }

func (s errorCommits) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	var result error
	err := s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		result = fn(ctx, tx)
		return nil
	})
	return errors.Join(err, result)
}

type panicCommits struct{ store.Store }

func (s panicCommits) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	var panicked any
	err := s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		defer func() { panicked = recover() }()
		return fn(ctx, tx)
	})
	if panicked != nil {
		panic(panicked)
	}
	return err
}

type panicSwallowed struct{ store.Store }

func (s panicSwallowed) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic")
		}
	}()
	return s.Store.Update(ctx, scope, fn)
}

type unmarked struct{ store.Store }

func (s unmarked) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope, func(_ context.Context, r store.Reader) error { return fn(ctx, r) })
}

type patient struct{ store.Store }

func (s patient) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(context.WithoutCancel(ctx), scope, fn)
}

type unclosable struct{ store.Store }

func (unclosable) Close() error { return nil }

// blind shows views another scope.
type blind struct{ store.Store }

func (s blind) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope+" before", fn)
}

// onTx wraps the transactions of a store.
func onTx(wrap func(store.Tx) store.Tx) func(store.Store) store.Store {
	return func(s store.Store) store.Store { return wrapped{s, wrap} }
}

type wrapped struct {
	store.Store
	wrap func(store.Tx) store.Tx
}

func (s wrapped) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, s.wrap(tx)) })
}

type highSequence struct{ store.Tx }

func (t highSequence) AppendEvent(e *store.Event) error {
	err := t.Tx.AppendEvent(e)
	e.Sequence++
	return err
}

type anyVersion struct{ store.Tx }

func (t anyVersion) PutResource(r *store.Resource) error {
	if old, err := t.Resource(r.Type, r.ID, 0); err == nil && r.Version > 1 {
		next := *r
		next.Version = old.Version + 1
		return t.Tx.PutResource(&next)
	}
	return t.Tx.PutResource(r)
}

type noUnique struct{ store.Tx }

func (t noUnique) PutResource(r *store.Resource) error {
	for i := range r.Keys {
		r.Keys[i].Unique = false
	}
	return t.Tx.PutResource(r)
}

type losesKeys struct{ store.Tx }

func (t losesKeys) PutResource(r *store.Resource) error {
	if r.Keys == nil {
		r.Keys = []store.Key{}
	}
	return t.Tx.PutResource(r)
}

type addsNoKeys struct{ store.Tx }

func (t addsNoKeys) AddKeys(string, string, []store.Key) error { return nil }

type everySource struct{ store.Tx }

func (t everySource) DeleteMembership(group, member string, _ store.Source) (bool, error) {
	return t.Tx.DeleteMembership(group, member, "")
}

type alwaysNew struct{ store.Tx }

func (t alwaysNew) PutMembership(m store.Membership) (bool, error) {
	_, err := t.Tx.PutMembership(m)
	return true, err
}

type seenStages struct{ store.Tx }

func (t seenStages) StageMembers(stage int64, joining, leaving []store.Membership) (int, error) {
	n, err := t.Tx.StageMembers(stage, joining, leaving)
	return n, errors.Join(err, t.ShowStage(stage))
}

type unseenStages struct{ store.Tx }

func (t unseenStages) ShowStage(int64) error { return nil }

type endedStages struct{ store.Tx }

func (t endedStages) SettleStage(int64, int) (bool, error) { return false, nil }

type keptGroups struct{ store.Tx }

func (t keptGroups) DeleteStaged(_, _ string, stage int64) error { return t.ShowStage(stage) }

type joinedStages struct{ store.Tx }

func (t joinedStages) StageMembers(stage int64, joining, leaving []store.Membership) (int, error) {
	n, err := t.Tx.StageMembers(stage, joining, nil)
	return n + len(leaving), err
}

type anyRecord struct{ store.Tx }

func (t anyRecord) PutRecord(r *store.Record) error {
	if old, err := t.Record(r.Kind, r.Key); err == nil {
		r.Version = old.Version
	}
	return t.Tx.PutRecord(r)
}

type bareErrors struct{ store.Tx }

func (t bareErrors) Record(kind, key string) (*store.Record, error) {
	r, err := t.Tx.Record(kind, key)
	if errors.Is(err, store.ErrNotFound) {
		err = store.ErrNotFound
	}
	return r, err
}

type lateExpiry struct{ store.Tx }

func (t lateExpiry) PruneRecords(kind string, now time.Time) (int, error) {
	return t.Tx.PruneRecords(kind, now.Add(-time.Nanosecond))
}

// stands tells the time at which the transaction began.
type stands struct {
	store.Tx
	began time.Time
}

func (t stands) Now() (time.Time, error) { return t.began, nil }

// onQuery changes pages, and beforeQuery queries, in views.
func onQuery(change func(store.Query, *store.Page)) func(store.Store) store.Store {
	return func(s store.Store) store.Store {
		return queries{Store: s, before: func(*store.Query) {}, after: change}
	}
}

func beforeQuery(change func(*store.Query)) func(store.Store) store.Store {
	return func(s store.Store) store.Store {
		return queries{Store: s, before: change, after: func(store.Query, *store.Page) {}}
	}
}

type queries struct {
	store.Store
	before func(*store.Query)
	after  func(store.Query, *store.Page)
}

func (s queries) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error { return fn(ctx, queryReader{r, s}) })
}

type queryReader struct {
	store.Reader
	queries queries
}

func (r queryReader) Query(q store.Query) (store.Page, error) {
	r.queries.before(&q)
	page, err := r.Reader.Query(q)
	r.queries.after(q, &page)
	return page, err
}

type changesAccount struct{ store.Tx }

func (t changesAccount) PutAccount(a *store.Account) error {
	err := t.Tx.PutAccount(a)
	a.Facts = store.Facts{}
	return err
}

type oneByOne struct{ store.Tx }

func (t oneByOne) MembershipsOf(members ...string) (all []store.Membership, err error) {
	for _, m := range members {
		rows, err := t.Tx.MembershipsOf(m)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// oldAnswers remembers what was announced, whatever is written.
type oldAnswers struct {
	store.Tx
	expects bool
	kept    map[string][]*store.Account
}

func (t *oldAnswers) Expect(...store.Read) { t.expects, t.kept = true, map[string][]*store.Account{} }

func (t *oldAnswers) Accounts(q store.AccountQuery) (list []*store.Account, err error) {
	key := fmt.Sprint(q)
	if list, known := t.kept[key]; known {
		return list, nil
	}
	if list, err = t.Tx.Accounts(q); t.expects {
		t.kept[key] = list
	}
	return list, err
}

type keepsEvents struct{ store.Tx }

func (t keepsEvents) ReplaceEvent(e *store.Event) (bool, error) {
	list, err := t.Events(e.Sequence-1, 1)
	return len(list) == 1 && list[0].Sequence == e.Sequence, err
}

type keylessLog struct{ store.Store }

func (s keylessLog) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error { return fn(ctx, keylessReader{r}) })
}

type keylessReader struct{ store.Reader }

func (r keylessReader) LogEntries(q store.LogQuery) ([]*store.LogEntry, error) {
	q.Key = ""
	return r.Reader.LogEntries(q)
}

// replacedLog lets the entry that was appended last have the number.
type replacedLog struct{ store.Tx }

func (t replacedLog) AppendLog(entries ...*store.LogEntry) error {
	for _, e := range entries {
		if replaced, err := t.ReplaceLogEntry(e); replaced || err != nil {
			continue
		}
		if err := t.Tx.AppendLog(e); err != nil {
			return err
		}
	}
	return nil
}

// keptLogKeys leaves the keys of an entry as they were.
type keptLogKeys struct{ store.Tx }

func (t keptLogKeys) ReplaceLogEntry(e *store.LogEntry) (bool, error) {
	old, err := t.LogEntries(store.LogQuery{Part: e.Part, From: e.Number, Before: e.Number + 1})
	if err != nil || len(old) == 0 {
		return t.Tx.ReplaceLogEntry(e)
	}
	next := *e
	next.Keys = old[0].Keys
	return t.Tx.ReplaceLogEntry(&next)
}

type longLog struct{ store.Tx }

func (t longLog) PruneLog(keep store.LogBounds, limit int) (int, error) {
	if keep.Keep > 0 {
		keep.Keep++
	}
	return t.Tx.PruneLog(keep, limit)
}

type nestsPeople struct{ store.Store }

func (s nestsPeople) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error { return fn(ctx, peopleInGroups{r}) })
}

type peopleInGroups struct{ store.Reader }

func (r peopleInGroups) GroupsIn(groups ...string) (all []store.Membership, err error) {
	for _, g := range groups {
		rows, err := r.Memberships(g, "", 0)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

type oldNames struct {
	store.Tx
	names map[string]string
}

func (t oldNames) MembershipsOf(members ...string) ([]store.Membership, error) {
	rows, err := t.Tx.MembershipsOf(members...)
	for i, m := range rows {
		if name, known := t.names[m.Group]; known {
			rows[i].Display = name
		}
		t.names[m.Group] = rows[i].Display
	}
	return rows, err
}

// scanUpdates scans while nobody else may write.
type scanUpdates struct{ store.Store }

func (s scanUpdates) Scan(ctx context.Context, scope string, q store.Query) (page store.Page, err error) {
	err = s.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
		for range 20 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		page, err = tx.Query(q)
		return err
	})
	return page, err
}

// scanViews scans while nobody writes.
type scanViews struct{ store.Store }

func (s scanViews) Scan(ctx context.Context, scope string, q store.Query) (page store.Page, err error) {
	err = s.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		for range 20 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		page, err = r.Query(q)
		return err
	})
	return page, err
}

type scanGoesOn struct{ store.Store }

func (s scanGoesOn) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	return s.Store.Scan(context.WithoutCancel(ctx), scope, q)
}

// scanTwice makes the second half of a page of a later moment.
type scanTwice struct{ store.Store }

func (s scanTwice) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	page, err := s.Store.Scan(context.WithoutCancel(ctx), scope, q)
	for range 20 {
		err = errors.Join(err, ctx.Err())
	}
	later, laterErr := s.Store.Scan(ctx, scope, q)
	if half := len(page.Resources) / 2; half > 1 && len(later.Resources) == len(page.Resources) {
		copy(page.Resources[half:], later.Resources[half:])
	}
	return page, errors.Join(err, laterErr)
}

type scanElsewhere struct{ store.Store }

func (s scanElsewhere) Scan(ctx context.Context, _ string, q store.Query) (store.Page, error) {
	return s.Store.Scan(ctx, "acme", q)
}

// scanUnmarked scans inside a transaction.
type scanUnmarked struct{ store.Store }

type unmarkedContext struct{ context.Context }

func (unmarkedContext) Value(any) any { return nil }

func (s scanUnmarked) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	return s.Store.Scan(unmarkedContext{ctx}, scope, q)
}

func beforeScan(change func(*store.Query)) func(store.Store) store.Store {
	return func(s store.Store) store.Store { return scanQueries{s, change} }
}

type scanQueries struct {
	store.Store
	before func(*store.Query)
}

func (s scanQueries) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	s.before(&q)
	return s.Store.Scan(ctx, scope, q)
}
