package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// The mass guard. When the accounts that a connection deprovisions within an
// hour are more than Limits.Deprovision and more than a fifth of its active
// accounts, the facts are stored but the accounts stay as they are, until an
// operator says what is right: they are held. A change that is too large by
// itself is held as a whole, also when a job carries it out.

const (
	// guardMass is the key of the record of kind recordGuard that counts.
	guardMass = "massDeprovisioning"

	massWindow  = time.Hour
	massRecount = time.Minute // how long a full count of the active accounts is used

	// massShare is which part of the active accounts may go: one in so many.
	massShare = 5

	// effectCanceled is the effect of the reason of an account that an operator
	// keeps as it is, after the guard did.
	effectCanceled = "kept by an operator"
)

// holdOf returns the effect by which an account is kept as it is, or "".
func holdOf(a *Account) string {
	if i := slices.IndexFunc(a.Reasons, isHoldReason); i >= 0 {
		return a.Reasons[i].Effect
	}
	return ""
}

func isHoldReason(r policy.Reason) bool {
	return r.Effect == store.EffectHeld || r.Effect == effectCanceled
}

// holdBack changes a decision that deprovisions an account into one that keeps
// it, when too many go at once; news says that it does so from now on. A hold
// lasts until an operator ends it or the facts no longer deprovision. A request
// that takes this very person out is neither held nor counted: the identity
// provider means it.
func (c *change) holdBack(before, after *Account, current *policy.Current, d *policy.Decision) (news bool, err error) {
	byOperator := slices.Contains(after.Facts.Blocks, store.SourceOperator)
	if before == nil || before.Status != policy.Active || d.Status == policy.Active || byOperator {
		return false, nil
	}
	if takesOut(before, after) && c.source() != store.SourceSync {
		return false, nil // asked for by a request on this very person
	}
	effect := holdOf(before)
	switch {
	case c.releasing, c.forcing && effect != effectCanceled:
		return false, nil
	case c.canceling:
		effect = effectCanceled
	case effect != "":
	case c.counting:
		return false, nil
	default:
		hold, err := c.holding, error(nil)
		if !hold {
			hold, err = c.tooManyGo(1)
		}
		if err != nil {
			return false, err
		}
		if !hold {
			return false, c.countGone()
		}
		effect, news = store.EffectHeld, true
	}
	d.Status, d.Access = policy.Active, current.Access
	d.Reasons = append(slices.Clip(d.Reasons), policy.Reason{Effect: effect})
	return news, nil
}

// massCount counts the accounts that a connection deprovisioned in an hour.
type massCount struct {
	Since time.Time `json:"since"`
	Count int       `json:"count"`

	// Active is how many accounts at least were active before the hour's
	// deprovisionings. They are counted only as far as it matters; Counted is
	// when all were, if they were.
	Active  int       `json:"active,omitempty"`
	Counted time.Time `json:"counted,omitzero"`

	version int64
}

// massCount returns the count of this hour. finish stores it.
func (c *change) massCount() (*massCount, error) {
	if c.mass != nil {
		return c.mass, nil
	}
	m := &massCount{}
	rec, err := c.tx.Record(recordGuard, guardMass)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil {
		if err := json.Unmarshal(rec.Value, m); err != nil {
			return nil, fmt.Errorf("provision: stored count: %w", err)
		}
		m.version = rec.Version
	}
	if c.now.Sub(m.Since) >= massWindow {
		*m = massCount{Since: c.now, version: m.version}
	}
	c.mass = m
	return m, nil
}

func (c *change) countGone() error {
	if c.engine.Limits.deprovision() < 0 {
		return nil
	}
	m, err := c.massCount()
	if err != nil {
		return err
	}
	m.Count++
	c.counted = true
	return nil
}

func (c *change) saveMassCount() error {
	if !c.counted {
		return nil
	}
	return c.tx.PutRecord(&store.Record{Kind: recordGuard, Key: guardMass, Value: mustJSON(c.mass), Version: c.mass.version})
}

// tooManyGo reports whether n more accounts are too many for this hour.
func (c *change) tooManyGo(n int) (bool, error) {
	most := c.engine.Limits.deprovision()
	if most < 0 {
		return false, nil
	}
	m, err := c.massCount()
	if err != nil {
		return false, err
	}
	n += m.Count
	if n <= most || n*massShare <= m.Active {
		return false, nil
	}
	if c.now.Sub(m.Counted) < massRecount {
		return true, nil
	}
	// Twice as many as matter now, so that the next ones need no counting.
	limit := 2 * n * massShare
	active, err := c.tx.Accounts(store.AccountQuery{Statuses: []string{string(policy.Active)}, Limit: limit})
	if err != nil {
		return false, err
	}
	m.Active, c.counted = len(active)+m.Count, true
	if len(active) < limit {
		m.Counted = c.now
	}
	return n*massShare > m.Active, nil
}

// tooManyOf reports whether n more accounts are too many for this hour, of as
// many as are active now.
func (c *change) tooManyOf(n, active int) (bool, error) {
	m, err := c.massCount()
	if err != nil {
		return false, err
	}
	m.Active, m.Counted, c.counted = active+m.Count, c.now, true
	return c.tooManyGo(n)
}

// holdMany finds out whether deriving the accounts would deprovision too many
// at once. If so, holdBack keeps each.
func (c *change) holdMany(list []*Account) error {
	most := c.engine.Limits.deprovision()
	if most < 0 || c.holding { // held already: the cause is a part of a larger one
		return nil
	}
	m, err := c.massCount()
	if err != nil || m.Count+len(list) <= most {
		return err
	}
	gone := 0
	for _, a := range list {
		goes, err := c.wouldGo(a)
		if err != nil {
			return err
		}
		if goes {
			gone++
		}
	}
	if gone > 0 {
		c.holding, err = c.tooManyGo(gone)
	}
	return err
}

// wouldGo reports whether deriving an account would deprovision it.
func (c *change) wouldGo(a *Account) (bool, error) {
	if a.Status != policy.Active {
		return false, nil
	}
	c.counting = true
	after, _, err := c.prepareAgain(a)
	c.counting = false
	return err == nil && after.Status != policy.Active, err
}

// Release lets go accounts that are held because too many were about to lose
// access at once: each gets what the policy says. Accounts that are not held
// stay as they are. The error is [ErrNotFound] when one is unknown or deleted;
// then none is changed.
func (d *Directory) Release(ctx context.Context, accounts ...string) error {
	return d.endHold(ctx, accounts, func(c *change) { c.releasing = true })
}

// Cancel keeps accounts that are held as they are, until the identity provider
// says that they have access, from when on the policy counts again; until then,
// [Directory.Release] still lets them go. The error is as for Release.
func (d *Directory) Cancel(ctx context.Context, accounts ...string) error {
	return d.endHold(ctx, accounts, func(c *change) { c.canceling = true })
}

func (d *Directory) endHold(ctx context.Context, accounts []string, how func(*change)) error {
	return d.engine.update(ctx, d.connection, d.actor, func(c *change) error {
		how(c)
		for _, id := range accounts {
			a, err := c.tx.Account(id)
			if err != nil {
				return err
			}
			if a.Status == policy.Deleted {
				return ErrNotFound
			}
			if holdOf(a) == "" {
				continue
			}
			if err := c.resettle(a); err != nil {
				return err
			}
		}
		return nil
	})
}
