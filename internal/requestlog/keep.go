package requestlog

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/scimjit/provision/store"
)

// Bounds says how much of a log is kept.
type Bounds struct {
	Age  time.Duration // 0: however old
	Most int           // entries of a connection
}

const prunedAtOnce = 500

// strangersShare is the part of the room that strangers have: one of so many.
const strangersShare = 20

// PruneEntries removes what is too much or too old from a scope, and what is as far in the
// future: a clock that was ahead noted it. So it is for a time when the clock is right. It
// removes some in each of its transactions and reports whether more may be left.
func PruneEntries(tx store.Tx, now time.Time, b Bounds) (more bool, err error) {
	share := b.Most / strangersShare
	for strangers, most := range map[bool]int{false: b.Most - share, true: share} {
		keep := store.LogBounds{Part: part(strangers), Keep: max(most, 1)}
		if b.Age > 0 {
			keep.From, keep.Until = numberAt(now.Add(-b.Age)), numberAt(now.Add(b.Age))
		}
		n, err := tx.PruneLog(keep, prunedAtOnce)
		if err != nil {
			return false, err
		}
		more = more || n == prunedAtOnce
	}
	return more, nil
}

// Due reports whether PruneEntries may find something. It costs a few rows where there is
// nothing.
func Due(r store.Reader, now time.Time, b Bounds) (bool, error) {
	for _, strangers := range []bool{false, true} {
		for _, q := range []store.LogQuery{{Before: numberAt(now.Add(-b.Age))}, {From: numberAt(now.Add(b.Age))}} {
			if b.Age == 0 {
				continue
			}
			q.Part, q.Limit = part(strangers), 1
			if list, err := r.LogEntries(q); err != nil || len(list) > 0 {
				return true, err
			}
		}
	}
	hours, err := ReadTraffic(r, time.Time{})
	known, strangers := 0, 0
	for _, h := range hours {
		known += h.Writes + h.Syncs + h.Refused + h.Failed
		strangers += h.Strangers
		if now.Sub(h.Hour) >= time.Hour+retention {
			return true, err
		}
	}
	share := b.Most / strangersShare
	return known > b.Most-share || strangers > share, err
}

// Erase removes what names a person from the entries of a scope with one of some keys and
// a smaller number than before. Pages without anything to erase are only read.
func Erase(ctx context.Context, s store.Store, scope string, keys []string, before int64) error {
	var more []string
	err := s.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		var err error
		more, err = KeysOfResources(r, keys)
		return err
	})
	if err != nil {
		return err
	}
	for _, strangers := range []bool{false, true} {
		for _, key := range slices.Concat(more, keys) { // the names last, by which the others are found
			q := store.LogQuery{Part: part(strangers), Key: key, Before: before, Limit: foundAtOnce}
			for q.Before != 0 {
				if err := erasePage(ctx, s, scope, &q); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// erasePage erases a page of entries and sets the query to the next one.
func erasePage(ctx context.Context, s store.Store, scope string, q *store.LogQuery) error {
	var changed []*store.LogEntry
	next := int64(0)
	err := s.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		list, err := r.LogEntries(*q)
		if err != nil {
			return err
		}
		changed, next = nil, 0
		if len(list) == q.Limit {
			next = list[len(list)-1].Number
		}
		for _, l := range list {
			e, err := read(l)
			if err != nil {
				return err
			}
			without := e.erased().log()
			if len(without.Keys) != len(l.Keys) || !bytes.Equal(without.Data, l.Data) {
				changed = append(changed, without)
			}
		}
		return nil
	})
	if err == nil && len(changed) > 0 {
		err = s.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
			for _, l := range changed {
				if _, err := tx.ReplaceLogEntry(l); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		q.Before = next
	}
	return err
}

// erased returns the entry without what names a person. That something was asked stays,
// and by which ids of this server it is found.
func (e *Entry) erased() *Entry {
	next := *e
	next.ExternalID, next.Detail, next.UserName = "", "", ""
	return &next
}
