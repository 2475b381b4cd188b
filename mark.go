package provision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/scimjit/provision/store"
)

// Marks are records of one text. They hold what the engine must find again
// without reading all accounts: deletions that are due, default groups that
// do not exist yet, the account that a guard keeps.

// mark returns the text of a mark, or "".
func (c *change) mark(kind, key string) (string, error) {
	rec, err := c.tx.Record(kind, key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return markText(rec)
}

func markText(rec *store.Record) (string, error) {
	var text string
	if err := json.Unmarshal(rec.Value, &text); err != nil {
		return "", fmt.Errorf("provision: stored %s: %w", rec.Kind, err)
	}
	return text, nil
}

// putMark sets a mark, whether or not it is there. It writes nothing where the
// mark is the same.
func (c *change) putMark(kind, key, text string) error {
	put := &store.Record{Kind: kind, Key: key, Value: mustJSON(text)}
	old, err := c.tx.Record(kind, key)
	if err == nil {
		if bytes.Equal(old.Value, put.Value) {
			return nil
		}
		put.Version = old.Version
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return c.tx.PutRecord(put)
}

// clearMark removes a mark if it is there.
func (c *change) clearMark(kind, key string) error {
	err := c.tx.DeleteRecord(kind, key, 0)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
