package provision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// host is a consumer that refuses the accounts it is told to refuse.
type host struct {
	refused  map[string]bool            // by user name
	came     map[int64]*provision.Event // by sequence
	seen     []string
	attempts int // the most that an event took
}

// take delivers up to the last event that there is now, and what is said of
// parking meanwhile, and returns what was seen.
func (h *host) take(tn *tenant) []string {
	tn.t.Helper()
	provision.Hurry(tn.engine)
	h.seen = nil
	if h.came == nil {
		h.came = map[int64]*provision.Event{}
	}
	ctx, cancel := context.WithCancel(tn.t.Context())
	defer cancel()
	end := tn.t.Name() + " ends here"
	g := tn.group(end)
	err := tn.engine.Deliver(ctx, "host", func(_ context.Context, d provision.Delivery) error {
		if r := d.Event.Resource; r != nil && r.ID == g && d.Event.Type == store.GroupCreated {
			cancel()
			return nil
		}
		h.attempts = max(h.attempts, d.Attempt)
		h.came[d.Event.Sequence] = d.Event
		if h.refused[h.text(d.Event, "userName")] {
			return errors.New("refused")
		}
		if d.Event.Type != store.GroupDeleted {
			h.seen = append(h.seen, h.describe(d.Event))
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		tn.t.Errorf("Deliver returned %v", err)
	}
	tn.remove("Group", g)
	return h.seen
}

// text returns a text attribute of an account as the events up to ev tell it.
func (h *host) text(ev *provision.Event, attribute string) (text string) {
	if ev.Account == nil {
		return ""
	}
	var last int64
	for n, e := range h.came {
		if after := textAfter(e, attribute); after != "" && e.AccountID == ev.AccountID && n > last && n <= ev.Sequence {
			text, last = after, n
		}
	}
	return text
}

func (h *host) describe(ev *provision.Event) string {
	switch {
	case ev.Type == store.DeliveryParked:
		return fmt.Sprintf("%s %s by %s", ev.Type, ev.Changes[0].After, ev.Actor.ID)
	case ev.Account != nil:
		return fmt.Sprintf("%d %s %s", ev.Sequence, h.text(ev, "userName"), h.text(ev, "displayName"))
	}
	return fmt.Sprintf("%d %s", ev.Sequence, ev.Type)
}

func (tn *tenant) parked() []provision.Parked {
	tn.t.Helper()
	list, err := tn.engine.Parked(tn.t.Context(), "host", "acme")
	if err != nil {
		tn.t.Fatal(err)
	}
	return list
}

// An account that the consumer cannot take waits, and others go on. Redriven,
// its events come in order, before newer ones.
func TestPark(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Delivery.Attempts = 3
		h := &host{refused: map[string]bool{"ada": true}}
		ada := tn.user(`{"userName":"ada","displayName":"first"}`)     // 2
		grace := tn.user(`{"userName":"grace","displayName":"first"}`) // 3
		tn.set(ada, `{"userName":"ada","displayName":"second"}`)       // 4
		tn.set(grace, `{"userName":"grace","displayName":"second"}`)   // 5
		want := []string{"1 connection.updated", "3 grace first", "5 grace second"}
		if diff := cmp.Diff(want, h.take(tn)); diff != "" {
			t.Errorf("while refused (-want +got):\n%s", diff)
		}
		if h.attempts != 3 {
			t.Errorf("%d attempts, want 3", h.attempts)
		}
		account := tn.account("ada").ID
		since := []provision.Parked{{AccountID: account, Sequence: 2, Since: tn.clock.Now()}}
		if diff := cmp.Diff(since, tn.parked()); diff != "" {
			t.Errorf("parked (-want +got):\n%s", diff)
		}

		h.refused = nil
		tn.set(ada, `{"userName":"ada","displayName":"third"}`) // 9, after the end and the parking
		want = []string{"delivery.parked 2 by host"}
		if diff := cmp.Diff(want, h.take(tn)); diff != "" {
			t.Errorf("no longer refused, still parked (-want +got):\n%s", diff)
		}

		tn.set(ada, `{"userName":"ada","displayName":"fourth"}`)
		if err := tn.engine.Redrive(t.Context(), "host", "acme", account); err != nil {
			t.Fatal(err)
		}
		got := h.take(tn)
		for i := range got { // the numbers in the middle belong to the test itself
			_, got[i], _ = cutNumber(got[i])
		}
		want = []string{"ada first", "ada second", "ada third", "ada fourth"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
		if list := tn.parked(); len(list) > 0 {
			t.Errorf("still parked: %v", list)
		}
		if err := tn.engine.Redrive(t.Context(), "host", "acme", account); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("Redrive of an account that is not parked: %v", err)
		}
	})
}

func cutNumber(s string) (n int, rest string, err error) {
	_, err = fmt.Sscanf(s, "%d", &n)
	return n, s[len(fmt.Sprint(n))+1:], err
}

