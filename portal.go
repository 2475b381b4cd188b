package provision

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

const (
	portalOpen    = 10 * time.Minute // for a link that is opened now
	portalSend    = 72 * time.Hour   // for a link that is sent
	portalSession = 12 * time.Hour
	portalGuesses = 5  // wrong proofs, after which a link is dead
	portalLinks   = 20 // of a connection, at a time

	portalSecretBytes = 20
	portalProofBytes  = 5
)

// PortalLink is a link by which the administrator of a customer comes to the pages of one
// connection, without an account of the application. Whoever opens it must also give a
// proof, so that a mail scanner, which opens links and submits their forms, uses nothing up.
type PortalLink struct {
	ID string `json:"id"` // no secret

	// Recipient is the e-mail address that is the proof; empty means that the proof is a
	// code, which the operator tells apart from the link.
	Recipient string `json:"recipient,omitempty"`

	// Operations are the names of what may be done by it: see package console.
	Operations []string `json:"operations"`

	Created time.Time `json:"created"`       // UTC
	Expires time.Time `json:"expires"`       // until when it may be redeemed
	Used    time.Time `json:"used,omitzero"` // when it was
	Ends    time.Time `json:"ends,omitzero"` // when the session that it began ends
	By      Actor     `json:"by"`            // who made it
}

// NewPortalLink is which link [Directory.CreatePortalLink] makes.
type NewPortalLink struct {
	// Recipient is the e-mail address of the person for whom it is; see [PortalLink].
	Recipient string `json:"recipient,omitempty"`

	// Operations are what may be done by it. At least one.
	Operations []string `json:"operations"`

	// Send makes a link that can be redeemed for 72 hours; otherwise it is ten minutes.
	Send bool `json:"send,omitempty"`
}

// PortalSecrets are what is told of a link once, when it is made.
type PortalSecrets struct {
	Code  string `json:"code"`            // part of the address of the link
	Proof string `json:"proof,omitempty"` // to be told apart from it, where there is no recipient
}

// portalKey finds a link by its secret.
func portalKey(secret string) string { return onceRecord("portal\n" + secret) }

// CreatePortalLink makes a link to the pages of the connection. A connection has at most 20
// that are neither over nor revoked; one more is a [*LimitError]. An argument that is wrong
// is an [*ArgumentError], an unknown connection [ErrNotFound]. The event connection.updated
// tells that it was made, for whom and by whom.
func (d *Directory) CreatePortalLink(ctx context.Context, n NewPortalLink) (PortalSecrets, PortalLink, error) {
	if err := n.check(); err != nil {
		return PortalSecrets{}, PortalLink{}, err
	}
	secret, err := d.engine.random(portalSecretBytes)
	if err != nil {
		return PortalSecrets{}, PortalLink{}, err
	}
	proof := naming.Key(n.Recipient)
	told := PortalSecrets{Code: d.connection + "~" + secret}
	if n.Recipient == "" {
		if proof, err = d.engine.random(portalProofBytes); err != nil {
			return PortalSecrets{}, PortalLink{}, err
		}
		told.Proof = proof
	}
	id, err := d.engine.newID()
	if err != nil {
		return PortalSecrets{}, PortalLink{}, err
	}
	var link PortalLink
	err = d.update(ctx, d.why(), func(c *change) error {
		now := c.now
		live, err := liveLinks(c.tx, now)
		if err != nil {
			return err
		}
		if len(live) >= portalLinks {
			return &LimitError{Limit: "portal links", Max: portalLinks}
		}
		until := now.Add(portalOpen)
		if n.Send {
			until = now.Add(portalSend)
		}
		e := records.Entry[records.PortalLink]{Key: portalKey(secret), Expires: until, Value: records.PortalLink{
			ID: id, Recipient: n.Recipient, Proof: onceRecord(proof), Operations: n.Operations,
			Created: now, Until: until, By: c.actor,
		}}
		link = portalLinkOf(&e.Value)
		if err := records.Portal.Save(c.tx, &e); err != nil {
			return err
		}
		return c.append(&store.Event{Type: store.ConnectionUpdated, Changes: []store.Change{{
			Attribute: "portal", After: mustJSON(map[string]any{"id": id, "recipient": n.Recipient, "operations": n.Operations, "expires": until}),
		}}})
	})
	if err != nil {
		return PortalSecrets{}, PortalLink{}, err
	}
	return told, link, nil
}

