package provision

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Rights that rest on logins alone lapse when no login has told the person's
// groups for roleEvidenceMaxAgeDays. Records say on which day a login told
// the groups of an account last, in order of the day; a cursor says up to which
// day they have been looked at. A day that is still to come was told by a clock that
// was ahead: it counts as today, so that the right lapses later than it should, and
// not years later.

const lapseInterval = time.Hour

func evidenceKey(day time.Time, account string) string {
	return day.Format(time.DateOnly) + "/" + account
}

// noteEvidence records that a login tells the groups today.
func noteEvidence(tx store.Tx, next *Account, now time.Time) error {
	facts, today := next.Facts.Login, now.Truncate(24*time.Hour)
	if facts.Known.Equal(today) {
		return nil
	}
	if err := forgetEvidence(tx, next); err != nil {
		return err
	}
	facts.Known = today
	return records.Evidence.Put(tx, evidenceKey(today, next.ID), true)
}

func forgetEvidence(tx store.Tx, a *Account) error {
	if known := a.Facts.Login.Known; !known.IsZero() {
		return records.Evidence.Clear(tx, evidenceKey(known, a.ID))
	}
	return nil
}

// lapse derives the accounts of a connection whose rights have lapsed. It writes
// nothing where no login ever told any groups.
func (e *Engine) lapse(ctx context.Context, connection string) error {
	for more := true; more; {
		marked, err := records.Evidence.Any(ctx, e.store(), connection)
		if err != nil || !marked {
			return err
		}
		err = e.update(ctx, connection, bySystem(), func(c *change) error {
			if more = false; c.waits() {
				return nil
			}
			var err error
			if more, err = c.bringBack(); err == nil && !more {
				more, err = c.lapse()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bringBack moves the next evidence of days that are still to come to today, and
// reports whether there may be more. Tomorrow may be today by another clock.
func (c *change) bringBack() (more bool, err error) {
	size := c.engine.Limits.batch()
	ahead, err := records.Evidence.List(c.tx, evidenceKey(c.now.AddDate(0, 0, 2), ""), size)
	if err != nil || len(ahead) == 0 {
		return false, err
	}
	accounts := make([]*Account, len(ahead))
	for i, e := range ahead {
		_, id, _ := strings.Cut(e.Key, "/")
		if accounts[i], err = c.tx.Account(id); err != nil {
			return false, err
		}
		if err := records.Evidence.Clear(c.tx, e.Key); err != nil {
			return false, err
		}
	}
	list, err := c.reread(accounts)
	if err != nil {
		return false, err
	}
	for _, d := range list {
		if err := noteEvidence(c.tx, d.next, c.now); err != nil {
			return false, err
		}
	}
	return len(ahead) == size, c.derive(list...)
}

// lapse derives the next accounts whose rights have lapsed, and reports whether
// there may be more.
func (c *change) lapse() (more bool, err error) {
	cursor, err := records.LapsedThrough.Load(c.tx, "")
	if err != nil {
		return false, err
	}
	// The first day whose evidence still counts.
	end := ""
	if day, ok := c.conn.policy.EvidenceSince(c.now); ok {
		end = evidenceKey(day, "")
	}
	if cursor.Value > end { // the option was raised: what lapsed counts again, and lapses again
		cursor.Value = end
		return false, records.LapsedThrough.Save(c.tx, &cursor)
	}
	size := c.engine.Limits.batch()
	marked, err := records.Evidence.List(c.tx, cursor.Value, size)
	if err != nil {
		return false, err
	}
	n := slices.IndexFunc(marked, func(e records.Entry[bool]) bool { return e.Key >= end })
	due := marked
	if n >= 0 {
		due = marked[:n]
	}
	if len(due) == 0 {
		return false, nil
	}
	accounts := make([]*Account, len(due))
	for i, e := range due {
		_, id, _ := strings.Cut(e.Key, "/")
		if accounts[i], err = c.tx.Account(id); err != nil {
			return false, err
		}
	}
	if err := c.deriveAgain(accounts...); err != nil {
		return false, err
	}
	cursor.Value = due[len(due)-1].Key
	return len(due) == size, records.LapsedThrough.Save(c.tx, &cursor)
}
