package provision

import (
	"context"
	"errors"
	"net/url"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// A plan is made by doing what the change of the mode does, some people in a transaction
// that ends without a commit. So it says neither more nor less than what will happen. What
// people of an earlier transaction would have taken is told to the next ones by claims.

// planPage is what the next people of a plan come to.
type planPage struct {
	rows   []PlanPerson
	tally  func(*PlanTotals)
	cursor string // of the last person that was looked at
	looked int
	done   bool
}

// claims says which users the earlier people of a plan have taken something for: accounts
// of the host, and accounts that earlier users have left.
type claims func(r store.RecordReader, what string) (user string, err error)

// claimsOf returns what somebody in a plan takes, as claims know it.
func claimsOf(row *PlanPerson) (list []string) {
	switch {
	case row.Outcome == PlanReturn:
		list = append(list, claimOfAccount(row.Account))
	case row.HostID != "" && row.Account == "":
		list = append(list, claimOfHost(row.HostID))
	}
	return list
}

func claimOfHost(id string) string    { return "h/" + url.QueryEscape(id) }
func claimOfAccount(id string) string { return "a/" + id }

// takenBy reports whether an account of the host is somebody else's, or will be by the plan
// that is being made.
func (c *change) takenBy(host, user string) (bool, error) {
	linked, err := records.HostAccount.Value(c.tx, url.QueryEscape(host))
	if err != nil || linked != "" {
		return linked != "", err
	}
	if c.claims == nil {
		return false, nil
	}
	claimed, err := c.claims(c.tx, claimOfHost(host))
	return claimed != "" && claimed != user, err
}

// tryPage finds out what becomes of the people of a connection behind a cursor, and changes
// nothing.
func (e *Engine) tryPage(ctx context.Context, connection string, actor Actor, after string, taken claims) (page planPage, err error) {
	size := min(walkEvents, e.Limits.batch())
	why := cause{actor: actor, source: store.SourceOperator}.decided(account.LetGo)
	if user, waits := planUser(after); waits {
		if why.answers, err = e.askAhead(ctx, connection, user, size); err != nil {
			return page, err
		}
	}
	err = e.update(ctx, connection, why, func(c *change) error {
		shadow := c.conn.Mode == ModeShadow
		c.conn, c.claims, c.rereads = c.conn.asLive(), taken, true
		p := trial{change: c}
		var err error
		if user, waits := planUser(after); waits {
			err = p.tryWaiting(user, size)
			if p.page.done && !shadow {
				p.page.cursor, p.page.done = cursorOfAccount, false
			}
		} else {
			err = p.tryAccounts(after[len(cursorOfAccount):], size)
		}
		if err != nil {
			return err
		}
		page = p.page
		page.tally = func(to *PlanTotals) { p.totals.addTo(to) }
		return errTried
	})
	if errors.Is(err, errTried) {
		err = nil
	}
	return page, err
}

// planUser returns the user of a cursor, where it is of those who wait.
func planUser(cursor string) (user string, waits bool) {
	switch {
	case cursor == "":
		return "", true
	case cursor[:len(cursorOfUser)] == cursorOfUser:
		return cursor[len(cursorOfUser):], true
	}
	return "", false
}

// trial is a transaction that ends without a commit.
type trial struct {
	*change
	page   planPage
	totals planTally
}

// planTally is what the people of a page come to.
type planTally struct {
	accounts []*Account
	outcomes []PlanOutcome
	shared   int
}

func (t *planTally) addTo(to *PlanTotals) {
	for _, a := range t.accounts {
		to.add(a)
	}
	for _, o := range t.outcomes {
		to.Outcomes[o]++
	}
	to.SharedEmails += t.shared
}

// tryWaiting lets in the next users who wait.
func (t *trial) tryWaiting(after string, size int) error {
	waiting, err := t.waitingAfter(after, size)
	if err != nil {
		return err
	}
	t.page.done, t.page.looked = len(waiting) < size, len(waiting)
	for i := range waiting {
		t.page.cursor = cursorOfUser + waiting[i].Key
		r, err := t.waitingUser(waiting[i].Key)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		j, err := t.join(r, &waiting[i], nil)
		if err != nil {
			return err
		}
		row := joinedRow(r, j)
		row.Cursor = t.page.cursor
		t.add(row, j.out)
	}
	return nil
}

// add adds the row of somebody, nil where nothing changes, and counts what becomes of the
// account.
func (t *trial) add(row *PlanPerson, out *account.Output) {
	if out != nil && out.After.Status != policy.StatusDeleted {
		t.totals.accounts = append(t.totals.accounts, out.After.Clone())
	}
	if row == nil {
		return
	}
	t.page.rows = append(t.page.rows, *row)
	t.totals.outcomes = append(t.totals.outcomes, row.Outcome)
	if row.SharesEmail != "" {
		t.totals.shared++
	}
}

// joinedRow is the row of who waits.
func joinedRow(r *Resource, j *joined) *PlanPerson {
	row := &PlanPerson{Resource: r.ID, SharesEmail: j.shares, Recycles: j.recycles, Outcome: PlanCreate}
	switch {
	case j.out == nil:
		row.Outcome = PlanLeaveOut
		return row
	case j.conflict != nil:
		row.Outcome, row.Conflict, row.Candidates = PlanConflict, j.conflict.Code, j.conflict.Hosts
	case j.before != nil:
		row.Outcome, row.Account = PlanReturn, j.before.ID
	case j.out.After.HostID != "":
		row.Outcome = PlanLink
	}
	row.describe(j.out.After)
	return row
}

// describe says what an account will be.
func (p *PlanPerson) describe(a *Account) {
	p.HostID, p.Status, p.Reasons = a.HostID, a.Status, a.Reasons
	p.SiteAdmin, p.ReadOnlySiteAdmin = a.SiteAdmin, a.ReadOnlySiteAdmin
	p.Groups = len(a.Groups)
	if len(a.Roles) > 0 {
		p.Roles = a.Roles
	}
}

// tryAccounts derives the next accounts that there are already.
func (t *trial) tryAccounts(after string, size int) error {
	t.mass.most = -1 // the guard leaves alone whom a plan takes out
	stored, err := t.tx.Accounts(store.AccountQuery{After: after, Limit: size})
	if err != nil {
		return err
	}
	t.page.done, t.page.cursor, t.page.looked = len(stored) < size, cursorOfAccount+after, len(stored)
	if len(stored) > 0 {
		t.page.cursor = cursorOfAccount + stored[len(stored)-1].ID
	}
	if stored, err = t.without(stored); err != nil {
		return err
	}
	t.tx.Expect(func(r store.Reader) { t.expectDerivations(r, stored) })
	list, err := t.reread(stored)
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := t.defaults().retry(d.next); err != nil {
			return err
		}
	}
	decisions, err := t.decide(nil, list...)
	if err != nil {
		return err
	}
	for _, decision := range decisions {
		out, err := t.settle(decision, account.LetGo)
		if err != nil {
			return err
		}
		t.add(changedRow(&out), &out)
	}
	return nil
}

