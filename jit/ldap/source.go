package ldap

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldapdn"
)

// Source returns the people and groups of the directory for one sync: all of them, or
// with a mark those that have changed since the source that gave the mark was read. It is
// read once, by one sync, and not safe for concurrent use.
//
// Entries come page by page. Nothing is kept of people but their keys: by the primary group
// where the preset has these, and by the account name that memberUid has where that is not
// their userName.
//
// Whoever is not in a whole source is absent only if it was read to its end without an
// error. Such an end is what the server itself said; nothing else counts as one: no other
// result code, no answer without the paging control, no page twice, no base DN without
// people, no lost connection.
//
// A source of changes has nobody who was deleted, moved out, or does not fit the filter
// any more; and nobody whose account has only expired with time, or whose primary group
// is another one, is among the changed groups. The next whole sync finds them.
//
// The error is [provision.ErrSyncMark] for a mark that is of no use, such as of another
// server, and otherwise an [*Error].
func (s *Server) Source(ctx context.Context, mark string) (provision.SyncSource, error) {
	src := &source{server: s, now: s.options.Now}
	if mark == "" {
		return src, nil
	}
	since, err := readMark(mark)
	if err != nil {
		return nil, err
	}
	src.since = &since
	err = s.use(ctx, true, func(c *client) error {
		state, err := s.state(ctx, c)
		if err != nil {
			return err
		}
		return since.check(s, state)
	})
	if err != nil {
		return nil, err
	}
	return src, nil
}

// source implements [provision.SyncSource], with its Mark.
type source struct {
	server *Server
	now    func() time.Time
	since  *mark // nil: everybody
	next   mark

	primary map[string][]string // keys of people by the SID of their primary group
	names   map[string]string   // keys of people by their account name, where that is not their userName
	shared  map[[16]byte]bool   // ids that several people have
	ids     map[[16]byte]string // of a source of changes: ids by the key of the DN
	alike   map[[16]byte]bool   // DNs that several entries have by their keys, which are not in ids
	sees    bool                // primary groups are to be seen
	began   bool
}

var _ provision.SyncSource = (*source)(nil)

// Mark returns the mark from which the next source goes on, once Users and Groups were
// read to their end; empty where the server says nothing to go by.
func (s *source) Mark() string { return s.next.text() }

// Users implements [provision.SyncSource].
func (s *source) Users(ctx context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		if s.began {
			yield(provision.SyncUser{}, wrong(CodeIncomplete, "a source is read once"))
			return
		}
		s.began, s.primary, s.names = true, map[string][]string{}, map[string]string{}
		stopped := false
		err := s.server.use(ctx, true, func(c *client) error {
			r, err := s.reading(ctx, c, &s.next.People, sinceOf(s.since, true))
			if err != nil {
				return err
			}
			if err := s.findShared(ctx, c); err != nil {
				return err
			}
			for _, base := range s.server.peopleBases {
				err := r.base(ctx, base, s.server.people, s.server.mapping.personAttributes, peoplePage, "people", func(e entry) error {
					if u := s.user(e); !yield(u, nil) {
						stopped = true
						return errStopped
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			r.end()
			return nil
		})
		if err != nil && !stopped {
			yield(provision.SyncUser{}, err)
		}
	}
}

var errStopped = fmt.Errorf("ldap: nobody reads on")

// user reads a person, and notes their primary group.
func (s *source) user(e entry) provision.SyncUser {
	m := s.server.mapping
	p := m.person(e, s.now())
	if p.problem == "" && s.shared[hash(p.id)] {
		p.problem = ProblemSameID
	}
	u := p.sync()
	if len(m.memberNames) > 0 {
		if name := p.accountName(); name != p.userName {
			s.names[name] = u.Key
		}
	}
	if m.primary {
		sid, rid := first(e.values("objectSid")), first(e.values("primaryGroupID"))
		if group := siblingSID(sid, string(rid)); group != "" {
			s.primary[group] = append(s.primary[group], u.Key)
		}
	}
	return u
}

func first(values [][]byte) []byte {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}

func hash(text string) (sum [16]byte) {
	all := sha256.Sum256([]byte(text))
	copy(sum[:], all[:])
	return sum
}

// findShared finds the ids that several people have, where the id is an attribute that the
// connection chose: whoever reads people one by one hears of the second too late.
func (s *source) findShared(ctx context.Context, c *client) error {
	m := s.server.mapping
	if !m.own {
		return nil
	}
	s.shared = map[[16]byte]bool{}
	seen := map[[16]byte][16]byte{}
	return s.eachPerson(ctx, c, s.server.people, func(e entry) {
		id, ok := m.id(e, fieldID)
		if !ok {
			return
		}
		by, dn := hash(id), hash(ldapdn.Key(e.DN))
		if other, twice := seen[by]; twice && other != dn {
			s.shared[by] = true
		}
		seen[by] = dn
	})
}

// eachPerson reads the ids of people.
func (s *source) eachPerson(ctx context.Context, c *client, filter string, fn func(entry)) error {
	for _, base := range s.server.peopleBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: filter, attributes: s.server.mapping.fields[fieldID], page: peoplePage}
		err := c.pages(ctx, "reading the ids of people", q, func(page []*goldap.Entry) error {
			for _, e := range page {
				fn(entry{e})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reading is the reading of people or groups.
type reading struct {
	server *Server
	client *client
	since  *place
	to     *place // where the mark goes
	state  state
	begin  time.Time
	latest time.Time // modifyTimestamp
}

func (s *source) reading(ctx context.Context, c *client, to, since *place) (*reading, error) {
	state, err := s.server.state(ctx, c)
	if err != nil {
		return nil, err
	}
	if since != nil && since.Server != state.identity {
		return nil, fmt.Errorf("%w: it is of %q, and this is %q", provision.ErrSyncMark, since.Server, state.identity)
	}
	return &reading{server: s.server, client: c, since: since, to: to, state: state, begin: time.Now()}, nil
}

// base reads the entries below one base DN. Without a mark there must be some.
func (r *reading) base(ctx context.Context, base, filter string, attributes []string, page uint32, what string, fn func(entry) error) error {
	doing := fmt.Sprintf("reading %s below %q", what, base)
	_, found, err := r.client.read(ctx, doing, base, "objectClass")
	if err != nil {
		return err
	}
	if !found {
		return &Error{Code: CodeBase, Server: r.client.host.address, Reason: doing + ": there is no such base DN, or the service account may not see it"}
	}
	n := 0
	q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: r.changed(filter), attributes: attributes, page: page}
	err = r.client.pages(ctx, doing, q, func(entries []*goldap.Entry) error {
		for _, e := range entries {
			n++
			r.note(entry{e})
			if err := fn(entry{e}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && n == 0 && r.since == nil && what == "people" {
		return &Error{Code: CodeEmpty, Server: r.client.host.address, Reason: doing + ": the search has nobody; give the service account the right to read them, mend the filter, or take the base DN out"}
	}
	return err
}
