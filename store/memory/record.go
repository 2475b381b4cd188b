package memory

import (
	"bytes"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// Record implements store.RecordReader.
func (r reader) Record(kind, key string) (*store.Record, error) {
	if record, ok := r.records[kind].find(byKey(key)); ok {
		return record, nil
	}
	return nil, &store.NotFoundError{Kind: kind, ID: key}
}

// Records implements store.RecordReader.
func (r reader) Records(kind, after string, limit int) ([]*store.Record, error) {
	records := r.records[kind]
	if records == nil {
		return nil, nil
	}
	var list []*store.Record
	start, found := records.search(byKey(after))
	for record := range records.from(start) {
		if found { // after itself
			found = false
			continue
		}
		list = append(list, record)
		if len(list) == limit {
			break
		}
	}
	return list, nil
}

// byKey orders records relative to a key.
func byKey(key string) func(*store.Record) int {
	return func(r *store.Record) int { return strings.Compare(r.Key, key) }
}

// PutRecord implements store.RecordWriter.
func (t *tx) PutRecord(r *store.Record) error {
	records := t.records[r.Kind]
	old, exists := records.find(byKey(r.Key))
	if exists && old.Version != r.Version || !exists && r.Version != 0 {
		return &store.VersionError{Kind: r.Kind, ID: r.Key}
	}
	if records == nil {
		records = &ordered[*store.Record]{}
		t.records[r.Kind] = records
	}
	stored := *r
	stored.Version++
	stored.Value = bytes.Clone(r.Value)
	records.insert(&stored, byKey(r.Key))
	r.Version = stored.Version
	t.did(func() {
		if exists {
			records.insert(old, byKey(old.Key))
		} else {
			records.remove(byKey(stored.Key))
		}
	})
	return nil
}

// DeleteRecord implements store.RecordWriter.
func (t *tx) DeleteRecord(kind, key string, version int64) error {
	records := t.records[kind]
	record, ok := records.find(byKey(key))
	switch {
	case !ok:
		return &store.NotFoundError{Kind: kind, ID: key}
	case version != 0 && version != record.Version:
		return &store.VersionError{Kind: kind, ID: key}
	}
	records.remove(byKey(key))
	t.did(func() { records.insert(record, byKey(key)) })
	return nil
}

// PruneRecords implements store.RecordWriter.
func (t *tx) PruneRecords(kind string, now time.Time) (int, error) {
	var expired []string
	for record := range t.records[kind].all() {
		if !record.Expires.IsZero() && !record.Expires.After(now) {
			expired = append(expired, record.Key)
		}
	}
	for _, key := range expired {
		if err := t.DeleteRecord(kind, key, 0); err != nil {
			return 0, err
		}
	}
	return len(expired), nil
}
