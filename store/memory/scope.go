package memory

import (
	"cmp"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// scope is the state of one connection. Its lock guards everything in it but
// updates.
type scope struct {
	store   *Store
	updates int // that run or wait; Store.mu guards it

	lock    lock
	written bool // an update that wrote something was committed
	tx      tx   // the running update; updates are serial

	position   int64 // the last one assigned; a rollback does not take it back
	nodes      table[node]
	index      index    // of nodes, by attribute number and value
	attributes []string // index attributes by number; 0 is the id
	everything *ordered[uint32]
	byType     map[string]*ordered[uint32] // in order of Position, like everything
	sources    []store.Source              // membership sources by number
	stages     map[uint16]*stage           // of memberships, by the mark of those that join
	unborn     map[string]uint32           // nodes of groups that have staged members only, by id

	people       table[person]
	peopleIndex  index // of people, by personIndex.keys
	peopleByID   ordered[uint32]
	siteAdmins   ordered[uint32] // in order of id too
	events       []string        // packed, the last one with lastSequence
	lastSequence int64
	eventsOf     map[string][]int64                 // sequences of the events of an account, those that were pruned lately too
	eventsListed int                                // how many sequences are in eventsOf
	records      map[string]*ordered[*store.Record] // by kind, in order of key
	log          map[int]*ordered[logged]           // by part, in order of number
}

// node is a resource with what belongs to it. The resource is replaced as a
// whole, never changed, because readers keep it.
type node struct {
	resource *store.Resource
	keys     string         // packed by keepTexts
	groups   []edge         // in order of group id, then source
	members  *ordered[edge] // in order of member id, then source; nil until there is one
}

// edge is a membership, seen from one of its sides.
type edge struct {
	node   uint32 // the other side
	source uint16 // number in scope.sources
	mark   uint16 // of the stage by which it begins, or one more: by which it ends; 0: of none
}

func newScope(of *Store) *scope {
	s := &scope{
		store:       of,
		index:       newIndex(),
		attributes:  []string{"id"},
		everything:  &ordered[uint32]{},
		byType:      map[string]*ordered[uint32]{},
		peopleIndex: newIndex(),
		records:     map[string]*ordered[*store.Record]{},
		log:         map[int]*ordered[logged]{},
		stages:      map[uint16]*stage{},
		unborn:      map[string]uint32{},
	}
	s.tx.reader = reader{s}
	s.tx.buffer = make([]byte, 0, 2048)
	return s
}

// reader implements store.Reader on a scope whose lock is held.
type reader struct{ *scope }

// Now implements store.Clock.
func (r reader) Now() (time.Time, error) { return r.store.now(), nil }

// Expect implements store.Reader. There is nothing to wait for.
func (reader) Expect(...store.Read) {}

// tx implements store.Tx on a scope whose lock is held for writing.
type tx struct {
	reader
	undo     []func()         // how to take back what was written, newest last
	appended []*store.Event   // by the running update
	put      []*store.Account // likewise
	buffer   []byte           // room to pack in
	scratch  store.Account    // room to unpack in
}

// did records how to take back a write that was just made.
func (t *tx) did(undo func()) { t.undo = append(t.undo, undo) }

// end ends the transaction: unless committed, everything it wrote is undone.
func (t *tx) end(committed bool) {
	if !committed {
		for i := len(t.undo) - 1; i >= 0; i-- {
			t.undo[i]()
		}
	} else if len(t.undo) > 0 {
		t.written = true
	}
	clear(t.undo)
	t.undo = t.undo[:0]
	t.appended, t.put = nil, nil
}

// byPosition orders nodes relative to a position.
func (s *scope) byPosition(position int64) func(uint32) int {
	return func(n uint32) int { return cmp.Compare(s.nodes.at(n).resource.Position, position) }
}

// byID orders edges relative to the id of the other side and a source.
func (s *scope) byID(id string, source store.Source) func(edge) int {
	return func(e edge) int {
		if order := strings.Compare(s.nodes.at(e.node).resource.ID, id); order != 0 {
			return order
		}
		return strings.Compare(string(s.sources[e.source]), string(source))
	}
}
