package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// wideFilter is the query of a filter of many terms, of which none is indexed and
// none matches: as many as Limits.Filter lets through.
func wideFilter(terms int) string {
	attributes := []string{"title", "nickName", "userName", "name.familyName"}
	list := make([]string, terms)
	for i := range list {
		list[i] = fmt.Sprintf(`%s co "q%02d"`, attributes[i%len(attributes)], i)
	}
	return "filter=" + url.QueryEscape(strings.Join(list, " or "))
}

// BenchmarkScan is a scan: rows times terms.
func BenchmarkScan(b *testing.B) {
	for _, open := range scanStores() {
		for _, users := range []int{2000, 20_000} {
			st := open.open(b)
			s := newServer(b, st, benchConnection)
			fillUsers(b, st, benchConnection, users)
			c := newClient(s.handler, s.token)
			for _, terms := range []int{1, 10, 99} {
				query := wideFilter(terms)
				b.Run(fmt.Sprintf("%s/users=%d/terms=%d", open.name, users, terms), func(b *testing.B) {
					measure(b, func(int) { c.do(b, http.StatusOK, "GET", "/Users", query, nil) })
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*users), "ns/row")
				})
			}
		}
	}
}

func scanStores() []struct {
	name string
	open func(testing.TB) store.Store
} {
	return []struct {
		name string
		open func(testing.TB) store.Store
	}{
		{"store=memory", func(testing.TB) store.Store { return memory.New() }},
		{"store=sqlite", func(tb testing.TB) store.Store { return openSQLite(tb, tb.TempDir(), sqlite.Normal) }},
	}
}

// BenchmarkBesideScans reads users of one connection, by one client, while eight
// clients of another one send nothing but scans of 20,000 users with 99 terms; the
// peer is the same without those. What counts is the 99th percentile.
func BenchmarkBesideScans(b *testing.B) {
	for _, open := range scanStores() {
		st := open.open(b)
		s := newServer(b, st, benchConnection, "scanned")
		fillUsers(b, st, benchConnection, 1000)
		fillUsers(b, st, "scanned", 20_000)
		for _, clients := range []int{0, 8} {
			b.Run(fmt.Sprintf("%s/scanning=%d", open.name, clients), func(b *testing.B) {
				end := s.scanAlong(b, clients)
				c := newClient(s.handler, s.token)
				times := make([]time.Duration, 0, b.N)
				for i := 0; b.Loop(); i++ {
					begun := time.Now()
					c.do(b, http.StatusOK, "GET", fmt.Sprintf("/Users/user%07d", i*7919%1000), "", nil)
					times = append(times, time.Since(begun))
					time.Sleep(100 * time.Microsecond) // a client on a network
				}
				answered, refused := end()
				slices.Sort(times)
				b.ReportMetric(times[len(times)*99/100].Seconds()*1e6, "p99-us")
				b.ReportMetric(times[len(times)/2].Seconds()*1e6, "p50-us")
				b.ReportMetric(float64(answered), "scans")
				b.ReportMetric(float64(refused), "refused")
			})
		}
	}
}

// scanAlong sends scans from some clients until the function is called that it
// returns, which says how many were answered and how many refused.
func (s *server) scanAlong(b *testing.B, clients int) (end func() (answered, refused int64)) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var done, no atomic.Int64
	var group sync.WaitGroup
	query := wideFilter(99)
	for range clients {
		group.Go(func() {
			c := newClient(s.handler, benchToken("scanned"))
			c.request = *c.request.WithContext(ctx)
			for ctx.Err() == nil {
				switch err := c.send(http.StatusOK, "GET", "/Users", query, nil); {
				case err == nil:
					done.Add(1)
				case c.answer.status == http.StatusServiceUnavailable || c.answer.status == http.StatusBadRequest:
					no.Add(1)
					time.Sleep(10 * time.Millisecond) // sooner than Retry-After says
				default:
					b.Error(err)
				}
			}
		})
	}
	return func() (int64, int64) {
		cancel()
		group.Wait()
		return done.Load(), no.Load()
	}
}