// A redriven account that fails again is parked again, at the event that failed.
func TestParkAgain(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Delivery.Attempts = 2
		h := &host{refused: map[string]bool{"ada": true, "countess": true}}
		ada := tn.user(`{"userName":"ada"}`)    // 2
		tn.set(ada, `{"userName":"countess"}`)  // 3
		tn.set(ada, `{"userName":"ada byron"}`) // 4
		h.take(tn)
		account := tn.account("ada byron").ID
		delete(h.refused, "ada")
		if err := tn.engine.Redrive(t.Context(), "host", "acme", account); err != nil {
			t.Fatal(err)
		}
		if list := tn.parked(); len(list) != 1 || !list[0].Redriven {
			t.Errorf("parked after Redrive: %v", list)
		}
		want := []string{"2 ada ", "delivery.parked 2 by host"}
		if diff := cmp.Diff(want, h.take(tn)); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
		want = []string{"delivery.parked 3 by host"}
		if diff := cmp.Diff(want, h.take(tn)); diff != "" {
			t.Errorf("parked again (-want +got):\n%s", diff)
		}
		if list := tn.parked(); len(list) != 1 || list[0].Sequence != 3 || list[0].Redriven {
			t.Errorf("parked: %v", list)
		}
	})
}

// A process that ends in the middle of parked events leaves the rest of them in
// their place.
func TestRedriveInterrupted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Delivery.Attempts = 1
		h := &host{refused: map[string]bool{"ada": true}}
		user := tn.user(`{"userName":"ada","displayName":"first"}`) // 2
		for _, name := range []string{"second", "third"} {
			tn.set(user, `{"userName":"ada","displayName":"`+name+`"}`)
		}
		h.take(tn)
		if err := tn.engine.Redrive(t.Context(), "host", "acme", tn.account("ada").ID); err != nil {
			t.Fatal(err)
		}
		_ = tn.consumeFast(func(provision.Delivery) error { return errStop }) // the first is seen
		h.refused = nil
		want := []string{"3 ada second", "4 ada third", "delivery.parked 2 by host"}
		if diff := cmp.Diff(want, h.take(tn)); diff != "" {
			t.Errorf("after the interruption (-want +got):\n%s", diff)
		}
	})
}

// A consumer that fails because it is being stopped has not failed.
func TestStoppingParksNobody(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Delivery.Attempts = 1
		ctx, cancel := context.WithCancel(t.Context())
		err := tn.engine.Deliver(ctx, "host", func(ctx context.Context, _ provision.Delivery) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v", err)
		}
		if list := tn.parked(); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
	})
}

// Events without an account are parked apart from all accounts.
func TestParkWithoutAccount(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Delivery.Attempts = 2
		tn.user(ada)
		var got []store.EventType
		_ = tn.consumeFast(func(d provision.Delivery) error {
			if d.Event.AccountID == "" {
				return errors.New("refused")
			}
			got = append(got, d.Event.Type)
			return errStop
		})
		if diff := cmp.Diff([]store.EventType{store.AccountCreated}, got); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
		if list := tn.parked(); len(list) != 1 || list[0].AccountID != "" || list[0].Sequence != 1 {
			t.Errorf("parked: %v", list)
		}
		if err := tn.engine.Redrive(t.Context(), "host", "acme", ""); err != nil {
			t.Fatal(err)
		}
		got = nil
		_ = tn.consumeFast(func(d provision.Delivery) error {
			got = append(got, d.Event.Type)
			if d.Event.Type == store.DeliveryParked {
				return errStop
			}
			return nil
		})
		if diff := cmp.Diff([]store.EventType{store.ConnectionUpdated, store.DeliveryParked}, got); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
	})
}

func (tn *tenant) consumeFast(fn func(provision.Delivery) error) error {
	provision.Hurry(tn.engine)
	return tn.consume("host", fn)
}

// What retention removed cannot be redriven, and is not passed over in silence.
func TestParkBehindRetention(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Retention = time.Hour
		tn.engine.Delivery.Attempts = 2
		h := &host{refused: map[string]bool{"ada": true}}
		user := tn.user(`{"userName":"ada","displayName":"first"}`)
		h.take(tn)
		account := tn.account("ada").ID
		tn.clock.add(2 * time.Hour)
		h.take(tn) // the cursor is within the retention
		tn.user(`{"userName":"grace"}`)
		if err := provision.Prune(tn.engine, t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		h.refused = nil
		if err := tn.engine.Redrive(t.Context(), "host", "acme", account); !errors.Is(err, provision.ErrCursorExpired) {
			t.Errorf("Redrive returned %v, want ErrCursorExpired", err)
		}
		if err := tn.engine.SkipParked(t.Context(), "host", "acme", "x"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("SkipParked of another account: %v", err)
		}
		if err := tn.engine.SkipParked(t.Context(), "host", "acme", account); err != nil {
			t.Fatal(err)
		}
		tn.set(user, `{"userName":"ada","displayName":"second"}`)
		got := h.take(tn)
		if len(got) == 0 || !slices.ContainsFunc(got, func(s string) bool { _, s, _ = cutNumber(s); return s == "ada second" }) {
			t.Errorf("the newer event does not come: %q", got)
		}
	})
}

// SkipEvents ends all parking.
func TestSkipEventsEndsParking(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Delivery.Attempts = 2
		h := &host{refused: map[string]bool{"ada": true}}
		tn.user(`{"userName":"ada"}`)
		h.take(tn)
		if len(tn.parked()) != 1 {
			t.Fatalf("parked: %v", tn.parked())
		}
		if err := tn.engine.SkipEvents(t.Context(), "host", "acme"); err != nil {
			t.Fatal(err)
		}
		if len(tn.parked()) != 0 {
			t.Errorf("parked: %v", tn.parked())
		}
	})
}
