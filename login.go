package provision

import (
	"context"
	"errors"
	"slices"
	"time"

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
// login.denied, at most one a minute for each account and code. The error is
// [ErrNotFound] for an unknown connection. What Login writes is recorded as
// written by the source JIT.
func (d *Directory) Login(ctx context.Context, id Identity) (*Account, error) {
	d = d.As(Actor{Kind: string(store.SourceJIT), ID: d.actor.ID})
	account, err := d.login(ctx, id)
	var refused *DeniedError
	if errors.As(err, &refused) {
		return nil, errors.Join(err, d.recordDenial(ctx, refused))
	}
	return account, err
}

func (d *Directory) login(ctx context.Context, id Identity) (*Account, error) {
	id, wrong := id.normalized()
	if wrong != nil {
		return nil, wrong
	}
	var account *Account
	err := d.linkingUpdate(ctx, func(c *change) error {
		l := &login{change: c, identity: &id}
		a, err := l.run()
		account = a
		return err
	})
	return account, err
}

// login is one login inside a transaction. When it fails, nothing is stored.
type login struct {
	*change
	identity *Identity
	gone     *Account // bound to the identity, and its resource was deleted
}

// loginPerson is somebody whom a login has found.
type loginPerson struct {
	resource *Resource
	account  *Account
}

func (l *login) run() (*Account, error) {
	if l.conn.Disabled {
		return nil, denied(DeniedConnection, "connection %q is disabled", l.conn.ID)
	}
	p, err := l.find()
	if err != nil {
		return nil, err
	}
	if p == nil {
		return l.create()
	}
	return l.update(p)
}

// create provisions somebody unknown.
func (l *login) create() (*Account, error) {
	id := l.identity
	if !l.conn.policy.ProvisionsOnFirstLogin(l.conn.SCIM) {
		d := denied(DeniedNotProvisioned, "nobody is known as %q (e-mail %q), and option provisionOnFirstLogin does not create people", id.userName(), id.Email)
		d.Reasons = []policy.Reason{{Option: "provisionOnFirstLogin", Effect: effectNotCreated}}
		return nil, d
	}
	if id.userName() == "" {
		return nil, denied(DeniedIncomplete, "there is neither a user name nor an e-mail to create an account with")
	}
	r, err := l.createResource(TypeUser, l.document(nil).content())
	if err != nil {
		return nil, err
	}
	after, err := l.startAccount(nil, r.ID)
	if err != nil {
		return nil, err
	}
	person := readPerson(r.Document, l.conn.attributes)
	person.writeTo(after)
	if err := l.linkNew(after, person); err != nil {
		return nil, err
	}
	return l.enter(&loginPerson{resource: r}, after)
}

// update brings somebody known up to date.
func (l *login) update(p *loginPerson) (*Account, error) {
	after := p.account.Clone()
	l.cause = &store.ResourceRef{Type: TypeUser, ID: p.resource.ID}
	if p.resource.Source == store.SourceJIT {
		if err := l.writeUser(p, after); err != nil {
			return nil, err
		}
	}
	return l.enter(p, after)
}

// enter settles the account and lets the person in, or refuses.
func (l *login) enter(p *loginPerson, after *Account) (*Account, error) {
	before := p.account
	l.entering = after.ID
	if after.Facts.Login == nil {
		after.Facts.Login = &store.LoginFacts{}
	}
	if err := l.writeGroups(p, after); err != nil {
		return nil, err
	}
	if err := l.bind(after); err != nil {
		return nil, err
	}
	if err := l.giveDefaults(before, after); err != nil {
		return nil, err
	}
	decided, err := l.prepare(before, after, false)
	if err != nil {
		return nil, err
	}
	if refused := l.refusal(p, after, decided.admitted); refused != nil {
		return nil, refused
	}
	after.Facts.LoggedIn = true
	if err := l.settlePrepared(before, after, decided.notes); err != nil {
		return nil, err
	}
	return after.Clone(), nil
}

// giveDefaults adds the default groups whose moment has come.
func (l *login) giveDefaults(before, after *Account) error {
	if before == nil {
		if err := l.owesDefaults(after, policy.AtCreation); err != nil {
			return err
		}
	}
	if !after.Facts.LoggedIn {
		if err := l.owesDefaults(after, policy.AtLogin); err != nil {
			return err
		}
	}
	return l.retryDefaults(after)
}

// refusal says why an account that is settled may not log in, or nil. The gate
// is for people whom only logins know; the others have the status that it gave
// them. Whom a guard keeps, it keeps able to log in.
func (l *login) refusal(p *loginPerson, after *Account, admitted bool) error {
	own := p.resource.Source == store.SourceJIT && !slices.ContainsFunc(after.Reasons, isGuardReason)
	who := l.identity.userName()
	var refused *DeniedError
	switch {
	case len(after.Facts.Blocks) > 0 && after.Status != policy.Active:
		refused = denied(DeniedDisabled, "the account of %q is disabled", who)
	case after.Status != policy.Active || own && !admitted:
		refused = denied(DeniedNotAdmitted, "options requiredGroups and onMissingGroups do not admit %q", who)
	case !l.conn.policy.AllowsSSO(after.Authentication):
		refused = denied(DeniedPassword, "%q logs in with a password by option passwordGroups, and allowSSOForPasswordUsers is off", who)
	default:
		return nil
	}
	refused.Account, refused.Reasons = accountID(p.account), after.Reasons
	return refused
}

// document returns the user resource with what the identity says. was is nil for
// a new one.
func (l *login) document(was *Resource) userDocument {
	doc := userDocument{}
	if was != nil {
		doc = readUserDocument(was.Document)
	}
	doc.say(l.identity)
	if l.conn.externalIDImmutable() && l.identity.ID != "" {
		doc["externalId"] = l.identity.ID
	}
	return doc
}

// createResource stores a new resource that logins own.
func (l *login) createResource(typ string, content Content) (*Resource, error) {
	id, err := l.engine.newID()
	if err != nil {
		return nil, err
	}
	d := &Draft{change: l.change, resource: Resource{ID: id, Type: typ, Created: l.now}}
	d.Write(content)
	l.cause = &store.ResourceRef{Type: typ, ID: id}
	if err := d.put(); err != nil {
		return nil, err
	}
	return &d.resource, l.putMark(recordJIT, jitWrote, "yes")
}

// writeUser gives a person whom only logins write what the identity says. A user
// name or an e-mail that somebody else has is left out, and an event says so.
func (l *login) writeUser(p *loginPerson, after *Account) error {
	doc := l.document(p.resource)
	was := readUserDocument(p.resource.Document)
	var kept []store.Change
	for _, path := range []string{"userName", "emails.value"} {
		if policy.EqualFold(doc[path], was[path]) {
			continue
		}
		taken, err := l.taken(doc[path], p.resource.ID)
		if err != nil {
			return err
		}
		if taken {
			kept = append(kept, textChange(path, was[path], doc[path]))
			doc[path] = was[path]
		}
	}
	content := doc.content()
	if string(content.Document) != string(p.resource.Document) {
		d := &Draft{change: l.change, resource: *p.resource, before: p.resource}
		d.Write(content)
		if err := d.put(); err != nil {
			return err
		}
		readPerson(content.Document, l.conn.attributes).writeTo(after)
	}
	if len(kept) == 0 {
		return nil
	}
	return l.emailConflict(after, kept)
}

// emailConflict tells, once for each value, that a name or an e-mail was kept.
func (l *login) emailConflict(after *Account, kept []store.Change) error {
	told := ""
	for _, k := range kept {
		told += k.Attribute + string(k.After)
	}
	if was, err := l.mark(recordConflict, after.ID); err != nil || was == told {
		return err
	}
	if err := l.putMark(recordConflict, after.ID, told); err != nil {
		return err
	}
	return l.append(&store.Event{Type: store.AccountEmailConflict, AccountID: after.ID, Changes: kept})
}

// bind remembers the ids by which the next login finds the account. A NameID
// that is another's now stays theirs: it says less than what the person was found
// by. A new NameID takes the place of the old one.
func (l *login) bind(after *Account) error {
	facts := after.Facts.Login
	for _, key := range l.keys() {
		if slices.Contains(facts.Keys, key) {
			continue
		}
		if other, err := l.boundTo(key); err != nil {
			return err
		} else if other != nil && other.ID != after.ID && other.ResourceID != "" {
			continue
		}
		if i := slices.IndexFunc(facts.Keys, func(have string) bool { return sameKind(have, key) }); i >= 0 {
			if err := l.clearMark(recordIdentity, facts.Keys[i]); err != nil {
				return err
			}
			facts.Keys = slices.Delete(facts.Keys, i, i+1)
		}
		if err := l.putMark(recordIdentity, key, after.ID); err != nil {
			return err
		}
		facts.Keys = append(facts.Keys, key)
	}
	return nil
}

// denialInterval is how long the same refusal of the same account is not told
// again: a person who tries again and again must not fill the event stream.
const denialInterval = time.Minute

// recordDenial appends the event of a refusal.
func (d *Directory) recordDenial(ctx context.Context, refused *DeniedError) error {
	first, err := d.engine.Once(ctx, d.connection, "denied/"+string(refused.Code)+"/"+refused.Account, d.engine.now().Add(denialInterval))
	if err != nil || !first {
		return err
	}
	return d.engine.update(ctx, d.connection, d.actor, func(c *change) error {
		why := policy.Reason{Effect: "login denied: " + string(refused.Code)}
		return c.append(&store.Event{
			Type: store.LoginDenied, AccountID: refused.Account,
			Reasons: append(slices.Clone(refused.Reasons), why),
		})
	})
}
