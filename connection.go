package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Connection is one identity provider of one tenant.
type Connection struct {
	// ID selects the connection: letters, digits, "-", "_" and ".", at most 64.
	ID string `json:"id"`

	// Name is for people.
	Name string `json:"name,omitempty"`

	// Dialect names the tolerances of the SCIM handler, such as "okta"; empty
	// means "auto".
	Dialect string `json:"dialect,omitempty"`

	// Policy decides what each person gets.
	Policy policy.Config `json:"policy"`

	// Attributes are the SCIM attributes that accounts carry for the host, such
	// as "title" or
	// "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department".
	Attributes []string `json:"attributes,omitempty"`

	// SCIM is set when the connection provisions by SCIM. It decides what
	// policy option provisionOnFirstLogin "auto" means.
	SCIM bool `json:"scim,omitempty"`

	// SAML is set when people log in by SAML.
	SAML *SAML `json:"saml,omitempty"`

	// Disabled closes the connection: its credentials stop working at once.
	// Accounts stay as they are.
	Disabled bool `json:"disabled,omitempty"`

	// Version counts the changes of the connection. [Engine.SaveConnection]
	// ignores it.
	Version int64 `json:"-"`
}

const (
	recordConnection = "connection"
	recordCredential = "credential"
)

// compiled is a connection with its policy, immutable and shared.
type compiled struct {
	Connection
	policy     *policy.Policy
	attributes []account.Path
}

func compile(c Connection) (*compiled, error) {
	if err := checkID(c.ID); err != nil {
		return nil, err
	}
	p, err := c.Policy.Compile()
	if err != nil {
		return nil, fmt.Errorf("provision: connection %q: policy: %w", c.ID, err)
	}
	out := &compiled{Connection: c, policy: p}
	for _, name := range c.Attributes {
		path, ok := account.ParsePath(name)
		if !ok {
			return nil, &ConnectionError{Connection: c.ID, Field: "attributes", Reason: fmt.Sprintf("%q is not an attribute path", name)}
		}
		out.attributes = append(out.attributes, path)
	}
	return out, nil
}

func checkID(id string) error {
	bad := &ConnectionError{Connection: id, Field: "id", Reason: "must be 1 to 64 letters, digits, '-', '_' or '.'"}
	if id == "" || len(id) > 64 {
		return bad
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
		default:
			return bad
		}
	}
	return nil
}

// connectionCache keeps compiled connections by id. An entry is used only when
// the stored version, read in the same transaction, is still the same.
type connectionCache struct{ m sync.Map }

// load returns the connection of a scope, or ErrNotFound.
func (cc *connectionCache) load(id string, r store.RecordReader) (*compiled, error) {
	rec, err := r.Record(recordConnection, "")
	if err != nil {
		return nil, err
	}
	if v, ok := cc.m.Load(id); ok && v.(*compiled).Version == rec.Version {
		return v.(*compiled), nil
	}
	c, err := decodeConnection(rec)
	if err != nil {
		return nil, err
	}
	out, err := compile(c)
	if err != nil {
		return nil, err
	}
	cc.m.Store(id, out)
	return out, nil
}

func decodeConnection(rec *store.Record) (Connection, error) {
	var c Connection
	if err := json.Unmarshal(rec.Value, &c); err != nil {
		return Connection{}, fmt.Errorf("provision: stored connection: %w", err)
	}
	c.Version = rec.Version
	return c, nil
}

// Validate checks the settings without saving them. The error is as for
// [Engine.SaveConnection].
func (c Connection) Validate() error {
	_, err := compile(c)
	return err
}

// SaveConnection creates or replaces a connection and reports whether anything
// changed. An unchanged connection gets no new version and no event. A changed
// policy is applied to all accounts: at once up to [Limits.Inline] accounts, by
// a job beyond. When too many would lose access by it, their accounts are held:
// see [Directory.Release] and [Engine.ForceConnection].
//
// A wrong setting is a [*ConnectionError] or wraps a [*policy.ConfigError]; the
// stored connection stays as it was.
func (e *Engine) SaveConnection(ctx context.Context, c Connection, actor Actor) (changed bool, err error) {
	return e.saveConnection(ctx, c, actor, false)
}

// ForceConnection is [Engine.SaveConnection] past the mass guard: whoever the
// policy does not let in loses access, however many they are and whether the
// change is applied at once or by a job. It does not count for what the guard
// allows in an hour. Accounts that are held already go too, but not those that
// an operator has chosen to keep by [Directory.Cancel], nor the last site admin.
//
// It applies the policy also when the connection is unchanged, so that it can
// follow a SaveConnection after which the guard held accounts. A change that
// comes while a job carries this one out, and that needs the job itself, is
// guarded, and so is what the job has not done yet.
func (e *Engine) ForceConnection(ctx context.Context, c Connection, actor Actor) (changed bool, err error) {
	return e.saveConnection(ctx, c, actor, true)
}

