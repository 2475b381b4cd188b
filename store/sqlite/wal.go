package sqlite

import (
	"context"
	"fmt"
	"os"
	"time"
)

// The write-ahead log begins anew only at a moment at which no view reads from it.
// SQLite's own checkpoints do not wait for one, so that views which overlap, one
// after the other, would let the log grow without end. When it is larger than
// Config.WALLimit, the writer waits for that moment: a view that begins meanwhile
// reads the database alone, and is no hindrance.
const (
	defaultWALLimit = 64 << 20

	// walLook is how often the size is looked at.
	walLook = 100 * time.Millisecond

	// walWait is how long the writer waits for views that are older. A view that
	// takes longer keeps the log, which the next look tries again; the writer does
	// not stand still for more than a fifth of the time.
	walWait  = 200 * time.Millisecond
	walPause = time.Second
)

// walLog is the write-ahead log of a database.
type walLog struct {
	path  string // empty where there is no file
	limit int64
	next  time.Time // when its size is looked at again; the monotonic clock
}

// findWAL learns where the log is.
func (w *writer) findWAL(ctx context.Context, limit int64) error {
	var file string
	err := w.conn.QueryRowContext(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&file)
	if err != nil {
		return classify(err)
	}
	if limit == 0 {
		limit = defaultWALLimit
	}
	if file != "" {
		w.wal = walLog{path: file + "-wal", limit: limit}
	}
	return nil
}

// boundWAL empties the log when it has become too large. It is called between two
// transactions. What it cannot do now it does later.
func (w *writer) boundWAL() {
	now := time.Now()
	if w.wal.path == "" || now.Before(w.wal.next) {
		return
	}
	w.wal.next = now.Add(walLook)
	info, err := os.Stat(w.wal.path)
	if err != nil || info.Size() <= w.wal.limit {
		return
	}
	ctx := context.Background()
	wait := func(d time.Duration) {
		_, _ = w.conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA busy_timeout = %d`, d.Milliseconds()))
	}
	wait(walWait)
	defer wait(min(w.timeout, beginWait))
	var busy, log, done int64
	err = w.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &done)
	if err != nil || busy != 0 {
		w.wal.next = time.Now().Add(walPause)
	}
}
