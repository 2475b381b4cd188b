package provision

import (
	"context"
	"strings"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Rights that rest on logins alone lapse when no login has told the person's
// groups for roleEvidenceMaxAgeDays. Marks say on which day a login told the
// groups of an account last, in order of the day; a cursor says up to which day
// they have been looked at.

const (
	// recordEvidence marks the account of its key's second part with the day
	// of its first.
	recordEvidence = "evidence"

	// recordLapse holds the cursor, under an empty key.
	recordLapse = "lapse"

	lapseInterval = time.Hour
)

func evidenceKey(day time.Time, account string) string {
	return day.Format(time.DateOnly) + "/" + account
}

// noteEvidence records that a login tells the groups today.
func (c *change) noteEvidence(after *Account) error {
	facts, today := after.Facts.Login, c.now.Truncate(24*time.Hour)
	if facts.Known.Equal(today) {
		return nil
	}
	if err := c.forgetEvidence(after); err != nil {
		return err
	}
	facts.Known = today
	return c.putMark(recordEvidence, evidenceKey(today, after.ID), "known")
}

func (c *change) forgetEvidence(a *Account) error {
	if known := a.Facts.Login.Known; !known.IsZero() {
		return c.clearMark(recordEvidence, evidenceKey(known, a.ID))
	}
	return nil
}

// lapsed reports whether the rights of an account that rest on logins alone
// have lapsed.
func lapsed(p *policy.Policy, a *Account, now time.Time) bool {
	login := a.Facts.Login
	return login != nil && !login.Known.IsZero() && p.RolesLapsed(login.Known, now)
}

// markLapsed marks the groups that the person is in by logins alone. All of them
// stay: it is only rights that lapse.
func markLapsed(r store.MemberReader, resource string, groups []policy.Group) error {
	fresh, todo := map[string]bool{}, []string{resource}
	for len(todo) > 0 {
		ms, err := r.MembershipsOf(todo[0])
		if err != nil {
			return err
		}
		todo = todo[1:]
		for _, m := range ms {
			if m.Source == store.SourceJIT || !m.Source.Reported() || fresh[m.Group] {
				continue
			}
			fresh[m.Group] = true
			todo = append(todo, m.Group)
		}
	}
	for i := range groups {
		groups[i].Lapsed = !fresh[groups[i].ID]
	}
	return nil
}

// lapse derives the accounts of a connection whose rights have lapsed. It writes
// nothing where no login ever told any groups.
func (e *Engine) lapse(ctx context.Context, connection string) error {
	for more := true; more; {
		any := false
		err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
			marks, err := r.Records(recordEvidence, "", 1)
			any = len(marks) > 0
			return err
		})
		if err != nil || !any {
			return err
		}
		err = e.update(ctx, connection, Actor{Kind: "system"}, func(c *change) error {
			var err error
			more, err = c.lapse()
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lapse derives the next accounts whose rights have lapsed, and reports whether
// there may be more.
func (c *change) lapse() (more bool, err error) {
	cursor, err := c.mark(recordLapse, "")
	if err != nil {
		return false, err
	}
	// The first day whose evidence still counts.
	days := c.conn.Policy.RoleEvidenceMaxAgeDays
	end := evidenceKey(c.now.AddDate(0, 0, -days).Truncate(24*time.Hour), "")
	if days == 0 {
		end = ""
	}
	if cursor > end { // the option was raised: what lapsed counts again, and lapses again
		return false, c.putMark(recordLapse, "", end)
	}
	size := c.engine.Limits.batch()
	marks, err := c.tx.Records(recordEvidence, cursor, size)
	if err != nil {
		return false, err
	}
	next := cursor
	for _, rec := range marks {
		if rec.Key >= end {
			break
		}
		next = rec.Key
		_, account, _ := strings.Cut(rec.Key, "/")
		a, err := c.tx.Account(account)
		if err != nil {
			return false, err
		}
		if err := c.resettle(a); err != nil {
			return false, err
		}
	}
	if next == cursor {
		return false, nil
	}
	return len(marks) == size, c.putMark(recordLapse, "", next)
}
