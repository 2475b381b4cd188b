package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
)

// Unknown names are told from names of which nothing is parked.
func TestUnknownNames(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		ctx := t.Context()
		calls := map[string]func(c *outbox.Consumer, connection string) error{
			"Parked":     func(c *outbox.Consumer, at string) error { _, err := c.Parked(ctx, at); return err },
			"Redrive":    func(c *outbox.Consumer, at string) error { return c.Redrive(ctx, at, "ada") },
			"Skip":       func(c *outbox.Consumer, at string) error { return c.Skip(ctx, at) },
			"SkipParked": func(c *outbox.Consumer, at string) error { return c.SkipParked(ctx, at, "ada") },
			"Wait":       func(c *outbox.Consumer, at string) error { return c.Wait(ctx, at, "ada") },
		}
		expect := func(name, what, at string) {
			t.Helper()
			for call, fn := range calls {
				c := *s.Consumer
				c.Name = name
				if err := fn(&c, at); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), what) {
					t.Errorf("%s of %q in %q: %v, want ErrNotFound that names %s", call, name, at, err, what)
				}
			}
		}
		expect("host", `consumer "host"`, "acme")
		s.must(s.Register(ctx))
		s.must(s.Register(ctx)) // does nothing
		expect("hots", `consumer "hots"`, "acme")
		expect("host", `connection "amce"`, "amce")
		expect("host", `connection ""`, "")
		if list, err := s.Parked(ctx, "acme"); err != nil || list == nil || len(list) > 0 {
			t.Errorf("Parked of a consumer that is registered: %v, %v", list, err)
		}
		s.must(s.Skip(ctx, "acme"))
		s.must(s.Wait(ctx, "acme", "ada"))
	})
}

// Deliver makes a consumer known before it has seen anything.
func TestDeliverRegisters(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.start(s.Consumer, refusing().take, outbox.Options{})
		synctest.Wait()
		if list, err := s.Parked(t.Context(), "acme"); err != nil || len(list) > 0 {
			t.Errorf("parked: %v, %v", list, err)
		}
	})
}

func TestNameless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.Name = ""
		for name, err := range map[string]error{
			"Deliver":     s.Deliver(t.Context(), refusing().take, outbox.Options{}),
			"DeliverOnce": s.DeliverOnce(t.Context(), refusing().take),
			"Register":    s.Register(t.Context()),
		} {
			if err == nil || !strings.Contains(err.Error(), "name") {
				t.Errorf("%s without a name: %v", name, err)
			}
		}
	})
}

// DeliverOnce stops at a refusal, which counts for nothing, and otherwise when
// nothing is left.
func TestDeliverOnce(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme", "globex")
		s.change("ada")
		s.change("grace")
		s.change("annie")
		s.changeIn("globex", "bob")
		h := refusing("grace")
		for range 20 { // more than what parks
			err := s.DeliverOnce(t.Context(), h.take)
			if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), `event 2 of connection "acme"`) {
				t.Fatalf("DeliverOnce returned %v", err)
			}
		}
		if diff := cmp.Diff([]string{"1 ada"}, h.said()); diff != "" {
			t.Errorf("while refused (-want +got):\n%s", diff)
		}
		err := s.DeliverOnce(t.Context(), func(context.Context, outbox.Delivery) error { panic("no") })
		if err == nil || !strings.Contains(err.Error(), "panic: no") {
			t.Errorf("a consumer that panics: %v", err)
		}
		var attempts []int
		more := true
		s.must(s.DeliverOnce(t.Context(), func(ctx context.Context, d outbox.Delivery) error {
			attempts = append(attempts, d.Attempt)
			if d.Event.Connection == "globex" && more { // an event that the consumer itself causes
				more = false
				s.change("grace")
			}
			h.accept("grace")
			return h.take(ctx, d)
		}))
		if diff := cmp.Diff([]string{"2 grace", "3 annie", "1 bob", "4 grace"}, h.said()); diff != "" {
			t.Errorf("no longer refused (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]int{1, 1, 1, 1}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

// DeliverOnce waits for no back-off, but leaves alone what is parked.
func TestDeliverOnceTakesLines(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.change("ada")
		stop := s.start(s.Consumer, refusing("ada").take, outbox.Options{})
		synctest.Wait()
		_ = stop()
		h := refusing("ada")
		if err := s.DeliverOnce(t.Context(), h.take); !errors.Is(err, errRefused) {
			t.Errorf("DeliverOnce returned %v", err)
		}
		h.accept("ada")
		s.must(s.DeliverOnce(t.Context(), h.take))
		if diff := cmp.Diff([]string{"1 ada", "2 ada"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}

		s.change("grace")
		stop = s.start(s.Consumer, refusing("grace").take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.must(s.DeliverOnce(t.Context(), h.take))
		if got := h.said(); len(got) != 0 {
			t.Errorf("%v came while parked", got)
		}
	})
}
