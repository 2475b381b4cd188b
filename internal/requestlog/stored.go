package requestlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// minuteLayout writes the key of a minute; keys sort as the minutes do.
const minuteLayout = "2006-01-02T15:04Z"

// page is how many minutes are read at once.
const page = 500

// load returns the stored rows of a connection from a minute on, under no name.
func (l *Log) load(ctx context.Context, connection string, since time.Time) (rows tally, err error) {
	err = l.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		rows = tally{}
		if err := exists(r, connection); err != nil {
			return err
		}
		after := ""
		if !since.IsZero() {
			after = since.Add(-time.Minute).Format(minuteLayout)
		}
		for {
			list, err := records.Refusals.List(r, after, page)
			if err != nil {
				return err
			}
			for _, e := range list {
				after = e.Key
				minute, err := time.Parse(minuteLayout, e.Key)
				if err != nil {
					return fmt.Errorf("provision: stored refusals: %w", err)
				}
				for _, row := range e.Value {
					rows[key{minute: minute, address: row.Address, cause: row.Cause}] += row.Count
				}
			}
			if len(list) < page {
				return nil
			}
		}
	})
	return rows, err
}

// exists returns [store.ErrNotFound] for a connection that was not saved. It
// reads the connection's own scope.
func exists(r store.RecordReader, connection string) error {
	if connection == store.Global {
		return nil
	}
	_, err := records.LiveConnection(r)
	return err
}

// save adds rows to what is stored of a connection, or returns
// [store.ErrNotFound] when there is none.
func (l *Log) save(ctx context.Context, connection string, rows tally) error {
	minutes := map[time.Time][]records.Refused{}
	for k, n := range rows {
		minutes[k.minute] = append(minutes[k.minute], records.Refused{Address: k.address, Cause: k.cause, Count: n})
	}
	return l.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		if err := exists(tx, connection); err != nil {
			return err
		}
		for minute, rows := range minutes {
			if err := saveMinute(tx, minute, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

// saveMinute adds rows to those of a minute. What the minute or the day has no
// room for is added to rows without an address.
func saveMinute(tx store.Tx, minute time.Time, more []records.Refused) error {
	stored, err := records.Refusals.Load(tx, minute.Format(minuteLayout))
	if err != nil {
		return err
	}
	day, err := records.RefusalDay.Load(tx, minute.Format(time.DateOnly))
	if err != nil {
		return err
	}
	rows, before := stored.Value, day.Value
	for _, r := range more {
		at := find(rows, r)
		if at < 0 && (len(rows) >= minuteRows || day.Value >= dayRows) {
			r.Address = ""
			at = find(rows, r)
		}
		if at >= 0 {
			rows[at].Count += r.Count
			continue
		}
		rows = append(rows, r)
		day.Value++
	}
	slices.SortFunc(rows, func(a, b records.Refused) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Cause, b.Cause))
	})
	stored.Value, stored.Expires = rows, minute.Add(retention)
	if err := records.Refusals.Save(tx, &stored); err != nil || day.Value == before {
		return err
	}
	day.Expires = minute.Truncate(24 * time.Hour).Add(24*time.Hour + retention)
	return records.RefusalDay.Save(tx, &day)
}

// find returns where the address and cause of a row are counted, or -1.
func find(rows []records.Refused, r records.Refused) int {
	return slices.IndexFunc(rows, func(have records.Refused) bool {
		return have.Address == r.Address && have.Cause == r.Cause
	})
}

// Prune removes what is older than 30 days from a scope: a connection's or
// [store.Global]. It also removes what is as far in the future: a clock that was ahead
// counted it, and nobody knows when. So it is for a time when the clock is right.
func (l *Log) Prune(ctx context.Context, scope string) error {
	now, due := l.Now(), false
	ahead := now.Add(retention).Format(minuteLayout)
	err := l.Store.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		oldest, err := records.Refusals.List(r, "", 1)
		if err != nil {
			return err
		}
		future, err := records.Refusals.List(r, ahead, 1)
		due = len(future) > 0 || len(oldest) > 0 && !oldest[0].Expires.After(now)
		return err
	})
	if err != nil || !due {
		return err
	}
	return l.Store.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
		if _, err := records.Refusals.Prune(tx, now); err != nil {
			return err
		}
		if _, err := records.RefusalDay.Prune(tx, now); err != nil {
			return err
		}
		if err := clearAfter(tx, records.Refusals, ahead); err != nil {
			return err
		}
		return clearAfter(tx, records.RefusalDay, ahead)
	})
}

// clearAfter removes the records of a kind whose key comes after one.
func clearAfter[V any](tx store.Tx, kind records.Kind[V], after string) error {
	list, err := kind.List(tx, after, 0)
	for _, e := range list {
		err = errors.Join(err, kind.Clear(tx, e.Key))
	}
	return err
}
