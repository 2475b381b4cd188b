package memory_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// stopped is a context whose second look, which is the first of a scan that has its
// turn, stands still until it is let go.
type stopped struct {
	context.Context

	looks int
	begin func()
	let   chan struct{}
}

// Err implements context.Context.
func (s *stopped) Err() error {
	if s.looks++; s.looks == 2 && s.Context.Err() == nil {
		s.begin()
		<-s.let
	}
	return s.Context.Err()
}

// Few scans run at once; the others begin in the order in which they came, and one
// that is canceled while it waits is passed over.
func TestScansInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			return tx.PutResource(&store.Resource{ID: "u", Type: "User", Version: 1, Document: store.Document(`{}`)})
		})
		if err != nil {
			t.Fatal(err)
		}
		q := store.Query{Sort: &store.Sort{Path: store.Path{Keys: []string{"id"}, Type: store.Exact}}, Limit: 1}
		atOnce := max(1, runtime.GOMAXPROCS(0)/2)
		var (
			mu      sync.Mutex
			started []string
			results = map[string]error{}
			group   sync.WaitGroup
			let     []chan struct{}
			cancels []context.CancelFunc
		)
		for i := range atOnce + 3 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			name := fmt.Sprint("scan ", i)
			w := &stopped{Context: ctx, let: make(chan struct{}), begin: func() {
				mu.Lock()
				defer mu.Unlock()
				started = append(started, name)
			}}
			let, cancels = append(let, w.let), append(cancels, cancel)
			group.Go(func() {
				_, err := s.Scan(w, scope, q)
				mu.Lock()
				defer mu.Unlock()
				results[name] = err
			})
			synctest.Wait()
		}
		check := func(want int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if len(started) != want {
				t.Errorf("started: %v, want %d", started, want)
			}
		}
		check(atOnce)
		canceled := atOnce + 1
		cancels[canceled]()
		synctest.Wait()
		check(atOnce)
		for i := range let {
			close(let[i])
			synctest.Wait()
		}
		group.Wait()
		var want []string
		for i := range let {
			name := fmt.Sprint("scan ", i)
			if i == canceled {
				if !errors.Is(results[name], context.Canceled) {
					t.Errorf("canceled while it waited: %v", results[name])
				}
				continue
			}
			want = append(want, name)
			if results[name] != nil {
				t.Errorf("%s: %v", name, results[name])
			}
		}
		slices.Sort(started[:atOnce])
		if diff := cmp.Diff(want, started); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}
