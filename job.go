package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// A job derives accounts of a connection again, after a change that touches more of
// them than one transaction may: all, or those of some people. A connection has at most
// one.
//
// The first walk meets every account of these. It leaves those alone that do not change,
// and stores what takes something away or changes nothing of what an account
// may do. It leaves to the second walk who would be deprovisioned, since the
// mass guard must know first how many they are, and to the third who would only
// gain. So nobody keeps a right because many others wait for theirs.

const (
	// walkPage is how many accounts a walk reads at once, after which a batch ends
	// early where the store knows that others wait. walkEvents ends it in any case:
	// writing costs much more than reading, and who comes next would wait. Where the
	// store does not know, as many as that are read at once: reading waits for a network.
	walkPage   = 25
	walkEvents = 100
)

// startJob asks for the accounts of some people to be derived by [Engine.Run], or for
// all. A job that is under way goes on with these too. It is guarded when this cause is, also if the one
// before was not: whom that holds, an operator can still release.
func (c *change) startJob(of *records.People) error {
	c.jobs++
	j, err := records.Job.Load(c.tx, "")
	if err != nil {
		return err
	}
	if !j.Stored() {
		j.Value.Started = c.now
	}
	j.Value.Join(of, !j.Stored())
	j.Value.Actor, j.Value.Cause = c.actor, c.resource
	j.Value.Reviewed = false
	j.Value.Force = c.verdict != nil && *c.verdict == account.Force
	return records.Job.Save(c.tx, &j)
}

// causeOf returns the cause of what a job derives.
func causeOf(j *records.DeriveJob) cause {
	why := cause{actor: j.Actor, source: store.SourceOperator, resource: j.Cause}
	if j.Force {
		return why.decided(account.Force)
	}
	return why
}

// jobLease is how long the others wait for a process that does a job and no longer goes
// on with it. It is renewed with each batch, by the clock of the store.
const jobLease = 10 * time.Second

// runner is who does jobs. One process at a time does that of a connection: batches of
// several would be as right, but wait for each other, and read everything again.
type runner struct {
	name  string // of the process
	alone bool   // there is no other
	takes bool   // jobs that another one does, too
}

// may reports whether the runner may do the next batch of a job.
func (by runner) may(r store.Clock, j *records.Entry[records.DeriveJob]) (bool, error) {
	if by.alone || by.takes || j.Value.Runner == "" || j.Value.Runner == by.name {
		return true, nil
	}
	now, err := r.Now()
	return !records.Ahead(j.Expires, now, jobLease), err
}

// save stores where a job stands, and prolongs the lease.
func (by runner) save(tx store.Tx, j *records.Entry[records.DeriveJob]) error {
	if !by.alone {
		now, err := tx.Now()
		if err != nil {
			return err
		}
		j.Value.Runner, j.Expires = by.name, now.Add(jobLease)
	}
	return records.Job.Save(tx, j)
}

// giveBack gives the lease on the job of a connection back, if this process has it, so
// that nobody waits for it. The job goes on where it stands.
func (by runner) giveBack(ctx context.Context, s store.Store, connection string) error {
	if by.alone {
		return nil
	}
	ours := func(r store.RecordReader) (*records.Entry[records.DeriveJob], error) {
		j, err := records.Job.Load(r, "")
		if err != nil || j.Value.Runner != by.name {
			return nil, err
		}
		return &j, nil
	}
	mine := false
	err := s.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		j, err := ours(r)
		mine = j != nil
		return err
	})
	if err != nil || !mine {
		return err
	}
	return s.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		j, err := ours(tx)
		if err != nil || j == nil {
			return err
		}
		j.Value.Runner, j.Expires = "", time.Time{}
		return records.Job.Save(tx, j)
	})
}

