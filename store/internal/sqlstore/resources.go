package sqlstore

import (
	"slices"

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
	if err := t.ledger.begin(); err != nil {
		return err
	}
	keys := sortKeys(r.Keys)
	row := storedResource{typ: r.Type, position: t.ledger.Position + 1, version: 1, display: r.Display, keys: packKeys(keys)}
	if err := t.free(r.Type, 0, keys, r.ID); err != nil {
		return err
	}
	err := t.write(1, insertResource, t.scope, row.position, r.Type, r.ID, r.Version, created, modified,
		r.Display, row.keys, string(r.Document), string(r.Source))
	if err != nil {
		return err
	}
	if err := t.insertKeys(row, keys); err != nil {
		return err
	}
	t.ledger.at(row.position)
	t.ledger.count(r.Type, 1)
	r.Position = row.position
	t.memory.putResource(r.ID, row)
	t.knowGroups([]string{r.ID}, nil, nil) // nobody could put it into one before
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
	packed := row.keys
	if r.Keys != nil {
		keys := sortKeys(r.Keys)
		if packed = packKeys(keys); packed != row.keys {
			if err := t.replaceKeys(r.ID, row, keys); err != nil {
				return err
			}
		}
	}
	query, args := updateDocument, []any{r.Version, created, modified, string(r.Document), string(r.Source), t.scope, row.position}
	switch {
	case packed != row.keys:
		query, args = updateResourceAndKeys, []any{r.Version, created, modified, r.Display, string(r.Document), string(r.Source), packed, t.scope, row.position}
	case r.Display != row.display:
		query, args = updateResource, []any{r.Version, created, modified, r.Display, string(r.Document), string(r.Source), t.scope, row.position}
	}
	if err := t.write(1, query, args...); err != nil {
		return about(r.Type, r.ID, err)
	}
	row.version, row.display, row.keys = r.Version, r.Display, packed
	r.Position = row.position
	t.memory.putResource(r.ID, row)
	return nil
}

// AddKeys implements [store.ResourceWriter].
func (t *Tx) AddKeys(typ, id string, keys []store.Key) error {
	row, err := t.stored(typ, id)
	if err != nil {
		return err
	}
	old, err := unpackKeys(row.keys)
	if err != nil {
		return about(row.typ, id, err)
	}
	var added []store.Key
	for _, k := range keys {
		k.Unique = false
		if !slices.ContainsFunc(old, func(o store.Key) bool { return sameValue(o, k) }) && !slices.Contains(added, k) {
			added = append(added, k)
		}
	}
	if len(added) == 0 {
		return nil
	}
	row.keys = packKeys(sortKeys(append(old, added...)))
	if err := t.write(1, updateKeys, row.keys, t.scope, row.position); err != nil {
		return about(row.typ, id, err)
	}
	if err := t.insertKeys(row, added); err != nil {
		return err
	}
	t.memory.putResource(id, row)
	return nil
}

// DeleteResource implements [store.ResourceWriter].
func (t *Tx) DeleteResource(typ, id string) error {
	if err := t.deleteRow(typ, id); err != nil {
		return err
	}
	if err := t.write(AnyRows, deleteMembersOf, t.scope, id); err != nil {
		return err
	}
	return t.write(AnyRows, deleteMembershipOf, t.scope, id)
}

// DeleteStaged implements [store.StageWriter].
func (t *Tx) DeleteStaged(typ, id string, stage int64) error {
	if err := t.deleteRow(typ, id); err != nil {
		return err
	}
	if err := t.write(AnyRows, deleteMembershipOf, t.scope, id); err != nil {
		return err
	}
	return t.ShowStage(stage)
}

// deleteRow deletes a resource with its keys.
func (t *Tx) deleteRow(typ, id string) error {
	if err := t.ledger.begin(); err != nil {
		return err
	}
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
	if err := t.write(1, deleteResource, t.scope, row.position); err != nil {
		return about(row.typ, id, err)
	}
	t.ledger.count(row.typ, -1)
	delete(t.memory.resources, id)
	t.memory.groups = nil
	return nil
}

// stored returns what is stored of a resource, from memory where it was read or
// written before, or ErrNotFound. An empty typ means any.
func (t *Tx) stored(typ, id string) (storedResource, error) {
	row, ok := t.memory.resources[id]
	if !ok {
		err := t.conn.Query(storedResourceByID, func(s Scanner) error {
			ok = true
			return s.Scan(&row.typ, &row.position, &row.version, &row.display, &row.keys)
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