func (e *Engine) saveConnection(ctx context.Context, c Connection, actor Actor, force bool) (changed bool, err error) {
	next, err := compile(c)
	if err != nil {
		return false, err
	}
	value, err := json.Marshal(c)
	if err != nil {
		return false, fmt.Errorf("provision: encoding connection %q: %w", c.ID, err)
	}
	if err := e.registerConnection(ctx, c.ID); err != nil {
		return false, err
	}
	why := cause{actor: actor, source: store.SourceOperator}
	if force {
		why = why.decided(account.Force)
	}
	load := func(store.Tx) (*compiled, error) { return next, nil }
	err = e.updateWith(ctx, c.ID, why, load, func(c *change) error {
		news, edited, err := c.putConnection(value)
		if err != nil {
			return err
		}
		changed = news
		if edited || force {
			return c.deriveAll()
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if changed || force {
		e.credentials.forget(c.ID)
	}
	return changed, nil
}

// putConnection stores the settings that the change is made with, unless they
// are stored already. It reports whether they are news, and whether accounts may
// derive differently now.
func (c *change) putConnection(value []byte) (news, edited bool, err error) {
	rec, err := c.tx.Record(recordConnection, "")
	switch {
	case errors.Is(err, store.ErrNotFound):
		rec = &store.Record{Kind: recordConnection}
	case err != nil:
		return false, false, err
	case bytes.Equal(rec.Value, value):
		return false, false, nil
	default:
		before := readable(rec)
		edited = before == nil || !samePolicy(before, c.conn)
	}
	put := &store.Record{Kind: recordConnection, Value: value, Version: rec.Version}
	if err := c.tx.PutRecord(put); err != nil {
		return false, false, err
	}
	saved := *c.conn
	saved.Version = put.Version
	c.conn = &saved
	return true, edited, c.append(&store.Event{Type: store.ConnectionUpdated})
}

// readable returns a stored connection, or nil for one that this version cannot
// read, such as one with an option of a later version: saving replaces it.
func readable(rec *store.Record) *compiled {
	c, err := decodeConnection(rec)
	if err != nil {
		return nil
	}
	out, err := compile(c)
	if err != nil {
		return nil
	}
	return out
}

// samePolicy reports whether accounts derive alike under both connections.
func samePolicy(a, b *compiled) bool {
	pa, errA := json.Marshal(a.Policy)
	pb, errB := json.Marshal(b.Policy)
	if errA != nil || errB != nil || !bytes.Equal(pa, pb) || len(a.Attributes) != len(b.Attributes) {
		return false
	}
	for i := range a.Attributes {
		if a.Attributes[i] != b.Attributes[i] {
			return false
		}
	}
	return true
}

// registerConnection lists a connection in the global scope before its first
// write, so that a crash in between leaves a listed connection without
// settings, which reads as absent.
func (e *Engine) registerConnection(ctx context.Context, id string) error {
	known := false
	err := e.Store.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		_, err := r.Record(recordConnection, id)
		known = err == nil
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil || known {
		return err
	}
	return e.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		err := tx.PutRecord(&store.Record{Kind: recordConnection, Key: id, Value: []byte("{}")})
		if errors.Is(err, store.ErrVersion) {
			return nil // somebody else was first
		}
		return err
	})
}

// Connection returns a connection, or [ErrNotFound].
func (e *Engine) Connection(ctx context.Context, id string) (Connection, error) {
	c, err := e.connection(ctx, id)
	if err != nil {
		return Connection{}, err
	}
	return c.Connection, nil
}

func (e *Engine) connection(ctx context.Context, id string) (*compiled, error) {
	if id == store.Global {
		return nil, ErrNotFound
	}
	var c *compiled
	err := e.Store.View(ctx, id, func(_ context.Context, r store.Reader) error {
		var err error
		c, err = e.connections.load(id, r)
		return err
	})
	return c, err
}

// Connections returns all connections, disabled ones included, in order of id.
func (e *Engine) Connections(ctx context.Context) ([]Connection, error) {
	ids, err := e.connectionIDs(ctx)
	if err != nil {
		return nil, err
	}
	var out []Connection
	for _, id := range ids {
		c, err := e.Connection(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (e *Engine) connectionIDs(ctx context.Context) ([]string, error) {
	var ids []string
	err := e.Store.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		recs, err := r.Records(recordConnection, "", 0)
		if err != nil {
			return err
		}
		ids = make([]string, len(recs))
		for i, rec := range recs {
			ids[i] = rec.Key
		}
		return nil
	})
	return ids, err
}
