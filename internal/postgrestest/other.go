//go:build !unix

// Package postgrestest gives tests PostgreSQL, on Unix.
package postgrestest

import (
	"testing"

	"github.com/scimjit/provision/store/postgres"
)

// Open skips the test.
func Open(t testing.TB) *postgres.Store {
	t.Helper()
	_ = Empty(t, 0)
	return nil
}

// Empty skips the test.
func Empty(t testing.TB, _ int) postgres.Config {
	t.Helper()
	t.Skip("SKIP-EXTERNAL: tests with PostgreSQL need Unix")
	return postgres.Config{}
}
