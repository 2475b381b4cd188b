package provision

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Connection returns the settings of the connection, or [ErrNotFound].
func (d *Directory) Connection(ctx context.Context) (Connection, error) {
	c, err := d.engine.connection(ctx, d.connection)
	if err != nil {
		return Connection{}, err
	}
	return c.Clone(), nil
}

// SaveConnection stores the settings of the connection and returns them with
// their new Version. c.Version is the version that the settings were made from,
// 0 for a new connection: where another one is stored, the error is
// [ErrVersion] and nothing is changed, so that a form that was open for long
// wipes nothing out. An empty c.ID means the id of the Directory.
//
// A [SecretText] without a new text keeps the one that is stored. One is removed by
// [NewSecret] with an empty text, with the settings around it, and where the servers that
// it is sent to, or how they are reached, are others than before and no new text is given.
//
// Unchanged settings get no new version and no event. A changed policy is applied
// to all accounts: at once up to [Limits.Inline] accounts, by a job beyond. When
// too many would lose access by it, their accounts are held: see
// [Directory.Release] and [Directory.Forced].
//
// A wrong setting is a [*ConnectionError] or wraps a [*policy.ConfigError]; the
// stored connection stays as it was. What is legal but without effect is in
// [Connection.Warnings].
func (d *Directory) SaveConnection(ctx context.Context, c Connection) (Connection, error) {
	return d.changeConnection(ctx, func(stored *Connection) error {
		if stored.Version != c.Version {
			return fmt.Errorf("provision: connection %q has version %d, and the settings were made from %d: %w", d.connection, stored.Version, c.Version, ErrVersion)
		}
		*stored = c
		return nil
	})
}

// UpdateConnection changes the settings of the connection by fn, which gets those
// that are stored, or none but the id where there is no connection yet. fn may
// run more than once. An error of fn ends it, and nothing is changed. Otherwise
// it is as [Directory.SaveConnection].
func (d *Directory) UpdateConnection(ctx context.Context, fn func(*Connection) error) (Connection, error) {
	return d.changeConnection(ctx, fn)
}

// Forced returns a Directory past the mass guard: everybody whom a change takes out
// loses access, however many they are, and none of them counts for what the guard
// allows in an hour. Accounts that are held already go too, but not those that an
// operator keeps by [Directory.Keep], nor the last site admin.
//
// A forced [Directory.SaveConnection] applies the policy even where it is
// unchanged: it may follow a save after which the guard held accounts. When a job
// carries it out, and another large change comes before the job has ended, that
// change and the rest of the job are guarded.
func (d *Directory) Forced() *Directory {
	c := *d
	c.forced = true
	return &c
}

// changeConnection changes the settings, and derives what follows.
func (d *Directory) changeConnection(ctx context.Context, fn func(*Connection) error) (Connection, error) {
	if !isConnectionID(d.connection) {
		return Connection{}, (&Connection{ID: d.connection}).Validate()
	}
	if err := d.engine.listConnection(ctx, d.connection); err != nil {
		return Connection{}, err
	}
	var saved Connection
	news, made := false, false
	err := d.engine.updateWith(ctx, d.connection, d.why(), d.storedOrNew, func(c *change) error {
		before := c.conn
		made = before.Version == 0
		next, err := d.edited(before, fn)
		if err != nil {
			return err
		}
		c.conn = next
		secrets, err := c.takeSecrets(before)
		if err != nil {
			return err
		}
		if news, err = c.putConnection(before, secrets...); err != nil {
			return err
		}
		if err := c.syncAnew(secrets); err != nil {
			return err
		}
		saved = c.conn.Clone()
		if news && before.Version > 0 {
			if err := c.daysEdited(before); err != nil {
				return err
			}
		}
		if d.forced || news && before.Version > 0 && !samePolicy(before, next) {
			return c.deriveAll()
		}
		return nil
	})
	if err != nil {
		return Connection{}, err
	}
	if news || d.forced {
		d.engine.credentials.forget(d.connection)
	}
	if made { // it may have been forgotten meanwhile, as one that was deleted before
		err = d.engine.listConnection(ctx, d.connection)
	}
	return saved, err
}

