package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// LinkChoice is what an operator decides about somebody who resembles an account of the
// host, or who is not to have an account.
type LinkChoice string

// The choices.
const (
	ChooseNothing  LinkChoice = ""          // what was chosen before counts no more
	ChooseLink     LinkChoice = "link"      // it is the person's own account
	ChooseNew      LinkChoice = "new"       // it is somebody else's: the person gets another one
	ChooseLeaveOut LinkChoice = "leave_out" // the person gets no account
)

// ChooseLink decides for an operator how a user gets an account who has none yet, because
// the connection is in shadow or paused, or whose account is staged as a conflict. It
// counts for this very person: for a user who has another externalId later, or another user
// name where there is no externalId, nothing was chosen. Another choice takes its place.
//
// hostID is for [ChooseLink]: an account that the Linker of the host names for the person,
// which is no admin's, belongs to no other connection and is nobody else's. These are looked
// at again when the account is linked.
//
// Where the account is staged as a conflict it is derived at once; it cannot be left out any
// more, but disabled or deleted. The error is an [*ArgumentError] for what cannot be chosen,
// and [ErrNotFound] for an unknown user, or one who has an account.
func (d *Directory) ChooseLink(ctx context.Context, user string, choice LinkChoice, hostID string) error {
	switch {
	case choice != ChooseNothing && choice != ChooseLink && choice != ChooseNew && choice != ChooseLeaveOut:
		return &ArgumentError{Argument: "choice", Value: shorten(string(choice)), Reason: "it is link, new or leave_out, or empty"}
	case (choice == ChooseLink) != (hostID != ""):
		return &ArgumentError{Argument: "hostID", Value: shorten(hostID), Reason: "it is for the choice to link, and needed there"}
	}
	why := d.why()
	why.acts = true
	return d.update(ctx, why, func(c *change) error { return c.choose(user, choice, hostID) })
}

func (c *change) choose(user string, choice LinkChoice, hostID string) error {
	r, err := c.tx.Resource(TypeUser, user, 0)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("user", user)
	}
	if err != nil {
		return err
	}
	p := account.Read(r.Document, c.conn.attributes)
	if choice == ChooseLink {
		if err := c.mayLink(p, hostID); err != nil {
			return err
		}
	}
	before, err := c.finder().accountOf(user)
	if err != nil {
		return err
	}
	if before != nil {
		return c.chooseStaged(before, choice, hostID)
	}
	w, err := records.Waiting.Load(c.tx, user)
	if err != nil {
		return err
	}
	if !w.Stored() {
		return notFound("user who waits", user)
	}
	w.Value = records.WaitingUser{Choice: string(choice), HostID: hostID}
	if choice != ChooseNothing {
		w.Value.Person = personKey(p)
	}
	if err := records.Waiting.Save(c.tx, &w); err != nil || c.conn.Mode != "" {
		return err
	}
	_, _, err = c.joinNow(r) // the connection is live: nobody waits but who is left out
	return err
}

// mayLink refuses an account of the host to which a person may not be linked.
func (c *change) mayLink(p account.Person, hostID string) error {
	wrong := func(reason string) error {
		return &ArgumentError{Argument: "hostID", Value: shorten(hostID), Reason: reason}
	}
	if c.engine.Linker == nil {
		return wrong("the application has no accounts that people could be linked to")
	}
	q := LocalQuery{UserName: p.UserName, Email: p.Email}
	local, answered := c.host.local[q]
	if !answered {
		return &askHost{local: q}
	}
	i := slices.IndexFunc(local, func(a LocalAccount) bool { return a.ID == hostID })
	switch {
	case i < 0:
		return wrong("the application has no such account with the name or the e-mail of the person")
	case !local[i].mayBeChosen(c.conn):
		return wrong("it is an admin's, or belongs to another connection")
	}
	taken, err := c.takenBy(hostID, "")
	if err == nil && taken {
		err = wrong("it is linked to somebody else")
	}
	return err
}

// chooseStaged decides about an account that is staged as a conflict.
func (c *change) chooseStaged(before *Account, choice LinkChoice, hostID string) error {
	switch {
	case before.Facts.Conflict == "":
		return notFound("user who waits", before.ResourceID)
	case choice == ChooseNothing:
		return nil
	case choice == ChooseLeaveOut:
		return &ArgumentError{Argument: "choice", Value: string(choice), Reason: "the person has an account already, which can be disabled or deleted"}
	}
	c.resource = &store.ResourceRef{Type: TypeUser, ID: before.ResourceID}
	next := before.Clone()
	next.Facts.Conflict = ""
	if hostID != "" {
		next.HostID = hostID
		if err := c.claim(hostID, next); err != nil {
			return err
		}
	}
	return c.derive(derivation{before, next})
}
