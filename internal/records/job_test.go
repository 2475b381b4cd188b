package records_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/scimjit/provision/internal/records"
)

// jobRun is a job over accounts that come and go while it runs, carried out as the
// engine does.
type jobRun struct {
	t        *testing.T
	rng      *rand.Rand
	job      records.DeriveJob
	accounts []string       // sorted
	renewal  int            // how often the job was asked for
	derived  map[string]int // for which renewal an account was derived last
	leave    int            // one in so many is left to another walk

	met map[*records.Walk]map[string]bool // by each walk, since the last renewal
}

// TestJobMeetsEveryAccount: when a job is done, every account was derived after
// the last change that asked for it. One that was not says that it waits. No walk
// meets an account twice for one change.
func TestJobMeetsEveryAccount(t *testing.T) {
	for seed := range uint64(200) {
		r := &jobRun{t: t, rng: rand.New(rand.NewPCG(seed, 3)), derived: map[string]int{}}
		r.renew()
		r.leave = 1 + r.rng.IntN(4)
		accounts, page := 1+r.rng.IntN(30), 7
		if seed%100 == 50 { // more than a walk lists
			accounts, page, r.leave = 5000, 2000, 1
		}
		for range accounts {
			r.create(0)
		}
		r.check()
		for batches := 0; !r.batch(1 + r.rng.IntN(page)); batches++ {
			r.check()
			switch n := r.rng.IntN(12); {
			case batches > 5000:
				t.Fatalf("seed %d: the job does not end", seed)
			case n < 2 && r.renewal < 6:
				r.job.Renew()
				r.renew()
			case n == 2:
				r.create(r.renewal)
			case n == 3 && len(r.accounts) > 0:
				at := r.rng.IntN(len(r.accounts))
				r.accounts = slices.Delete(r.accounts, at, at+1)
			}
			r.check()
		}
		for _, a := range r.accounts {
			if r.derived[a] != r.renewal {
				t.Errorf("account %s was derived for change %d of %d", a, r.derived[a], r.renewal)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (r *jobRun) renew() {
	r.renewal++
	r.met = map[*records.Walk]map[string]bool{}
	for _, w := range []*records.Walk{&r.job.Survey, &r.job.Removing, &r.job.Granting} {
		r.met[w] = map[string]bool{}
	}
}

// create adds an account that is derived for a change.
func (r *jobRun) create(renewal int) {
	id := fmt.Sprintf("%08x", r.rng.Uint32())
	if at, found := slices.BinarySearch(r.accounts, id); !found {
		r.accounts = slices.Insert(r.accounts, at, id)
		r.derived[id] = renewal
	}
}

func (r *jobRun) check() {
	r.t.Helper()
	j := &r.job
	for _, a := range r.accounts {
		// A walk over all does not know whom it need not meet.
		mayWait := r.derived[a] != r.renewal || !j.Surveyed ||
			!j.Removed && j.Removing.Many && !r.met[&j.Removing][a] || j.Granting.Many && !r.met[&j.Granting][a]
		switch waits := j.Waits(a, a); {
		case r.derived[a] != r.renewal && !waits:
			r.t.Fatalf("account %s was derived for change %d of %d, and does not wait: %+v", a, r.derived[a], r.renewal, j)
		case waits && !mayWait:
			r.t.Fatalf("account %s was derived, and waits: %+v", a, j)
		}
	}
}

// batch does the next part of the job, which is stored in between.
func (r *jobRun) batch(size int) (done bool) {
	r.t.Helper()
	value, err := json.Marshal(r.job)
	if err != nil {
		r.t.Fatal(err)
	}
	j := &r.job
	*j = records.DeriveJob{}
	if err := json.Unmarshal(value, j); err != nil {
		r.t.Fatal(err)
	}
	granted := false
	switch {
	case !j.Surveyed:
		j.Surveyed = r.step(&j.Survey, size, &j.Removing, &j.Granting)
		if j.Surveyed && j.Removing.Many {
			j.Granting = records.Walk{}
		}
	case !j.Removed && j.Removing.Some():
		j.Removed = r.step(&j.Removing, size, &j.Granting)
	case j.Granting.Some():
		granted = r.step(&j.Granting, size)
	}
	return j.Done(granted)
}

// step meets the next accounts of a walk. It derives them, or leaves them to
// another.
func (r *jobRun) step(walk *records.Walk, size int, others ...*records.Walk) (done bool) {
	var met []string
	if len(walk.Left) > 0 {
		met, done = walk.Take(size)
	} else {
		from, found := slices.BinarySearch(r.accounts, walk.Cursor)
		if found {
			from++
		}
		to := min(from+size, len(r.accounts))
		n, last := walk.Met(r.accounts[from:to], to-from == size)
		met, done = r.accounts[from:from+n], last
	}
	for _, a := range met {
		if r.met[walk][a] {
			r.t.Fatalf("account %s was met twice: %+v", a, r.job)
		}
		r.met[walk][a] = true
		if len(others) > 0 && r.rng.IntN(r.leave) == 0 {
			others[r.rng.IntN(len(others))].Leave(a)
			r.derived[a] = 0
			continue
		}
		r.derived[a] = r.renewal
	}
	return done
}

// TestWalkListsFew keeps the record of a job small.
func TestWalkListsFew(t *testing.T) {
	const most = 2000
	var w records.Walk
	for i := range most + 1 {
		if w.Many || len(w.Left) != i {
			t.Fatalf("after %d accounts, %d are listed, many %t", i, len(w.Left), w.Many)
		}
		w.Leave(fmt.Sprint(i))
	}
	if !w.Many || w.Left != nil || !w.Some() {
		t.Errorf("after %d accounts: %+v", most+1, w)
	}
	if w.Leave("x"); !w.Many || w.Left != nil {
		t.Errorf("after one more: %+v", w)
	}
}
