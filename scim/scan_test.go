package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// fillUsers writes users behind the handler.
func fillUsers(tb testing.TB, st store.Store, connection string, n int) {
	tb.Helper()
	now := time.Now().UTC()
	var body []byte
	for start := 0; start < n; start += 1000 {
		err := st.Update(context.Background(), connection, func(_ context.Context, tx store.Tx) error {
			for i := start; i < min(n, start+1000); i++ {
				body = appendBenchUser(body[:0], i, "Pilot")
				_, rest, _ := strings.Cut(string(body), "],") // without schemas
				r := &store.Resource{
					ID: fmt.Sprintf("user%07d", i), Type: "User", Version: 1, Created: now, Modified: now,
					Document: store.Document("{" + rest), Keys: []store.Key{{Attribute: "userName", Value: benchUserName(i)}},
				}
				if err := tx.PutResource(r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// Where the budget of a query is spent, the error says which bound it was and what
// has an index; the connection is as usable as before.
func TestBudgetOfQueries(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits scim.Limits
		query  string
		detail []string
	}{
		{"rows", scim.Limits{ScanRows: 1100}, "filter=title+co+%22x%22", []string{`filter \"title co `, `: there are more than 1100 resources to look at; ask with`, "eq of id, ", "userName", "externalId", "emails.value"}},
		{"few rows", scim.Limits{ScanRows: 10}, "filter=title+co+%22x%22", []string{"more than 10 resources"}},
		{"rows to sort", scim.Limits{ScanRows: 1100}, "sortBy=title", []string{`sortBy \"title\": there are more than 1100 resources to look at; ask with a filter`, "userName", "or without sortBy"}},
		{"time", scim.Limits{ScanTime: time.Nanosecond}, "filter=title+co+%22x%22", []string{"it takes longer than 1ns; ask with"}},
		{"time to sort", scim.Limits{ScanTime: time.Nanosecond}, "sortBy=title&cursor", []string{`sortBy \"title\": it takes longer than 1ns`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			st := memory.New()
			s := newService(t, st, "")
			s.handler.(*scim.Handler).Limits = test.limits
			fillUsers(t, st, "acme", 1200)
			refused := s.wantStatus(http.StatusBadRequest, "GET", "/Users?"+test.query, "")
			for _, text := range append(test.detail, `"scimType":"tooMany"`, "[filter_too_wide]") {
				if !strings.Contains(refused.body, text) {
					t.Errorf("%s: not in %s", text, refused.body)
				}
			}
			s.wantStatus(http.StatusOK, "GET", "/Users?filter=userName+eq+%22"+benchUserName(7)+"%22", "")
			s.wantStatus(http.StatusOK, "GET", "/Users?startIndex=1000&count=10", "")
			s.wantStatus(http.StatusCreated, "POST", "/Users", `{`+coreUser+`"userName":"ada"}`)
			if rows := s.refusals("acme"); !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, " tooMany 1") }) {
				t.Errorf("counted: %v", rows)
			}
		})
	}
}

// stillScans is a store whose scans stand still until they are let go.
type stillScans struct {
	store.Store

	inside, open chan struct{}
}

func (s stillScans) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	s.inside <- struct{}{}
	<-s.open
	return s.Store.Scan(ctx, scope, q)
}

// A connection that has as many scans as it may is told when to come again.
func TestTooManyScans(t *testing.T) {
	still := stillScans{Store: memory.New(), inside: make(chan struct{}), open: make(chan struct{})}
	s := newService(t, still, "")
	fillUsers(t, still.Store, "acme", 1200)
	const scan = "/Users?filter=title+co+%22x%22"
	done := make(chan reply, 2)
	for range 2 {
		go func() { done <- s.do("GET", scan, acmeToken, "") }()
		<-still.inside
	}
	refused := s.wantStatus(http.StatusServiceUnavailable, "GET", scan, "")
	if retry := refused.header.Get("Retry-After"); retry != "2" || !strings.Contains(refused.body, "[too_many_scans]") {
		t.Errorf("Retry-After %q, %s", retry, refused.body)
	}
	s.wantStatus(http.StatusOK, "GET", "/Users?filter=userName+eq+%22"+benchUserName(7)+"%22", "")
	if rows := s.refusals("acme"); !slices.ContainsFunc(rows, func(row string) bool { return strings.HasSuffix(row, " tooManyScans 1") }) {
		t.Errorf("counted: %v", rows)
	}
	close(still.open)
	for range 2 {
		if got := <-done; got.status != http.StatusOK {
			t.Errorf("a scan that began: %d %s", got.status, got.body)
		}
	}
}