// without leaves out the accounts that users who wait take up.
func (t *trial) without(list []*Account) (others []*Account, err error) {
	for _, a := range list {
		user := ""
		if a.ResourceID == "" {
			if user, err = t.claims(t.tx, claimOfAccount(a.ID)); err != nil {
				return nil, err
			}
		}
		if user == "" {
			others = append(others, a)
		}
	}
	return others, nil
}

// changedRow is the row of an account that there is already, or nil where a host sees
// nothing change.
func changedRow(out *account.Output) *PlanPerson {
	if len(out.Changes) == 0 && len(out.Notes) == 0 {
		return nil
	}
	row := &PlanPerson{Cursor: cursorOfAccount + out.After.ID, Resource: out.After.ResourceID, Account: out.After.ID, Outcome: PlanChange}
	if out.Before.Status == policy.StatusActive && out.After.Status != policy.StatusActive || out.After.Status == policy.StatusDeleted {
		row.Outcome = PlanLeave
	}
	row.describe(out.After)
	for _, change := range out.Changes {
		row.Changes = append(row.Changes, change.Attribute)
	}
	return row
}

// plan does the next part of the plan of a connection, if one is being made, and reports
// whether more is left. Of several processes that do the same part, one keeps it.
func (e *Engine) plan(ctx context.Context, connection string) (more bool, err error) {
	p, err := records.Plan.View(ctx, e.store(), connection, "")
	if err != nil || !p.Stored() || !p.Value.Ended.IsZero() {
		return false, err
	}
	conn, err := e.connection(ctx, connection)
	if err != nil || string(conn.Mode) != p.Value.Mode { // it is of no use any more
		return false, err
	}
	if !p.Value.Cleared {
		return true, e.clearPlan(ctx, connection, p)
	}
	stored := func(r store.RecordReader, what string) (string, error) {
		return records.PlanLink.Value(r, planKey(p.Value.ID, what))
	}
	page, err := e.tryPage(ctx, connection, p.Value.Actor, p.Value.Cursor, stored)
	if err != nil {
		return false, err
	}
	err = e.update(ctx, connection, bySystem(), func(c *change) error { return c.keepPlan(p, &page) })
	if errors.Is(err, ErrVersion) {
		return true, nil // another process was there before, or another plan is asked for
	}
	return err == nil && !page.done, err
}

