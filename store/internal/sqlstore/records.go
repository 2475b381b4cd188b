package sqlstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/scimjit/provision/store"
)

// Record implements [store.RecordReader].
func (r *Reader) Record(kind, key string) (*store.Record, error) {
	missing := &store.NotFoundError{Kind: kind, ID: key}
	if record, known := r.recall(kind, key); known {
		if record == nil {
			return nil, missing
		}
		return record, nil
	}
	found, err := r.records(kind, recordByKey, r.scope, kind, key)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		r.remember(kind, key, nil)
		return nil, missing
	}
	return found[0], nil
}

// remember remembers a record, nil for one that is not there. A Tx does so where each
// question is waited for.
func (r *Reader) remember(kind, key string, record *store.Record) {
	if r.memory == nil || r.pipeline == nil {
		return
	}
	if record != nil {
		kept := *record // the caller may write it next
		record = &kept
	}
	r.memory.putRecord(kind, key, record)
}

// recall returns what is remembered of a record, nil for one that is not there. A
// reader that only tells what will be read has nothing, and need not tell that.
func (r *Reader) recall(kind, key string) (record *store.Record, known bool) {
	if r.telling != nil {
		_, known = r.telling.records[recordKey{kind, key}]
		return nil, known
	}
	if r.memory == nil || r.pipeline == nil {
		return nil, false
	}
	if record, known = r.memory.records[recordKey{kind, key}]; record != nil {
		given := *record
		record = &given
	}
	return record, known
}

// Records implements [store.RecordReader].
func (r *Reader) Records(kind, after string, limit int) ([]*store.Record, error) {
	return r.records(kind, recordsPage, r.scope, kind, after, rowLimit(limit))
}

func (r *Reader) records(kind, query string, args ...any) (found []*store.Record, err error) {
	err = r.conn.Query(query, func(row Scanner) error {
		var (
			record  = store.Record{Kind: kind}
			expires string
		)
		err := row.Scan(&record.Key, &record.Value, &record.Version, &expires)
		if err != nil {
			return err
		}
		if expires != "" {
			if record.Expires, err = parseTime(expires); err != nil {
				return about(kind, record.Key, err)
			}
		}
		r.remember(kind, record.Key, &record)
		found = append(found, &record)
		return nil
	}, args...)
	return found, err
}

// PutRecord implements [store.RecordWriter].
func (t *Tx) PutRecord(r *store.Record) error {
	expires := ""
	if !r.Expires.IsZero() {
		var err error
		if expires, err = formatTime(r.Expires); err != nil {
			return about(r.Kind, r.Key, err)
		}
	}
	value := r.Value
	if value == nil {
		value = []byte{}
	}
	if t.pipeline != nil {
		return t.deferRecord(r, expires, value)
	}
	var (
		n   int64
		err error
	)
	if r.Version == 0 {
		n, err = t.conn.Exec(insertRecord, t.scope, r.Kind, r.Key, orNull(expires), value)
	} else {
		n, err = t.conn.Exec(updateRecord, orNull(expires), value, t.scope, r.Kind, r.Key, r.Version)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return &store.VersionError{Kind: r.Kind, ID: r.Key}
	}
	r.Version++
	return nil
}

// deferRecord is PutRecord by what is known of the record.
func (t *Tx) deferRecord(r *store.Record, expires string, value []byte) error {
	switch stored, err := t.version(r.Kind, r.Key); {
	case err != nil:
		return err
	case stored != r.Version:
		return &store.VersionError{Kind: r.Kind, ID: r.Key}
	case stored == 0:
		err = t.write(1, insertRecord, t.scope, r.Kind, r.Key, orNull(expires), value)
		if err != nil {
			return err
		}
	default:
		err = t.write(1, updateRecord, orNull(expires), value, t.scope, r.Kind, r.Key, stored)
		if err != nil {
			return err
		}
	}
	r.Version++
	kept := *r
	kept.Value, kept.Expires = value, r.Expires.Round(0).UTC() // as they would be read
	t.remember(r.Kind, r.Key, &kept)
	return nil
}

// version returns the version of a record, 0 where there is none.
func (t *Tx) version(kind, key string) (int64, error) {
	found, err := t.Record(kind, key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return found.Version, nil
}

// DeleteRecord implements [store.RecordWriter].
func (t *Tx) DeleteRecord(kind, key string, version int64) error {
	if t.pipeline != nil {
		switch stored, err := t.version(kind, key); {
		case err != nil:
			return err
		case stored == 0:
			return &store.NotFoundError{Kind: kind, ID: key}
		case version != 0 && version != stored:
			return &store.VersionError{Kind: kind, ID: key}
		}
		t.remember(kind, key, nil)
		return t.write(1, deleteRecord, t.scope, kind, key)
	}
	var (
		n   int64
		err error
	)
	if version == 0 {
		n, err = t.conn.Exec(deleteRecord, t.scope, kind, key)
	} else {
		n, err = t.conn.Exec(deleteRecordVersion, t.scope, kind, key, version)
	}
	if err != nil || n > 0 {
		return err
	}
	if version != 0 {
		if _, err := t.Record(kind, key); err != nil {
			return err
		}
		return &store.VersionError{Kind: kind, ID: key}
	}
	return &store.NotFoundError{Kind: kind, ID: key}
}

// PruneRecords implements [store.RecordWriter].
func (t *Tx) PruneRecords(kind string, now time.Time) (int, error) {
	until, err := formatTime(now)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %w", err)
	}
	t.memory.records = nil
	n, err := t.conn.Exec(pruneRecords, t.scope, kind, until)
	return int(n), err
}
