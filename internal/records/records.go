// Package records is the one table of the small state that an engine keeps
// beside resources, accounts and events: settings, credentials, marks, counts,
// leases, jobs. A store knows a record as bytes with a version and an expiry;
// here each kind has its name, its owner, its key and the type of its values.
//
// # Adding a kind
//
// A kind is one row of the table in kinds.go, and the type of its values if none
// fits. Nothing else spells the name of a kind.
//
// # Reading and writing
//
// [Kind.Load] reads a value inside a transaction, [Kind.View] in a snapshot of
// its own. [Kind.Save] writes what was loaded, by compare-and-set: another write
// in between is [store.ErrVersion]. [Kind.Put] writes whatever is there, and
// nothing where the value is the same.
package records

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/scimjit/provision/store"
)

// Kind is one kind of record, whose values are of type V. Its value is
// immutable.
type Kind[V any] struct{ row *Row }

// Row describes a kind.
type Row struct {
	Name    string // as stores keep it
	Owner   string // the part of the engine that writes it
	Key     string // what the key is; empty for one record in a scope
	Expires string // when the record ends; empty for never

	// Global says that records of the kind live in the scope [store.Global],
	// instead of that of a connection.
	Global bool
}

// Entry is a value with what a write needs to replace it. An Entry of Version 0
// is not stored yet.
type Entry[V any] struct {
	Key     string
	Value   V
	Expires time.Time // UTC; zero: never
	Version int64
}

// Stored reports whether the entry was read from a store, or saved.
func (e *Entry[V]) Stored() bool { return e.Version > 0 }

// Row returns the description of the kind.
func (k Kind[V]) Row() Row { return *k.row }

// Raw returns the record with a key without decoding its value, or
// [store.ErrNotFound].
func (k Kind[V]) Raw(r store.RecordReader, key string) (*store.Record, error) {
	return r.Record(k.row.Name, key)
}

// Decode returns the value of a record of the kind.
func (k Kind[V]) Decode(rec *store.Record) (Entry[V], error) {
	var e Entry[V]
	err := k.decode(rec, &e)
	return e, err
}

func (k Kind[V]) decode(rec *store.Record, e *Entry[V]) error {
	e.Key, e.Expires, e.Version = rec.Key, rec.Expires, rec.Version
	if err := json.Unmarshal(rec.Value, &e.Value); err != nil {
		return fmt.Errorf("provision: stored %s %q: %w", k.row.Name, rec.Key, err)
	}
	return nil
}

// Find returns the entry with a key, or [store.ErrNotFound].
func (k Kind[V]) Find(r store.RecordReader, key string) (Entry[V], error) {
	rec, err := k.Raw(r, key)
	if err != nil {
		return Entry[V]{Key: key}, err
	}
	return k.Decode(rec)
}

// Load returns the entry with a key. What is not stored is an Entry with the
// zero value and Version 0, which Save inserts.
func (k Kind[V]) Load(r store.RecordReader, key string) (Entry[V], error) {
	e, err := k.Find(r, key)
	if errors.Is(err, store.ErrNotFound) {
		return e, nil
	}
	return e, err
}

// View is Load in a snapshot of its own.
func (k Kind[V]) View(ctx context.Context, s store.Store, scope, key string) (e Entry[V], err error) {
	err = s.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		var err error
		e, err = k.Load(r, key)
		return err
	})
	return e, err
}

// Value returns the value with a key, or the zero value where none is stored.
func (k Kind[V]) Value(r store.RecordReader, key string) (V, error) {
	e, err := k.Load(r, key)
	return e.Value, err
}

// List returns the entries in ascending byte order of key, after a key, at most
// limit (0: all).
func (k Kind[V]) List(r store.RecordReader, after string, limit int) ([]Entry[V], error) {
	recs, err := r.Records(k.row.Name, after, limit)
	if err != nil {
		return nil, err
	}
	list := make([]Entry[V], len(recs))
	for i, rec := range recs {
		if err := k.decode(rec, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Any reports whether a scope has a record of the kind, in a snapshot of its own.
func (k Kind[V]) Any(ctx context.Context, s store.Store, scope string) (bool, error) {
	found := false
	err := s.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		list, err := r.Records(k.row.Name, "", 1)
		found = len(list) > 0
		return err
	})
	return found, err
}

// Save inserts the entry or replaces the version that was read, and sets the new
// version. Otherwise the error is [store.ErrVersion].
func (k Kind[V]) Save(w store.RecordWriter, e *Entry[V]) error {
	value, err := encode(e.Value)
	if err != nil {
		return fmt.Errorf("provision: encoding %s %q: %w", k.row.Name, e.Key, err)
	}
	rec := store.Record{Kind: k.row.Name, Key: e.Key, Value: value, Version: e.Version, Expires: e.Expires}
	if err := w.PutRecord(&rec); err != nil {
		return err
	}
	e.Version = rec.Version
	return nil
}

// ReadWriter reads and writes records: a part of [store.Tx].
type ReadWriter interface {
	store.RecordReader
	store.RecordWriter
}

// Put sets the value with a key, whether or not one is there. It writes nothing
// where the value is the same. The record never expires.
func (k Kind[V]) Put(tx ReadWriter, key string, value V) error {
	put := store.Record{Kind: k.row.Name, Key: key}
	var err error
	if put.Value, err = encode(value); err != nil {
		return fmt.Errorf("provision: encoding %s %q: %w", k.row.Name, key, err)
	}
	old, err := tx.Record(put.Kind, key)
	switch {
	case err == nil && bytes.Equal(old.Value, put.Value):
		return nil
	case err == nil:
		put.Version = old.Version
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return tx.PutRecord(&put)
}

// Delete removes the record with a key and a version; 0 is any version. The
// error is [store.ErrNotFound] or [store.ErrVersion].
func (k Kind[V]) Delete(w store.RecordWriter, key string, version int64) error {
	return w.DeleteRecord(k.row.Name, key, version)
}

// Clear removes the record with a key if it is there.
func (k Kind[V]) Clear(w store.RecordWriter, key string) error {
	err := k.Delete(w, key, 0)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Prune removes the records that expired at or before a time, and reports how
// many.
func (k Kind[V]) Prune(w store.RecordWriter, now time.Time) (int, error) {
	return w.PruneRecords(k.row.Name, now)
}

// encode writes JSON without escaping for HTML.
func encode(value any) ([]byte, error) {
	if raw, ok := value.(json.RawMessage); ok {
		return raw, nil
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
