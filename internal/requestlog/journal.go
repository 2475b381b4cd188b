package requestlog

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

// Journal are the entries that are not stored yet, and what was counted beside them. Its
// zero value is ready to use. It must not be copied.
//
// Noting an entry costs a request no transaction and no waiting: where nobody stores
// entries, or more come than can be stored, they are dropped, and how many is said.
type Journal struct {
	storing sync.Mutex // held while entries are neither here nor surely stored

	mu      sync.Mutex
	next    int64 // of the bits that tell entries apart; 0: not chosen yet
	known   waitingEntries
	spare   waitingEntries // room of entries that were stored
	samples map[sample]*noted
	seen    map[string]*seen // by connection
	full    chan struct{}    // has room for a note that much waits
}

// tooMany is the status of what came too often (RFC 6585 section 4): a client that goes on
// would fill the log.
const tooMany = 429

// noted is an entry of a connection.
type noted struct {
	connection string
	entry      Entry
}

// waitingEntries are entries as a store keeps them, one after the other in one text: they
// cost a request no memory of their own.
type waitingEntries struct {
	list []waitingEntry
	text []byte // keys and data of each
}

type waitingEntry struct {
	connection string
	number     int64
	part       int
	keys, end  int // where they end; the keys begin where the entry before ends
}

// add adds an entry by its keys and its data.
func (w *waitingEntries) add(e waitingEntry, keys, data []byte) {
	w.text = append(w.text, keys...)
	e.keys = len(w.text)
	w.text = append(w.text, data...)
	e.end = len(w.text)
	w.list = append(w.list, e)
}

// at returns keys and data of an entry.
func (w *waitingEntries) at(i int) (keys, data []byte) {
	began := 0
	if i > 0 {
		began = w.list[i-1].end
	}
	e := &w.list[i]
	return w.text[began:e.keys], w.text[e.keys:e.end]
}

// entries returns the entries, whose data are good as long as the room. It makes few things,
// whatever their number.
func (w *waitingEntries) entries() []store.LogEntry {
	size, all := 0, strings.Builder{}
	for i := range w.list {
		keys, _ := w.at(i)
		size += len(keys)
	}
	all.Grow(size)
	for i := range w.list {
		keys, _ := w.at(i)
		all.Write(keys)
	}
	words, began := strings.Fields(all.String()), 0
	entries := make([]store.LogEntry, len(w.list))
	for i := range w.list {
		keys, data := w.at(i)
		end := began + bytes.Count(keys, space)
		entries[i] = store.LogEntry{Part: w.list[i].part, Number: w.list[i].number, Keys: words[began:end:end], Data: data}
		began = end
	}
	return entries
}

// space comes after each key.
var space = []byte{' '}

// emptied returns the room without the entries. That of a flood is given up.
func (w waitingEntries) emptied() waitingEntries {
	if cap(w.list) > 2*waitingMany {
		return waitingEntries{}
	}
	clear(w.list)
	return waitingEntries{w.list[:0], w.text[:0]}
}

// sample is what requests have in common that one entry stands for.
type sample struct{ connection, protocol, credential, method, code, refusal string }

// The bounds of what waits in memory.
const (
	waitingKnown   = 20_000
	waitingSamples = 500
	waitingMany    = 1000 // are stored at once
)

// seen is what a connection was asked since the last time that it was stored.
type seen struct {
	counts Traffic
	last   Activity
}

// Traffic counts what was asked in an hour.
type Traffic struct {
	Hour      time.Time // UTC, its beginning
	Reads     int       // that succeeded
	Writes    int       // that succeeded
	Logins    int       // that succeeded
	Syncs     int       // that came to their end
	Refused   int
	Failed    int
	Strangers int // of whatever outcome
	Dropped   int // entries that were not kept, as too many came
}

// Last is when something happened last.
type Last struct {
	Time   time.Time
	Number int64  // of its entry, 0 where it has none
	Code   string // of a refusal
}

// Activity is what a connection was asked last. A zero time is never.
type Activity struct {
	Request Last // of somebody who is known, whatever came of it
	Change  Last // a write, a login or a sync that succeeded
	Refusal Last // or failure
}