// work does one batch of the job of a connection, unless another process does it, and
// reports whether more is left.
func (e *Engine) work(ctx context.Context, connection string, by runner) (more bool, err error) {
	var finished *records.DeriveJob
	why := bySystem()
	why.prepare = func(c *change) {
		c.tx.Expect(func(r store.Reader) {
			_, _ = records.Job.Load(r, "")
			_, _ = records.MassCount.Load(r, "")
			expectCounts(r)
			_, _ = r.Now()
		})
	}
	if why.answers, err = e.answersForJob(ctx, connection); err != nil {
		return false, err
	}
	err = e.update(ctx, connection, why, func(c *change) error {
		more, finished = false, nil
		j, err := records.Job.Load(c.tx, "")
		if err != nil || !j.Stored() {
			return err
		}
		if may, err := by.may(c.tx, &j); err != nil || !may {
			more = true // as the next look says
			return err
		}
		if c.waits() {
			return nil // it goes on when the connection resumes
		}
		c.cause = causeOf(&j.Value)
		c.rereads = j.Value.Opening != nil && j.Value.Opening.Reread
		done, err := (&worker{change: c, job: &j.Value}).batch()
		if err != nil {
			return err
		}
		if !done {
			more = true
			return by.save(c.tx, &j)
		}
		if err := records.Job.Delete(c.tx, "", j.Version); err != nil {
			return err
		}
		finished = &j.Value
		return c.append(&store.Event{Type: store.JobFinished})
	})
	if err == nil && finished != nil {
		e.logger().Info("job finished", "connection", connection, "accounts", finished.Accounts)
	}
	return more, err
}

// jobState is what a look says of the job of a connection.
type jobState int

const (
	noJob    jobState = iota
	jobWaits          // for a runner
	jobRuns           // in another process
)

// lookForJob looks for the job of a connection, without writing. Where it cannot tell,
// one waits, so that the attempt to work shows the error.
func (e *Engine) lookForJob(ctx context.Context, connection string, by runner) (state jobState) {
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		state = noJob
		j, err := records.Job.Load(r, "")
		if err != nil || !j.Stored() {
			return err
		}
		may, err := by.may(r, &j)
		if state = jobRuns; may {
			state = jobWaits
		}
		return err
	})
	if err != nil {
		return jobWaits
	}
	return state
}

// worker does a batch of a job in one transaction.
type worker struct {
	*change
	job *records.DeriveJob
}

// batch does the next part of the job and reports whether the job is done.
func (w *worker) batch() (done bool, err error) {
	j := w.job
	switch {
	case j.Opening.Left():
		err = w.goOn(j.Opening)
	case !j.Surveyed:
		j.Surveyed, err = w.step(&j.Survey, w.survey)
		if err == nil && j.Surveyed && j.Gone > 0 && j.Of == nil {
			err = w.decideHold()
		}
	case j.Gone > 0 && !j.Decided && j.Of != nil:
		err = w.countActive()
	case !j.Removed && j.Removing.Some():
		if j.Hold {
			w.cause = w.decided(account.Hold)
		}
		j.Removed, err = w.step(&j.Removing, w.remove)
	case j.Granting.Some():
		done, err = w.step(&j.Granting, func(list []*Account) error {
			j.Accounts += len(list)
			return w.deriveAgain(list...)
		})
	}
	if err != nil || !j.Done(done) {
		return false, err
	}
	j.Removed, j.Granting = true, records.Walk{} // should a list be left for the next batch
	return w.dropLists()
}

// dropLists removes the lists of people, some records in each batch, and reports
// whether none is left.
func (w *worker) dropLists() (done bool, err error) {
	for left := w.engine.Limits.batch(); len(w.job.Lists) > 0; {
		more, err := dropPeople(w.tx, w.job.Lists[0], left)
		if err != nil || more {
			return false, err
		}
		w.job.Lists = w.job.Lists[1:]
	}
	return true, nil
}

// step calls visit with the accounts of the next batch of a walk, a page at a
// time, and reports whether the walk is done.
func (w *worker) step(walk *records.Walk, visit func([]*Account) error) (done bool, err error) {
	most, page := w.engine.Limits.batch(), walkEvents
	if _, serial := w.engine.Store.(store.SerialStore); serial {
		page = walkPage
	}
	for n := 0; n < most && w.events < walkEvents && !done && (n == 0 || !w.engine.awaited()); {
		var list []*Account
		if list, done, err = w.nextPage(walk, min(page, most-n)); err != nil {
			return false, err
		}
		if err := visit(list); err != nil {
			return false, err
		}
		n += len(list)
	}
	return done, nil
}

