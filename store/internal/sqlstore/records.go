package sqlstore

import (
	"fmt"
	"time"

	"github.com/scimjit/provision/store"
)

// Record implements [store.RecordReader].
func (r *Reader) Record(kind, key string) (*store.Record, error) {
	found, err := r.records(kind, recordByKey, r.scope, kind, key)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &store.NotFoundError{Kind: kind, ID: key}
	}
	return found[0], nil
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

// DeleteRecord implements [store.RecordWriter].
func (t *Tx) DeleteRecord(kind, key string, version int64) error {
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
	n, err := t.conn.Exec(pruneRecords, t.scope, kind, until)
	return int(n), err
}
