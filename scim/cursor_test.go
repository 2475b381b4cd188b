package scim_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// cursorPage reads one page of a walk.
func (s *service) cursorPage(query, cursor string) (names []string, previous, next string) {
	s.t.Helper()
	a := s.do("GET", "/Users?"+query+"&cursor="+url.QueryEscape(cursor), acmeToken, "")
	if a.status != 200 {
		s.t.Fatalf("page at %q: %d %s", cursor, a.status, a.body)
	}
	page := a.json(s.t)
	if _, has := page["startIndex"]; has {
		s.t.Errorf("a page of a cursor walk has a startIndex: %s", a.body)
	}
	for _, r := range page["Resources"].([]any) {
		names = append(names, r.(map[string]any)["userName"].(string))
	}
	if page["itemsPerPage"] != float64(len(names)) {
		s.t.Errorf("itemsPerPage %v with %d resources", page["itemsPerPage"], len(names))
	}
	previous, _ = page["previousCursor"].(string)
	next, _ = page["nextCursor"].(string)
	return names, previous, next
}

// A walk sees every resource that nobody touches exactly once, forward and
// backward, while others come and go (RFC 9865).
func TestCursorWalk(t *testing.T) {
	queries := []struct {
		name, query string
		want        func(name string) bool
		less        func(a, b string) int
	}{
		{"all", "", nil, nil},
		{"filter by scan", "filter=" + url.QueryEscape(`title eq "even"`), func(n string) bool { return (n[len(n)-1]-'0')%2 == 0 }, nil},
		{"filter by index", "filter=" + url.QueryEscape(`userName eq "u03" or userName eq "u07" or userName eq "u11"`),
			func(n string) bool { return n == "u03" || n == "u07" || n == "u11" }, nil},
		{"sorted", "sortBy=nickName", nil, func(a, b string) int { return -1 }},
		{"sorted, descending", "sortBy=userName&sortOrder=descending", nil, func(a, b string) int { return -1 }},
	}
	const users = 23
	for _, q := range queries {
		for name, open := range stores {
			for _, count := range []int{1, 4, 23, 100} {
				t.Run(fmt.Sprintf("%s/%s/count=%d", q.name, name, count), func(t *testing.T) {
					s := newService(t, open(t), "")
					s.clearUsers()
					var want []string
					for i := range users {
						n := fmt.Sprintf("u%02d", i)
						title := "odd"
						if i%2 == 0 {
							title = "even"
						}
						s.must("POST", "/Users", fmt.Sprintf(`{%s"userName":%q,"title":%q,"nickName":"n%d"}`, coreUser, n, title, i*7%users))
						if q.want == nil || q.want(n) {
							want = append(want, n)
						}
					}
					query := fmt.Sprintf("%s&count=%d", q.query, count)
					if q.less != nil {
						want, _, _ = s.cursorPage(q.query+"&count=1000", "")
					}
					s.walkBothWays(query, want)
				})
			}
		}
	}
}

func (s *service) clearUsers() {
	s.t.Helper()
	for _, r := range s.do("GET", "/Users?count=1000", acmeToken, "").json(s.t)["Resources"].([]any) {
		s.must("DELETE", "/Users/"+r.(map[string]any)["id"].(string), "")
	}
}

func (s *service) walkBothWays(query string, want []string) {
	s.t.Helper()
	var (
		got              []string
		pages            [][]string
		cursor, previous string
	)
	for step := 0; ; step++ {
		names, prev, next := s.cursorPage(query, cursor)
		if (prev == "") != (step == 0) {
			s.t.Errorf("page %d has previousCursor %q", step, prev)
		}
		// Somebody who is not in the walk comes and goes between the pages.
		other := s.must("POST", "/Users", fmt.Sprintf(`{%s"userName":"other%d","title":"other"}`, coreUser, step))
		got, pages, previous = append(got, names...), append(pages, names), prev
		s.must("DELETE", "/Users/"+other, "")
		if next == "" {
			break
		}
		cursor = next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("the walk saw (-want +got):\n%s", diff)
	}
	for i := len(pages) - 2; i >= 0; i-- {
		names, prev, next := s.cursorPage(query, previous)
		if diff := cmp.Diff(pages[i], names); diff != "" {
			s.t.Fatalf("going back to page %d (-want +got):\n%s", i, diff)
		}
		if next == "" || (prev == "") != (i == 0) {
			s.t.Errorf("page %d, reached backward, has previousCursor %q and nextCursor %q", i, prev, next)
		}
		previous = prev
	}
}

