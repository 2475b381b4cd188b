package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

const recordCursor = "cursor"

// ErrCursorExpired says that events which a consumer has not seen were removed
// by [Engine.Retention]. The consumer reads the accounts again and goes on
// after [Engine.SkipEvents].
var ErrCursorExpired = errors.New("provision: events were removed before this consumer saw them")

// Delivery is one event on its way to a consumer.
type Delivery struct {
	Event   *Event
	Attempt int // 1 at first, one more with each retry in this process
}

const (
	deliverBatch    = 100
	firstRetryDelay = 100 * time.Millisecond
	lastRetryDelay  = time.Minute
)

// Deliver calls fn with every event of every connection until ctx ends, and
// returns ctx.Err(). Events of one connection come in order, one at a time;
// connections are delivered in parallel. An event counts as seen when fn
// returns nil: a durable cursor per consumer and connection remembers it, and a
// new Deliver goes on from there. After a crash an event may come again, so fn
// must be idempotent; comparing [Account.Version] is enough for that.
//
// When fn fails, the same event is tried again with growing delays, up to a
// minute, and later events of the connection wait. A consumer that fell behind
// [Engine.Retention] ends Deliver with [ErrCursorExpired].
//
// Run one Deliver per consumer name.
func (e *Engine) Deliver(ctx context.Context, consumer string, fn func(context.Context, Delivery) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	started := map[string]bool{}
	for {
		news := e.news.next()
		ids, err := e.connectionIDs(ctx)
		if err != nil && ctx.Err() == nil {
			e.logger().Error("listing connections", "consumer", consumer, "error", err)
		}
		for _, id := range ids {
			if started[id] {
				continue
			}
			started[id] = true
			d := &delivery{engine: e, consumer: consumer, connection: id, fn: fn}
			wg.Go(func() {
				if err := d.run(ctx); err != nil {
					cancel(err)
				}
			})
		}
		if wait(ctx, news, pollInterval) != nil {
			return context.Cause(ctx)
		}
	}
}

// SkipEvents moves the cursor of a consumer past all events of a connection.
func (e *Engine) SkipEvents(ctx context.Context, consumer, connection string) error {
	return e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		_, last, err := tx.EventRange()
		if err != nil {
			return err
		}
		return writeCursor(tx, consumer, last)
	})
}

// delivery brings the events of one connection to one consumer.
type delivery struct {
	engine     *Engine
	consumer   string
	connection string
	fn         func(context.Context, Delivery) error
}

func (d *delivery) run(ctx context.Context) error {
	delay := firstRetryDelay
	for {
		news := d.engine.news.next()
		n, err := d.batch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrCursorExpired):
			return err
		case err != nil:
			d.engine.logger().Error("delivering events", "consumer", d.consumer, "connection", d.connection, "error", err)
			if wait(ctx, nil, delay) != nil {
				return nil
			}
			delay = min(2*delay, lastRetryDelay)
			continue
		}
		delay = firstRetryDelay
		if n < deliverBatch && wait(ctx, news, pollInterval) != nil {
			return nil
		}
	}
}

// batch delivers the next events and stores the cursor behind the last one that
// was seen.
func (d *delivery) batch(ctx context.Context) (int, error) {
	var events []*Event
	cursor := int64(0)
	err := d.engine.Store.View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		var err error
		if cursor, err = readCursor(r, d.consumer); err != nil {
			return err
		}
		first, _, err := r.EventRange()
		if err != nil {
			return err
		}
		if first > 0 && cursor < first-1 {
			return ErrCursorExpired
		}
		events, err = r.Events(cursor, deliverBatch)
		return err
	})
	if err != nil {
		return 0, err
	}
	seen, err := d.each(ctx, events)
	if seen == 0 {
		return 0, err
	}
	// The cursor is stored also when ctx has just ended: what was seen was seen.
	put := d.engine.Store.Update(context.WithoutCancel(ctx), d.connection, func(_ context.Context, tx store.Tx) error {
		return writeCursor(tx, d.consumer, events[seen-1].Sequence)
	})
	return seen, errors.Join(err, put)
}

// each calls fn with the events until ctx ends, and returns how many were seen.
func (d *delivery) each(ctx context.Context, events []*Event) (seen int, err error) {
	for _, ev := range events {
		delay := firstRetryDelay
		for attempt := 1; ; attempt++ {
			if ctx.Err() != nil {
				return seen, ctx.Err()
			}
			err := d.fn(ctx, Delivery{Event: ev, Attempt: attempt})
			if err == nil {
				break
			}
			d.engine.logger().Error("consumer refused an event", "consumer", d.consumer, "connection", d.connection,
				"sequence", ev.Sequence, "attempt", attempt, "error", err)
			if wait(ctx, nil, delay) != nil {
				return seen, ctx.Err()
			}
			delay = min(2*delay, lastRetryDelay)
		}
		seen++
	}
	return seen, nil
}

func readCursor(r store.RecordReader, consumer string) (int64, error) {
	rec, err := r.Record(recordCursor, consumer)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n int64
	if err := json.Unmarshal(rec.Value, &n); err != nil {
		return 0, fmt.Errorf("provision: stored cursor: %w", err)
	}
	return n, nil
}

func writeCursor(tx store.Tx, consumer string, sequence int64) error {
	rec := &store.Record{Kind: recordCursor, Key: consumer, Value: mustJSON(sequence)}
	old, err := tx.Record(recordCursor, consumer)
	if err == nil {
		rec.Version = old.Version
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return tx.PutRecord(rec)
}
