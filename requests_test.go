package provision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// write is a write of a connection that succeeded, and refusal one that did not.
func write(resource string) provision.Request {
	return provision.Request{Protocol: "scim", Credential: "c1", Method: "PATCH", Path: "/Users/" + resource, Status: 200, Resource: resource, Microseconds: 1500}
}

func refusal(code, detail string) provision.Request {
	return provision.Request{Protocol: "scim", Credential: "c1", Method: "POST", Path: "/Users", Status: 400, Code: code, Detail: detail}
}

// note notes requests, each a second after the one before, and stores them.
func (tn *tenant) note(list ...provision.Request) {
	tn.t.Helper()
	for _, r := range list {
		tn.engine.Plumbing().NoteRequest("acme", r)
		tn.clock.add(time.Second)
	}
	if err := tn.engine.Plumbing().FlushRequests(tn.t.Context()); err != nil {
		tn.t.Fatal(err)
	}
}

// requests returns all that fits a query, page by page, as "code resource", the newest
// first.
func (tn *tenant) requests(q provision.RequestQuery) (list []string) {
	tn.t.Helper()
	for {
		page, err := tn.dir.Requests(tn.t.Context(), q)
		if err != nil {
			tn.t.Fatal(err)
		}
		for _, r := range page.Requests {
			list = append(list, strings.TrimSpace(r.Code+" "+r.Resource))
		}
		if q.Before = page.Next; q.Before == "" {
			return list
		}
	}
}

// Requests are found by everything that a query may name, and in pages of any size.
func TestRequests(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		began := tn.clock.Now()
		login := provision.Request{Protocol: "saml", Method: "POST", Path: "/acs", Status: 403, Code: "conflict", Refusal: "QUOTED", Account: "a1", ExternalID: "00u1", UserName: "Ann"}
		stranger := provision.Request{Protocol: "saml", Stranger: true, Status: 400, Code: "signature", Refusal: "OTHER"}
		failed := provision.Request{Protocol: "sync", Method: "sync", Code: "sync_source"}
		tn.note(write("r1"), refusal("required", `userName: "x" is needed, 12 at most`), login, stranger, write("r2"), failed, write("r1"))
		all := []string{"r1", "sync_source", "r2", "signature", "conflict", "required", "r1"}
		for _, test := range []struct {
			name  string
			query provision.RequestQuery
			want  []string
		}{
			{"all", provision.RequestQuery{}, all},
			{"pages of one", provision.RequestQuery{Limit: 1}, all},
			{"pages of two", provision.RequestQuery{Limit: 2}, all},
			{"succeeded", provision.RequestQuery{Outcome: provision.RequestSucceeded}, []string{"r1", "r2", "r1"}},
			{"refused", provision.RequestQuery{Outcome: provision.RequestRefused, Limit: 2}, []string{"signature", "conflict", "required"}},
			{"failed", provision.RequestQuery{Outcome: provision.RequestFailed}, []string{"sync_source"}},
			{"known", provision.RequestQuery{Known: true, Outcome: provision.RequestRefused}, []string{"conflict", "required"}},
			{"strangers", provision.RequestQuery{Strangers: true}, []string{"signature"}},
			{"protocol", provision.RequestQuery{Protocol: "saml"}, []string{"signature", "conflict"}},
			{"refusal id", provision.RequestQuery{Refusal: "QUOTED"}, []string{"conflict"}},
			{"refusal id of a stranger", provision.RequestQuery{Refusal: "OTHER"}, []string{"signature"}},
			{"resource", provision.RequestQuery{Resource: "r1"}, []string{"r1", "r1"}},
			{"account", provision.RequestQuery{Account: "a1"}, []string{"conflict"}},
			{"external id", provision.RequestQuery{ExternalID: "00u1"}, []string{"conflict"}},
			{"external id in another case", provision.RequestQuery{ExternalID: "00U1"}, nil},
			{"user name in another case", provision.RequestQuery{UserName: "ANN"}, []string{"conflict"}},
			{"nobody", provision.RequestQuery{UserName: "bob"}, nil},
			{"text", provision.RequestQuery{Text: "NEEDED"}, []string{"required"}},
			{"text of a value", provision.RequestQuery{Text: `"x"`}, nil},
			{"since", provision.RequestQuery{Since: began.Add(5 * time.Second)}, []string{"r1", "sync_source"}},
			{"until", provision.RequestQuery{Until: began.Add(2 * time.Second)}, []string{"required", "r1"}},
			{"person and outcome", provision.RequestQuery{Resource: "r1", Outcome: provision.RequestRefused}, nil},
		} {
			expectSame(t, test.name, test.want, tn.requests(test.query))
		}
		page, err := tn.dir.Requests(t.Context(), provision.RequestQuery{Text: "needed"})
		if err != nil || len(page.Requests) != 1 {
			t.Fatalf("%+v, %v", page, err)
		}
		one := page.Requests[0]
		if one.Detail != `userName: "…" is needed, 12 at most` || one.Credential != "c1" || one.Outcome != provision.RequestRefused || !one.Time.Equal(began.Add(time.Second)) {
			t.Errorf("the request is %+v", one)
		}
		same, err := tn.dir.Request(t.Context(), one.ID)
		expectSame(t, "by its ID", one, same)
		if _, missing := tn.dir.Request(t.Context(), "1"); err != nil || !errors.Is(missing, provision.ErrNotFound) {
			t.Errorf("by another ID: %v, %v", err, missing)
		}
		_, wrongID := tn.dir.Requests(t.Context(), provision.RequestQuery{Before: "?"})
		_, unknown := tn.engine.Directory("nobody").Requests(t.Context(), provision.RequestQuery{})
		if !errors.Is(wrongID, provision.ErrRequestID) || !errors.Is(unknown, provision.ErrNotFound) {
			t.Errorf("a wrong ID: %v; an unknown connection: %v", wrongID, unknown)
		}
	})
}

