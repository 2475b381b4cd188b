package sqlite

import (
	"fmt"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// Every scope has a number, which stands for its name in all other tables. Numbers
// begin with 1, and are never used again.
const (
	selectScope = `SELECT scope FROM provision_scopes WHERE name = ?`
	newestScope = `SELECT coalesce(max(scope), 0) FROM provision_scopes`
	insertScope = `INSERT INTO provision_scopes (scope, name, position, sequence, pruned) VALUES (?, ?, ?, 0, 0)`
)

// The positions of a scope follow its number, so that they are unique in the whole
// table and may be its rowid. There is room for 2^40 resources in each of 2^23 scopes.
const (
	positionBits = 40
	mostScopes   = 1<<(63-positionBits) - 1
)

// findScope returns the number of a scope, or 0 when there is none.
func findScope(conn sqlstore.Conn, name string) (number int64, err error) {
	err = conn.Query(selectScope, func(row sqlstore.Scanner) error { return row.Scan(&number) }, name)
	return number, err
}

// makeScope returns the number of a scope and makes one when there is none.
func makeScope(conn sqlstore.Conn, name string) (number int64, err error) {
	number, err = findScope(conn, name)
	if err != nil || number != 0 {
		return number, err
	}
	err = conn.Query(newestScope, func(row sqlstore.Scanner) error { return row.Scan(&number) })
	if err != nil {
		return 0, err
	}
	if number++; number > mostScopes {
		return 0, fmt.Errorf("sqlite: a file has room for %d connections", mostScopes)
	}
	_, err = conn.Exec(insertScope, number, name, number<<positionBits)
	return number, err
}

// findScope returns the number of a scope, or 0 for one that has never been
// written.
func (s *Store) findScope(conn *session, name string) (int64, error) {
	if id, ok := s.knownScope(name); ok {
		return id, nil
	}
	id, err := findScope(conn, name)
	if err == nil && id != 0 {
		s.scopes.Store(name, id)
	}
	return id, err
}

func (s *Store) knownScope(name string) (int64, bool) {
	id, ok := s.scopes.Load(name)
	if !ok {
		return 0, false
	}
	return id.(int64), true
}
