package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scimjit/provision/store"
)

// Errors say what is missing or changed, and are found by the sentinel and by the
// same kind and id.
func TestErrorsSayWhat(t *testing.T) {
	missing, changed := &store.NotFoundError{Kind: "User", ID: "u1"}, &store.VersionError{Kind: "lease", ID: "k"}
	for _, test := range []struct {
		name   string
		err    error
		target error
		is     bool
	}{
		{"not found", missing, store.ErrNotFound, true},
		{"the same", missing, &store.NotFoundError{Kind: "User", ID: "u1"}, true},
		{"another id", missing, &store.NotFoundError{Kind: "User", ID: "u2"}, false},
		{"another kind", missing, &store.NotFoundError{Kind: "Group", ID: "u1"}, false},
		{"not the version", missing, store.ErrVersion, false},
		{"wrapped", fmt.Errorf("reading: %w", missing), store.ErrNotFound, true},
		{"version", changed, store.ErrVersion, true},
		{"the same version error", changed, &store.VersionError{Kind: "lease", ID: "k"}, true},
		{"another key", changed, &store.VersionError{Kind: "lease", ID: "l"}, false},
		{"not not found", changed, store.ErrNotFound, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := errors.Is(test.err, test.target); got != test.is {
				t.Errorf("errors.Is(%v, %v) = %t", test.err, test.target, got)
			}
		})
	}
	for err, want := range map[error]string{
		missing: `store: User "u1" not found`,
		changed: `store: lease "k" has another version`,
		&store.ConflictError{Attribute: "userName", ID: "u1"}: `store: userName is already in use by "u1"`,
	} {
		if got := err.Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
