package failures

import (
	"cmp"
	"slices"
	"time"
)

// mostShared bounds of how many addresses processes tell each other: of those with the
// most failures.
const mostShared = 256

// Ages says how long ago the failures of addresses were. The key is the same for an
// address in every process.
type Ages map[uint64][]time.Duration

// Add adds failures, and forgets those of which nobody asks any more: all but the latest
// of an address, and those that are older than a minute or still to come.
func (a Ages) Add(key uint64, ages ...time.Duration) {
	list := slices.DeleteFunc(append(a[key], ages...), func(age time.Duration) bool { return age < 0 || age >= failureWindow })
	slices.Sort(list)
	if list = list[:min(len(list), freeFailures)]; len(list) > 0 {
		a[key] = list
	} else {
		delete(a, key)
	}
}

// Cut leaves the addresses with the most failures, and of those with as many the ones
// that failed last.
func (a Ages) Cut() {
	if len(a) <= mostShared {
		return
	}
	keys := make([]uint64, 0, len(a))
	for key := range a {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y uint64) int {
		return cmp.Or(cmp.Compare(len(a[y]), len(a[x])), cmp.Compare(a[x][0], a[y][0]), cmp.Compare(x, y))
	})
	for _, key := range keys[mostShared:] {
		delete(a, key)
	}
}

// Take returns the failures that were added since it was called last, or nil.
func (f *Counts) Take(now time.Time) Ages {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.fresh) == 0 {
		return nil
	}
	taken := Ages{}
	for _, key := range f.fresh {
		t := f.m[key]
		if t == nil { // forgotten since
			continue
		}
		for _, at := range t.latest(t.fresh) {
			taken.Add(key, now.Sub(at))
		}
		t.fresh = 0
	}
	f.fresh = nil
	taken.Cut()
	return taken
}

// GiveBack says that what was taken is to be taken again.
func (f *Counts) GiveBack(taken Ages) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, ages := range taken {
		t := f.m[key]
		if t == nil {
			continue
		}
		if t.fresh == 0 {
			f.fresh = append(f.fresh, key)
		}
		t.fresh = min(t.fresh+len(ages), freeFailures)
	}
}

// Merge counts what all processes have: it takes the place of what this one has counted
// of an address, but for what was added since Take.
func (f *Counts) Merge(all Ages, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, ages := range all {
		t := f.of(key, now)
		if t == nil {
			continue
		}
		list := t.latest(t.fresh)
		for _, age := range ages {
			list = append(list, now.Add(-age))
		}
		slices.SortFunc(list, time.Time.Compare)
		list = list[max(0, len(list)-freeFailures):]
		*t = times{fresh: t.fresh, next: len(list) % freeFailures}
		copy(t.at[:], list)
	}
}

// latest returns the latest failures, in order.
func (t *times) latest(n int) []time.Time {
	list := make([]time.Time, 0, freeFailures)
	for i := range n {
		list = append(list, t.at[(t.next+freeFailures-n+i)%freeFailures])
	}
	return list
}
