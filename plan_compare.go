package provision

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// PlanError says that facts, settings or accounts of the host have changed since a plan was
// made, so that something else would happen now. Nothing was changed; another plan says
// what.
type PlanError struct {
	Plan        string
	Differences []PlanDifference // at most 100
	More        bool             // there are others

	// Groups is how many groups more, or fewer, the host would hear of.
	Groups int
}

// PlanDifference is what would become of one person: by the plan, and now. Nil is nothing.
type PlanDifference struct {
	Planned *PlanPerson `json:"planned"`
	Now     *PlanPerson `json:"now"`
}

// Error implements error.
func (e *PlanError) Error() string {
	more := ""
	if e.More {
		more = " or more"
	}
	return fmt.Sprintf("provision: plan %q: %d%s people, and %d groups, would not become what it says", e.Plan, len(e.Differences), more, e.Groups)
}

// maxDifferences is how many a PlanError has.
const maxDifferences = 100

// seen is what a plan was compared with.
type seen struct {
	facts   int64 // the count of changes
	version int64 // of the connection
}

// comparePlan looks whether a plan still says what would happen, and returns with what it
// was compared.
func (d *Directory) comparePlan(ctx context.Context, plan string) (with *seen, err error) {
	var state records.PlanState
	var conn *compiled
	err = d.view(ctx, func(r store.Reader) error {
		if conn, err = d.engine.connections.load(d.connection, r); err != nil {
			return err
		}
		if state, err = records.Plan.Value(r, ""); err != nil {
			return err
		}
		facts, err := records.FactsChanged.Value(r, "")
		with = &seen{facts, conn.Version}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case conn.Mode == "":
		return with, nil // it has the mode already
	case state.ID != plan || state.Mode != string(conn.Mode):
		return nil, conn.modeError("", modeNoSuchPlan, "the plan is not the last one of this connection: make another one")
	case state.Ended.IsZero():
		return nil, conn.modeError("", modePlanNotDone, "the plan is still being made")
	case state.Facts == with.facts && state.Connection == conn.Version && d.engine.Linker == nil:
		return with, nil
	}
	c := planComparison{Directory: d, state: &state, claimed: map[string]string{}}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	if len(c.err.Differences) > 0 || c.err.Groups != 0 {
		c.err.Plan = plan
		return nil, &c.err
	}
	return with, nil
}

// planComparison makes a plan once more, beside the one that is stored.
type planComparison struct {
	*Directory
	state   *records.PlanState
	claimed map[string]string // users, by what they take
	err     PlanError
}

func (c *planComparison) run(ctx context.Context) error {
	next, stop := iter.Pull2(c.stored(ctx))
	defer stop()
	planned, err, some := next()
	taken := func(_ store.RecordReader, what string) (string, error) { return c.claimed[what], nil }
	for cursor, done := "", false; !done; {
		page, pageErr := c.engine.tryPage(ctx, c.connection, c.state.Actor, cursor, taken)
		if pageErr != nil {
			return pageErr
		}
		for i := range page.rows {
			now := &page.rows[i]
			for ; some && err == nil && planned.Cursor < now.Cursor; planned, err, some = next() {
				c.differ(planned, nil)
			}
			if err != nil {
				return err
			}
			if some && planned.Cursor == now.Cursor {
				if !samePlan(planned, now) {
					c.differ(planned, now)
				}
				planned, err, some = next()
			} else {
				c.differ(nil, now)
			}
			for _, what := range claimsOf(now) {
				c.claimed[what] = now.Resource
			}
		}
		cursor, done = page.cursor, page.done
	}
	for ; some && err == nil; planned, err, some = next() {
		c.differ(planned, nil)
	}
	if err != nil {
		return err
	}
	return c.compareGroups(ctx)
}

// stored goes over the rows of the plan, each page in a snapshot of its own.
func (c *planComparison) stored(ctx context.Context) iter.Seq2[*PlanPerson, error] {
	return func(yield func(*PlanPerson, error) bool) {
		for after, more := "", true; more; {
			var rows []PlanPerson
			err := c.view(ctx, func(r store.Reader) error {
				rows, more = nil, false
				for row, err := range planRows(r, c.state.ID, after) {
					if err != nil {
						return err
					}
					if rows = append(rows, row); len(rows) == 10*walkEvents {
						more = true
						break
					}
				}
				return nil
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range rows {
				after = rows[i].Cursor
				if !yield(&rows[i], nil) {
					return
				}
			}
		}
	}
}

// compareGroups counts the groups that the host would hear of beside those of the plan.
func (c *planComparison) compareGroups(ctx context.Context) error {
	if c.state.Mode != string(ModeShadow) {
		return nil
	}
	return c.view(ctx, func(r store.Reader) error {
		groups, err := r.Query(store.Query{Types: []string{TypeGroup}})
		c.err.Groups = groups.Total - planOf(c.state).Totals.Groups
		return err
	})
}

func (c *planComparison) differ(planned, now *PlanPerson) {
	if len(c.err.Differences) == maxDifferences {
		c.err.More = true
		return
	}
	c.err.Differences = append(c.err.Differences, PlanDifference{Planned: planned, Now: now})
}

func samePlan(a, b *PlanPerson) bool { return bytes.Equal(account.JSON(a), account.JSON(b)) }
