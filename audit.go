package provision

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

// Refusal counts the requests of one minute that were refused for one cause.
type Refusal struct {
	Minute  time.Time `json:"minute"`  // UTC, its beginning
	Address string    `json:"address"` // IP address; empty for all that are not counted one by one
	Cause   string    `json:"cause"`   // a short code, such as "unauthenticated"
	Count   int       `json:"count"`
}

// The bounds of what is kept of refusals: nobody can fill memory or disk from
// outside. Beyond them refusals are counted without the address.
const (
	refusalMinute = 100    // rows of one connection in one minute
	refusalDay    = 5_000  // rows of one connection in one day
	refusalBuffer = 10_000 // rows in memory that are not stored yet
	refusalCauses = 100    // different causes

	refusalRetention = 30 * 24 * time.Hour
	refusalInterval  = 10 * time.Second // how often they are stored
)

// causeOther stands for a cause that is not a short code.
const causeOther = "other"

// CountRefusal counts a request that was refused before it could change
// anything: by connection, minute, address and cause. It returns at once;
// [Engine.Run] stores the counts every ten seconds and keeps them for 30 days.
// They are not events: a host hears nothing of them.
//
// Connection is the one that the request was for, as far as that is known; it may
// be text of the client. Counts of one that does not exist are kept with those of
// "": its name is never stored. Address is an IP address, with or without a port;
// other text counts as no address. Cause is a code of the caller's own, never text
// of the client: 1 to 40 letters, digits, "_", "-" or "."; anything else counts as
// "other".
//
// For each connection at most 100 addresses and causes a minute, and 5,000 a
// day, are told apart.
func (e *Engine) CountRefusal(connection, address, cause string) {
	e.refusals.add(refusalKey{
		minute:     e.now().Truncate(time.Minute),
		connection: connectionOrNone(connection),
		address:    refusalAddress(address),
		cause:      cause,
	}, 1)
}

func connectionOrNone(id string) string {
	if !isConnectionID(id) {
		return store.Global
	}
	return id
}

// refusalAddress returns the IP address in a text, or "".
func refusalAddress(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		port, err := netip.ParseAddrPort(text)
		if err != nil {
			return ""
		}
		ip = port.Addr()
	}
	return ip.Unmap().WithZone("").String()
}

func isCause(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return false
		}
		return true
	})
}

type refusalKey struct {
	minute     time.Time
	connection string
	address    string
	cause      string
}

// refusalCounts are the refusals that are not stored yet. Its zero value is ready
// to use.
type refusalCounts struct {
	storing sync.Mutex // held while rows are neither here nor surely stored

	mu     sync.Mutex
	rows   map[refusalKey]int
	causes map[string]bool
}

// add counts refusals in their row. Where there is no room for another one, it is
// the row without the address, then the one without the connection too; of these
// there are as many as causes. Rows that nobody stores make room for nothing: a
// host without Run has no counts of later minutes.
func (c *refusalCounts) add(key refusalKey, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rows == nil {
		c.rows, c.causes = map[refusalKey]int{}, map[string]bool{}
	}
	switch {
	case c.causes[key.cause]:
	case len(c.causes) < refusalCauses && isCause(key.cause):
		c.causes[key.cause] = true
	default:
		key.cause = causeOther
	}
	anyone, nowhere := key, key
	anyone.address = ""
	nowhere.address, nowhere.connection = "", store.Global
	for _, try := range []struct {
		key  refusalKey
		room int
	}{{key, refusalBuffer}, {anyone, refusalBuffer + refusalBuffer/10}, {nowhere, refusalBuffer + refusalBuffer/5}} {
		if _, known := c.rows[try.key]; known || len(c.rows) < try.room {
			c.rows[try.key] += n
			return
		}
	}
}

// take removes and returns all rows.
func (c *refusalCounts) take() map[refusalKey]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := c.rows
	c.rows = nil
	return rows
}

