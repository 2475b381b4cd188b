package sqlstore

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/scimjit/provision/store"
)

// sortKeys returns keys in one order and each once. A value that is given both
// as unique and as not unique is unique.
func sortKeys(keys []store.Key) []store.Key {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, compareKeys)
	return slices.CompactFunc(sorted, sameValue)
}

// compareKeys puts unique keys before others of the same value.
func compareKeys(a, b store.Key) int {
	return cmp.Or(
		cmp.Compare(a.Attribute, b.Attribute),
		cmp.Compare(a.Value, b.Value),
		compareUnique(a.Unique, b.Unique),
	)
}

func compareUnique(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

func sameValue(a, b store.Key) bool { return a.Attribute == b.Attribute && a.Value == b.Value }

// packKeys writes sorted keys as one text, so that a row tells which keys it
// has and two lists compare as texts. Each key is its kind and the two texts
// with their lengths: "!8:userName5:alice".
func packKeys(keys []store.Key) string {
	size := 0
	for _, k := range keys {
		size += len(k.Attribute) + len(k.Value) + 8
	}
	packed := make([]byte, 0, size)
	for _, k := range keys {
		kind := byte('.')
		if k.Unique {
			kind = '!'
		}
		packed = append(packed, kind)
		packed = packText(packed, k.Attribute)
		packed = packText(packed, k.Value)
	}
	return string(packed)
}

func packText(dst []byte, text string) []byte {
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, ':')
	return append(dst, text...)
}

var errPackedKeys = errors.New("the packed keys are damaged")

// unpackKeys reads what packKeys wrote.
func unpackKeys(packed string) (keys []store.Key, err error) {
	for packed != "" {
		k := store.Key{Unique: packed[0] == '!'}
		packed = packed[1:]
		if k.Attribute, packed, err = unpackText(packed); err != nil {
			return nil, err
		}
		if k.Value, packed, err = unpackText(packed); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func unpackText(packed string) (text, rest string, err error) {
	length, rest, ok := strings.Cut(packed, ":")
	n, err := strconv.Atoi(length)
	if !ok || err != nil || n < 0 || n > len(rest) {
		return "", "", errPackedKeys
	}
	return rest[:n], rest[n:], nil
}

// replaceKeys writes the difference between the stored keys and others.
func (t *Tx) replaceKeys(id string, row storedResource, keys []store.Key) error {
	old, err := unpackKeys(row.keys)
	if err != nil {
		return about(row.typ, id, err)
	}
	added := without(keys, old)
	if err := t.free(row.typ, row.position, added, ""); err != nil {
		return err
	}
	if err := t.insertKeys(row, added); err != nil {
		return err
	}
	return t.deleteKeys(row, without(old, keys))
}

// without returns the keys of a that are not in b. Both are sorted.
func without(a, b []store.Key) []store.Key {
	var rest []store.Key
	for _, k := range a {
		if _, ok := slices.BinarySearchFunc(b, k, compareKeys); !ok {
			rest = append(rest, k)
		}
	}
	return rest
}

// free returns a *ConflictError when another resource of a type than that at a position,
// which is 0 for a new one, holds a unique one of the keys, unique or not. With an id it
// also returns a *VersionError when a resource has that.
func (t *Tx) free(typ string, position int64, keys []store.Key, id string) error {
	return eachHolders(keys, id, func(keys []store.Key, id string) error {
		query, args := t.holders(typ, position, keys, id)
		return t.freeOf(typ, keys, query, args)
	})
}

// eachHolders calls fn with as many unique keys as one statement asks for, the first time
// with the id.
func eachHolders(keys []store.Key, id string, fn func(keys []store.Key, id string) error) error {
	var unique []store.Key
	for _, k := range keys {
		if k.Unique {
			unique = append(unique, k)
		}
	}
	for id != "" || len(unique) > 0 {
		some := unique[:min(keysAtOnce, len(unique))]
		if err := fn(some, id); err != nil {
			return err
		}
		unique, id = unique[len(some):], ""
	}
	return nil
}

// ExpectInsertion announces what the insertion of a resource asks for.
func (r *Reader) ExpectInsertion(res *store.Resource) {
	if r.pipeline == nil {
		return
	}
	_ = eachHolders(sortKeys(res.Keys), res.ID, func(keys []store.Key, id string) error {
		query, args := r.holders(res.Type, 0, keys, id)
		r.pipeline.Expect(query, args...)
		return nil
	})
}

// holders returns the statement that asks who has some keys and an id, and its arguments.
func (r *Reader) holders(typ string, position int64, keys []store.Key, id string) (query string, args []any) {
	args = make([]any, 0, 2+5*len(keys))
	query = holders[0][len(keys)]
	if id != "" {
		query = holders[1][len(keys)]
		args = append(args, r.scope, id)
	}
	for _, k := range keys {
		args = append(args, r.scope, k.Attribute, k.Value, typ, position)
	}
	return query, args
}

// freeOf is free for what one statement asks for.
func (t *Tx) freeOf(typ string, keys []store.Key, query string, args []any) error {
	first, holder := len(keys), ""
	err := t.conn.Query(query, func(s Scanner) error {
		var attribute, value, id string
		if err := s.Scan(&attribute, &value, &id); err != nil {
			return err
		}
		at := -1 // the id itself
		if attribute != "" || value != "" {
			at = slices.IndexFunc(keys, func(k store.Key) bool { return k.Attribute == attribute && k.Value == value })
		}
		if at < first {
			first, holder = at, id
		}
		return nil
	}, args...)
	switch {
	case err != nil:
		return err
	case first < 0:
		return &store.VersionError{Kind: typ, ID: holder}
	case first < len(keys):
		return &store.ConflictError{Attribute: keys[first].Attribute, ID: holder}
	}
	return nil
}

// insertKeys writes keys that are free.
func (t *Tx) insertKeys(row storedResource, keys []store.Key) error {
	for len(keys) > 0 {
		n := min(keysAtOnce, len(keys))
		args := make([]any, 0, 6*n)
		for _, k := range keys[:n] {
			args = append(args, t.scope, k.Attribute, k.Value, row.typ, slotOf(row, k), row.position)
		}
		if err := t.write(n, insertKeys[n-1], args...); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (t *Tx) deleteKeys(row storedResource, keys []store.Key) error {
	for _, k := range keys {
		if err := t.write(AnyRows, deleteKey, t.scope, k.Attribute, k.Value, row.typ, slotOf(row, k)); err != nil {
			return err
		}
	}
	return nil
}

// slotOf returns what keeps the rows of a value apart: two unique ones would clash.
func slotOf(row storedResource, k store.Key) int64 {
	if k.Unique {
		return 0
	}
	return row.position
}
