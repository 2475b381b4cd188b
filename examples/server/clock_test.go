package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// An operator sees since when work waits after a jump of the clock, where other
// warnings are and at /clock, and ends that.
func TestClock(t *testing.T) {
	m := mount(t, memory.New())
	m.connect("gate", `{}`)
	for _, pattern := range []string{"GET /clock", "POST /clock/confirm"} {
		method, path := concrete(pattern)
		if w := m.do(method, path, operatorToken[1:], ""); w.Code != http.StatusUnauthorized {
			t.Errorf("%s with another token: %d, want 401", pattern, w.Code)
		}
	}
	expect := func(when, method, path string, want bool) {
		t.Helper()
		w := m.do(method, path, operatorToken, "")
		if got := strings.Contains(w.Body.String(), `"jumped":"2030-01-02T03:04:05Z"`); w.Code != http.StatusOK || got != want {
			t.Errorf("%s, %s %s: %d %s, want that work waits: %t", when, method, path, w.Code, w.Body, want)
		}
		w = m.do(http.MethodGet, "/connections", operatorToken, "")
		if got := strings.Contains(w.Body.String(), `"clock_jumped"`); got != want {
			t.Errorf("%s, the connection is warned: %t, want %t", when, got, want)
		}
	}
	expect("at first", http.MethodGet, "/clock", false)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	err := m.engine.Store.Update(t.Context(), store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ClockSeen.Put(tx, "", records.Clock{Seen: at, Jumped: at})
	})
	if err != nil {
		t.Fatal(err)
	}
	expect("after a jump", http.MethodGet, "/clock", true)
	expect("confirmed", http.MethodPost, "/clock/confirm", false)
}
