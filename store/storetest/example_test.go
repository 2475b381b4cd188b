package storetest_test

import (
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/storetest"
)

func Example() {
	// In a test file of the store:
	_ = func(t *testing.T) {
		open := func(*testing.T) store.Store { return memory.New() }
		storetest.Run(t, open, storetest.Options{})
	}
	// Output:
}