func (n *NewPortalLink) check() error {
	switch {
	case len(n.Operations) == 0 || len(n.Operations) > 100:
		return &ArgumentError{Argument: "operations", Reason: "must be 1 to 100 names"}
	case n.Recipient != "" && (!isPlainText(n.Recipient, 254) || strings.Count(n.Recipient, "@") != 1):
		return &ArgumentError{Argument: "recipient", Value: shorten(n.Recipient), Reason: "must be an e-mail address, or empty"}
	}
	for _, name := range n.Operations {
		if !isPlainText(name, 64) {
			return &ArgumentError{Argument: "operations", Value: shorten(name), Reason: "must be names of operations"}
		}
	}
	return nil
}

// PortalLinks returns the links of the connection that may still be redeemed and those whose
// session goes on, oldest first.
func (d *Directory) PortalLinks(ctx context.Context) ([]PortalLink, error) {
	var out []PortalLink
	err := d.view(ctx, func(r store.Reader) error {
		if err := d.exists(r); err != nil {
			return err
		}
		live, err := liveLinks(r, d.engine.now())
		out = make([]PortalLink, 0, len(live))
		for _, e := range live {
			out = append(out, portalLinkOf(&e.Value))
		}
		return err
	})
	slices.SortFunc(out, func(a, b PortalLink) int { return a.Created.Compare(b.Created) })
	return out, err
}

// RevokePortalLink ends a link, and the session that it began, at once. The error is
// [ErrNotFound] where there is none with the id.
func (d *Directory) RevokePortalLink(ctx context.Context, id string) error {
	return d.update(ctx, d.why(), func(c *change) error {
		all, err := records.Portal.List(c.tx, "", 0)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(e records.Entry[records.PortalLink]) bool { return e.Value.ID == id })
		if i < 0 {
			return notFound("portal link", id)
		}
		if err := records.Portal.Clear(c.tx, all[i].Key); err != nil {
			return err
		}
		return c.append(&store.Event{Type: store.ConnectionUpdated, Changes: []store.Change{{Attribute: "portal", Before: mustJSON(map[string]any{"id": id})}}})
	})
}

// PortalVisit is who comes by a link.
type PortalVisit struct {
	Connection string
	Link       PortalLink
}

// PortalLink looks at a link by its code, and uses nothing up. The error is [ErrNotFound]
// for one that does not exist, is over, was revoked or was redeemed.
func (e *Engine) PortalLink(ctx context.Context, code string) (v PortalVisit, err error) {
	connection, secret, ok := splitPortal(code)
	if !ok {
		return v, notFound("portal link", "")
	}
	err = e.Directory(connection).view(ctx, func(r store.Reader) error {
		entry, err := e.portalEntry(r, connection, secret)
		if err == nil {
			v = PortalVisit{connection, portalLinkOf(&entry.Value)}
		}
		return err
	})
	return v, err
}

// portalEntry loads a link that can be redeemed.
func (e *Engine) portalEntry(r store.Reader, connection, secret string) (records.Entry[records.PortalLink], error) {
	entry, err := records.Portal.Load(r, portalKey(secret))
	if err != nil {
		return entry, err
	}
	if !entry.Stored() || !entry.Value.Used.IsZero() || !records.Ahead(entry.Value.Until, e.now(), portalSend) {
		return entry, notFound("portal link", connection)
	}
	return entry, nil
}

