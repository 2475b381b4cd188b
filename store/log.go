package store

import "fmt"

// LogEntry is an entry of the request log of a scope: something that was asked, and how
// it went. A store knows by what an entry is found, and nothing of what it says.
type LogEntry struct {
	// Part is a part of the log, 0 or more, which is bounded on its own.
	Part int

	// Number tells the entries of a part apart and gives their order; it is greater than
	// 0. Whoever appends an entry chooses it, so that entries of several processes are in
	// the order of their times.
	Number int64

	// Keys are what the entry is found by: each 1 to 200 printable ASCII characters
	// without spaces, none twice.
	Keys []string

	// Data is what the entry says: JSON.
	Data []byte
}

// maxLogKey is how long a key of an entry is at most.
const maxLogKey = 200

// Check returns what is wrong with an entry, or nil. A store asks before it writes one.
func (e *LogEntry) Check() error {
	if e.Part < 0 || e.Number <= 0 || len(e.Data) == 0 {
		return fmt.Errorf("store: entry %d of part %d of the log, with %d bytes", e.Number, e.Part, len(e.Data))
	}
	for i, key := range e.Keys {
		if !isLogKey(key) {
			return fmt.Errorf("store: %q is no key of an entry of the log", key)
		}
		for _, other := range e.Keys[:i] {
			if key == other {
				return fmt.Errorf("store: an entry of the log has the key %q twice", key)
			}
		}
	}
	return nil
}

func isLogKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxLogKey
}

// LogQuery selects entries of one part of a log.
type LogQuery struct {
	Part   int
	Key    string // those that have it; empty: all
	From   int64  // those with this number, or a greater one
	Before int64  // those with a smaller number than this; 0: all
	Limit  int    // at most so many; 0: all
}

// LogBounds says which entries of one part of a log are kept.
type LogBounds struct {
	Part  int
	From  int64 // those with this number, or a greater one
	Until int64 // those with a smaller number than this; 0: all
	Keep  int   // of these the newest so many; 0: all
}

// LogReader reads the request log.
type LogReader interface {
	// LogEntries returns the entries that match q, the greatest number first.
	LogEntries(q LogQuery) ([]*LogEntry, error)
}

// LogWriter writes the request log. An entry for which [LogEntry.Check] has an error is
// not written, and the error is that.
type LogWriter interface {
	// AppendLog stores entries. One whose part has the number already stays as it is: so
	// an append whose outcome nobody knows can be made again.
	AppendLog(entries ...*LogEntry) error

	// ReplaceLogEntry replaces keys and data of the entry with the part and number of e,
	// and reports whether it is there. Nothing is stored where it is not. It is how names
	// of a deleted person leave the log.
	ReplaceLogEntry(e *LogEntry) (replaced bool, err error)

	// PruneLog removes entries that are not kept, at most limit, and reports how many:
	// first those from Until on, then the oldest.
	PruneLog(keep LogBounds, limit int) (int, error)
}
