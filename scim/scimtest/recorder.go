package scimtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// Recorder collects events in the order in which they come, each once. The zero
// Recorder is ready to use. It is safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	events []*provision.Event
	last   map[string]int64     // sequence of the last event by connection
	names  map[accountID]string // user names as the events told them
	named  map[eventID]string   // user name of the account of an event, after it
	seen   int                  // how many events Wait has passed
	news   chan struct{}        // closed by the next event
}

type (
	accountID struct{ connection, id string }
	eventID   struct {
		connection string
		sequence   int64
	}
)

// Consume records an event. It is for Consumer.Deliver, and never fails:
//
//	go engine.Consumer("test").Deliver(ctx, recorder.Consume, provision.DeliveryOptions{})
func (r *Recorder) Consume(_ context.Context, d provision.Delivery) error {
	r.add(d.Event)
	return nil
}

// Load records the events of a connection up to now, without Consumer.Deliver.
func (r *Recorder) Load(ctx context.Context, d *provision.Directory) error {
	r.mu.Lock()
	after := r.last[d.ID()]
	r.mu.Unlock()
	events, err := d.Events(ctx, after, 0)
	if err != nil {
		return err
	}
	r.add(events...)
	return nil
}

// add records events that are not yet known: deliveries may repeat.
func (r *Recorder) add(events ...*provision.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last, r.names, r.named = map[string]int64{}, map[accountID]string{}, map[eventID]string{}
	}
	for _, ev := range events {
		if ev.Sequence <= r.last[ev.Connection] {
			continue
		}
		r.last[ev.Connection] = ev.Sequence
		r.events = append(r.events, ev)
		r.note(ev)
	}
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
}

// note keeps the user name of the account of an event: events tell it only where
// it changes.
func (r *Recorder) note(ev *provision.Event) {
	if ev.Account == nil {
		return
	}
	account := accountID{ev.Connection, ev.Account.ID}
	for _, c := range ev.Changes {
		if c.Attribute == "userName" {
			var name string
			_ = json.Unmarshal(c.After, &name) // text, or null
			r.names[account] = name
		}
	}
	r.named[eventID{ev.Connection, ev.Sequence}] = r.names[account]
}

// UserName returns the user name that the account of a recorded event had after
// it, and "" when the event is about no account or no recorded event told the
// name.
func (r *Recorder) UserName(ev *provision.Event) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.named[eventID{ev.Connection, ev.Sequence}]
}

// Events returns the events so far. They must not be changed.
func (r *Recorder) Events() []*provision.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Wait returns the first event that matches, after the one that the last Wait
// returned, so that a test lists what it expects in order. It waits until there
// is one, and fails when ctx ends before.
func (r *Recorder) Wait(ctx context.Context, match func(*provision.Event) bool) (*provision.Event, error) {
	next := 0 // what was looked at in vain
	for {
		ev, news := r.next(&next, match)
		if ev != nil {
			return ev, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, fmt.Errorf("scimtest: no event matches, of %s: %w", r.summary(), context.Cause(ctx))
		}
	}
}

// next looks at the events that Wait has not yet looked at. match may ask the
// Recorder.
func (r *Recorder) next(from *int, match func(*provision.Event) bool) (*provision.Event, <-chan struct{}) {
	for {
		ev, news := r.at(from)
		switch {
		case ev == nil:
			return nil, news
		case match(ev) && r.pass(*from):
			return ev, nil
		}
	}
}

// pass moves Wait behind an event, unless another Wait has done so.
func (r *Recorder) pass(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n <= r.seen {
		return false
	}
	r.seen = n
	return true
}

// at returns the next event to look at and goes on behind it, or what is closed
// when there is one.
func (r *Recorder) at(from *int) (*provision.Event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*from = max(*from, r.seen)
	if *from < len(r.events) {
		*from++
		return r.events[*from-1], nil
	}
	if r.news == nil {
		r.news = make(chan struct{})
	}
	return nil, r.news
}

// summary lists the events that Wait may still return.
func (r *Recorder) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, ev := range r.events[r.seen:] {
		text := string(ev.Type)
		if ev.Account != nil {
			text += " " + r.named[eventID{ev.Connection, ev.Sequence}] + " " + string(ev.Account.Status)
		}
		list = append(list, text)
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// AccountIs matches the recorded events after which the account of a user name, in
// any case, has a status.
func (r *Recorder) AccountIs(userName string, status policy.Status) func(*provision.Event) bool {
	return func(ev *provision.Event) bool {
		return ev.Account != nil && ev.Account.Status == status && policy.Fold(r.UserName(ev)) == policy.Fold(userName)
	}
}
