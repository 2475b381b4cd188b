package sqlstore

import (
	"math"
	"slices"
	"strings"

	"github.com/scimjit/provision/store"
)

// LogEntries implements [store.LogReader].
func (r *Reader) LogEntries(q store.LogQuery) (found []*store.LogEntry, err error) {
	query, args := logPage, []any{r.scope, int64(q.Part)}
	if q.Key != "" {
		query, args = logPageByKey, append(args, q.Key)
	}
	args = append(args, q.From, orAll(q.Before), rowLimit(q.Limit))
	err = r.conn.Query(query, func(row Scanner) error {
		var keys string
		e := &store.LogEntry{Part: q.Part}
		if err := row.Scan(&e.Number, &keys, &e.Data); err != nil {
			return err
		}
		e.Keys = strings.Fields(keys)
		found = append(found, e)
		return nil
	}, args...)
	return found, err
}

// orAll returns a number that ends a list before it; 0 ends none.
func orAll(before int64) int64 {
	if before == 0 {
		return math.MaxInt64
	}
	return before
}

// AppendLog implements [store.LogWriter].
func (t *Tx) AppendLog(entries ...*store.LogEntry) error {
	byPart := map[int][]*store.LogEntry{}
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return err
		}
		byPart[e.Part] = append(byPart[e.Part], e)
	}
	for part, list := range byPart {
		taken, err := t.logNumbers(part, list)
		if err != nil {
			return err
		}
		for _, e := range list {
			if taken[e.Number] {
				continue
			}
			taken[e.Number] = true
			if err := t.write(1, appendLog, t.scope, int64(part), e.Number, strings.Join(e.Keys, " "), string(e.Data)); err != nil {
				return err
			}
			if err := t.addLogKeys(e, e.Keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// logNumbers returns which numbers of entries a part has.
func (t *Tx) logNumbers(part int, list []*store.LogEntry) (map[int64]bool, error) {
	numbers, taken := make([]int64, len(list)), map[int64]bool{}
	for i, e := range list {
		numbers[i] = e.Number
	}
	err := t.conn.Query(logNumbers, func(row Scanner) error {
		var n int64
		err := row.Scan(&n)
		taken[n] = true
		return err
	}, t.scope, int64(part), numbers)
	return taken, err
}

func (t *Tx) addLogKeys(e *store.LogEntry, keys []string) error {
	for _, key := range keys {
		if err := t.write(1, insertLogKey, t.scope, int64(e.Part), key, e.Number); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceLogEntry implements [store.LogWriter].
func (t *Tx) ReplaceLogEntry(e *store.LogEntry) (replaced bool, err error) {
	if err := e.Check(); err != nil {
		return false, err
	}
	old, err := t.LogEntries(store.LogQuery{Part: e.Part, From: e.Number, Before: e.Number + 1, Limit: 1})
	if err != nil || len(old) == 0 {
		return false, err
	}
	if err := t.write(1, replaceLog, strings.Join(e.Keys, " "), string(e.Data), t.scope, int64(e.Part), e.Number); err != nil {
		return false, err
	}
	for _, key := range keysWithout(old[0].Keys, e.Keys) {
		if err := t.write(1, deleteLogKey, t.scope, int64(e.Part), key, []int64{e.Number}); err != nil {
			return false, err
		}
	}
	return true, t.addLogKeys(e, keysWithout(e.Keys, old[0].Keys))
}

// keysWithout returns the texts of a list that another one has not.
func keysWithout(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// PruneLog implements [store.LogWriter].
func (t *Tx) PruneLog(keep store.LogBounds, limit int) (int, error) {
	var gone loggedRows
	part, until := int64(keep.Part), orAll(keep.Until)
	if keep.Until != 0 {
		if err := t.conn.Query(logAbove, gone.read, t.scope, part, until, int64(limit)); err != nil {
			return 0, err
		}
	}
	from := keep.From
	if keep.Keep > 0 {
		err := t.conn.Query(logOldest, func(row Scanner) error {
			var oldest int64
			err := row.Scan(&oldest)
			from = max(from, oldest)
			return err
		}, t.scope, part, until, int64(keep.Keep)-1)
		if err != nil {
			return 0, err
		}
	}
	if left := int64(limit - len(gone.numbers)); left > 0 {
		if err := t.conn.Query(logBelow, gone.read, t.scope, part, min(from, until), left); err != nil {
			return 0, err
		}
	}
	if len(gone.numbers) == 0 {
		return 0, nil
	}
	for key, numbers := range gone.byKey {
		if err := t.write(len(numbers), deleteLogKey, t.scope, part, key, numbers); err != nil {
			return 0, err
		}
	}
	return len(gone.numbers), t.write(len(gone.numbers), deleteLog, t.scope, part, gone.numbers)
}

// loggedRows are entries that are about to be removed.
type loggedRows struct {
	numbers []int64
	byKey   map[string][]int64
}

func (l *loggedRows) read(row Scanner) error {
	var (
		number int64
		keys   string
	)
	if err := row.Scan(&number, &keys); err != nil {
		return err
	}
	if l.byKey == nil {
		l.byKey = map[string][]int64{}
	}
	l.numbers = append(l.numbers, number)
	for _, key := range strings.Fields(keys) {
		l.byKey[key] = append(l.byKey[key], number)
	}
	return nil
}
