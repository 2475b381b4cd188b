package provision

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// cause is why a transaction changes something: what all its events have in
// common, and what its facts are worth.
type cause struct {
	actor      Actor
	source     store.Source       // of the facts
	resource   *store.ResourceRef // the resource whose change this is
	tolerances []string

	// verdict, when not nil, says what becomes of those who lose access. Without
	// it the mass guard decides.
	verdict *account.Verdict

	// prepare, when not nil, announces what the transaction reads. It is called before the
	// connection is read.
	prepare func(*change)

	// recognized, when not nil, is whose credential is to be confirmed.
	recognized *Recognized

	// once are keys of which none may have been used. They are used with the change.
	once []OnceKey

	// offboarding says that the connection ends: nobody needs an admin of it.
	offboarding bool

	// acts says that an operator acts on one person, which waits for no mode.
	acts bool

	// answers, when not nil, are what the host has answered already.
	answers *hostAnswers
}

// bySystem is the cause of what the engine does by itself.
func bySystem() cause {
	return cause{actor: Actor{Kind: "system"}, source: store.SourceOperator}
}

// decided returns the cause with a verdict.
func (c cause) decided(v account.Verdict) cause {
	c.verdict = &v
	return c
}

// mayEnd reports whether the cause may end memberships of a source: an operator
// all, an identity provider those that identity providers reported.
func (c *cause) mayEnd(s store.Source) bool {
	return c.source == store.SourceOperator || s.Reported()
}

// endable lists the sources for which mayEnd is true.
func (c *cause) endable() []store.Source {
	if c.source == store.SourceOperator {
		return []store.Source{""} // all
	}
	return []store.Source{store.SourceSCIM, store.SourceJIT, store.SourceSync}
}

// adopts reports whether the cause takes over what logins wrote.
func (c *cause) adopts() bool { return knowsBetter(c.source) }

// knowsBetter reports whether a source tells all of what it writes, so that
// logins no longer count.
func knowsBetter(s store.Source) bool { return s == store.SourceSCIM || s == store.SourceSync }

// change is one transaction on one connection.
type change struct {
	cause
	engine     *Engine
	tx         store.Tx
	connection string
	conn       *compiled
	now        time.Time
	facts      *factsTx // where accounts wait for the mode
	host       *hostAnswers
	mass       massGuard
	tally      tally

	claims  claims // of the plan that is being made
	rereads bool   // accounts take over what users say that was written meanwhile

	events   int
	jobs     int
	newAdmin bool     // an account became site admin
	deleted  []string // accounts that became tombstones

	uses []records.Entry[struct{}] // of the keys that are used once
}

// update runs fn in a transaction on a connection, again with what the host
// answers as long as it must be asked, and wakes [Engine.Run] for a new job.
func (e *Engine) update(ctx context.Context, connection string, why cause, fn func(*change) error) error {
	if connection == store.Global {
		return notFound("connection", connection)
	}
	return e.updateWith(ctx, connection, why, nil, fn)
}

// updateWith is update for a transaction that may make its connection: load
// returns it; nil loads the stored one.
func (e *Engine) updateWith(ctx context.Context, connection string, why cause, load func(store.Tx) (*compiled, error), fn func(*change) error) error {
	host := why.answers
	if host == nil {
		host = &hostAnswers{}
	}
	for {
		jobs := 0
		err := e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) (err error) {
			c := &change{cause: why, engine: e, tx: tx, connection: connection, host: host}
			why.recognized.expect(tx)
			if len(why.once) > 0 {
				tx.Expect(expectKeys(why.once))
			}
			if why.prepare != nil {
				why.prepare(c)
			}
			if load != nil {
				c.conn, err = load(tx)
			} else {
				c.conn, err = e.connections.load(connection, tx)
			}
			if err != nil {
				return err
			}
			if err := why.recognized.confirm(tx); err != nil {
				return err
			}
			if c.uses, err = e.firstUse(tx, why.once); err != nil {
				return err
			}
			c.watchFacts()
			c.now = e.now() // the turn of the transaction has come
			c.mass = massGuard{r: tx, most: e.Limits.deprovision()}
			if err := fn(c); err != nil {
				return err
			}
			if err := c.finish(); err != nil {
				return err
			}
			jobs = c.jobs
			return nil
		})
		if err == nil && jobs > 0 {
			e.jobs.Send(connection)
		}
		var ask *askHost
		if errors.As(err, &ask) {
			if err := ask.answer(ctx, e, connection, host); err != nil {
				return err
			}
			continue
		}
		return err
	}
}

// append completes an event and appends it. Of groups nobody hears before the connection
// goes live.
func (c *change) append(ev *store.Event) error {
	switch ev.Type {
	case store.GroupCreated, store.GroupUpdated, store.GroupDeleted:
		if c.conn.Mode == ModeShadow {
			return nil
		}
	}
	ev.Time, ev.Connection, ev.Actor = c.now, c.conn.ID, c.actor
	if ev.Resource == nil {
		ev.Resource = c.resource
	}
	if len(ev.Tolerances) == 0 {
		ev.Tolerances = c.tolerances
	}
	c.events++
	return c.tx.AppendEvent(ev)
}

// finish is the last step of a transaction. The account that is kept as the last
// site admin is derived as soon as another one has become site admin.
func (c *change) finish() error {
	if c.newAdmin {
		if err := c.releaseLastAdmin(); err != nil {
			return err
		}
	}
	if err := c.eraseDeleted(); err != nil {
		return err
	}
	if err := cmp.Or(saveUses(c.tx, c.uses), c.countFacts()); err != nil {
		return err
	}
	if err := c.tally.save(c.tx); err != nil {
		return err
	}
	return c.mass.save(c.tx)
}

func (c *change) releaseLastAdmin() error {
	kept, err := records.LastAdmin.Value(c.tx, "")
	if err != nil || kept == "" {
		return err
	}
	if err := records.LastAdmin.Clear(c.tx, ""); err != nil {
		return err
	}
	a, err := c.tx.Account(kept)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.deriveAgain(a)
}
