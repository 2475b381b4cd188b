// Package budget bounds the work of one query, the same way in every store.
package budget

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/scimjit/provision/store"
)

// lookBytes is how much is read between two looks at the context and the clock.
// Resources without a document count as [store.EnvelopeSize], so that it is fewer
// than [store.ScanLook] of them.
const lookBytes = 16 << 10

// sortLook is how many rows are sorted or merged between two looks.
const sortLook = 1024

// Budget is the work that a query may still do. Make one with [OfQuery] or
// [OfScan] when the work begins. It is used by one goroutine.
type Budget struct {
	Rows int // how many candidates there may be

	ctx   context.Context //nolint:containedctx // the budget ends with it
	time  time.Duration   // 0: any
	start time.Time       // the monotonic clock
	bytes int             // since the last look

	rested time.Time // when it rested last; zero where it does not
}

// OfQuery returns the budget of [store.ResourceReader.Query]. The context of its
// transaction is not looked at.
func OfQuery(q *store.Query) *Budget {
	return &Budget{Rows: rows(q), ctx: context.Background(), time: q.ScanTime, start: time.Now()}
}

// OfScan returns the budget of [store.Store.Scan].
func OfScan(ctx context.Context, q *store.Query) *Budget {
	return &Budget{Rows: rows(q), ctx: ctx, time: cmp.Or(q.ScanTime, store.DefaultScanTime), start: time.Now(), rested: time.Now()}
}

func rows(q *store.Query) int {
	if q.ScanRows <= 0 {
		return store.DefaultScanRows
	}
	return q.ScanRows
}

// Admit returns the error where there are more candidates than there may be.
func (b *Budget) Admit(candidates int) error {
	if candidates > b.Rows {
		return &store.ScanError{Rows: b.Rows}
	}
	return nil
}

// Take counts what is read, and looks at the context and the clock now and then.
func (b *Budget) Take(bytes int) error {
	if b.bytes += bytes; b.bytes < lookBytes {
		return nil
	}
	b.bytes = 0
	return b.Look()
}

// Look returns the error of a context that has ended or of time that is spent. It
// lets others have the processor: a look-up that became ready does not wait until the
// scheduler takes it away, which is ten milliseconds.
func (b *Budget) Look() error {
	b.giveWay()
	if err := b.ctx.Err(); err != nil {
		return fmt.Errorf("store: scan: %w", err)
	}
	if b.time > 0 && time.Since(b.start) >= b.time {
		return &store.ScanError{Time: b.time}
	}
	return nil
}

// turn is how long a scan works until it rests for as long. What it leaves as garbage
// is then collected half as often, and it is the collector that look-ups wait for:
// beside scans without a rest their 99th percentile is ten times as long
// (BenchmarkBesideScans, in package scim).
const turn = 2 * time.Millisecond

// giveWay lets others have the processor. A rest is no work: its time is not spent.
func (b *Budget) giveWay() {
	if b.rested.IsZero() || time.Since(b.rested) < turn {
		runtime.Gosched()
		return
	}
	began := time.Now()
	time.Sleep(turn)
	b.rested = time.Now()
	b.start = b.start.Add(b.rested.Sub(began))
}

// Sort sorts rows, stably where compare says 0 of no two of them. It looks at the
// context and the clock as it goes.
func Sort[T any](b *Budget, rows []T, compare func(a, b T) int) ([]T, error) {
	for part := range slices.Chunk(rows, sortLook) {
		slices.SortFunc(part, compare)
		if err := b.Look(); err != nil {
			return nil, err
		}
	}
	if len(rows) <= sortLook {
		return rows, nil
	}
	merged := make([]T, 0, len(rows))
	for width := sortLook; width < len(rows); width *= 2 {
		merged = merged[:0]
		for pair := range slices.Chunk(rows, 2*width) {
			first, second := pair[:min(width, len(pair))], pair[min(width, len(pair)):]
			for len(first) > 0 && len(second) > 0 {
				if compare(second[0], first[0]) < 0 {
					merged, second = append(merged, second[0]), second[1:]
				} else {
					merged, first = append(merged, first[0]), first[1:]
				}
				if len(merged)%sortLook == 0 {
					if err := b.Look(); err != nil {
						return nil, err
					}
				}
			}
			merged = append(append(merged, first...), second...)
		}
		rows, merged = merged, rows
	}
	return rows, nil
}

// Distinct collects the candidates that index terms find, which may find the same
// one several times. It holds at most twice as many as there may be.
type Distinct[T cmp.Ordered] struct {
	budget *Budget
	values []T
	next   int // how many values there are when they are looked at
}

// NewDistinct returns an empty collection.
func NewDistinct[T cmp.Ordered](b *Budget) *Distinct[T] { return &Distinct[T]{budget: b, next: b.Rows} }

// CandidateBytes is what a candidate counts that was found in an index.
const CandidateBytes = lookBytes / store.ScanLook

// Add adds a candidate. The error is that of [Budget.Admit] or [Budget.Take].
func (d *Distinct[T]) Add(value T) error {
	if d.values = append(d.values, value); len(d.values) > d.next {
		if _, err := d.Sorted(); err != nil {
			return err
		}
		d.next = len(d.values) + d.budget.Rows
	}
	return d.budget.Take(CandidateBytes)
}

// Sorted returns the candidates in ascending order, each once.
func (d *Distinct[T]) Sorted() ([]T, error) {
	slices.Sort(d.values)
	d.values = slices.Compact(d.values)
	return d.values, d.budget.Admit(len(d.values))
}
