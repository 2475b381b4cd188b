package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Session is a session at the identity provider that logins belong to. When it ends
// there, [Directory.EndLogin] finds the account by it.
type Session struct {
	// Index tells the sessions of a person apart (SessionIndex of SAML); it may be
	// empty.
	Index string `json:"index,omitempty"`

	// NameID is the subject for which the identity provider has the session.
	NameID NameID `json:"nameID"`

	// Until is when it ends by itself; zero where that is not said.
	Until time.Time `json:"until,omitzero"`
}

// How long a session is remembered, and how many of an account. The identity
// provider says how long its session lasts, or nothing. A clock that is wrong makes it
// remembered for longer: rather one logout too many than a session that nobody ends.
const (
	sessionUsual = 7 * 24 * time.Hour
	sessionMost  = 30 * 24 * time.Hour
	maxSessions  = 20
)

// nameKey is by what a logout names a person. Qualifiers are left out: they may be
// missing where they say what is plain.
func (n NameID) nameKey() string {
	format := n.Format
	if format == "" {
		format = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	}
	sum := sha256.Sum256([]byte(format + "\x00" + n.Value))
	return hex.EncodeToString(sum[:])
}

// rememberSession remembers to which account a session of the identity provider
// belongs, if the login says that it may be ended there.
func (l *login) rememberSession(id string) error {
	s := l.identity.Session
	if s == nil || s.NameID.Value == "" || textProblem(s.Index) != "" || textProblem(s.NameID.Value) != "" {
		return nil
	}
	kept := *s
	if kept.Until = s.Until.UTC().Truncate(time.Millisecond); s.Until.IsZero() {
		kept.Until = l.now.Add(sessionUsual)
	}
	if most := l.now.Add(sessionMost); kept.Until.After(most) {
		kept.Until = most
	}
	name, err := records.LoginName.Load(l.tx, kept.NameID.nameKey())
	if err != nil {
		return err
	}
	name.Value = id
	if kept.Until.After(name.Expires) {
		name.Expires = kept.Until
	}
	if err := records.LoginName.Save(l.tx, &name); err != nil {
		return err
	}
	sessions, err := records.LoginSessions.Load(l.tx, id)
	if err != nil {
		return err
	}
	row := records.LoginSession{
		Index: kept.Index, Name: kept.NameID.Value, Format: kept.NameID.Format,
		NameQualifier: kept.NameID.NameQualifier, SPNameQualifier: kept.NameID.SPNameQualifier, Until: kept.Until,
	}
	sessions.Value = slices.DeleteFunc(sessions.Value, func(o records.LoginSession) bool {
		return !l.now.Before(o.Until) || o.Index == row.Index && o.Name == row.Name && o.Format == row.Format
	})
	sessions.Value = append(sessions.Value, row)
	if extra := len(sessions.Value) - maxSessions; extra > 0 {
		sessions.Value = sessions.Value[extra:]
	}
	return saveSessions(l.tx, &sessions)
}

// saveSessions stores the sessions of an account until the last one ends.
func saveSessions(tx store.Tx, sessions *records.Entry[[]records.LoginSession]) error {
	if len(sessions.Value) == 0 {
		return records.LoginSessions.Clear(tx, sessions.Key)
	}
	sessions.Expires = time.Time{}
	for _, s := range sessions.Value {
		if s.Until.After(sessions.Expires) {
			sessions.Expires = s.Until
		}
	}
	return records.LoginSessions.Save(tx, sessions)
}

func sessionOf(s records.LoginSession) Session {
	return Session{
		Index: s.Index, Until: s.Until,
		NameID: NameID{Value: s.Name, Format: s.Format, NameQualifier: s.NameQualifier, SPNameQualifier: s.SPNameQualifier},
	}
}