// awaited reports whether others wait for the transaction that runs.
func (e *Engine) awaited() bool {
	s, ok := e.Store.(store.SerialStore)
	return ok && s.Awaited()
}

// survey derives stored accounts, or leaves them to a later walk: to the second
// if they would be deprovisioned, or deleted after that, and this is guarded, to the third if they would
// only gain.
func (w *worker) survey(stored []*Account) error {
	w.job.Met += len(stored)
	if w.job.Reviewed {
		w.mass.most = -1 // whoever goes by the plan is neither held nor counted, as in the plan
	}
	guarded := w.engine.Limits.deprovision() >= 0 && !w.job.Force && !w.job.Reviewed
	return w.each(stored, func(d account.Decision, before *Account) error {
		if before.Status == policy.StatusActive {
			w.job.Active++
		}
		leaves, err := w.leaves(d)
		if err != nil {
			return err
		}
		if guarded && leaves {
			w.job.Gone++
			w.job.Removing.Leave(before.ID)
			return nil
		}
		return w.storeUnlessGain(d, account.LetGo)
	})
}

// countActive counts the active accounts of the connection, of which a job of some
// people meets few, a page in each batch, as far as it matters to decideHold.
func (w *worker) countActive() error {
	j, most := w.job, w.engine.Limits.batch()
	if j.Counted == "" {
		j.Active = 0
	}
	few, err := w.mass.fewOf(j.Gone, j.Active)
	if err != nil {
		return err
	}
	if few {
		w.holdThem(false)
		return nil
	}
	list, err := w.tx.Accounts(store.AccountQuery{Statuses: []string{string(policy.StatusActive)}, After: j.Counted, Limit: most})
	if err != nil {
		return err
	}
	j.Active += len(list)
	if len(list) == most {
		j.Counted = list[most-1].ID
		return nil
	}
	return w.decideHold()
}

// decideHold decides whether the second walk holds the accounts that it meets.
func (w *worker) decideHold() error {
	hold, err := w.mass.tooManyOf(w.job.Gone, w.job.Active)
	if err == nil {
		w.holdThem(hold)
	}
	return err
}

func (w *worker) holdThem(hold bool) {
	w.job.Decided, w.job.Hold = true, hold
	if w.job.Removing.Many {
		w.job.Granting = records.Walk{} // the second walk meets all, and leaves them again
	}
}

// remove derives stored accounts unless they would only gain.
func (w *worker) remove(stored []*Account) error {
	return w.each(stored, func(d account.Decision, _ *Account) error {
		verdict, err := w.verdictOn([]account.Decision{d})
		if err != nil {
			return err
		}
		return w.storeUnlessGain(d, verdict)
	})
}

// each decides about stored accounts, all at once, and visits each.
func (w *worker) each(stored []*Account, visit func(account.Decision, *Account) error) error {
	w.tx.Expect(func(r store.Reader) { w.expectDerivations(r, stored) })
	list, err := w.reread(stored)
	if err != nil {
		return err
	}
	decisions, err := w.decide(nil, list...)
	if err != nil {
		return err
	}
	for i, d := range decisions {
		if err := visit(d, list[i].before); err != nil {
			return err
		}
	}
	return nil
}

// storeUnlessGain stores what becomes of an account, or leaves it to the last walk
// when there is only something to give.
func (w *worker) storeUnlessGain(d account.Decision, verdict account.Verdict) error {
	if w.verdict != nil {
		verdict = *w.verdict
	}
	out, err := w.settle(d, verdict)
	if err != nil {
		return err
	}
	if account.Gains(out.Before, out.After) && !account.Gains(out.After, out.Before) {
		w.job.Granting.Leave(out.Before.ID)
		return nil
	}
	w.job.Accounts++
	if err := w.store(&out); err != nil {
		return err
	}
	waits, err := w.defaults().waits(out.After)
	if waits {
		w.job.Granting.Leave(out.Before.ID)
	}
	return err
}
