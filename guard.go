package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Guard tells the engine of site admins that are no accounts of a connection.
type Guard interface {
	// OtherAdmins returns how many people are active full site admins beside
	// the accounts of the connection. While there are some, the connection may
	// lose its last site admin.
	//
	// It is called outside any transaction, before a change that takes the role
	// from somebody; an error fails the change. The accounts of the connection
	// are counted under its lock, the host's are as many as they were when it was
	// asked. An account that is kept as the last site admin is not derived again
	// because the answer changes, but with the next change that touches it.
	OtherAdmins(ctx context.Context, connection string) (int, error)
}

// guardLastAdmin is the guard of [GuardError].
const guardLastAdmin = "lastSiteAdmin"

// otherAdmin reports whether anybody but an account is an active site admin.
//
// Changes of one connection are serial, so of two admins who lose the role at
// the same moment the second is the last.
func (c *change) otherAdmin(id string) (bool, error) {
	if c.offboarding {
		return true, nil
	}
	if c.engine.Guard != nil {
		if c.host.admins == nil {
			return false, &askHost{guard: true}
		}
		if *c.host.admins > 0 {
			return true, nil
		}
	}
	admins, err := c.tx.Accounts(store.AccountQuery{
		SiteAdmin: true, Statuses: []string{string(policy.StatusActive)}, Limit: 2,
	})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(admins, func(a *Account) bool { return a.ID != id }), nil
}

// hostAnswers are what the host has answered to a transaction: nobody waits for
// the host inside one.
type hostAnswers struct {
	local  map[LocalQuery][]LocalAccount
	admins *int // nil: not asked
}

// askHost is the error by which a transaction ends to ask the host: its Guard, or
// its Linker.
type askHost struct {
	guard bool
	local LocalQuery
}

func (*askHost) Error() string { return "provision: the host must be asked" }

// answer asks the host.
func (a *askHost) answer(ctx context.Context, e *Engine, connection string, to *hostAnswers) error {
	if a.guard {
		n, err := e.Guard.OtherAdmins(ctx, connection)
		if err != nil {
			return fmt.Errorf("provision: asking for the host's admins: %w", err)
		}
		to.admins = &n
		return nil
	}
	list, err := e.localAccounts(ctx, connection, a.local)
	if err != nil {
		return err
	}
	if to.local == nil {
		to.local = map[LocalQuery][]LocalAccount{}
	}
	to.local[a.local] = list
	return nil
}

const (
	massWindow  = time.Hour
	massRecount = time.Minute // how long a full count of the active accounts is used

	// massShare is which part of the active accounts may go: one in so many.
	massShare = 5
)

// massGuard counts the accounts that a connection deprovisions within an hour.
// When they are more than Limits.Deprovision and more than a fifth of its active
// accounts, the facts are stored but the accounts are held, until an operator
// says what is right. A change that is too large by itself is held as a whole,
// also when a job carries it out. The hour goes by the clock of the store, which
// replicas have in common. One that jumps begins an hour early: no more than that many
// go twice, and nobody is held for what the future counts.
type massGuard struct {
	r    store.Reader
	most int // negative: no guard

	count *records.Entry[records.Mass] // nil: not read yet
	now   time.Time                    // when it was
	dirty bool                         // it must be stored
}

// expect announces what read reads.
func (g *massGuard) expect(r store.Reader) {
	if g.count == nil && g.most >= 0 {
		_, _ = records.MassCount.Load(r, "")
		_, _ = r.Now()
	}
}

// read reads the count of this hour. save stores it.
func (g *massGuard) read() (*records.Mass, error) {
	if g.count != nil {
		return &g.count.Value, nil
	}
	e, err := records.MassCount.Load(g.r, "")
	if err != nil {
		return nil, err
	}
	if g.now, err = g.r.Now(); err != nil {
		return nil, err
	}
	if !records.Within(e.Value.Since, g.now, massWindow) {
		e.Value = records.Mass{Since: g.now}
	}
	g.count = &e
	return &e.Value, nil
}

// verdict returns what becomes of n more accounts, together.
func (g *massGuard) verdict(n int) (account.Verdict, error) {
	if n == 0 {
		return account.LetGo, nil
	}
	many, err := g.tooMany(n)
	if err != nil || many {
		return account.Hold, err
	}
	return account.LetGo, nil
}

// went counts an account that was let go.
func (g *massGuard) went() error {
	if g.most < 0 {
		return nil
	}
	m, err := g.read()
	if err != nil {
		return err
	}
	m.Count++
	g.dirty = true
	return nil
}

func (g *massGuard) save(w store.RecordWriter) error {
	if !g.dirty {
		return nil
	}
	g.dirty = false
	return records.MassCount.Save(w, g.count)
}

// tooMany reports whether n more accounts are too many for this hour.
func (g *massGuard) tooMany(n int) (bool, error) {
	if g.most < 0 {
		return false, nil
	}
	m, err := g.read()
	if err != nil {
		return false, err
	}
	n += m.Count
	if n <= g.most || n*massShare <= m.Active {
		return false, nil
	}
	if records.Within(m.Counted, g.now, massRecount) {
		return true, nil
	}
	// Twice as many as matter now, so that the next ones need no counting.
	limit := 2 * n * massShare
	active, err := g.r.Accounts(store.AccountQuery{Statuses: []string{string(policy.StatusActive)}, Limit: limit})
	if err != nil {
		return false, err
	}
	m.Active, g.dirty = len(active)+m.Count, true
	if len(active) < limit {
		m.Counted = g.now
	}
	return n*massShare > m.Active, nil
}

// fewOf reports whether n more accounts are not too many where so many are active at
// least.
func (g *massGuard) fewOf(n, active int) (bool, error) {
	m, err := g.read()
	if err != nil || g.most < 0 {
		return g.most < 0, err
	}
	n += m.Count
	return n <= g.most || n*massShare <= active+m.Count, nil
}

// tooManyOf is tooMany with as many accounts as are active now.
func (g *massGuard) tooManyOf(n, active int) (bool, error) {
	m, err := g.read()
	if err != nil {
		return false, err
	}
	m.Active, m.Counted, g.dirty = active+m.Count, g.now, true
	return g.tooMany(n)
}

// Release lets go accounts that are held because too many were about to lose
// access at once: each gets what the policy says. Accounts that are not held
// stay as they are. The error is [ErrNotFound] when one is unknown or deleted;
// then none is changed.
func (d *Directory) Release(ctx context.Context, accounts ...string) error {
	return d.endHold(ctx, accounts, account.Release)
}

// Keep decides that accounts which are held stay as they are. That ends when the
// identity provider says that they have access: then the policy counts again. Until
// then [Directory.Release] still lets them go. The error is as for Release.
func (d *Directory) Keep(ctx context.Context, accounts ...string) error {
	return d.endHold(ctx, accounts, account.Keep)
}

func (d *Directory) endHold(ctx context.Context, accounts []string, verdict account.Verdict) error {
	why := d.why().decided(verdict)
	why.acts = true
	return d.update(ctx, why, func(c *change) error {
		for _, id := range accounts {
			a, err := liveAccount(c.tx, id)
			if err != nil {
				return err
			}
			if !account.IsHeld(a) {
				continue
			}
			if err := c.deriveAgain(a); err != nil {
				return err
			}
		}
		return nil
	})
}

// liveAccount returns an account that is no tombstone.
func liveAccount(r store.AccountReader, id string) (*Account, error) {
	a, err := r.Account(id)
	if err == nil && a.Status == policy.StatusDeleted {
		return nil, notFound("account", id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("account", id)
	}
	return a, err
}
