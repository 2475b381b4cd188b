package memory

import (
	"cmp"
	"math"
	"slices"

	"github.com/scimjit/provision/store"
)

// byNumber orders entries of the log relative to a number.
func byNumber(number int64) func(*store.LogEntry) int {
	return func(e *store.LogEntry) int { return cmp.Compare(e.Number, number) }
}

// LogEntries implements store.LogReader. It looks at every entry between the numbers:
// there is no index of keys, which would cost each entry more than it weighs.
func (r reader) LogEntries(q store.LogQuery) ([]*store.LogEntry, error) {
	log := r.log[q.Part]
	if log == nil {
		return nil, nil
	}
	var list []*store.LogEntry
	end := log.size()
	if q.Before != 0 {
		at, _ := log.search(byNumber(q.Before))
		end = log.rank(at)
	}
	at := log.nth(end)
	for c := min(at.chunk, len(log.chunks)-1); c >= 0; c-- {
		chunk := log.chunks[c]
		if c == at.chunk {
			chunk = chunk[:at.index]
		}
		for i := len(chunk) - 1; i >= 0; i-- {
			switch e := chunk[i]; {
			case e.Number < q.From:
				return list, nil
			case q.Key != "" && !slices.Contains(e.Keys, q.Key):
				continue
			default:
				list = append(list, e)
			}
			if len(list) == q.Limit {
				return list, nil
			}
		}
	}
	return list, nil
}

// AppendLog implements store.LogWriter. It keeps the entries.
func (t *tx) AppendLog(entries ...*store.LogEntry) error {
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return err
		}
		log := t.log[e.Part]
		if log == nil {
			log = &ordered[*store.LogEntry]{}
			t.log[e.Part] = log
		}
		if _, taken := log.find(byNumber(e.Number)); taken {
			continue
		}
		log.insert(e, byNumber(e.Number))
		t.did(func() { log.remove(byNumber(e.Number)) })
	}
	return nil
}

// ReplaceLogEntry implements store.LogWriter. It keeps e.
func (t *tx) ReplaceLogEntry(e *store.LogEntry) (replaced bool, err error) {
	if err := e.Check(); err != nil {
		return false, err
	}
	log := t.log[e.Part]
	if _, there := log.find(byNumber(e.Number)); !there {
		return false, nil
	}
	old, _ := log.insert(e, byNumber(e.Number))
	t.did(func() { log.insert(old, byNumber(old.Number)) })
	return true, nil
}

// PruneLog implements store.LogWriter.
func (t *tx) PruneLog(keep store.LogBounds, limit int) (int, error) {
	log := t.log[keep.Part]
	if log == nil {
		return 0, nil
	}
	until := keep.Until
	if until == 0 {
		until = math.MaxInt64
	}
	at, _ := log.search(byNumber(until))
	end := log.rank(at)
	at, _ = log.search(byNumber(min(keep.From, until)))
	first := log.rank(at)
	if keep.Keep > 0 {
		first = max(first, end-keep.Keep)
	}
	var gone []*store.LogEntry
	for n := log.size() - 1; n >= end && len(gone) < limit; n-- {
		at := log.nth(n)
		gone = append(gone, log.chunks[at.chunk][at.index])
	}
	for e := range log.all() {
		if first == 0 || len(gone) >= limit {
			break
		}
		gone = append(gone, e)
		first--
	}
	for _, e := range gone {
		log.remove(byNumber(e.Number))
		t.did(func() { log.insert(e, byNumber(e.Number)) })
	}
	return len(gone), nil
}
