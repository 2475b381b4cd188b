package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// MoveConnection moves a connection to another store, such as that of another cluster:
// all that it holds as it is, with positions, versions, the sequence of its events and
// where consumers stand, and its secrets. It must be disabled, and is disabled
// there, too, until [Directory.SaveConnection] enables it.
//
// Afterwards the first store knows no such connection; its rows stay there until
// [store.Importer.Remove]. Processes on the first store must not deliver its events any more
// when it is enabled: they stop by themselves within ten minutes, or with the process. An
// event that both deliver comes twice; [Delivery.Fence] and Sequence go on.
//
// It may be called again after it has failed. The error is a [store.ErrNotEmpty] where
// the other store has something else of that name, and [store.ErrDiffers] where somebody
// wrote meanwhile; [store.Importer.Remove] of the scope there lets it begin anew. The stores are of packages sqlite or postgres,
// the second one of package postgres.
func MoveConnection(ctx context.Context, id string, from, to Store) error {
	source, sourceOK := from.(store.Exporter)
	target, targetOK := to.(interface {
		store.Exporter
		store.Importer
	})
	if !sourceOK || !targetOK {
		return fmt.Errorf("provision: a connection cannot be moved from a %T to a %T", from, to)
	}
	c, err := (&Engine{Store: from}).Directory(id).Connection(ctx)
	if err != nil {
		return err
	}
	if !c.Disabled {
		return fmt.Errorf("provision: connection %q is not disabled: disable it before it moves", id)
	}
	move := mover{id: id, from: from, to: to}
	if err := move.read(ctx); err != nil {
		return err
	}
	_, there := target.Import(ctx, id, source)
	if there != nil && !errors.Is(there, store.ErrNotEmpty) {
		return there
	}
	// What is there already was left by an earlier call, or is somebody else's.
	if err := store.CompareScope(ctx, id, source, target); err != nil {
		return errors.Join(there, err)
	}
	if err := move.list(ctx); err != nil {
		return err
	}
	return move.forget(ctx)
}

// mover moves what is kept of a connection in the global scope.
type mover struct {
	id       string
	from, to Store
	secrets  []*store.Record
	readers  []string // the consumers
}

// read reads it.
func (m *mover) read(ctx context.Context) error {
	return m.from.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		secrets, err := records.Secret.List(r, "", 0)
		if err != nil {
			return err
		}
		var own []*store.Record
		for _, s := range secrets {
			if s.Value != m.id {
				continue
			}
			rec, err := records.Secret.Raw(r, s.Key)
			if err != nil {
				return err
			}
			own = append(own, rec)
		}
		consumers, err := records.Consumer.List(r, "", 0)
		if err != nil {
			return err
		}
		var readers []string
		for _, c := range consumers {
			readers = append(readers, c.Key)
		}
		m.secrets, m.readers = own, readers
		return nil
	})
}

// list makes the connection be there in the other store.
func (m *mover) list(ctx context.Context) error {
	return m.to.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		for _, rec := range m.secrets {
			claim, err := records.Secret.Load(tx, rec.Key)
			switch {
			case err != nil:
				return err
			case claim.Stored() && claim.Value != m.id:
				return fmt.Errorf("provision: a secret of connection %q belongs to %q there: revoke it first", m.id, claim.Value)
			case claim.Stored():
				continue
			}
			copied := *rec
			copied.Version = 0 // it is new there
			if err := tx.PutRecord(&copied); err != nil {
				return err
			}
		}
		for _, name := range m.readers {
			if err := records.Consumer.Put(tx, name, records.Listed{}); err != nil {
				return err
			}
		}
		return records.ConnectionList.Put(tx, m.id, records.Listed{})
	})
}

// forget makes the connection be there no more in the first store.
func (m *mover) forget(ctx context.Context) error {
	err := m.from.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		for _, rec := range m.secrets {
			if err := records.Secret.Clear(tx, rec.Key); err != nil {
				return err
			}
		}
		return records.ConnectionList.Clear(tx, m.id)
	})
	if err != nil {
		return err
	}
	return m.from.Update(ctx, m.id, func(_ context.Context, tx store.Tx) error { return records.DropConnection(tx) })
}