// What strangers send takes nothing from the others, whatever they name, and a client that
// goes on when it is told to wait has one entry.
func TestRequestsOfStrangers(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits.Requests = 40
		tn.note(write("first"))
		for round := range 5 {
			for i := range 300 {
				r := provision.Request{Stranger: true, Protocol: "scim", Method: "GET", Path: "/Users", Status: 401, Code: fmt.Sprint("code", round)}
				tn.engine.Plumbing().NoteRequest("acme", r)
				tn.engine.Plumbing().NoteRequest(fmt.Sprint("made-up-", i), r)
				r.Refusal = fmt.Sprint("id", round, i)
				tn.engine.Plumbing().NoteRequest("acme", r)
				busy := provision.Request{Protocol: "scim", Credential: "c1", Method: "POST", Status: 429, Code: "too_many_requests"}
				tn.engine.Plumbing().NoteRequest("acme", busy)
			}
			tn.note()
			tn.clock.add(time.Minute)
		}
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectSame(t, "known", []string{"too_many_requests", "too_many_requests", "too_many_requests", "too_many_requests", "too_many_requests", "first"},
			tn.requests(provision.RequestQuery{Known: true}))
		if n := len(tn.requests(provision.RequestQuery{Strangers: true})); n != 2 {
			t.Errorf("%d entries of strangers are left, want 2: a twentieth", n)
		}
		elsewhere, err := tn.engine.Directory("").Requests(t.Context(), provision.RequestQuery{})
		if err != nil || len(elsewhere.Requests) != 2 || elsewhere.Requests[0].Count != 1 {
			t.Errorf("of no connection: %+v, %v", elsewhere, err)
		}
		traffic, err := tn.dir.Traffic(t.Context(), time.Time{})
		if err != nil || len(traffic) != 1 || traffic[0].Strangers != 3000 || traffic[0].Refused != 1500 || traffic[0].Dropped == 0 {
			t.Errorf("counts are %+v, %v; want 3,000 strangers, 1,500 refusals, and some that were dropped", traffic, err)
		}
	})
}

// The log is bounded by age and by number, and what a clock noted that was ahead goes.
func TestRequestRetention(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits.Requests, tn.engine.RequestRetention = 20, time.Hour
		ahead := write("ahead")
		ahead.Time = tn.clock.Now().Add(24 * time.Hour)
		tn.note(write("old"), ahead)
		tn.clock.add(time.Hour)
		var list []provision.Request
		for i := range 30 {
			list = append(list, write(fmt.Sprintf("r%02d", i)))
		}
		tn.note(list...)
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := tn.requests(provision.RequestQuery{})
		if len(got) != 19 || got[0] != "r29" || got[18] != "r11" {
			t.Errorf("%d are left: %v; want 19, from r29 to r11", len(got), got)
		}
		tn.clock.add(2 * time.Hour)
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectSame(t, "after their time", nil, tn.requests(provision.RequestQuery{}))
		tn.engine.Limits.Requests = -1
		tn.note(write("none"))
		expectSame(t, "without a log", nil, tn.requests(provision.RequestQuery{}))
	})
}

