package sqlite

import (
	"errors"
	"fmt"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/scimjit/provision/store"
)

// The result codes that are more than an error.
const (
	codeBusy     = sqlite3.SQLITE_BUSY
	codeLocked   = sqlite3.SQLITE_LOCKED
	codeFull     = sqlite3.SQLITE_FULL
	codeReadOnly = sqlite3.SQLITE_READONLY
	codeNotADB   = sqlite3.SQLITE_NOTADB
)

// How long a caller should wait before it tries again.
const (
	retryBusy = time.Second
	retryFull = 30 * time.Second
)

// primaryCode returns the result code of an SQLite error without its extension,
// or 0.
func primaryCode(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	return 0
}

// classify returns err as what it means to a caller.
func classify(err error) error {
	switch primaryCode(err) {
	case 0:
		return err
	case codeBusy, codeLocked:
		return &store.UnavailableError{RetryAfter: retryBusy, Err: err}
	case codeFull:
		return &store.UnavailableError{RetryAfter: retryFull, Err: fmt.Errorf("the disk is full: %w", err)}
	case codeReadOnly:
		return fmt.Errorf("sqlite: the database cannot be written: %w", err)
	case codeNotADB:
		return fmt.Errorf("sqlite: the file is not an SQLite database: %w", err)
	}
	return fmt.Errorf("sqlite: %w", err)
}
