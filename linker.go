package provision

import (
	"context"
	"fmt"
	"net/url"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Linker tells the Engine about accounts that the host had before, so that a
// person who comes by SCIM or by a login is linked to theirs instead of getting
// another. The link is the HostID of the [Account].
type Linker interface {
	// LocalAccounts returns the host's own accounts that have the user name or
	// the e-mail asked for, in any case. It is called outside any transaction,
	// before somebody new is created; an error fails the request.
	LocalAccounts(ctx context.Context, connection string, q LocalQuery) ([]LocalAccount, error)
}

// LocalQuery asks for accounts by any of its values; an empty one matches
// nothing.
type LocalQuery struct {
	UserName string
	Email    string
}

// LocalAccount is an account of the host's own.
type LocalAccount struct {
	ID       string // as the host knows it
	UserName string
	Email    string

	// SSO says that the host has already linked the account to the connection
	// that asks: whoever its identity provider calls by the user name is the
	// owner.
	SSO bool

	// Admin says that the account has rights that nobody may come to by a name
	// or an address that matches.
	Admin bool

	// Connection is the connection that the account belongs to; empty for none
	// yet. A host that serves several tenants names it, or leaves out the
	// accounts of other tenants: that an account is linked once is known within
	// a connection only.
	Connection string
}

func (e *Engine) localAccounts(ctx context.Context, connection string, q LocalQuery) ([]LocalAccount, error) {
	if e.Linker == nil || q == (LocalQuery{}) {
		return nil, nil
	}
	list, err := e.Linker.LocalAccounts(ctx, connection, q)
	if err != nil {
		return nil, fmt.Errorf("provision: asking for the host's accounts: %w", err)
	}
	return list, nil
}

// maxHostID is how many bytes an id of the host may have.
const maxHostID = 256

// Link records that an account is the account hostID of the host, such as the row
// that the host has made for it. From then on the account carries it as HostID,
// also as a tombstone. Linking it to another one replaces the link; an empty
// hostID ends it. The same link again is no change.
//
// hostID is text of at most 256 bytes without control characters; any other is an
// [*ArgumentError]. The error is a [*store.ConflictError] on attribute "hostId" when
// another account is linked to hostID, and [ErrNotFound] for an unknown or deleted
// account.
func (d *Directory) Link(ctx context.Context, id, hostID string) error {
	if hostID != "" && !isPlainText(hostID, maxHostID) {
		return &ArgumentError{Argument: "hostID", Value: shorten(hostID), Reason: fmt.Sprintf("it must be text of at most %d bytes without control characters", maxHostID)}
	}
	return d.changeAccount(ctx, id, func(c *change, before *Account) error {
		if before.HostID == hostID {
			return nil
		}
		if hostID != "" {
			linked, err := records.HostAccount.Value(c.tx, url.QueryEscape(hostID))
			if err != nil {
				return err
			}
			if linked != "" && linked != id {
				return &store.ConflictError{Attribute: "hostId", ID: linked}
			}
			if err := records.HostAccount.Put(c.tx, url.QueryEscape(hostID), id); err != nil {
				return err
			}
		}
		if before.HostID != "" {
			if err := records.HostAccount.Clear(c.tx, url.QueryEscape(before.HostID)); err != nil {
				return err
			}
		}
		next := before.Clone()
		next.HostID = hostID
		out := account.Compare(before, next, c.now)
		return c.store(&out)
	})
}

// linkNew links the account of somebody new to one that the host had before. Each
// of those is linked once: whoever has its name later is somebody else.
func (c *change) linkNew(next *Account, p account.Person) error {
	if c.engine.Linker == nil {
		return nil
	}
	q := LocalQuery{UserName: p.UserName, Email: p.Email}
	local, answered := c.host.local[q]
	if !answered {
		return &askHost{local: q}
	}
	host, conflict := linkLocal(c.conn, local, p.UserName, p.Email)
	if conflict != nil {
		return denied(policy.DeniedConflict, "%s", conflict.Cause)
	}
	if host == "" {
		return nil
	}
	linked, err := records.HostAccount.Value(c.tx, url.QueryEscape(host))
	if err != nil {
		return err
	}
	if linked != "" {
		d := denied(policy.DeniedConflict, "the account %q of the host, which %q would be linked to, is linked to the account %q", host, p.UserName, linked)
		d.Account = linked
		return d
	}
	next.HostID = host
	return c.claim(host, next)
}

// claim keeps everybody else from being linked to an account of the host.
func (c *change) claim(host string, next *Account) error {
	return records.HostAccount.Put(c.tx, url.QueryEscape(host), next.ID)
}

// Why somebody is not linked to the account of the host that they resemble.
const (
	conflictSeveral    = "several"          // the host has several that they resemble
	conflictElsewhere  = "other_connection" // it belongs to another connection
	conflictAdmin      = "admin"            // it is an admin's
	conflictUnlinked   = "not_linked"       // option link does not link them
	conflictUntrusted  = "domain"           // the domain of the e-mail is not one of emailDomains
	conflictTaken      = "taken"            // it is linked to somebody else
	conflictOvertaken  = "changed"          // it was planned otherwise
	conflictVoidChoice = "choice_void"      // the account that an operator chose may not be linked
)

// linkConflict is why somebody may not be linked to an account of the host that they
// resemble.
type linkConflict struct {
	Code  string
	Hosts []string // ids of those accounts, at least one
	Cause string   // for administrators; it may name values
}

// linkLocal returns the id of the host's account that somebody new is linked to,
// or "". Pre-linked accounts come first; others are linked only by option link,
// restricted to emailDomains, never an admin's, and never one of another
// connection. One that clashes and may not be linked is a conflict: another account
// would be a duplicate, or be taken for it.
func linkLocal(conn *compiled, local []LocalAccount, userName, email string) (string, *linkConflict) {
	var alike, linked []LocalAccount
	for _, a := range local {
		if sameName, _ := a.matches(userName, email); a.SSO && sameName && (a.Connection == "" || a.Connection == conn.ID) {
			linked = append(linked, a)
		}
		if a.clashes(userName, email) {
			alike = append(alike, a)
		}
	}
	if len(linked) == 1 {
		return linked[0].ID, nil
	}
	if len(alike) == 0 {
		return "", nil
	}
	a := alike[0]
	refuse := func(code, why string) (string, *linkConflict) {
		c := &linkConflict{Code: code, Cause: fmt.Sprintf("the host has an account with the user name %q and e-mail %q like %q and %q: %s", a.UserName, a.Email, userName, email, why)}
		for _, a := range alike {
			c.Hosts = append(c.Hosts, a.ID)
		}
		return "", c
	}
	sameName, sameEmail := a.matches(userName, email)
	switch link := conn.Policy.Link; {
	case len(alike) > 1:
		return refuse(conflictSeveral, fmt.Sprintf("and %d more", len(alike)-1))
	case a.Connection != "" && a.Connection != conn.ID:
		return refuse(conflictElsewhere, "it belongs to another connection")
	case a.Admin:
		return refuse(conflictAdmin, "it is an admin's")
	case link == policy.LinkEmail && !sameEmail, link == policy.LinkUserName && !sameName,
		link != policy.LinkEmail && link != policy.LinkUserName:
		return refuse(conflictUnlinked, "option link does not link them")
	case !conn.policy.TrustsEmail(email):
		return refuse(conflictUntrusted, "the domain of the e-mail is not one of emailDomains")
	}
	return a.ID, nil
}

// clashes reports whether an account has a user name or an e-mail that could be
// taken for one of somebody new.
func (a *LocalAccount) clashes(userName, email string) bool {
	return a.UserName != "" && naming.Clash(a.UserName, userName) || a.Email != "" && naming.Clash(a.Email, email)
}

// matches reports which of the two are the same.
func (a *LocalAccount) matches(userName, email string) (byName, byEmail bool) {
	return a.UserName != "" && naming.Match(a.UserName, userName), a.Email != "" && naming.Match(a.Email, email)
}