// RedeemPortalLink uses a link up: of all who bring its code and the proof, one gets the
// secret of a session, for twelve hours. A wrong proof is a [*ProofError]; after five the
// link is dead. An empty one is wrong, too, and counts for nothing: mail scanners submit forms. Otherwise the errors are those of [Engine.PortalLink]. The event portal.used
// tells each use and each wrong proof.
func (e *Engine) RedeemPortalLink(ctx context.Context, code, proof string) (session string, v PortalVisit, err error) {
	e = e.present()
	connection, secret, ok := splitPortal(code)
	if !ok {
		return "", v, notFound("portal link", "")
	}
	made, err := e.random(portalSecretBytes)
	if err != nil {
		return "", v, err
	}
	var wrong error
	err = e.update(ctx, connection, cause{actor: Actor{Kind: portalActor}, source: store.SourceOperator}, func(c *change) error {
		wrong = nil
		entry, err := e.portalEntry(c.tx, connection, secret)
		if err != nil {
			return err
		}
		link := &entry.Value
		c.actor.ID = link.ID
		given := naming.Key(strings.TrimSpace(proof))
		if given == "" { // whoever submits the form as it is has not guessed
			wrong = &ProofError{Left: portalGuesses - link.Guesses}
			return nil
		}
		if subtle.ConstantTimeCompare([]byte(onceRecord(given)), []byte(link.Proof)) != 1 {
			wrong, err = c.wrongProof(&entry)
			return err
		}
		link.Used, link.Session, link.SessionUntil = c.now, onceRecord(made), c.now.Add(portalSession)
		entry.Expires = link.SessionUntil
		if err := records.Portal.Save(c.tx, &entry); err != nil {
			return err
		}
		v = PortalVisit{connection, portalLinkOf(link)}
		return c.append(&store.Event{Type: store.PortalUsed, Changes: []store.Change{{Attribute: "used", After: timeJSON(c.now)}}})
	})
	if err == nil {
		err = wrong
	}
	if err != nil {
		return "", PortalVisit{}, err
	}
	return connection + "~" + made, v, nil
}

// portalActor is the kind of an actor who came by a portal link, whose id is that of the link.
const portalActor = "portal"

// wrongProof counts a wrong proof. The last that is allowed ends the link.
func (c *change) wrongProof(entry *records.Entry[records.PortalLink]) (wrong, err error) {
	entry.Value.Guesses++
	left := portalGuesses - entry.Value.Guesses
	if left <= 0 {
		err = records.Portal.Delete(c.tx, entry.Key, entry.Version)
	} else {
		err = records.Portal.Save(c.tx, entry)
	}
	if err != nil {
		return nil, err
	}
	return &ProofError{Left: max(0, left)}, c.append(&store.Event{Type: store.PortalUsed, Changes: []store.Change{{Attribute: "wrongProofs", After: mustJSON(entry.Value.Guesses)}}})
}

// ProofError says that the proof of a portal link is wrong.
type ProofError struct {
	Left int // how often it may be tried again; 0: the link is dead
}

// Error implements error.
func (e *ProofError) Error() string {
	return fmt.Sprintf("provision: the proof of the portal link is wrong; %d tries left", e.Left)
}

// PortalSession returns who a session is of, by the secret that [Engine.RedeemPortalLink]
// returned. The error is [ErrNotFound] once it is over or the link was revoked.
func (e *Engine) PortalSession(ctx context.Context, session string) (v PortalVisit, err error) {
	connection, secret, ok := splitPortal(session)
	if !ok {
		return v, notFound("portal session", "")
	}
	hash := onceRecord(secret)
	err = e.Directory(connection).view(ctx, func(r store.Reader) error {
		live, err := liveLinks(r, e.now())
		if err != nil {
			return err
		}
		for _, entry := range live {
			if subtle.ConstantTimeCompare([]byte(entry.Value.Session), []byte(hash)) == 1 {
				v = PortalVisit{connection, portalLinkOf(&entry.Value)}
				return nil
			}
		}
		return notFound("portal session", connection)
	})
	return v, err
}

// Actor is who events name for what is done by the link.
func (v PortalVisit) Actor() Actor { return Actor{Kind: portalActor, ID: v.Link.ID} }

// splitPortal returns the connection and the secret of a code or of a session. No id of a
// connection has the sign between them.
func splitPortal(code string) (connection, secret string, ok bool) {
	connection, secret, ok = strings.Cut(code, "~")
	return connection, secret, ok && isConnectionID(connection) && len(secret) <= 64
}

// liveLinks returns the links that can be redeemed, and those whose session goes on.
func liveLinks(r store.RecordReader, now time.Time) ([]records.Entry[records.PortalLink], error) {
	all, err := records.Portal.List(r, "", 0)
	return slices.DeleteFunc(all, func(e records.Entry[records.PortalLink]) bool {
		if e.Value.Used.IsZero() {
			return !records.Ahead(e.Value.Until, now, portalSend)
		}
		return !records.Ahead(e.Value.SessionUntil, now, portalSession)
	}), err
}

func portalLinkOf(l *records.PortalLink) PortalLink {
	return PortalLink{
		ID: l.ID, Recipient: l.Recipient, Operations: slices.Clone(l.Operations), Created: l.Created, Expires: l.Until,
		Used: l.Used, Ends: l.SessionUntil, By: l.By,
	}
}
