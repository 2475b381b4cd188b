package provision

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Login is the way in of a person whom the identity provider has just
// authenticated: it finds the person, creates or updates them as the policy
// says, derives their account, and returns it. The account is active.
//
// A person is found by the immutable id, then by a persistent NameID, then by
// the user name. Somebody unknown is created where option provisionOnFirstLogin
// says so. A person whom only logins have written gets the names, e-mail and
// groups of the identity; one whom SCIM or a sync has written keeps theirs.
// Missing evidence of groups takes nothing away. Simultaneous first logins
// create one account.
//
// A refusal is a [*DeniedError]: nothing was created or changed but the event
// login.denied, at most one a minute for each account and code. The one exception
// is an unknown person whom option passwordGroups gives a password: where logins
// create people their account is created, so that the host can invite them, and
// the login is refused nevertheless. The error is
// [ErrNotFound] for an unknown connection. What Login writes is recorded as
// written by the source JIT.
//
// The keys of [Identity.Once] are used in the transaction of the login, or of its
// refusal. A [*ReplayError] says that one was used before. After any other error none
// was, and the login may be tried again: where the store was busy or away, for example.
// Only where a store cannot tell what became of its commit, which the
// [*UnavailableError] does not say either, the next try may be refused as a replay.
func (d *Directory) Login(ctx context.Context, id Identity) (*Account, error) {
	d = d.via(store.SourceJIT)
	a, invited, err := d.login(ctx, id)
	if err == nil && invited != nil {
		invited.ID, invited.UserName = id.ID, id.userName()
		return nil, invited
	}
	var refused *DeniedError
	if !errors.As(err, &refused) {
		return a, err
	}
	refused.ID, refused.UserName = id.ID, id.userName()
	why := d.why() // of another transaction, as nothing that the login has written stays
	why.once = id.Once
	return nil, errors.Join(err, d.update(ctx, why, func(c *change) error { return c.tellDenial(refused) }))
}

// login returns the account of who may log in, or is invited and refused. After an
// error nothing is stored, not even of a refusal.
func (d *Directory) login(ctx context.Context, id Identity) (entered *Account, invited *DeniedError, err error) {
	id, wrong := id.normalized()
	if wrong != nil {
		return nil, nil, wrong
	}
	err = d.update(ctx, d.loggingIn(&id), func(c *change) error {
		l := &login{change: c, identity: &id}
		a, err := l.run()
		if err == nil && l.invited != nil {
			l.resource = nil // the event is about the login
			err = l.tellDenial(l.invited)
		}
		entered, invited = a, l.invited
		return err
	})
	return entered, invited, err
}

// errTried ends the transaction of a login that is only tried.
var errTried = errors.New("provision: tried")

// TryLogin says what [Directory.Login] would do with an identity now, and does
// nothing of it: nothing is stored, no event is appended, and nobody is logged in.
// Before a connection goes live, and while it is paused, it says what Login would do then.
// The account is as it would be after the login; its id is made up where it would be
// a new one. The error is as for Login. Guard and Linker of the host are asked. Keys in
// [Identity.Once] are not used either.
func (d *Directory) TryLogin(ctx context.Context, id Identity) (*Account, error) {
	id, wrong := id.normalized()
	if wrong != nil {
		return nil, wrong
	}
	d = d.via(store.SourceJIT)
	var tried *Account
	err := d.update(ctx, d.loggingIn(&id), func(c *change) error {
		c.conn = c.conn.asLive()
		l := &login{change: c, identity: &id}
		a, err := l.run()
		if err == nil {
			err = refusedOr(l.invited)
		}
		if err != nil {
			return err
		}
		tried = a
		return errTried
	})
	if errors.Is(err, errTried) {
		return tried, nil
	}
	return nil, err
}

// login is one login inside a transaction. When it fails, nothing is stored.
type login struct {
	*change
	identity *Identity
	gone     *Account    // bound to the identity, and its resource was deleted
	appeared []*Resource // groups that the login has created

	// invited refuses a login although its account is created: the person gets a
	// password.
	invited *DeniedError
}

// loginPerson is somebody whom a login has found or created.
type loginPerson struct {
	resource *Resource // nil: deleted, and the account stayed active
	account  *Account  // nil: new
}

// owned reports whether only logins write the person.
func (p *loginPerson) owned() bool { return p.resource != nil && p.resource.Source == store.SourceJIT }

