package console_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

// A list can be narrowed, and says what is wrong with a parameter that does not do so.
func TestNarrowedLists(t *testing.T) {
	f := filled(t)
	count := func(path string) int {
		t.Helper()
		var rows []json.RawMessage
		if err := json.Unmarshal([]byte(f.expect("GET", path, "", 200, "")), &rows); err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	for path, want := range map[string]int{
		"/connections/own/accounts?status=active":       count("/connections/own/accounts"),
		"/connections/own/accounts?status=disabled":     0,
		"/connections/own/accounts?status=deleted":      0,
		"/connections/own/groups?name=ZEBRA%20lost":     1,
		"/connections/own/groups?name=zebra":            0,
		"/connections/own/groups?name=%3B%20DROP%20%22": 0,
		"/connections?q=ZEBRA%20OWN":                    1,
		"/connections?q=zebra":                          2,
		"/connections?q=none":                           0,
	} {
		if got := count(path); got != want {
			t.Errorf("%s: %d rows, want %d", path, got, want)
		}
	}
	f.expect("GET", "/connections/own/accounts?status=activ", "", 400, `did you mean \"active\"?`)
	f.expect("GET", "/connections/own/events?order=oldest", "", 400, "request_parameter")
}

// A walk over pages of events from the newest on is that from the oldest on, backwards; and
// that of an account has what is about it.
func TestNewestEvents(t *testing.T) {
	f := filled(t)
	walk := func(query string) (all []provision.Event) {
		t.Helper()
		for next := "/connections/own/events?limit=7" + query; next != ""; {
			w := f.send(request{method: "GET", path: next})
			var page []provision.Event
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
				t.Fatalf("%s: %d %s", next, w.Code, w.Body)
			}
			all = append(all, page...)
			next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
			if next != "" {
				next = "/connections/own/events" + next
			}
		}
		return all
	}
	oldest, newest := walk(""), walk("&order=newest")
	slices.Reverse(newest)
	if len(oldest) < 20 || fmt.Sprint(sequences(oldest)) != fmt.Sprint(sequences(newest)) {
		t.Errorf("oldest first %v, newest first backwards %v", sequences(oldest), sequences(newest))
	}
	id := f.account[own]
	mine := walk("&account=" + id)
	slices.Reverse(mine)
	want := slices.DeleteFunc(oldest, func(e provision.Event) bool { return e.AccountID != id })
	if len(want) == 0 || fmt.Sprint(sequences(mine)) != fmt.Sprint(sequences(want)) {
		t.Errorf("of the account %v, want %v", sequences(mine), sequences(want))
	}
}

func sequences(events []provision.Event) (out []int64) {
	for _, e := range events {
		out = append(out, e.Sequence)
	}
	return out
}

// A search among connections looks at their domains, and goes on behind a page.
func TestFindConnections(t *testing.T) {
	f := empty(t, memory.New())
	for i := range 5 {
		c := provision.Connection{ID: fmt.Sprintf("c%d", i), Policy: policy.Config{EmailDomains: []string{fmt.Sprintf("Dept%d.example", i%2)}}}
		if _, err := f.engine.Directory(c.ID).SaveConnection(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	w := f.send(request{method: "GET", path: "/connections?q=dept0&limit=2"})
	if !strings.Contains(w.Body.String(), `"c0"`) || !strings.Contains(w.Body.String(), `"c2"`) || w.Header().Get("Link") == "" {
		t.Errorf("%s, Link %q", w.Body, w.Header().Get("Link"))
	}
	f.expect("GET", "/connections?q=dept0&limit=2&after=c2", "", 200, `"c4"`)
}
