package scimtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimtest"
	"github.com/scimjit/provision/store"
)

func TestClock(t *testing.T) {
	var clock scimtest.Clock
	start := clock.Now()
	if want := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); !start.Equal(want) || start.Location() != time.UTC {
		t.Errorf("starts at %s, want %s", start, want)
	}
	clock.Advance(time.Hour)
	clock.Advance(-time.Minute)
	if got := clock.Now().Sub(start); got != 59*time.Minute {
		t.Errorf("moved by %s", got)
	}
}

func event(sequence int64, userName string, status policy.Status) *provision.Event {
	return &provision.Event{
		Sequence: sequence, Connection: "idp", Type: store.AccountUpdated, AccountID: userName,
		Account: &store.EventAccount{ID: userName, Status: status},
		Changes: []store.Change{{Attribute: "userName", After: json.RawMessage(strconv.Quote(userName))}},
	}
}

func consume(t *testing.T, r *scimtest.Recorder, events ...*provision.Event) {
	t.Helper()
	for _, ev := range events {
		if err := r.Consume(t.Context(), provision.Delivery{Event: ev}); err != nil {
			t.Error(err)
		}
	}
}

// TestRecorderOrder asserts that Wait goes forward, and that an event which is
// delivered twice is recorded once.
func TestRecorderOrder(t *testing.T) {
	var r scimtest.Recorder
	consume(t, &r, event(1, "ada", policy.StatusActive), event(2, "bob", policy.StatusActive), event(2, "bob", policy.StatusActive), event(1, "ada", policy.StatusActive))
	other := event(1, "ada", policy.StatusActive)
	other.Connection = "other"
	consume(t, &r, other, event(3, "Ada", policy.StatusDisabled))
	if got := len(r.Events()); got != 4 {
		t.Errorf("%d events, want 4", got)
	}
	var got []int64
	for _, match := range []func(*provision.Event) bool{r.AccountIs("bob", policy.StatusActive), r.AccountIs("ADA", policy.StatusActive), r.AccountIs("ada", policy.StatusDisabled)} {
		ev, err := r.Wait(t.Context(), match)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.Sequence)
	}
	if diff := cmp.Diff([]int64{2, 1, 3}, got); diff != "" {
		t.Errorf("sequences (-want +got):\n%s", diff)
	}
}

// TestRecorderWait asserts that Wait blocks until the event, and no longer than
// its context.
func TestRecorderWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r scimtest.Recorder
		found := make(chan *provision.Event)
		for range 2 { // each gets one of the events
			go func() {
				ev, err := r.Wait(t.Context(), r.AccountIs("ada", policy.StatusDisabled))
				if err != nil {
					t.Error(err)
				}
				found <- ev
			}()
		}
		synctest.Wait()
		consume(t, &r, event(1, "ada", policy.StatusActive))
		synctest.Wait()
		select {
		case ev := <-found:
			t.Fatalf("found %+v", ev)
		default:
		}
		consume(t, &r, event(2, "ada", policy.StatusDisabled))
		if ev := <-found; ev.Sequence != 2 {
			t.Errorf("sequence %d, want 2", ev.Sequence)
		}
		consume(t, &r, event(3, "ada", policy.StatusDisabled))
		if ev := <-found; ev.Sequence != 3 {
			t.Errorf("sequence %d, want 3", ev.Sequence)
		}

		consume(t, &r, event(4, "bob", policy.StatusStaged))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.Wait(ctx, r.AccountIs("ada", policy.StatusActive))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "[account.updated bob staged]") {
			t.Errorf("error %v", err)
		}
	})
}

// TestRecorderDeliver records what an engine delivers, and Load what a directory
// has, to the same events.
func TestRecorderDeliver(t *testing.T) {
	s := newSite(t, "okta")
	ctx, stop := context.WithCancel(t.Context())
	var delivered, loaded scimtest.Recorder
	done := make(chan error)
	go func() { done <- s.engine.Consumer("test").Deliver(ctx, delivered.Consume, provision.DeliveryOptions{}) }()
	okta := scimtest.NewOkta(s.url, token)
	id, err := okta.Assign(ctx, scimtest.Person{UserName: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Load(ctx, s.engine.Directory("idp")); err != nil {
		t.Fatal(err)
	}
	if err := okta.Deactivate(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := delivered.Wait(ctx, delivered.AccountIs("ada", policy.StatusDisabled)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := loaded.Load(ctx, s.engine.Directory("idp")); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(delivered.Events(), loaded.Events()); diff != "" {
		t.Errorf("events (-delivered +loaded):\n%s", diff)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Deliver: %v", err)
	}
	if err := loaded.Load(ctx, s.engine.Directory("idp")); !errors.Is(err, context.Canceled) {
		t.Errorf("Load with an ended context: %v", err)
	}
}
