package records

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/scimjit/provision/store"
)

// deleted is the value of the record of a connection that was deleted. The record
// stays, so that versions go on where an id is used again: what somebody remembers
// by a version is never taken for what came later.
var deleted = json.RawMessage("null")

// LiveConnection returns the record of the settings of a connection, or
// [store.ErrNotFound] for one that was never saved or was deleted.
func LiveConnection(r store.RecordReader) (*store.Record, error) {
	rec, err := Connection.Raw(r, "")
	if err != nil {
		return nil, err
	}
	if bytes.Equal(rec.Value, deleted) {
		return nil, &store.NotFoundError{Kind: rec.Kind, ID: rec.Key}
	}
	return rec, nil
}

// SaveConnection writes the settings of a connection, whatever is there, and
// returns their version.
func SaveConnection(tx ReadWriter, settings json.RawMessage) (version int64, err error) {
	e := Entry[json.RawMessage]{Value: settings}
	rec, err := Connection.Raw(tx, "")
	switch {
	case err == nil:
		e.Version = rec.Version
	case !errors.Is(err, store.ErrNotFound):
		return 0, err
	}
	err = Connection.Save(tx, &e)
	return e.Version, err
}

// DropConnection removes the settings of a connection.
func DropConnection(tx ReadWriter) error {
	_, err := SaveConnection(tx, deleted)
	return err
}
