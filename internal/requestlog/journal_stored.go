package requestlog

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// storedAtOnce is how many entries one transaction stores: others of the connection do not
// wait long for it.
const storedAtOnce = 250

// hourLayout writes the key of an hour; keys sort as the hours do.
const hourLayout = "2006-01-02T15Z"

// store stores what waits of a connection, or returns [store.ErrNotFound] when there is
// none. Entries of a part that is stored go from the batch.
func (l *Log) store(ctx context.Context, connection string, b *batch) error {
	for first := true; first || len(b.entries) > 0; first = false {
		n := min(len(b.entries), storedAtOnce)
		list, seen := b.entries[:n], b.seen
		err := l.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
			tx.Expect(func(r store.Reader) { expectSeen(r, connection, &seen) })
			if err := exists(tx, connection); err != nil {
				return err
			}
			if err := tx.AppendLog(list...); err != nil {
				return err
			}
			return seen.save(tx)
		})
		if err != nil {
			return err
		}
		b.entries, b.seen = b.entries[n:], seenOf(b.seen.counts.Hour)
	}
	return nil
}

func seenOf(hour time.Time) seen { return seen{counts: Traffic{Hour: hour}} }

func expectSeen(r store.Reader, connection string, s *seen) {
	_ = exists(r, connection)
	_, _ = records.RequestHour.Load(r, s.counts.Hour.Format(hourLayout))
	_, _ = records.RequestLast.Load(r, "")
}

// save adds what was seen to what is stored.
func (s *seen) save(tx store.Tx) error {
	if counts := s.counts; counts != (Traffic{Hour: counts.Hour}) {
		hour, err := records.RequestHour.Load(tx, counts.Hour.Format(hourLayout))
		if err != nil {
			return err
		}
		all := trafficOf(hour.Value, counts.Hour)
		all.add(&counts)
		hour.Value = records.Requests{
			Reads: all.Reads, Writes: all.Writes, Logins: all.Logins, Syncs: all.Syncs,
			Refused: all.Refused, Failed: all.Failed, Strangers: all.Strangers, Dropped: all.Dropped,
		}
		hour.Expires = counts.Hour.Add(time.Hour + retention)
		if err := records.RequestHour.Save(tx, &hour); err != nil {
			return err
		}
	}
	if s.last == (Activity{}) {
		return nil
	}
	stored, err := records.RequestLast.Load(tx, "")
	if err != nil {
		return err
	}
	all := activityOf(stored.Value)
	all.later(s.last)
	stored.Value = records.LastRequests{Request: lastOf(all.Request), Change: lastOf(all.Change), Refusal: lastOf(all.Refusal)}
	return records.RequestLast.Save(tx, &stored)
}

func trafficOf(r records.Requests, hour time.Time) Traffic {
	return Traffic{hour, r.Reads, r.Writes, r.Logins, r.Syncs, r.Refused, r.Failed, r.Strangers, r.Dropped}
}

func activityOf(r records.LastRequests) Activity {
	last := func(l records.LastRequest) Last { return Last(l) }
	return Activity{Request: last(r.Request), Change: last(r.Change), Refusal: last(r.Refusal)}
}

func lastOf(l Last) records.LastRequest { return records.LastRequest(l) }

// ReadActivity returns what a connection was asked last, as far as it is stored.
func ReadActivity(r store.RecordReader) (Activity, error) {
	v, err := records.RequestLast.Value(r, "")
	return activityOf(v), err
}

// ReadTraffic returns the counts of a connection by hour since a time, as far as they are
// stored.
func ReadTraffic(r store.RecordReader, since time.Time) (list []Traffic, err error) {
	after := ""
	if !since.IsZero() {
		after = since.UTC().Truncate(time.Hour).Add(-time.Hour).Format(hourLayout)
	}
	hours, err := records.RequestHour.List(r, after, 0)
	if err != nil {
		return nil, err
	}
	for _, h := range hours {
		hour, err := time.Parse(hourLayout, h.Key)
		if err != nil {
			return nil, err
		}
		list = append(list, trafficOf(h.Value, hour))
	}
	return list, nil
}