// storedOrNew returns the stored connection, or an empty one of version 0. One
// that this version cannot read, such as one with an option of a later version,
// is empty too, and saving replaces it.
func (d *Directory) storedOrNew(tx store.Tx) (*compiled, error) {
	rec, err := records.LiveConnection(tx)
	if errors.Is(err, store.ErrNotFound) {
		return &compiled{Connection: Connection{ID: d.connection}}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := d.engine.connections.load(d.connection, tx)
	if err != nil {
		return &compiled{Connection: Connection{ID: d.connection, Version: rec.Version}}, nil //nolint:nilerr // see above
	}
	return c, nil
}

// edited returns the connection that fn makes of a stored one.
func (d *Directory) edited(stored *compiled, fn func(*Connection) error) (*compiled, error) {
	c := stored.Clone()
	version := c.Version
	if err := fn(&c); err != nil {
		return nil, err
	}
	if c.ID == "" {
		c.ID = d.connection
	}
	if c.ID != d.connection {
		return nil, &ConnectionError{Connection: d.connection, Field: "id", Value: shorten(c.ID), Reason: "it is another connection's"}
	}
	c.Version = version
	var err error
	if c.Mode, c.Until, err = c.savedMode(&stored.Connection); err != nil {
		return nil, err
	}
	c.keepFetched(&stored.Connection)
	// A permission that the host has no longer stays where it is.
	next, err := compile(c, slices.Concat(d.engine.Permissions, permissionNames(stored.Policy))...)
	if err == nil {
		next.indexed = stored.indexed
	}
	return next, err
}

// putConnection stores the settings that the change is made with, unless they
// are stored already and no secret was replaced, and reports whether they are news.
func (c *change) putConnection(before *compiled, secrets ...string) (news bool, err error) {
	value, err := json.Marshal(c.conn.Connection)
	if err != nil {
		return false, fmt.Errorf("provision: encoding connection %q: %w", c.conn.ID, err)
	}
	if rec, err := records.LiveConnection(c.tx); err == nil && len(secrets) == 0 && bytes.Equal(rec.Value, value) {
		return false, nil
	}
	version, err := records.SaveConnection(c.tx, value)
	if err != nil {
		return false, err
	}
	saved := *c.conn
	saved.Version = version
	c.conn = &saved
	err = c.append(&store.Event{Type: store.ConnectionUpdated, Changes: connectionChanges(before, c.conn, secrets...)})
	if err != nil {
		return false, err
	}
	return true, c.warnOfSettings(before)
}

// connectionChanges lists the settings in which two connections differ, and the secrets
// that were replaced. Settings hold no secrets: they say whether there is one.
func connectionChanges(before, after *compiled, secrets ...string) []store.Change {
	was, is := settingsOf(before), settingsOf(after)
	names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(names)
	var out []store.Change
	for _, name := range slices.Compact(names) {
		if name != "id" && !bytes.Equal(was[name], is[name]) {
			out = append(out, store.Change{Attribute: name, Before: was[name], After: is[name]})
		}
	}
	for _, name := range secrets {
		replaced := store.Change{Attribute: name, After: account.JSON(SecretText{set: true})}
		if f := secretOf(&before.Connection, name); f != nil {
			replaced.Before = account.JSON(*f)
		}
		out = append(out, replaced)
	}
	return out
}

// settingsOf returns the settings by name. A metadata document is its digest.
func settingsOf(c *compiled) map[string]json.RawMessage {
	settings := map[string]json.RawMessage{}
	if c.policy == nil {
		return settings // a new one
	}
	shown := c.Clone()
	if s := shown.SAML; s != nil && s.Metadata != "" {
		s.Metadata = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s.Metadata)))
	}
	_ = json.Unmarshal(account.JSON(shown), &settings) // an object that was just written
	return settings
}

// samePolicy reports whether accounts derive alike under both connections.
func samePolicy(a, b *compiled) bool {
	return a.policy != nil && slices.Equal(a.attributes, b.attributes) && bytes.Equal(account.JSON(a.Policy), account.JSON(b.Policy))
}

// listConnection lists a connection in the global scope before its first write,
// so that a crash in between leaves a listed connection without settings, which
// reads as absent. See [Engine.unlist] for why it does so after the write, too.
func (e *Engine) listConnection(ctx context.Context, id string) error {
	listed, err := records.ConnectionList.View(ctx, e.store(), store.Global, id)
	if err != nil || listed.Stored() {
		return err
	}
	return e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ConnectionList.Put(tx, id, records.Listed{})
	})
}
