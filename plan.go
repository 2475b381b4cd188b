package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// PlanOutcome is what becomes of one person when a connection goes live or resumes.
type PlanOutcome string

// The outcomes.
const (
	PlanCreate   PlanOutcome = "create"    // an account is created
	PlanLink     PlanOutcome = "link"      // an account is created, and linked to one of the host
	PlanConflict PlanOutcome = "conflict"  // an account is staged until an operator decides about its link
	PlanLeaveOut PlanOutcome = "leave_out" // no account, as an operator has decided
	PlanReturn   PlanOutcome = "return"    // the account that an earlier user of the same person left
	PlanChange   PlanOutcome = "change"    // the account changes
	PlanLeave    PlanOutcome = "leave"     // the account loses access
)

// PlanPerson is one person of a plan. Whose account does not change is not in it.
type PlanPerson struct {
	// Cursor is where the row stands in the plan; see [PlanQuery].
	Cursor string `json:"cursor"`

	Resource string      `json:"resource,omitempty"` // the user; empty where there is none any more
	UserName string      `json:"userName"`           // as it is when the plan is read
	Account  string      `json:"account,omitempty"`  // that there is already
	Outcome  PlanOutcome `json:"outcome"`

	// HostID is the account of the host that the account is, or will be, linked to.
	HostID string `json:"hostId,omitempty"`

	// Conflict is why the account is not linked, a stable code, and Candidates are the
	// accounts of the host that the person resembles: see [Directory.ChooseLink].
	Conflict   string   `json:"conflict,omitempty"`
	Candidates []string `json:"candidates,omitempty"`

	// The account as it will be. Changes are the names of what changes of one that there
	// is already.
	Status            policy.Status   `json:"status,omitempty"`
	SiteAdmin         bool            `json:"siteAdmin,omitempty"`
	ReadOnlySiteAdmin bool            `json:"readOnlySiteAdmin,omitempty"`
	Roles             []string        `json:"roles,omitempty"`
	Groups            int             `json:"groups,omitempty"` // how many it carries
	Changes           []string        `json:"changes,omitempty"`
	Reasons           []policy.Reason `json:"reasons,omitempty"`

	// SharesEmail is another user with the same e-mail, if any, and Recycles the account
	// that somebody else has left who had the name or the id.
	SharesEmail string `json:"sharesEmail,omitempty"`
	Recycles    string `json:"recycles,omitempty"`
}

// PlanTotals is what a plan comes to.
type PlanTotals struct {
	Outcomes map[PlanOutcome]int `json:"outcomes"` // people

	// Of all accounts of the connection, as they will be: how many have each status, which
	// for active ones is the seats they take, and how many of the active ones are admins.
	Statuses           map[policy.Status]int `json:"statuses"`
	SiteAdmins         int                   `json:"siteAdmins"`
	ReadOnlySiteAdmins int                   `json:"readOnlySiteAdmins"`

	Groups       int `json:"groups"`       // that the host will hear of
	SharedEmails int `json:"sharedEmails"` // people with an e-mail that somebody else has
}

// Plan is what going live, or resuming, would do. Its people are read by
// [Directory.PlanPeople].
type Plan struct {
	ID    string    `json:"id"`
	From  Mode      `json:"from"` // the mode that it leads out of
	Actor Actor     `json:"actor"`
	Asked time.Time `json:"asked"`
	Ended time.Time `json:"ended,omitzero"` // zero while it is being made

	Progress Progress   `json:"progress"` // in people; Total is what is known when it is read
	Totals   PlanTotals `json:"totals"`

	// Warnings are those of the connection when the plan is read, and what is unusual
	// about its result.
	Warnings []Warning `json:"warnings,omitempty"`
}

// The codes of warnings of a plan.
const (
	warnPlanNoAdmin  = "plan_without_admin"
	warnPlanConflict = "plan_with_conflicts"
)

// MakePlan asks for a plan of what going live or resuming would do, and takes the place of
// the plan before. [Engine.Run] makes it, some people at a time, and goes on with it after
// a restart. It does what the change of the mode does, and takes it back: Guard and Linker
// of the host are asked. Nothing else is stored.
//
// The error is a [*ModeError] for a connection that is live, and [ErrNotFound] for an
// unknown one.
func (d *Directory) MakePlan(ctx context.Context) (Plan, error) {
	id, err := d.engine.newID()
	if err != nil {
		return Plan{}, err
	}
	var out Plan
	err = d.update(ctx, d.why(), func(c *change) error {
		if c.conn.Mode == "" {
			return c.conn.modeError("", modeNoPlan, "the connection is live: there is nothing to plan")
		}
		e, err := records.Plan.Load(c.tx, "")
		if err != nil {
			return err
		}
		facts, err := records.FactsChanged.Value(c.tx, "")
		if err != nil {
			return err
		}
		e.Value = records.PlanState{
			ID: id, Mode: string(c.conn.Mode), Actor: c.actor, Asked: c.now, Facts: facts, Connection: c.conn.Version,
			Totals: account.JSON(newTotals()),
		}
		out = planOf(&e.Value)
		c.jobs++
		return records.Plan.Save(c.tx, &e)
	})
	return out, err
}

func newTotals() PlanTotals {
	return PlanTotals{Outcomes: map[PlanOutcome]int{}, Statuses: map[policy.Status]int{}}
}

// add counts the account of somebody, as it will be.
func (t *PlanTotals) add(a *Account) {
	t.Statuses[a.Status]++
	if a.Status != policy.StatusActive {
		return
	}
	if a.SiteAdmin {
		t.SiteAdmins++
	}
	if a.ReadOnlySiteAdmin {
		t.ReadOnlySiteAdmins++
	}
}