// clearPlan removes the next rows of the plans before.
func (e *Engine) clearPlan(ctx context.Context, connection string, p records.Entry[records.PlanState]) error {
	err := e.update(ctx, connection, bySystem(), func(c *change) error {
		more, err := c.dropPlans(walkEvents)
		if err != nil {
			return err
		}
		p := p // the function may run more than once
		p.Value.Cleared = !more
		return records.Plan.Save(c.tx, &p)
	})
	if errors.Is(err, ErrVersion) {
		return nil
	}
	return err
}

// dropPlans removes the next rows of all plans, and reports whether there may be more.
func (c *change) dropPlans(size int) (more bool, err error) {
	for _, kind := range []string{records.PlanPeople.Row().Name, records.PlanLink.Row().Name} {
		old, err := c.tx.Records(kind, "", size)
		if err != nil {
			return false, err
		}
		more = more || len(old) == size
		for _, rec := range old {
			if err := c.tx.DeleteRecord(kind, rec.Key, rec.Version); err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// keepPlan stores what the next people of a plan come to.
func (c *change) keepPlan(p records.Entry[records.PlanState], page *planPage) error {
	totals := planOf(&p.Value).Totals
	page.tally(&totals)
	if len(page.rows) > 0 {
		last := page.rows[len(page.rows)-1].Cursor
		if err := records.PlanPeople.Put(c.tx, planKey(p.Value.ID, last), account.JSON(page.rows)); err != nil {
			return err
		}
	}
	for i := range page.rows {
		for _, what := range claimsOf(&page.rows[i]) {
			if err := records.PlanLink.Put(c.tx, planKey(p.Value.ID, what), page.rows[i].Resource); err != nil {
				return err
			}
		}
	}
	p.Value.Cursor, p.Value.Done = page.cursor, p.Value.Done+page.looked
	if page.done {
		if p.Value.Mode == string(ModeShadow) {
			groups, err := c.tx.Query(store.Query{Types: []string{TypeGroup}})
			if err != nil {
				return err
			}
			totals.Groups = groups.Total
		}
		p.Value.Ended = c.now
	}
	p.Value.Totals = account.JSON(totals)
	return records.Plan.Save(c.tx, &p)
}
