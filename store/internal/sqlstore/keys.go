package sqlstore

import (
	"cmp"
	"errors"
	"fmt"
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
	if err := t.insertKeys(row, without(keys, old)); err != nil {
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

// insertKeys writes keys. When a unique one is taken, none is written and the
// error is a *ConflictError.
func (t *Tx) insertKeys(row storedResource, keys []store.Key) error {
	for i, k := range keys {
		if !k.Unique {
			continue
		}
		n, err := t.conn.Exec(insertUniqueKey,
			t.scope, k.Attribute, k.Value, row.typ, row.position,
			t.scope, k.Attribute, k.Value, row.typ, row.position)
		if err != nil {
			return err
		}
		if n == 0 {
			return t.undoKeys(row, keys[:i], k)
		}
	}
	args := make([]any, 0, 6*len(insertKeys))
	for _, k := range keys {
		if k.Unique {
			continue
		}
		args = append(args, t.scope, k.Attribute, k.Value, row.typ, row.position, row.position)
		if len(args) == cap(args) {
			if _, err := t.conn.Exec(insertKeys[len(insertKeys)-1], args...); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	if len(args) == 0 {
		return nil
	}
	_, err := t.conn.Exec(insertKeys[len(args)/6-1], args...)
	return err
}

// undoKeys removes the unique keys written so far and returns the conflict on
// another.
func (t *Tx) undoKeys(row storedResource, written []store.Key, taken store.Key) error {
	unique := slices.DeleteFunc(slices.Clone(written), func(k store.Key) bool { return !k.Unique })
	if err := t.deleteKeys(row, unique); err != nil {
		return err
	}
	conflict := &store.ConflictError{Attribute: taken.Attribute}
	err := t.conn.Query(holderOfKey, func(s Scanner) error { return s.Scan(&conflict.ID) },
		t.scope, taken.Attribute, taken.Value, row.typ, row.position)
	if err != nil {
		return err
	}
	if conflict.ID == "" {
		return fmt.Errorf("sqlstore: nobody holds the key of %s %q that is taken", row.typ, taken.Attribute)
	}
	return conflict
}

func (t *Tx) deleteKeys(row storedResource, keys []store.Key) error {
	for _, k := range keys {
		slot := row.position
		if k.Unique {
			slot = 0
		}
		if _, err := t.conn.Exec(deleteKey, t.scope, k.Attribute, k.Value, row.typ, slot); err != nil {
			return err
		}
	}
	return nil
}

func asConflict(err error) *store.ConflictError {
	var conflict *store.ConflictError
	if errors.As(err, &conflict) {
		return conflict
	}
	return nil
}
