package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// Parked is an account whose events wait for [Engine.Redrive], because a
// consumer failed too often on one of them.
type Parked struct {
	AccountID string    // empty for the events without an account
	Sequence  int64     // of the event that failed: the first one that waits
	Since     time.Time // UTC
	Redriven  bool      // Redrive was called and the events are on their way
}

// parked is a stored Parked. It names the first event that waits and nothing
// else: the others are those of the account up to the cursor, so that a parked
// account costs one record however many events follow, and nothing outlives
// [Engine.Retention].
type parked struct {
	Sequence int64     `json:"sequence"`
	Since    time.Time `json:"since"`
	Redrive  bool      `json:"redrive,omitempty"`

	account string
	version int64
}

// recordParked is the kind of the records of a consumer.
func recordParked(consumer string) string { return "parked/" + consumer }

// parkedPrefix stands before the account in the key of a record: the empty key
// would not be listed.
const parkedPrefix = "account/"

// accountOf returns the account that an event is parked with. News of parking
// itself is not parked with the account: the consumer could not hear of it.
func accountOf(ev *Event) string {
	if ev.Type == store.DeliveryParked {
		return ""
	}
	return ev.AccountID
}

func readParked(r store.RecordReader, consumer string) (map[string]*parked, error) {
	recs, err := r.Records(recordParked(consumer), "", 0)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*parked, len(recs))
	for _, rec := range recs {
		p, err := decodeParked(rec)
		if err != nil {
			return nil, err
		}
		out[p.account] = p
	}
	return out, nil
}

func findParked(r store.RecordReader, consumer, account string) (*parked, error) {
	rec, err := r.Record(recordParked(consumer), parkedPrefix+account)
	if err != nil {
		return nil, err
	}
	return decodeParked(rec)
}

func decodeParked(rec *store.Record) (*parked, error) {
	p := &parked{account: strings.TrimPrefix(rec.Key, parkedPrefix), version: rec.Version}
	if err := json.Unmarshal(rec.Value, p); err != nil {
		return nil, fmt.Errorf("provision: stored parked account: %w", err)
	}
	return p, nil
}

func (p *parked) write(w store.RecordWriter, consumer string) error {
	return w.PutRecord(&store.Record{
		Kind: recordParked(consumer), Key: parkedPrefix + p.account, Value: mustJSON(p), Version: p.version,
	})
}

func (p *parked) delete(w store.RecordWriter, consumer string) error {
	return w.DeleteRecord(recordParked(consumer), parkedPrefix+p.account, 0)
}

// park makes an event and the later ones of its account wait. It does nothing
// for a nil event.
func (l *lease) park(tx store.Tx, ev *Event) error {
	if ev == nil {
		return nil
	}
	p, err := findParked(tx, l.consumer, accountOf(ev))
	if errors.Is(err, ErrNotFound) {
		p = &parked{account: accountOf(ev)}
	} else if err != nil {
		return err
	}
	p.Sequence, p.Since, p.Redrive = ev.Sequence, l.engine.now(), false
	if err := p.write(tx, l.consumer); err != nil {
		return err
	}
	return tx.AppendEvent(&store.Event{
		Type: store.DeliveryParked, Time: p.Since, Connection: l.connection,
		Actor:    Actor{Kind: "system", ID: l.consumer},
		Resource: ev.Resource, AccountID: ev.AccountID,
		Changes: []store.Change{{Attribute: "sequence", After: mustJSON(ev.Sequence)}},
	})
}

// redriveBatch is how many events are looked through at once for those of a
// parked account.
const redriveBatch = 1000

// redrive delivers the next parked events of an account. At the cursor the
// parking ends.
func (d *delivery) redrive(ctx context.Context, cursor int64, p *parked) error {
	events, err := d.parkedEvents(ctx, cursor, p)
	if errors.Is(err, ErrCursorExpired) {
		d.engine.logger().Error("delivering parked events", "consumer", d.consumer, "connection", d.connection, "account", p.account, "error", err)
		return d.update(ctx, func(tx store.Tx, _ *cursorRecord) error {
			p.Redrive = false
			return p.write(tx, d.consumer)
		})
	}
	if err != nil {
		return err
	}
	last, failed, err := d.each(ctx, events, func(ev *Event) bool { return accountOf(ev) == p.account })
	if last == 0 {
		return err
	}
	put := d.update(context.WithoutCancel(ctx), func(tx store.Tx, _ *cursorRecord) error {
		switch {
		case failed != nil:
			return d.park(tx, failed)
		case last >= cursor:
			return p.delete(tx, d.consumer)
		}
		p.Sequence = last + 1
		return p.write(tx, d.consumer)
	})
	if failed != nil {
		d.engine.news.send() // an event says so
	}
	return errors.Join(err, put)
}

// parkedEvents returns the next events from the one that p names to the cursor.
func (d *delivery) parkedEvents(ctx context.Context, cursor int64, p *parked) ([]*Event, error) {
	var events []*Event
	err := d.engine.Store.View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		if err := p.expired(r); err != nil {
			return err
		}
		limit := min(redriveBatch, cursor-p.Sequence+1)
		var err error
		events, err = r.Events(p.Sequence-1, int(limit))
		return err
	})
	return events, err
}

// expired returns ErrCursorExpired when events that wait were removed.
func (p *parked) expired(r store.EventReader) error {
	first, _, err := r.EventRange()
	if err == nil && p.Sequence < first {
		err = ErrCursorExpired
	}
	return err
}

// Parked returns the accounts of a connection that are parked for a consumer,
// in order of account id.
func (e *Engine) Parked(ctx context.Context, consumer, connection string) ([]Parked, error) {
	var out []Parked
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		lines, err := readParked(r, consumer)
		if err != nil {
			return err
		}
		out = make([]Parked, 0, len(lines))
		for _, account := range slices.Sorted(maps.Keys(lines)) {
			p := lines[account]
			out = append(out, Parked{AccountID: account, Sequence: p.Sequence, Since: p.Since, Redriven: p.Redrive})
		}
		return nil
	})
	return out, err
}

// Redrive lets [Engine.Deliver], in whichever process it runs, try the parked
// events of an account again: in order, before newer ones of the account. One
// that fails too often again parks the account again. An empty accountID means
// the events without an account.
//
// The error is [ErrNotFound] when the account is not parked, and
// [ErrCursorExpired] when [Engine.Retention] has removed events that waited:
// then the consumer reads the account and goes on after [Engine.SkipParked].
func (e *Engine) Redrive(ctx context.Context, consumer, connection, accountID string) error {
	err := e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		p, err := findParked(tx, consumer, accountID)
		if err != nil {
			return err
		}
		if err := p.expired(tx); err != nil {
			return err
		}
		if p.Redrive {
			return nil
		}
		p.Redrive = true
		return p.write(tx, consumer)
	})
	if err == nil {
		e.news.send()
	}
	return err
}

// SkipParked ends the parking of an account without delivering what waited.
// Newer events of the account go on. The error is [ErrNotFound] when the account
// is not parked.
func (e *Engine) SkipParked(ctx context.Context, consumer, connection, accountID string) error {
	return e.seize(ctx, consumer, connection, func(tx store.Tx, _ *cursorRecord) error {
		return (&parked{account: accountID}).delete(tx, consumer)
	})
}