func planOf(s *records.PlanState) Plan {
	p := Plan{ID: s.ID, From: Mode(s.Mode), Actor: s.Actor, Asked: s.Asked, Ended: s.Ended, Totals: newTotals()}
	p.Progress.Done = s.Done
	_ = json.Unmarshal(s.Totals, &p.Totals) // that was written by account.JSON
	return p
}

// Plan returns the last plan that was asked for, also while it is being made. The error is
// [ErrNotFound] where there is none, and for an unknown connection.
func (d *Directory) Plan(ctx context.Context) (Plan, error) {
	var out Plan
	err := d.view(ctx, func(r store.Reader) error {
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		e, err := records.Plan.Load(r, "")
		if err != nil {
			return err
		}
		if !e.Stored() {
			return notFound("plan", d.connection)
		}
		out = planOf(&e.Value)
		page, err := r.Query(store.Query{Types: []string{TypeUser}})
		if err != nil {
			return err
		}
		out.Progress.Total = max(page.Total, out.Progress.Done)
		out.Warnings, err = d.engine.warnings(conn, r, nil)
		out.Warnings = append(out.Warnings, out.warnings()...)
		return err
	})
	return out, err
}

// warnings are those of the result.
func (p *Plan) warnings() (list []Warning) {
	if p.Ended.IsZero() {
		return nil
	}
	if p.Totals.SiteAdmins == 0 {
		list = append(list, Warning{Code: warnPlanNoAdmin, Field: "siteAdminGroups", Text: "nobody of the connection will be a site admin"})
	}
	if n := p.Totals.Outcomes[PlanConflict]; n > 0 {
		list = append(list, Warning{Code: warnPlanConflict, Field: "link", Text: fmt.Sprintf("%d people resemble accounts that the application has, and are staged until somebody decides", n)})
	}
	return list
}

// PlanQuery selects people of a plan.
type PlanQuery struct {
	Outcome PlanOutcome // only these; empty: all
	After   string      // only those behind this Cursor
	Limit   int         // at most so many; 0 means 100
}

// PlanPeople returns people of a plan, in order of their cursors. The error is
// [ErrNotFound] where the plan is not the last one that was asked for.
func (d *Directory) PlanPeople(ctx context.Context, plan string, q PlanQuery) ([]PlanPerson, error) {
	var out []PlanPerson
	limit := orDefault(q.Limit, 100)
	err := d.view(ctx, func(r store.Reader) error {
		out = nil
		e, err := records.Plan.Load(r, "")
		if err != nil {
			return err
		}
		if !e.Stored() || e.Value.ID != plan {
			return notFound("plan", plan)
		}
		for row, err := range planRows(r, plan, q.After) {
			if err != nil {
				return err
			}
			if q.Outcome != "" && row.Outcome != q.Outcome {
				continue
			}
			if row.UserName, err = nameOf(r, &row); err != nil {
				return err
			}
			if out = append(out, row); len(out) == limit {
				break
			}
		}
		return nil
	})
	return out, err
}

// nameOf returns the user name of somebody in a plan, which the plan itself does not keep.
func nameOf(r store.Reader, row *PlanPerson) (string, error) {
	if row.Resource != "" {
		user, err := r.Resource(TypeUser, row.Resource, 0)
		if err == nil {
			return account.Text(user.Document, "userName"), nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	if row.Account == "" {
		return "", nil
	}
	a, err := r.Account(row.Account)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return a.UserName, nil
}

// Cursors of those who wait begin with the first, those of accounts with the second, which
// comes after it.
const (
	cursorOfUser    = "u/"
	cursorOfAccount = "v/"
)

func planKey(plan, cursor string) string { return plan + "/" + cursor }

// planRows goes over the stored rows of a plan behind a cursor.
func planRows(r store.RecordReader, plan, after string) func(func(PlanPerson, error) bool) {
	return func(yield func(PlanPerson, error) bool) {
		for key := planKey(plan, after); ; {
			next, err := records.PlanPeople.List(r, key, 1)
			if err != nil {
				yield(PlanPerson{}, err)
				return
			}
			if len(next) == 0 || !strings.HasPrefix(next[0].Key, plan+"/") {
				return
			}
			key = next[0].Key
			var rows []PlanPerson
			if err := json.Unmarshal(next[0].Value, &rows); err != nil {
				yield(PlanPerson{}, fmt.Errorf("provision: stored plan: %w", err))
				return
			}
			for _, row := range rows {
				if row.Cursor > after && !yield(row, nil) {
					return
				}
			}
		}
	}
}

// planned returns what a plan says of a user who waits, or nil without a plan. Whoever is
// not in it was not linked.
func (c *change) planned(plan, user string) (*PlanPerson, error) {
	if plan == "" || c.engine.Linker == nil {
		return nil, nil
	}
	cursor := cursorOfUser + user
	e, err := records.PlanPeople.Load(c.tx, planKey(plan, cursor))
	if err != nil {
		return nil, err
	}
	if !e.Stored() {
		next, err := records.PlanPeople.List(c.tx, planKey(plan, cursor), 1)
		if err != nil || len(next) == 0 || !strings.HasPrefix(next[0].Key, plan+"/") {
			return &PlanPerson{}, err
		}
		e = next[0]
	}
	var rows []PlanPerson
	if err := json.Unmarshal(e.Value, &rows); err != nil {
		return nil, fmt.Errorf("provision: stored plan: %w", err)
	}
	if i := slices.IndexFunc(rows, func(p PlanPerson) bool { return p.Cursor == cursor }); i >= 0 {
		return &rows[i], nil
	}
	return &PlanPerson{}, nil
}