// Full returns a channel on which something comes when much waits to be stored.
func (j *Journal) Full() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full == nil {
		j.full = make(chan struct{}, 1)
	}
	return j.full
}

// Note keeps an entry of a connection, which nobody has to have checked where it is one of
// strangers. It returns at once.
func (j *Journal) Note(connection string, e *Entry) {
	e.clean()
	var room [512]byte
	text := e.appendKeys(room[:0])
	keys := len(text)
	text = e.appendData(text)
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Number = j.number(e.Time)
	s := j.of(connection, e.Time)
	s.count(e)
	if !e.Stranger {
		s.last.note(e)
	}
	if e.Stranger || e.Status == tooMany {
		j.sample(connection, e, s)
		return
	}
	if len(j.known.list) >= waitingKnown {
		s.counts.Dropped++
		return
	}
	j.known.add(waitingEntry{connection: connection, number: e.Number}, text[:keys], text[keys:])
	j.hint()
}

// CountRead counts a request of a connection that succeeded and changed nothing, or a login
// that did, which is no entry.
func (j *Journal) CountRead(connection string, at time.Time, login bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.of(connection, at)
	last := Last{Time: at}
	s.last.Request = last
	if login {
		s.last.Change = last
		s.counts.Logins++
		return
	}
	s.counts.Reads++
}

// sample adds an entry to those that are the same, or keeps it if there is room.
func (j *Journal) sample(connection string, e *Entry, s *seen) {
	key := sample{connection, e.Protocol, e.Credential, e.Method, e.Code, e.Refusal}
	if same := j.samples[key]; same != nil {
		same.entry.Count++
		return
	}
	if len(j.samples) >= waitingSamples {
		s.counts.Dropped++
		return
	}
	if j.samples == nil {
		j.samples = map[sample]*noted{}
	}
	e.Count = 1
	j.samples[key] = &noted{connection, *e}
}

// number returns the next number of a time. Processes begin anywhere.
func (j *Journal) number(at time.Time) int64 {
	if j.next == 0 {
		j.next = 1 + rand.Int64N(1<<numberBits) //nolint:gosec // no secret
	}
	j.next++
	return numberAt(at) | j.next&(1<<numberBits-1)
}

// of returns what was seen of a connection in the hour of a time. Names that strangers
// make up share one, where there are too many.
func (j *Journal) of(connection string, at time.Time) *seen {
	if j.seen == nil {
		j.seen = map[string]*seen{}
	}
	s := j.seen[connection]
	if s == nil && len(j.seen) >= waitingKnown {
		connection = store.Global
		s = j.seen[connection]
	}
	if s == nil {
		s = &seen{}
		j.seen[connection] = s
	}
	s.counts.Hour = at.Truncate(time.Hour)
	return s
}

func (j *Journal) hint() {
	if len(j.known.list) < waitingMany || j.full == nil {
		return
	}
	select {
	case j.full <- struct{}{}:
	default:
	}
}

func (s *seen) count(e *Entry) {
	switch o := e.Outcome(); {
	case e.Stranger:
		s.counts.Strangers++
	case o == Refused:
		s.counts.Refused++
	case o == Failed:
		s.counts.Failed++
	case e.Protocol == "sync":
		s.counts.Syncs++
	default:
		s.counts.Writes++
	}
}

func (a *Activity) note(e *Entry) {
	last := Last{Time: e.Time, Number: e.Number}
	a.Request = last
	if e.Outcome() == Succeeded {
		a.Change = last
		return
	}
	last.Code = e.Code
	a.Refusal = last
}

// later takes what happened later.
func (a *Activity) later(b Activity) {
	for _, l := range []struct{ at, other *Last }{{&a.Request, &b.Request}, {&a.Change, &b.Change}, {&a.Refusal, &b.Refusal}} {
		if l.other.Time.After(l.at.Time) {
			*l.at = *l.other
		}
	}
}

// add adds the counts of the same hour, or of what is stored with it.
func (t *Traffic) add(o *Traffic) {
	t.Reads += o.Reads
	t.Writes += o.Writes
	t.Logins += o.Logins
	t.Syncs += o.Syncs
	t.Refused += o.Refused
	t.Failed += o.Failed
	t.Strangers += o.Strangers
	t.Dropped += o.Dropped
}

