package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// TakeAttempt takes one of the attempts that a key has within a window, in all processes
// together, and reports whether there was one left. Take it before what is tried, such as
// a password at somebody else's server: of any number of calls at the same time no more
// are told true. [Plumbing.ReturnAttempts] gives back
// those that do not count.
//
// The key may have any length. All attempts of a key count until the latest is a whole
// window old, by the clock of the store, as directories count: whoever goes on trying
// gains nothing by waiting in between. One that is still to come was noted by a clock that
// was wrong, and does not count. [Engine.Run] removes keys whose attempts count no more.
// An unknown connection is [ErrNotFound].
func (p Plumbing) TakeAttempt(ctx context.Context, connection, key string, most int, window time.Duration) (ok bool, err error) {
	err = p.attempts(ctx, connection, key, func(tx store.Tx, e *records.Entry[[]int64]) error {
		ok = false
		now, err := tx.Now()
		if err != nil {
			return err
		}
		e.Value = counting(e.Value, now, window)
		if len(e.Value) >= most {
			return nil
		}
		e.Value = append(e.Value, now.UnixMilli())
		e.Expires = now.Add(window).UTC()
		if err := records.Attempts.Save(tx, e); err != nil {
			return err
		}
		ok = true
		return nil
	})
	return ok && err == nil, err
}

// counting returns the attempts that count: all of the past, while the latest does.
func counting(attempts []int64, now time.Time, window time.Duration) []int64 {
	past := slices.DeleteFunc(slices.Clone(attempts), func(at int64) bool { return time.UnixMilli(at).After(now) })
	if len(past) == 0 || !records.Within(time.UnixMilli(slices.Max(past)), now, window) {
		return nil
	}
	return past
}

// ReturnAttempts gives a key the latest n of its attempts back: one that came to nothing,
// or all when it went well.
func (p Plumbing) ReturnAttempts(ctx context.Context, connection, key string, n int) error {
	return p.attempts(ctx, connection, key, func(tx store.Tx, e *records.Entry[[]int64]) error {
		switch {
		case !e.Stored():
			return nil
		case n >= len(e.Value):
			return records.Attempts.Clear(tx, e.Key)
		}
		e.Value = e.Value[:len(e.Value)-n]
		return records.Attempts.Save(tx, e)
	})
}

func (p Plumbing) attempts(ctx context.Context, connection, key string, fn func(store.Tx, *records.Entry[[]int64]) error) error {
	sum := sha256.Sum256([]byte(key))
	return p.engine.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		if _, err := records.LiveConnection(tx); err != nil {
			return err
		}
		e, err := records.Attempts.Load(tx, hex.EncodeToString(sum[:]))
		if err != nil {
			return err
		}
		return fn(tx, &e)
	})
}