func (l *login) run() (*Account, error) {
	if l.conn.Disabled {
		return nil, denied(policy.DeniedConnection, "connection %q is disabled", l.conn.ID)
	}
	if l.conn.Mode == ModeShadow {
		return nil, denied(policy.DeniedNotLive, "connection %q has not gone live: nobody logs in before", l.conn.ID)
	}
	p, err := l.find()
	switch {
	case err != nil:
		return nil, err
	case p == nil && l.waits():
		return nil, l.denyPaused()
	case p == nil:
		return l.create()
	}
	return l.update(p)
}

// create provisions somebody unknown.
func (l *login) create() (*Account, error) {
	id := l.identity
	if !l.conn.policy.ProvisionsOnFirstLogin(l.conn.SCIM) {
		d := denied(policy.DeniedNotProvisioned, "nobody is known as %q (e-mail %q), and option provisionOnFirstLogin does not create people", id.userName(), id.Email)
		d.Reasons = []policy.Reason{{Option: "provisionOnFirstLogin", Effect: policy.EffectNotCreated}}
		return nil, d
	}
	if id.userName() == "" {
		return nil, denied(policy.DeniedIncomplete, "there is neither a user name nor an e-mail to create an account with")
	}
	doc := account.Document{}
	l.say(&doc)
	r, err := l.createResource(TypeUser, doc.Content())
	if err != nil {
		return nil, err
	}
	next, err := l.startAccount(nil, r.ID)
	if err != nil {
		return nil, err
	}
	l.tx.Expect(func(r store.Reader) { l.expectNew(r, next) })
	person := account.Read(r.Document, l.conn.attributes)
	person.WriteTo(next)
	if err := l.linkNew(next, person); err != nil {
		return nil, err
	}
	return l.enter(&loginPerson{resource: r}, next)
}

// update brings somebody known up to date.
func (l *login) update(p *loginPerson) (*Account, error) {
	next := p.account.Clone()
	if p.resource != nil {
		l.resource = &store.ResourceRef{Type: TypeUser, ID: p.resource.ID}
	}
	if p.owned() {
		if err := l.writeUser(p, next); err != nil {
			return nil, err
		}
	}
	return l.enter(p, next)
}

// enter derives the account and lets the person in, or refuses.
func (l *login) enter(p *loginPerson, next *Account) (*Account, error) {
	if next.Facts.Login == nil {
		next.Facts.Login = &store.LoginFacts{}
	}
	if p.resource != nil {
		if err := l.writeGroups(p, next); err != nil {
			return nil, err
		}
	}
	if err := l.bind(next); err != nil {
		return nil, err
	}
	if l.waits() {
		return l.enterPaused(p, next)
	}
	logsIn, err := l.startsBySSO(p, next)
	if err != nil {
		return nil, err
	}
	if err := l.giveDefaults(p.account, next, logsIn); err != nil {
		return nil, err
	}
	out, err := l.settleLogin(p, next, logsIn)
	if err != nil {
		return nil, err
	}
	if err := l.store(&out); err != nil {
		return nil, err
	}
	if l.invited == nil {
		if err := l.rememberSession(out.After.ID); err != nil {
			return nil, err
		}
	}
	if err := l.groupsAppeared(); err != nil {
		return nil, err
	}
	return out.After.Clone(), nil
}

// groupsAppeared gives the groups that the login has created to the accounts that
// wait for their names. The group is why, not the person.
func (l *login) groupsAppeared() error {
	person := l.resource
	for _, g := range l.appeared {
		l.resource = &store.ResourceRef{Type: TypeGroup, ID: g.ID}
		if err := l.groupNameAppeared(g.Display); err != nil {
			return err
		}
	}
	l.resource = person
	return nil
}

// startsBySSO reports whether a first login can be one. It is none of somebody new
// who gets a password: their first login is yet to come, by that password.
func (l *login) startsBySSO(p *loginPerson, next *Account) (bool, error) {
	if p.account != nil || len(l.conn.Policy.PasswordGroups) == 0 {
		return true, nil
	}
	groups, err := readGraph(l.tx, l.conn.policy, next.ResourceID)
	if err != nil {
		return false, err
	}
	d := account.Decide(account.Input{Next: next, Groups: groups, Policy: l.conn.policy, Now: l.now, Sure: l.engine.sure(l.now), Source: l.source})
	return l.conn.policy.AllowsSSO(d.Account().Authentication), nil
}