// batch is what waits of one connection.
type batch struct {
	entries []*store.LogEntry
	seen    seen
}

// take removes and returns all that waits, by connection. The entries are good until the
// room is given back.
func (j *Journal) take() (out map[string]*batch, room waitingEntries) {
	j.mu.Lock()
	room, samples, all := j.known, j.samples, j.seen
	j.known, j.spare = j.spare, waitingEntries{}
	j.samples, j.seen = nil, nil
	j.mu.Unlock()
	out = make(map[string]*batch, len(all))
	for id, s := range all {
		out[id] = &batch{seen: *s}
	}
	of := func(id string) *batch {
		if out[id] == nil {
			out[id] = &batch{}
		}
		return out[id]
	}
	entries := room.entries()
	for i := range entries {
		b := of(room.list[i].connection)
		if b.entries == nil {
			b.entries = make([]*store.LogEntry, 0, len(entries)-i)
		}
		b.entries = append(b.entries, &entries[i])
	}
	for _, n := range samples {
		b := of(n.connection)
		b.entries = append(b.entries, n.entry.log())
	}
	return out, room
}

// giveBack keeps again what could not be stored, as far as there is room.
func (j *Journal) giveBack(connection string, b *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.of(connection, b.seen.counts.Hour)
	s.counts.add(&b.seen.counts)
	s.last.later(b.seen.last)
	for _, l := range b.entries {
		if len(j.known.list) >= waitingKnown {
			s.counts.Dropped++
			continue
		}
		keys := strings.Join(l.Keys, " ") + " "
		j.known.add(waitingEntry{connection: connection, number: l.Number, part: l.Part}, []byte(keys), l.Data)
	}
}

// FlushEntries stores what was noted. What cannot be stored waits again, as far as there is
// room. What was asked of connections that do not exist is kept with those of "", without
// their names, where strangers asked it, and dropped otherwise.
func (l *Log) FlushEntries(ctx context.Context, j *Journal) error {
	j.storing.Lock()
	defer j.storing.Unlock()
	waiting, room := j.take()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.spare = room.emptied()
	}()
	if len(waiting) == 0 {
		return nil
	}
	exist, err := l.named(ctx, waiting)
	if err != nil {
		for id, b := range waiting {
			j.giveBack(id, b)
		}
		return err
	}
	nowhere := &batch{}
	var failed []error
	for id, b := range waiting {
		err := store.ErrNotFound
		if exist == nil || exist[id] || b.known() {
			err = l.store(ctx, id, b)
		}
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNotFound):
			nowhere.adopt(b)
		default:
			failed = append(failed, err)
			j.giveBack(id, b)
		}
	}
	if nowhere.seen.counts.Strangers > 0 {
		if err := l.store(ctx, store.Global, nowhere); err != nil {
			failed = append(failed, err)
			j.giveBack(store.Global, nowhere)
		}
	}
	return errors.Join(failed...)
}

// named returns the connections where a name may be one that a stranger has made up: such
// a name never reaches the store. It is nil where there is none.
func (l *Log) named(ctx context.Context, waiting map[string]*batch) (exist map[string]bool, err error) {
	for _, b := range waiting {
		if b.known() {
			continue
		}
		ids, err := l.Connections(ctx)
		if err != nil {
			return nil, err
		}
		exist = make(map[string]bool, len(ids))
		for _, id := range ids {
			exist[id] = true
		}
		return exist, nil
	}
	return nil, nil
}

// known reports whether somebody who is known has asked something.
func (b *batch) known() bool { return b.seen.last != Activity{} }

// adopt takes what strangers asked of a connection that does not exist.
func (b *batch) adopt(other *batch) {
	for _, e := range other.entries {
		if e.Part == part(Strangers) {
			b.entries = append(b.entries, e)
		}
	}
	b.seen.counts.Strangers += other.seen.counts.Strangers
	b.seen.counts.Hour = other.seen.counts.Hour
	b.seen.counts.Dropped += other.seen.counts.Dropped
}
