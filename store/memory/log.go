package memory

import (
	"cmp"
	"math"
	"strings"

	"github.com/scimjit/provision/store"
)

// logged is an entry of the log: its keys, with spaces between them, a line feed, and its
// data. The entries of one append share a text, which is collected with the last of them.
type logged struct {
	number int64
	text   string
}

// byNumber orders entries of the log relative to a number.
func byNumber(number int64) func(logged) int {
	return func(e logged) int { return cmp.Compare(e.number, number) }
}

// has reports whether an entry has a key.
func (e logged) has(key string) bool {
	keys, _, _ := strings.Cut(e.text, "\n")
	for k := range strings.SplitSeq(keys, " ") {
		if k == key {
			return true
		}
	}
	return false
}

func (e logged) unpack(part int) *store.LogEntry {
	keys, data, _ := strings.Cut(e.text, "\n")
	return &store.LogEntry{Part: part, Number: e.number, Keys: strings.Fields(keys), Data: []byte(data)}
}

// packEntries returns entries as they are kept.
func packEntries(entries []*store.LogEntry) []logged {
	size := 0
	for _, e := range entries {
		size += len(e.Data) + 1
		for _, key := range e.Keys {
			size += len(key) + 1
		}
	}
	var b strings.Builder
	b.Grow(size)
	list := make([]logged, len(entries))
	for i, e := range entries {
		began := b.Len()
		for k, key := range e.Keys {
			if k > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(key)
		}
		b.WriteByte('\n')
		b.Write(e.Data)
		list[i] = logged{e.Number, b.String()[began:]}
	}
	return list
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
			case e.number < q.From:
				return list, nil
			case q.Key != "" && !e.has(q.Key):
				continue
			default:
				list = append(list, e.unpack(q.Part))
			}
			if len(list) == q.Limit {
				return list, nil
			}
		}
	}
	return list, nil
}

// AppendLog implements store.LogWriter. It copies the entries.
func (t *tx) AppendLog(entries ...*store.LogEntry) error {
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return err
		}
	}
	var added []*store.LogEntry
	for i, packed := range packEntries(entries) {
		part := entries[i].Part
		log := t.log[part]
		if log == nil {
			log = &ordered[logged]{}
			t.log[part] = log
		}
		if _, taken := log.find(byNumber(packed.number)); taken {
			continue
		}
		log.insert(packed, byNumber(packed.number))
		added = append(added, entries[i])
	}
	if len(added) == 0 {
		return nil
	}
	parts, numbers := make([]int, len(added)), make([]int64, len(added)) // the entries are the caller's again
	for i, e := range added {
		parts[i], numbers[i] = e.Part, e.Number
	}
	t.did(func() {
		for i, part := range parts {
			t.log[part].remove(byNumber(numbers[i]))
		}
	})
	return nil
}

// ReplaceLogEntry implements store.LogWriter. It copies e.
func (t *tx) ReplaceLogEntry(e *store.LogEntry) (replaced bool, err error) {
	if err := e.Check(); err != nil {
		return false, err
	}
	log := t.log[e.Part]
	if _, there := log.find(byNumber(e.Number)); !there {
		return false, nil
	}
	old, _ := log.insert(packEntries([]*store.LogEntry{e})[0], byNumber(e.Number))
	t.did(func() { log.insert(old, byNumber(old.number)) })
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
	var gone []logged
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
		log.remove(byNumber(e.number))
		t.did(func() { log.insert(e, byNumber(e.number)) })
	}
	return len(gone), nil
}
