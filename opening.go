package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A connection goes live or resumes by a job. Before its walks over the accounts it tells of
// the groups, where the host has not heard of them, and lets in who waits, in order of the
// user. Whoever is written or logs in before the job has come to them is let in by that.

// goOn does the next part of an opening.
func (w *worker) goOn(o *records.Opening) error {
	if o.Groups {
		return w.tellGroups(o)
	}
	return w.letIn(o)
}

// tellGroups tells of the next groups.
func (w *worker) tellGroups(o *records.Opening) error {
	size := min(walkEvents, w.engine.Limits.batch())
	page, err := w.tx.Query(store.Query{Types: []string{TypeGroup}, After: o.GroupsAt, Limit: size, NoTotal: true, Bytes: indexBytes})
	if err != nil {
		return err
	}
	for _, g := range page.Resources {
		o.GroupsAt = g.Position
		created := store.Event{Type: store.GroupCreated, Resource: &store.ResourceRef{Type: TypeGroup, ID: g.ID}}
		if err := w.append(&created); err != nil {
			return err
		}
	}
	o.Groups = len(page.Resources) == size || page.Cut
	return nil
}

// letIn lets in the next users who wait.
func (w *worker) letIn(o *records.Opening) error {
	size := min(walkEvents, w.engine.Limits.batch())
	waiting, err := w.waitingAfter(o.UsersAt, size)
	if err != nil {
		return err
	}
	resource := w.resource
	for i := range waiting {
		o.UsersAt = waiting[i].Key
		r, err := w.waitingUser(waiting[i].Key)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		planned, err := w.planned(o.Plan, r.ID)
		if err != nil {
			return err
		}
		if _, err := w.join(r, &waiting[i], planned); err != nil {
			return err
		}
		w.job.Accounts++
	}
	w.resource = resource
	o.Users = len(waiting) == size
	return nil
}

// waitingAfter returns the next users who wait, and announces what letting them in reads.
func (c *change) waitingAfter(after string, size int) ([]records.Entry[records.WaitingUser], error) {
	waiting, err := records.Waiting.List(c.tx, after, size)
	if err != nil {
		return nil, err
	}
	users := make([]string, len(waiting))
	for i := range waiting {
		users[i] = waiting[i].Key
	}
	c.tx.Expect(func(r store.Reader) {
		for _, id := range users {
			_, _ = r.Resource(TypeUser, id, 0)
			_, _ = records.Synced.Load(r, id)
		}
		_, _ = r.Ancestors(users...)
	})
	return waiting, nil
}

// waitingUser returns a user who waits, or nil for one who is gone.
func (c *change) waitingUser(id string) (*Resource, error) {
	r, err := c.tx.Resource(TypeUser, id, 0)
	if errors.Is(err, store.ErrNotFound) {
		return nil, records.Waiting.Clear(c.tx, id)
	}
	return r, err
}

// joinNow lets in a user who waits, and reports whether the user waits. The account is nil
// for one who does not, and for one whom an operator leaves out.
func (c *change) joinNow(r *Resource) (a *Account, waits bool, err error) {
	w, err := records.Waiting.Load(c.tx, r.ID)
	if err != nil || !w.Stored() {
		return nil, false, err
	}
	job, err := records.Job.Load(c.tx, "")
	if err != nil {
		return nil, false, err
	}
	plan := ""
	if o := job.Value.Opening; o != nil {
		plan = o.Plan
	}
	planned, err := c.planned(plan, r.ID)
	if err != nil {
		return nil, false, err
	}
	j, err := c.join(r, &w, planned)
	if err != nil || j.out == nil {
		return nil, true, err
	}
	return j.out.After, true, nil
}

// askAhead asks the host about the next users who wait, before the transaction that lets
// them in: there it would begin again for each answer.
func (e *Engine) askAhead(ctx context.Context, connection, after string, size int) (*hostAnswers, error) {
	answers := &hostAnswers{local: map[LocalQuery][]LocalAccount{}}
	if e.Linker == nil {
		return answers, nil
	}
	var queries []LocalQuery
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		queries = nil
		waiting, err := records.Waiting.List(r, after, size)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			user, err := r.Resource(TypeUser, w.Key, 0)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			p := account.Read(user.Document, nil)
			queries = append(queries, LocalQuery{UserName: p.UserName, Email: p.Email})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, q := range queries {
		if answers.local[q], err = e.localAccounts(ctx, connection, q); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// answersForJob returns what the host says of those whom the next batch of a job lets in.
func (e *Engine) answersForJob(ctx context.Context, connection string) (*hostAnswers, error) {
	if e.Linker == nil {
		return nil, nil
	}
	j, err := records.Job.View(ctx, e.store(), connection, "")
	if err != nil || j.Value.Opening == nil || !j.Value.Opening.Users || j.Value.Opening.Groups {
		return nil, err
	}
	return e.askAhead(ctx, connection, j.Value.Opening.UsersAt, min(walkEvents, e.Limits.batch()))
}
