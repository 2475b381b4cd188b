package budget_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/budget"
)

func TestSort(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 1023, 1024, 1025, 2048, 5000, 8193} {
		rows := random.Perm(n)
		want := slices.Sorted(slices.Values(rows))
		got, err := budget.Sort(budget.OfQuery(&store.Query{}), rows, cmp.Compare)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d rows: not sorted, or %v", n, err)
		}
	}
}

// Sorting ends soon after the context, wherever it is.
func TestSortCanceled(t *testing.T) {
	for _, last := range []int{1, 100, 50_000, 100_000} {
		ctx, cancel := context.WithCancel(t.Context())
		compared := 0
		_, err := budget.Sort(budget.OfScan(ctx, &store.Query{ScanTime: time.Hour}), rand.New(rand.NewPCG(1, 2)).Perm(10_000), func(a, b int) int {
			if compared++; compared == last {
				cancel()
			}
			return cmp.Compare(a, b)
		})
		if more := compared - last; !errors.Is(err, context.Canceled) || more > 15_000 {
			t.Errorf("canceled at comparison %d: %d more, %v", last, more, err)
		}
	}
}

func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name   string
			budget *budget.Budget
			want   time.Duration // 0: any time
		}{
			{"a query", budget.OfQuery(&store.Query{}), 0},
			{"a query with a bound", budget.OfQuery(&store.Query{ScanTime: time.Second}), time.Second},
			{"a scan", budget.OfScan(t.Context(), &store.Query{}), store.DefaultScanTime},
			{"a scan with a bound", budget.OfScan(t.Context(), &store.Query{ScanTime: 3 * time.Second}), 3 * time.Second},
		} {
			var spent *store.ScanError
			begun := time.Now()
			for range 100 {
				if err := test.budget.Take(1 << 20); err != nil && (!errors.As(err, &spent) || *spent != store.ScanError{Time: test.want}) {
					t.Errorf("%s: %v", test.name, err)
				}
				if spent != nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if took := time.Since(begun); (spent == nil) != (test.want == 0) || spent != nil && took > 10*time.Second {
				t.Errorf("%s: %v after %s", test.name, spent, took)
			}
		}
	})
}

// However often a candidate is found, it counts once.
func TestDistinct(t *testing.T) {
	for _, test := range []struct {
		rows, values, times int
		fails               bool
	}{{10, 10, 5, false}, {10, 11, 1, true}, {10, 11, 3, true}, {1000, 1000, 1, false}, {1, 0, 0, false}, {1, 1, 7, false}, {1, 2, 1, true}} {
		found := budget.NewDistinct[int](budget.OfQuery(&store.Query{ScanRows: test.rows}))
		var err error
		for range test.times {
			for v := range test.values {
				err = cmp.Or(err, found.Add(test.values-1-v))
			}
		}
		got, atEnd := found.Sorted()
		var spent *store.ScanError
		switch err = cmp.Or(err, atEnd); {
		case test.fails:
			if !errors.As(err, &spent) || spent.Rows != test.rows {
				t.Errorf("%+v: %v", test, err)
			}
		case err != nil || len(got) != min(test.values, test.values*test.times) || !slices.IsSorted(got):
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
}

// A scan rests for as long as it works, and has its time for work. A look-up does not
// rest.
func TestRest(t *testing.T) {
	const steps, step = 100, time.Millisecond
	scan := func(q *store.Query) *budget.Budget { return budget.OfScan(context.Background(), q) }
	for _, test := range []struct {
		name  string
		begin func(*store.Query) *budget.Budget
		time  time.Duration
		took  time.Duration
		spent bool
	}{
		{"a scan", scan, steps*step + 1, 2 * steps * step, false},
		{"a scan without enough time", scan, steps * step / 2, steps * step, true},
		{"a look-up", budget.OfQuery, steps*step + 1, steps * step, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, b := time.Now(), test.begin(&store.Query{ScanTime: test.time})
				var err error
				for n := 0; n < steps && err == nil; n++ {
					time.Sleep(step) // stands for work
					err = b.Look()
				}
				var spent *store.ScanError
				if took := time.Since(began); took != test.took || errors.As(err, &spent) != test.spent {
					t.Errorf("took %v, %v, want %v, spent %t", took, err, test.took, test.spent)
				}
			})
		})
	}
}
