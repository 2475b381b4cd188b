package requestlog

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

// Counts are the refusals that are not stored yet. Its zero value is ready to
// use. It must not be copied.
type Counts struct {
	storing sync.Mutex // held while rows are neither here nor surely stored

	mu     sync.Mutex
	rows   tally
	causes map[string]bool
}

// causeOther stands for a cause that is not a short code.
const causeOther = "other"

// add counts refusals in their row. Where there is no room for another one, it is
// the row without the address, then the one without the connection too; of these
// there are as many as causes. Rows that nobody stores make room for nothing: a
// host without background work has no counts of later minutes.
func (c *Counts) add(k key, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rows == nil {
		c.rows = tally{}
	}
	k.cause = c.known(k.cause)
	anyone, nowhere := k, k
	anyone.address = ""
	nowhere.address, nowhere.connection = "", store.Global
	for _, try := range []struct {
		key  key
		room int
	}{{k, bufferRows}, {anyone, bufferRows + bufferRows/10}, {nowhere, bufferRows + bufferRows/5}} {
		if _, there := c.rows[try.key]; there || len(c.rows) < try.room {
			c.rows[try.key] += n
			return
		}
	}
}

// known returns a cause that is one of those counted, or causeOther.
func (c *Counts) known(cause string) string {
	if !c.causes[cause] {
		if !isCause(cause) || len(c.causes) >= maxCauses {
			return causeOther
		}
		if c.causes == nil {
			c.causes = map[string]bool{}
		}
		c.causes[cause] = true
	}
	return cause
}

// addAll counts rows again.
func (c *Counts) addAll(rows tally) {
	for k, n := range rows {
		c.add(k, n)
	}
}

// take removes and returns all rows.
func (c *Counts) take() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := c.rows
	c.rows = nil
	return rows
}

// of returns the rows of some connections.
func (c *Counts) of(belongs func(connection string) bool) tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := tally{}
	for k, n := range c.rows {
		if belongs(k.connection) {
			rows[k] = n
		}
	}
	return rows
}

// key names a row.
type key struct {
	minute     time.Time
	connection string
	address    string
	cause      string
}

// tally are counts by their row.
type tally map[key]int

// adopt adds rows of any connection, without its name.
func (t tally) adopt(rows tally) {
	for k, n := range rows {
		k.connection = store.Global
		t[k] += n
	}
}

// split returns the rows by connection. Those of one that is not listed are of
// none.
func (t tally) split(ids []string) map[string]tally {
	out := map[string]tally{store.Global: {}}
	for _, id := range ids {
		out[id] = tally{}
	}
	for k, n := range t {
		if out[k.connection] == nil {
			k.connection = store.Global
		}
		out[k.connection][k] += n
	}
	return out
}

// addressOf returns the IP address in a text, or "".
func addressOf(text string) string {
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

// maxCause is the length of a cause.
const maxCause = 40

func isCause(s string) bool {
	if s == "" || len(s) > maxCause {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(b byte) bool {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
			return false
		}
		return !strings.ContainsRune("_-.", rune(b))
	})
}