// settleLogin decides about the account and refuses whom the policy does not let
// in.
func (l *login) settleLogin(p *loginPerson, next *Account, logsIn bool) (out account.Output, err error) {
	groups, err := readGraph(l.tx, l.conn.policy, next.ResourceID)
	if err != nil {
		return out, err
	}
	d := account.Decide(account.Input{
		Before: p.account, Next: next, Groups: groups, Policy: l.conn.policy, Now: l.now, Sure: l.engine.sure(l.now), Source: l.source, LogsIn: logsIn,
	})
	verdict, err := l.verdictOn([]account.Decision{d})
	if err != nil {
		return out, err
	}
	if out, err = l.settle(d, verdict); err != nil {
		return out, err
	}
	refused := l.refusal(p, out.After, d.Admitted())
	if refused != nil && refused.Code == policy.DeniedPassword && !logsIn {
		refused.Account, l.invited = out.After.ID, refused
		return out, nil
	}
	return out, refusedOr(refused)
}

// refusedOr returns a refusal as an error, which nil is not.
func refusedOr(d *DeniedError) error {
	if d == nil {
		return nil
	}
	return d
}

// giveDefaults adds the default groups whose moment has come.
func (l *login) giveDefaults(before, next *Account, logsIn bool) error {
	if before == nil {
		if err := l.defaults().owe(next, policy.AtCreation); err != nil {
			return err
		}
	}
	if logsIn && !next.Facts.LoggedIn {
		if err := l.defaults().owe(next, policy.AtLogin); err != nil {
			return err
		}
	}
	return l.defaults().retry(next)
}

// refusal says why an account that is settled may not log in, or nil. The gate
// is for people whom only logins know; the others have the status that it gave
// them. A person whom a guard keeps can log in.
func (l *login) refusal(p *loginPerson, after *Account, admitted bool) *DeniedError {
	own := p.owned() && !slices.ContainsFunc(after.Reasons, account.IsGuardReason)
	who := l.identity.userName()
	var refused *DeniedError
	switch {
	case after.Facts.Conflict != "" && after.Status != policy.StatusActive:
		refused = denied(policy.DeniedConflict, "%q resembles the account %q of the host, and nobody has decided whether it is theirs", who, after.Facts.Conflict)
	case len(after.Facts.Blocks) > 0 && after.Status != policy.StatusActive:
		refused = denied(policy.DeniedDisabled, "the account of %q is disabled", who)
	case after.Status != policy.StatusActive || own && !admitted:
		refused = denied(policy.DeniedNotAdmitted, "options requiredGroups and onMissingGroups do not admit %q", who)
	case !l.conn.policy.AllowsSSO(after.Authentication):
		refused = denied(policy.DeniedPassword, "%q logs in with a password by option passwordGroups, and allowSSOForPasswordUsers is off", who)
	default:
		return nil
	}
	refused.Account, refused.Reasons = accountID(p.account), after.Reasons
	return refused
}

// bind remembers the ids by which the next login finds the account. A NameID
// that is another's now stays theirs: it says less than what the person was found
// by. A new NameID takes the place of the old one.
func (l *login) bind(next *Account) error {
	facts := next.Facts.Login
	for _, key := range l.identity.keys() {
		if slices.Contains(facts.Keys, key) {
			continue
		}
		if other, err := l.finder().boundTo(key); err != nil {
			return err
		} else if other != nil && other.ID != next.ID && other.ResourceID != "" {
			continue
		}
		if i := slices.IndexFunc(facts.Keys, func(have string) bool { return sameKind(have, key) }); i >= 0 {
			if err := unbind(l.tx, next, facts.Keys[i]); err != nil {
				return err
			}
			facts.Keys = slices.Delete(facts.Keys, i, i+1)
		}
		if err := records.Identity.Put(l.tx, key, next.ID); err != nil {
			return err
		}
		facts.Keys = append(facts.Keys, key)
	}
	return nil
}

// denialInterval is how long the same refusal of the same account is not told
// again: a person who tries again and again must not fill the event stream.
const denialInterval = time.Minute

// tellDenial appends the event of a refusal, unless it was told a moment ago.
func (c *change) tellDenial(refused *DeniedError) error {
	first, err := c.firstWithin("denied/"+string(refused.Code)+"/"+refused.Account, denialInterval)
	if err != nil || !first {
		return err
	}
	why := policy.Reason{Effect: policy.EffectLoginDenied, Value: string(refused.Code)}
	return c.append(&store.Event{
		Type: store.LoginDenied, AccountID: refused.Account,
		Reasons: append(slices.Clone(refused.Reasons), why),
	})
}