// addTo adds the rows of some connections to others, without the connection.
func (c *refusalCounts) addTo(rows map[refusalKey]int, belongs func(connection string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, n := range c.rows {
		if belongs(key.connection) {
			key.connection = store.Global
			rows[key] += n
		}
	}
}

// Refusals returns what [Engine.CountRefusal] counted for a connection since a
// time, in order of minute, address and cause; what other processes have counted
// in the last ten seconds may be missing. The connection "" has the refusals that
// belong to no connection that exists, such as those of unknown credentials; any
// other that does not exist is [ErrNotFound].
func (e *Engine) Refusals(ctx context.Context, connection string, since time.Time) ([]Refusal, error) {
	e.refusals.storing.Lock()
	defer e.refusals.storing.Unlock()
	since = since.UTC().Truncate(time.Minute)
	var rows map[refusalKey]int
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		rows = map[refusalKey]int{}
		belongs, err := countedFor(connection, r)
		if err != nil {
			return err
		}
		e.refusals.addTo(rows, belongs)
		return eachRefusals(r, since, func(list []Refusal) {
			for _, row := range list {
				rows[refusalKey{minute: row.Minute, address: row.Address, cause: row.Cause}] += row.Count
			}
		})
	})
	if err != nil {
		return nil, err
	}
	var out []Refusal
	for key, n := range rows {
		if !key.minute.Before(since) {
			out = append(out, Refusal{key.minute, key.address, key.cause, n})
		}
	}
	slices.SortFunc(out, func(a, b Refusal) int {
		if c := a.Minute.Compare(b.Minute); c != 0 {
			return c
		}
		return compareRefusals(a, b)
	})
	return out, nil
}

// countedFor returns which names of connections are counted for one: for "" those
// of no connection. R reads its scope.
func countedFor(connection string, r store.RecordReader) (func(name string) bool, error) {
	if connection != store.Global {
		_, err := r.Record(recordConnection, "")
		return func(name string) bool { return name == connection }, err
	}
	list, err := r.Records(recordConnection, "", 0)
	exist := make(map[string]bool, len(list))
	for _, rec := range list {
		exist[rec.Key] = true
	}
	return func(name string) bool { return !exist[name] }, err
}

func compareRefusals(a, b Refusal) int {
	if c := strings.Compare(a.Address, b.Address); c != 0 {
		return c
	}
	return strings.Compare(a.Cause, b.Cause)
}

// addRefusals adds rows of one minute to others.
func addRefusals(rows, more []Refusal) []Refusal {
	for _, m := range more {
		i := slices.IndexFunc(rows, func(r Refusal) bool { return r.Address == m.Address && r.Cause == m.Cause })
		if i < 0 {
			rows = append(rows, m)
			continue
		}
		rows[i].Count += m.Count
	}
	return rows
}

// flushRefusals stores what was counted. What cannot be stored is counted again.
//
// The names of the rows may be any client's: none but those of connections that
// exist reaches the store.
func (e *Engine) flushRefusals(ctx context.Context) error {
	e.refusals.storing.Lock()
	defer e.refusals.storing.Unlock()
	taken := e.refusals.take()
	if len(taken) == 0 {
		return nil
	}
	ids, err := e.connectionIDs(ctx)
	if err != nil {
		for key, n := range taken {
			e.refusals.add(key, n)
		}
		return err
	}
	counted := byConnection(taken, ids)
	var failed []error
	for _, id := range append(ids, store.Global) { // last, since it takes what the others refuse
		if len(counted[id]) == 0 {
			continue
		}
		err := e.storeRefusals(ctx, id, counted[id])
		switch {
		case err == nil:
		case errors.Is(err, ErrNotFound):
			for minute, rows := range counted[id] {
				counted[store.Global][minute] = append(counted[store.Global][minute], rows...)
			}
		default:
			failed = append(failed, err)
			e.refusals.putBack(id, counted[id])
		}
	}
	return errors.Join(failed...)
}

// refusalMinutes are rows by their minute. There may be several of one address and
// cause.
type refusalMinutes map[time.Time][]Refusal

// byConnection returns rows by their connection, those of one that is not listed
// under that of none.
func byConnection(rows map[refusalKey]int, ids []string) map[string]refusalMinutes {
	out := map[string]refusalMinutes{store.Global: {}}
	for _, id := range ids {
		out[id] = refusalMinutes{}
	}
	for key, n := range rows {
		minutes, ok := out[key.connection]
		if !ok {
			minutes = out[store.Global]
		}
		minutes[key.minute] = append(minutes[key.minute], Refusal{key.minute, key.address, key.cause, n})
	}
	return out
}

// putBack counts rows again.
func (c *refusalCounts) putBack(connection string, minutes refusalMinutes) {
	for minute, rows := range minutes {
		for _, r := range rows {
			c.add(refusalKey{minute, connection, r.Address, r.Cause}, r.Count)
		}
	}
}