// Names of somebody who is deleted leave the log, also those that were noted just before;
// that something was asked stays, and so does what somebody else asks later.
func TestErasureOfRequests(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		id := tn.user(eve)
		created := provision.Request{Protocol: "scim", Method: "POST", Path: "/Users", Status: 201, Resource: id, ExternalID: "x-eve-kaplan", UserName: "eve-kaplan@example.com"}
		refused := refusal("not_unique", "the host says that Kaplan may not")
		refused.ExternalID = "x-eve-kaplan"
		renaming := refusal("forbidden", "no Kaplan")
		renaming.Resource = id
		other := refusal("forbidden", "others stay")
		tn.note(created, refused, renaming, other)
		if len(tn.traces()) == 0 {
			t.Fatal("there is nothing to erase")
		}
		tn.engine.Plumbing().NoteRequest("acme", refused) // waits in memory
		tn.remove("User", id)
		tn.clock.add(time.Millisecond)
		for range 3 {
			if err := tn.engine.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			expectSame(t, "traces", nil, tn.traces())
			tn.clock.add(time.Minute)
		}
		expectSame(t, "all", []string{"not_unique", "forbidden", "forbidden " + id, "not_unique", id}, tn.requests(provision.RequestQuery{}))
		expectSame(t, "by the name", nil, tn.requests(provision.RequestQuery{ExternalID: "x-eve-kaplan"}))
		expectSame(t, "what others said", []string{"forbidden"}, tn.requests(provision.RequestQuery{Text: "others stay"}))
		tn.note(refused)
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectSame(t, "of somebody who comes later", []string{"not_unique"}, tn.requests(provision.RequestQuery{ExternalID: "x-eve-kaplan"}))
	})
}

// Logins and syncs are in the log: those that were let in are counted.
func TestRequestsOfSyncs(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	tn.sync(listed{users: named("ada")}, provision.SyncOptions{})
	broken := errors.New("no line")
	if _, err := tn.dir.Sync(t.Context(), listed{t: t, late: broken}, provision.SyncOptions{}); err == nil {
		t.Fatal("the sync succeeded")
	}
	tn.note()
	got := tn.requests(provision.RequestQuery{Protocol: "sync"})
	if len(got) != 2 || got[0] == "" || got[1] != "" {
		t.Errorf("the syncs are %q, want one that failed and one that did not", got)
	}
	activity, err := tn.dir.Activity(t.Context())
	if err != nil || activity.Change == nil || activity.Refusal == nil || activity.Refusal.Code != got[0] {
		t.Errorf("activity %+v, %v", activity, err)
	}
}

// A refusal has what was asserted, by which it is found.
func TestDenialNamesTheIdentity(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	_, err := tn.dir.Login(t.Context(), provision.Identity{ID: "00u1", UserName: "ann"})
	var denied *provision.DeniedError
	if !errors.As(err, &denied) || denied.Code != policy.DeniedNotProvisioned || denied.ID != "00u1" || denied.UserName != "ann" {
		t.Errorf("%+v", err)
	}
}

// Run stores what was noted while it runs, much of it at once, and at its end.
func TestRunStoresRequests(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- tn.engine.Run(ctx) }()
	const n = 3000
	for i := range n {
		tn.engine.Plumbing().NoteRequest("acme", write(fmt.Sprint(i)))
	}
	for deadline := time.Now().Add(time.Minute); len(tn.requests(provision.RequestQuery{})) < 1000; {
		if time.Now().After(deadline) {
			t.Fatal("nothing is stored while Run runs")
		}
		time.Sleep(time.Millisecond)
	}
	tn.engine.Plumbing().NoteRequest("acme", write("last"))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := tn.requests(provision.RequestQuery{}); len(got) != n+1 || !slices.Contains(got, "last") {
		t.Errorf("%d requests are stored, want %d", len(got), n+1)
	}
}

// While the store is away nothing is lost, up to a bound, and nobody waits; what is beyond
// it is counted.
func TestRequestsWithoutStore(t *testing.T) {
	st := &awayStore{Store: memory.New()}
	tn := newTenant(t, st, `{}`)
	st.away = true
	for i := range 30_000 {
		tn.engine.Plumbing().NoteRequest("acme", write(fmt.Sprint(i)))
		if i%10_000 == 0 {
			if err := tn.engine.Plumbing().FlushRequests(t.Context()); !errors.Is(err, errAway) {
				t.Errorf("flushing: %v", err)
			}
		}
	}
	st.away = false
	tn.note()
	if got := tn.requests(provision.RequestQuery{Limit: 1000}); len(got) != 20_000 {
		t.Errorf("%d requests are kept, want 20,000", len(got))
	}
	traffic, err := tn.dir.Traffic(t.Context(), time.Time{})
	if err != nil || len(traffic) != 1 || traffic[0].Writes != 30_000 || traffic[0].Dropped != 10_000 {
		t.Errorf("counts are %+v, %v", traffic, err)
	}
}

var errAway = errors.New("away")

// awayStore is a store that cannot be written now and then.
type awayStore struct {
	provision.Store
	away bool
}

func (s *awayStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if s.away {
		return errAway
	}
	return s.Store.Update(ctx, scope, fn)
}
