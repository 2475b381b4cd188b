package console_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store/sqlite"
)

// large has the lists of the benchmark as long as those of a large application, which takes
// minutes to make.
var large = flag.Bool("large", false, "benchmark with 100,000 people and 10,000 connections")

// Lists of a large application: a page costs the same however much there is.
func BenchmarkLists(b *testing.B) {
	people, connections := 2000, 300
	if *large {
		people, connections = 100_000, 10_000
	}
	st, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	engine := &provision.Engine{Store: st, SingleProcess: true, Logger: slog.New(slog.DiscardHandler)}
	began := time.Now()
	for i := range connections {
		if _, err := engine.Directory(fmt.Sprintf("c%05d", i)).SaveConnection(b.Context(), provision.Connection{Name: "Customer", SCIM: true, Policy: policy.Config{}}); err != nil {
			b.Fatal(err)
		}
	}
	var lines bytes.Buffer
	for i := range people {
		fmt.Fprintf(&lines, "{\"externalId\":\"%d\",\"userName\":\"user%d@example.com\"}\n", i, i)
	}
	if _, err := engine.Directory("c00000").Sync(b.Context(), scimsync.JSONLines(&lines), provision.SyncOptions{}); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d people and %d connections are there after %v", people, connections, time.Since(began))
	api := &console.API{Engine: engine, Consumer: consumer, Who: func(*http.Request) (console.Viewer, error) { return operator, nil }}
	get := func(b *testing.B, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			b.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w
	}
	var first []struct{ ID string }
	if err := json.Unmarshal(get(b, "/connections/c00000/accounts?limit=1000").Body.Bytes(), &first); err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{
		"/connections", "/connections?after=c00100", "/connections/c00000/accounts", "/connections/c00000/accounts?after=" + first[len(first)-1].ID,
		"/connections/c00000/accounts?userName=user500@example.com", "/connections/c00000/accounts/" + first[0].ID,
		"/connections/c00000/events?after=500", "/connections/c00000/groups", "/connections/c00000/held", "/connections/c00000/refusals",
	} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				get(b, path)
			}
		})
	}
}
