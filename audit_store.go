package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/store"
)

const (
	// recordRefusals is the kind of the refusals of one minute, by the time, and
	// recordRefusalDay that of how many rows a day has already.
	recordRefusals   = "refusals"
	recordRefusalDay = "refusalDay"

	refusalPage = 500 // records read at once
)

// minuteKey is the key of the record of a minute; keys sort as the minutes do.
func minuteKey(minute time.Time) string { return minute.Format(minuteLayout) }

const minuteLayout = "2006-01-02T15:04Z"

// storedRefusal is a row of a record, of which the key has the minute.
type storedRefusal struct {
	Address string `json:"a,omitempty"`
	Cause   string `json:"c"`
	Count   int    `json:"n"`
}

func readRefusals(rec *store.Record, minute time.Time) ([]Refusal, error) {
	var rows []storedRefusal
	if err := json.Unmarshal(rec.Value, &rows); err != nil {
		return nil, fmt.Errorf("provision: stored refusals: %w", err)
	}
	out := make([]Refusal, len(rows))
	for i, r := range rows {
		out[i] = Refusal{minute, r.Address, r.Cause, r.Count}
	}
	return out, nil
}

func writeRefusals(rows []Refusal) []byte {
	slices.SortFunc(rows, compareRefusals)
	out := make([]storedRefusal, len(rows))
	for i, r := range rows {
		out[i] = storedRefusal{r.Address, r.Cause, r.Count}
	}
	return mustJSON(out)
}

// eachRefusals calls fn with the stored rows of each minute from since on.
func eachRefusals(r store.RecordReader, since time.Time, fn func([]Refusal)) error {
	after := ""
	if !since.IsZero() {
		after = minuteKey(since.Add(-time.Minute))
	}
	for {
		records, err := r.Records(recordRefusals, after, refusalPage)
		if err != nil {
			return err
		}
		for _, rec := range records {
			after = rec.Key
			minute, err := time.Parse(minuteLayout, rec.Key)
			if err != nil {
				return fmt.Errorf("provision: stored refusals: %w", err)
			}
			rows, err := readRefusals(rec, minute)
			if err != nil {
				return err
			}
			fn(rows)
		}
		if len(records) < refusalPage {
			return nil
		}
	}
}

// storeRefusals adds what was counted to what is stored of a connection, or
// returns ErrNotFound when there is none.
func (e *Engine) storeRefusals(ctx context.Context, connection string, minutes refusalMinutes) error {
	return e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		if connection != store.Global {
			if _, err := tx.Record(recordConnection, ""); err != nil {
				return err
			}
		}
		for minute, rows := range minutes {
			if err := storeMinute(tx, minute, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

// storeMinute adds rows to the record of a minute. What the minute or the day has
// no room for is added to rows without an address.
func storeMinute(tx store.Tx, minute time.Time, more []Refusal) error {
	expires := minute.Add(refusalRetention)
	rec, err := recordOrNew(tx, recordRefusals, minuteKey(minute), expires)
	if err != nil {
		return err
	}
	day, err := recordOrNew(tx, recordRefusalDay, minute.Format(time.DateOnly), minute.Truncate(24*time.Hour).Add(24*time.Hour+refusalRetention))
	if err != nil {
		return err
	}
	var rows []Refusal
	if rec.Version > 0 {
		if rows, err = readRefusals(rec, minute); err != nil {
			return err
		}
	}
	today := 0
	if day.Version > 0 {
		if err := json.Unmarshal(day.Value, &today); err != nil {
			return fmt.Errorf("provision: stored count of refusals: %w", err)
		}
	}
	before := len(rows)
	for _, r := range more {
		known := slices.ContainsFunc(rows, func(have Refusal) bool { return have.Address == r.Address && have.Cause == r.Cause })
		if !known && (len(rows) >= refusalMinute || today+len(rows)-before >= refusalDay) {
			r.Address = ""
		}
		rows = addRefusals(rows, []Refusal{r})
	}
	rec.Value = writeRefusals(rows)
	if err := tx.PutRecord(rec); err != nil {
		return err
	}
	if len(rows) == before {
		return nil
	}
	day.Value = mustJSON(today + len(rows) - before)
	return tx.PutRecord(day)
}

// recordOrNew returns a stored record, or one to insert.
func recordOrNew(r store.RecordReader, kind, key string, expires time.Time) (*store.Record, error) {
	rec, err := r.Record(kind, key)
	if errors.Is(err, store.ErrNotFound) {
		return &store.Record{Kind: kind, Key: key, Expires: expires}, nil
	}
	if err != nil {
		return nil, err
	}
	next := *rec // the store's own must not be changed
	return &next, nil
}

// pruneRefusals removes what is older than the retention.
func (e *Engine) pruneRefusals(ctx context.Context, scope string) error {
	now, due := e.now(), false
	err := e.Store.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		oldest, err := r.Records(recordRefusals, "", 1)
		due = len(oldest) > 0 && !oldest[0].Expires.After(now)
		return err
	})
	if err != nil || !due {
		return err
	}
	return e.Store.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
		for _, kind := range []string{recordRefusals, recordRefusalDay} {
			if _, err := tx.PruneRecords(kind, now); err != nil {
				return err
			}
		}
		return nil
	})
}
