package ldap

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/scimjit/provision"
)

// mark is from where a source of changes goes on: for people and for groups, since these
// are read after those. What it holds is the server's own.
type mark struct {
	People place `json:"people"`
	Groups place `json:"groups"`
}

// place is a position in the changes of one server.
type place struct {
	Server string `json:"server"`
	At     string `json:"at"`
}

// markOverlap is how far a source of changes by time goes back: entries whose
// modifyTimestamp is earlier than when they could be read, such as on a server that follows
// another one.
const markOverlap = 5 * time.Minute

// text is empty unless both places are known.
func (m mark) text() string {
	if m.People.At == "" || m.Groups.At == "" {
		return ""
	}
	data, err := json.Marshal(m)
	if err != nil {
		return "" // texts do not fail
	}
	return string(data)
}

func readMark(text string) (m mark, err error) {
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.text() == "" {
		return m, fmt.Errorf("%w: it cannot be read", provision.ErrSyncMark)
	}
	return m, nil
}

func sinceOf(m *mark, people bool) *place {
	switch {
	case m == nil:
		return nil
	case people:
		return &m.People
	}
	return &m.Groups
}

// check says whether the changes since a mark can be had.
func (m mark) check(s *Server, state state) error {
	for _, p := range []place{m.People, m.Groups} {
		if p.Server != state.identity {
			return fmt.Errorf("%w: it is of %q, and this is %q", provision.ErrSyncMark, p.Server, state.identity)
		}
		if _, ok := s.preset.delta.since(p.At); !ok {
			return fmt.Errorf("%w: it cannot be read", provision.ErrSyncMark)
		}
		if s.preset.delta == byUSN {
			if at, _ := strconv.ParseInt(p.At, 10, 64); at > state.usn {
				return fmt.Errorf("%w: the server has gone back to before it", provision.ErrSyncMark)
			}
		}
	}
	return nil
}

// since returns the filter for what has changed since a place.
func (w deltaWay) since(at string) (filter string, ok bool) {
	if w == byUSN {
		usn, err := strconv.ParseInt(at, 10, 64)
		return "(uSNChanged>=" + strconv.FormatInt(usn+1, 10) + ")", err == nil && usn >= 0
	}
	t, ok := generalizedTime(at)
	return "(modifyTimestamp>=" + formatTime(t.Add(-markOverlap)) + ")", ok
}

// state is what a server says of itself.
type state struct {
	identity string // the changes are counted anew on another one
	usn      int64  // the latest change, of Active Directory
}

// state reads it.
func (s *Server) state(ctx context.Context, c *client) (state, error) {
	if s.preset.delta != byUSN {
		return state{identity: c.host.address}, nil
	}
	const doing = "asking the server who it is"
	root, _, err := c.read(ctx, doing, "", "highestCommittedUSN", "dsServiceName")
	if err != nil {
		return state{}, err
	}
	out := state{identity: c.host.address}
	usn, err := strconv.ParseInt(string(first(root.lookup("highestCommittedUSN"))), 10, 64)
	if err != nil {
		return out, nil // there are no changes to be had
	}
	out.usn = usn
	name := string(first(root.lookup("dsServiceName")))
	if name == "" {
		return out, nil
	}
	out.identity = name
	// A restored server has another invocation, and counts from where it was.
	service, found, err := c.read(ctx, doing, name, "invocationId")
	if err != nil {
		return out, nil // it may not be read
	}
	if found {
		out.identity += " " + hex.EncodeToString(first(service.lookup("invocationId")))
	}
	return out, ctx.Err()
}

// lookup is values where there may be no entry.
func (e entry) lookup(name string) [][]byte {
	if e.Entry == nil {
		return nil
	}
	return e.values(name)
}

// changed narrows a filter to what has changed.
func (r *reading) changed(filter string) string {
	if r.since == nil {
		return filter
	}
	since, _ := r.server.preset.delta.since(r.since.At)
	return allOf(filter, since)
}

// note notes when an entry was changed.
func (r *reading) note(e entry) {
	if r.server.preset.delta != byModifyTimestamp {
		return
	}
	if at, ok := generalizedTime(string(first(e.values("modifyTimestamp")))); ok && at.After(r.latest) {
		r.latest = at
	}
}

// end keeps where the next source goes on: after what the server had when this one began.
// By its clock that is the latest change that was read, less the time that reading took.
func (r *reading) end() {
	switch {
	case r.server.preset.delta == byUSN && r.state.usn > 0:
		*r.to = place{r.state.identity, strconv.FormatInt(r.state.usn, 10)}
	case r.server.preset.delta == byModifyTimestamp:
		at := r.latest.Add(-time.Since(r.begin))
		if r.since != nil {
			if before, _ := generalizedTime(r.since.At); before.After(at) {
				at = before
			}
		}
		if r.latest.IsZero() && r.since == nil {
			return // the server does not tell
		}
		*r.to = place{r.state.identity, formatTime(at)}
	}
}
