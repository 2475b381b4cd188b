package sqlstore

import (
	"errors"

	"github.com/scimjit/provision/store"
)

// PutResource implements [store.ResourceWriter].
func (t *Tx) PutResource(r *store.Resource) error {
	created, err := formatTime(r.Created)
	if err != nil {
		return about(r.Type, r.ID, err)
	}
	modified, err := formatTime(r.Modified)
	if err != nil {
		return about(r.Type, r.ID, err)
	}
	if r.Version == 1 {
		return t.insertResource(r, created, modified)
	}
	return t.replaceResource(r, created, modified)
}

func (t *Tx) insertResource(r *store.Resource, created, modified string) error {
	keys := sortKeys(r.Keys)
	row := storedResource{typ: r.Type, version: 1, keys: packKeys(keys)}
	err := t.conn.Query(insertResource, func(s Scanner) error { return s.Scan(&row.position) },
		t.scope, r.Type, r.ID, r.Version, created, modified, r.Display, row.keys, string(r.Document), string(r.Source))
	if err != nil {
		return err
	}
	if row.position == 0 {
		return &store.VersionError{Kind: r.Type, ID: r.ID}
	}
	if err := t.insertKeys(row, keys); err != nil {
		if conflict := asConflict(err); conflict != nil {
			if _, err := t.conn.Exec(deleteResource, row.position); err != nil {
				return err
			}
		}
		return err
	}
	r.Position = row.position
	t.memory.putResource(r.ID, row)
	return nil
}

func (t *Tx) replaceResource(r *store.Resource, created, modified string) error {
	row, err := t.stored(r.Type, r.ID)
	if err != nil {
		return err
	}
	if row.version != r.Version-1 {
		return &store.VersionError{Kind: r.Type, ID: r.ID}
	}
	args := []any{r.Version, created, modified, r.Display, string(r.Document), string(r.Source), row.position}
	query := updateResource
	if r.Keys != nil {
		keys := sortKeys(r.Keys)
		if packed := packKeys(keys); packed != row.keys {
			if err := t.replaceKeys(r.ID, row, keys); err != nil {
				return err
			}
			row.keys = packed
			query = updateResourceAndKeys
			args = append(args[:6], row.keys, row.position)
		}
	}
	n, err := t.conn.Exec(query, args...)
	if err != nil {
		return err
	}
	if n != 1 {
		return about(r.Type, r.ID, errors.New("changed inside a transaction by somebody else"))
	}
	row.version = r.Version
	r.Position = row.position
	t.memory.putResource(r.ID, row)
	return nil
}

// DeleteResource implements [store.ResourceWriter].
func (t *Tx) DeleteResource(typ, id string) error {
	row, err := t.stored(typ, id)
	if err != nil {
		return err
	}
	keys, err := unpackKeys(row.keys)
	if err != nil {
		return about(row.typ, id, err)
	}
	if err := t.deleteKeys(row, keys); err != nil {
		return err
	}
	if _, err := t.conn.Exec(deleteResource, row.position); err != nil {
		return err
	}
	delete(t.memory.resources, id)
	if _, err := t.conn.Exec(deleteMembersOf, t.scope, id); err != nil {
		return err
	}
	_, err = t.conn.Exec(deleteMembershipOf, t.scope, id)
	return err
}

// stored returns what is stored of a resource, from memory where it was read or
// written before, or ErrNotFound. An empty typ means any.
func (t *Tx) stored(typ, id string) (storedResource, error) {
	row, ok := t.memory.resources[id]
	if !ok {
		err := t.conn.Query(storedResourceByID, func(s Scanner) error {
			ok = true
			return s.Scan(&row.typ, &row.position, &row.version, &row.keys)
		}, t.scope, id)
		if err != nil {
			return row, err
		}
		if ok {
			t.memory.putResource(id, row)
		}
	}
	if !ok || (typ != "" && row.typ != typ) {
		return row, noResource(typ, id)
	}
	return row, nil
}