// Sessions returns the sessions at the identity provider that logins of an account
// belong to and that have not ended, the oldest first. They are remembered for as
// long as the identity provider said, or seven days, twenty of an account at most,
// and only of logins that told [Identity.Session]. An account without any has none,
// even if it does not exist.
func (d *Directory) Sessions(ctx context.Context, account string) ([]Session, error) {
	var out []Session
	err := d.view(ctx, func(r store.Reader) error {
		out = nil
		if _, err := d.engine.connections.load(d.connection, r); err != nil {
			return err
		}
		rows, err := records.LoginSessions.Value(r, account)
		if err != nil {
			return err
		}
		for _, s := range rows {
			if d.engine.sure(d.engine.now()).Before(s.Until) {
				out = append(out, sessionOf(s))
			}
		}
		return nil
	})
	return out, err
}

// Logout is what an identity provider says when a person has logged out there.
type Logout struct {
	// NameID is the subject whose sessions have ended.
	NameID NameID

	// Indexes name these sessions; all have ended where there are none.
	Indexes []string

	// Once are the keys that the logout uses, such as the id of the message.
	Once []OnceKey
}

// EndLogin says that a person has logged out at the identity provider. It finds the
// account by the logins that told their session, or by a persistent NameID, appends the
// event login.ended, which names the account and the indexes, and returns the id of
// the account. Whoever hears of the event ends the sessions of the application.
//
// Nothing of the account changes. The error is [ErrNotFound] where nobody is known
// by the name. The keys of [Logout.Once] are used in the same transaction, also then: a
// [*ReplayError] says that one was used before. After any other error none was.
func (d *Directory) EndLogin(ctx context.Context, l Logout) (account string, err error) {
	d = d.via(store.SourceJIT)
	why := d.why()
	why.once = l.Once
	var nobody error
	err = d.update(ctx, why, func(c *change) error {
		account, nobody = "", nil
		a, err := c.namedAccount(l.NameID)
		if errors.Is(err, store.ErrNotFound) {
			nobody = err
			return nil
		}
		if err != nil {
			return err
		}
		account = a.ID
		if err := c.forgetSessions(a.ID, l.Indexes); err != nil {
			return err
		}
		ev := &store.Event{Type: store.LoginEnded, AccountID: a.ID}
		for _, index := range l.Indexes {
			ev.Changes = append(ev.Changes, store.Change{Attribute: "sessionIndex", Before: mustJSON(index)})
		}
		return c.append(ev)
	})
	if err == nil {
		err = nobody
	}
	return account, err
}

// namedAccount finds the account of a NameID, or ErrNotFound.
func (c *change) namedAccount(name NameID) (*Account, error) {
	known, err := records.LoginName.Load(c.tx, name.nameKey())
	if err != nil {
		return nil, err
	}
	if known.Stored() && c.engine.sure(c.now).Before(known.Expires) {
		a, err := c.tx.Account(known.Value)
		if err == nil && a.Status != policy.StatusDeleted {
			return a, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	for _, key := range (&Identity{NameID: name}).keys() {
		if a, err := (finder{c.tx, c.conn}).boundTo(key); err != nil || a != nil {
			return a, err
		}
	}
	return nil, notFound("session", name.Value)
}

// forgetSessions forgets sessions of an account, all where no index is given.
func (c *change) forgetSessions(account string, indexes []string) error {
	sessions, err := records.LoginSessions.Load(c.tx, account)
	if err != nil || !sessions.Stored() {
		return err
	}
	before := len(sessions.Value)
	sessions.Value = slices.DeleteFunc(sessions.Value, func(s records.LoginSession) bool {
		return len(indexes) == 0 || slices.Contains(indexes, s.Index)
	})
	if len(sessions.Value) == before {
		return nil
	}
	return saveSessions(c.tx, &sessions)
}

// pruneSessions removes the sessions of a connection that have ended.
func (e *Engine) pruneSessions(ctx context.Context, connection string) error {
	if used, err := records.LoginName.Any(ctx, e.store(), connection); err != nil || !used {
		return err
	}
	return e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		_, err := records.LoginName.Prune(tx, e.now())
		if err == nil {
			_, err = records.LoginSessions.Prune(tx, e.now())
		}
		return err
	})
}