// The resource at a page's edge may be gone when the walk goes on.
func TestCursorSurvivesDeletion(t *testing.T) {
	for name, open := range stores {
		for _, query := range []string{"count=2", "count=2&sortBy=userName"} {
			t.Run(name+"/"+query, func(t *testing.T) {
				s := newService(t, open(t), "")
				s.clearUsers()
				ids := map[string]string{}
				for _, n := range []string{"a", "b", "c", "d"} {
					ids[n] = s.must("POST", "/Users", `{`+coreUser+`"userName":"`+n+`"}`)
				}
				_, _, next := s.cursorPage(query, "")
				s.must("DELETE", "/Users/"+ids["b"], "")
				if names, _, _ := s.cursorPage(query, next); !slices.Equal(names, []string{"c", "d"}) {
					t.Errorf("the second page has %v, want c and d", names)
				}
			})
		}
	}
}

func TestCursorRefusals(t *testing.T) {
	s := newService(t, memory.New(), "")
	now := time.Now()
	s.engine.Now = func() time.Time { return now }
	for i := range 3 {
		s.must("POST", "/Users", fmt.Sprintf(`{%s"userName":"u%d"}`, coreUser, i))
	}
	_, _, next := s.cursorPage("count=1", "")
	_, _, sorted := s.cursorPage("count=1&sortBy=userName&sortOrder=descending", "")
	raw, err := base64.RawURLEncoding.DecodeString(next)
	if err != nil {
		t.Fatal(err)
	}
	forged := slices.Clone(raw)
	forged[len(forged)-3] ^= 1
	tests := []struct {
		name, token, path, want string
	}{
		{"nonsense", acmeToken, "/Users?cursor=nonsense!", "invalidCursor"},
		{"short", acmeToken, "/Users?cursor=AAAA", "invalidCursor"},
		{"forged", acmeToken, "/Users?cursor=" + base64.RawURLEncoding.EncodeToString(forged), "invalidCursor"},
		{"of another query", acmeToken, "/Users?sortBy=userName&cursor=" + next, "invalidCursor"},
		{"of another sort order", acmeToken, "/Users?sortBy=userName&sortOrder=ascending&cursor=" + sorted, "invalidCursor"},
		{"of a sort order that is left out", acmeToken, "/Users?sortBy=userName&cursor=" + sorted, "invalidCursor"},
		{"of another type", acmeToken, "/Groups?cursor=" + next, "invalidCursor"},
		{"of another connection", otherToken, "/Users?cursor=" + next, "invalidCursor"},
	}
	for _, test := range tests {
		a := s.do("GET", test.path, test.token, "")
		if a.status != 400 || a.json(t)["scimType"] != test.want {
			t.Errorf("%s: %d %s, want 400 %s", test.name, a.status, a.body, test.want)
		}
	}
	if names, _, _ := s.cursorPage("count=2", next); len(names) != 2 {
		t.Errorf("another count within a walk: %v", names)
	}
	if names, _, _ := s.cursorPage("count=1&sortBy=userName&sortOrder=DESCENDING", sorted); !slices.Equal(names, []string{"u1"}) {
		t.Errorf("the same sort order in another case: %v, want u1", names)
	}
	now = now.Add(time.Hour - time.Second)
	s.cursorPage("count=1", next)
	now = now.Add(time.Second)
	if a := s.do("GET", "/Users?count=1&cursor="+next, acmeToken, ""); a.status != 400 || a.json(t)["scimType"] != "expiredCursor" {
		t.Errorf("an old cursor: %d %s", a.status, a.body)
	}
}

// A cursor of one process counts in another on the same store.
func TestCursorAcrossProcesses(t *testing.T) {
	var st store.Store = memory.New()
	first, second := newService(t, st, ""), newService(t, st, "")
	for i := range 2 {
		first.must("POST", "/Users", fmt.Sprintf(`{%s"userName":"u%d"}`, coreUser, i))
	}
	_, _, next := first.cursorPage("count=1", "")
	if names, _, _ := second.cursorPage("count=1", next); !slices.Equal(names, []string{"u1"}) {
		t.Errorf("the second page has %v", names)
	}
}
