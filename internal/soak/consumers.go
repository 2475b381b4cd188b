package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// The consumers: mirror takes everything, wild does what no consumer should.
const (
	mirror = "mirror"
	wild   = "wild"
)

type consume = func(context.Context, provision.Delivery) error

const (
	hangTimeout = 2 * time.Second
	hangTime    = 6 * time.Second // it ignores its context so long
)

// see writes down that a consumer has seen an event, in one write, which a process
// that is killed has done or not.
func (c *child) see(consumer string, d provision.Delivery) error {
	_, err := fmt.Fprintf(c.logs[consumer], "%s %d %s\n", d.Event.Connection, d.Event.Sequence, lineOf(d.Event))
	return err
}

// lineOf names the events among which one keeps its order: those of its account. News
// of parking does not wait with the account.
func lineOf(ev *provision.Event) string {
	if ev.Type == store.DeliveryParked {
		return "-"
	}
	return cmp.Or(ev.AccountID, "-")
}

func (c *child) take(_ context.Context, d provision.Delivery) error { return c.see(mirror, d) }

// misbehave fails at some events once, at the first attempts of others, and at those
// of some accounts until everybody is calm.
func (c *child) misbehave(ctx context.Context, d provision.Delivery) error {
	if c.calm.Load() {
		return c.see(wild, d)
	}
	draw := drawn(d)
	switch {
	case lineOf(d.Event) != "-" && drawnText(d.Event.AccountID)%400 == 0:
		return errors.New("this account is refused")
	case d.Attempt > 1:
	case draw%50 == 0:
		return errors.New("this event is refused at first")
	case draw%200 == 1:
		panic("a consumer that panics")
	case draw%500 == 2:
		runtime.Goexit()
	case draw%4000 == 3:
		<-ctx.Done()
		return ctx.Err()
	case draw%4000 == 4:
		time.Sleep(hangTime)
	}
	return c.see(wild, d)
}

// drawn is a number that is the same for an event in every process.
func drawn(d provision.Delivery) uint64 {
	return drawnText(fmt.Sprint(d.Event.Connection, d.Event.Sequence))
}

func drawnText(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash does not fail
	return h.Sum64()
}
