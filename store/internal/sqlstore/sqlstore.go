// Package sqlstore is what the SQL stores share: the statements, the mapping of
// rows to the types of package store, and the queue that commits transactions
// in batches.
//
// # Dialect
//
// The statements are in sql.go, but for a few beside their only use. Each is written
// once, in a form that a [Conn] makes that of its database before it prepares it:
//
//   - ? stands for a parameter, and provision_ before the name of every table, see
//     [Rewrite].
//   - = ANY (?) looks a list up: the argument is a []string or an []int64, never an empty
//     one. A database without arrays has another way.
//   - The scope is whatever the store calls it, a number or a text: the argument comes
//     from [NewReader] or [NewTx].
//   - What a database cannot know the type of is cast, to BIGINT or TEXT; a flag is a
//     BOOLEAN.
//   - No statement relies on an error of the database to find a conflict: it asks
//     first, or says ON CONFLICT, so that a conflict leaves the transaction usable.
//   - Every statement, and every join, binds the scope; the exceptions are in sql.go.
//
// # Serial updates
//
// A [Tx] trusts that nobody else writes the scope while it is open. It
// remembers what it read and wrote and does not ask again. Positions, sequences and
// counts of resources are numbers of a [State], which the store hands from one Tx to
// the next; they are written once.
//
// # Statements that travel together
//
// A [Conn] over a network may be a [Pipeline]. What [store.Reader] announces by Expect is
// run once on a connection that finds nothing, so that it is announced by the very
// statements and arguments that the methods have. A write of a Tx whose outcome follows
// from what was read under the lock is deferred; one of which too little is known reads
// first, by the statement of the ordinary method, which may have been announced.
package sqlstore

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/watch"
)

// DefaultPrefix stands before the name of every table in the statements and
// migrations.
const DefaultPrefix = "provision_"

// Conn runs statements inside one transaction. After an error every further
// statement fails.
type Conn interface {
	// Exec runs a statement and returns how many rows it inserted, changed or
	// removed.
	Exec(query string, args ...any) (int64, error)

	// Query runs a statement that changes nothing and calls row for each row of its
	// result, until row returns [ErrEnough], which is no error.
	Query(query string, row func(Scanner) error, args ...any) error

	// Now returns the time by the clock that all who use the database have in common.
	Now() (time.Time, error)
}

// Pipeline is a Conn that lets statements travel together, for a database over a
// network.
type Pipeline interface {
	Conn

	// Expect says that a query is going to be run. It may be sent with another
	// statement; Query with the same text and arguments then has its result, unless
	// something was written meanwhile to a table that it names.
	Expect(query string, args ...any)

	// Expects reports whether a query was announced and has its result, or will.
	Expects(query string, args ...any) bool

	// ExpectNow says that the time is going to be asked for.
	ExpectNow()

	// ExpectNothingMore says that nothing else is going to be run, see
	// [store.NothingMore].
	ExpectNothingMore()

	// Defer runs a statement that is known to write so many rows, or [AnyRows], at the
	// latest before the next one that reads, or with the commit. The transaction cannot
	// be committed if it writes another number of rows.
	Defer(rows int, query string, args ...any) error
}

// AnyRows is for [Pipeline.Defer] where it does not matter how many rows are written.
const AnyRows = -1

// Change is what a statement writes: rows of a table, or records of which the kind and
// perhaps the key are known.
type Change struct {
	table     string
	kind, key any  // nil where they are not known
	quiet     bool // of a resource: no membership is otherwise by it
}

// ChangeBy returns what a statement with its arguments writes.
func ChangeBy(query string, args []any) Change {
	// Memberships are read with the name that a resource displays: who is new has none,
	// and who keeps the name changes none.
	c := Change{table: tableName.FindString(query), quiet: query == insertResource || query == updateDocument}
	if at, ok := recordAt[query]; ok {
		c.kind = args[at.kind]
		if at.key > 0 {
			c.key = args[at.key]
		}
	}
	return c
}

// Touches reports whether the change may concern what a query with its arguments reads.
func (c Change) Touches(query string, args []any) bool {
	at, ok := recordAt[query]
	switch {
	case c.quiet:
		return strings.Contains(query, "FROM "+c.table) || strings.Contains(query, "FROM "+keysTable)
	case !ok:
		return strings.Contains(query, c.table)
	case c.table != recordsTable:
		return false
	case c.kind == nil:
		return true
	}
	return c.kind == args[at.kind] && (c.key == nil || at.key < 0 || c.key == args[at.key])
}

const (
	recordsTable = DefaultPrefix + "records"
	keysTable    = DefaultPrefix + "keys" // of resources, with which it is joined
)

var tableName = regexp.MustCompile(DefaultPrefix + `\w+`)

// recordAt says which arguments of the statements on records are the kind and the key
// of a record; a negative one is none.
var recordAt = map[string]struct{ kind, key int }{
	recordByKey:         {1, 2},
	recordsPage:         {1, -1},
	insertRecord:        {1, 2},
	updateRecord:        {3, 4},
	deleteRecord:        {1, 2},
	deleteRecordVersion: {1, 2},
	pruneRecords:        {1, -1},
}

// ErrEnough ends the reading of a result whose other rows nobody needs.
var ErrEnough = errors.New("sqlstore: enough rows")

// Scanner reads the columns of one row. [*database/sql.Rows] is one.
type Scanner interface {
	Scan(dest ...any) error
}

// Rewrite returns a statement with the tables of another prefix.
func Rewrite(query, prefix string) string {
	if prefix == DefaultPrefix {
		return query
	}
	return strings.ReplaceAll(query, DefaultPrefix, prefix)
}

// Reader reads one scope. It implements [store.Reader].
type Reader struct {
	conn  Conn
	scope any

	// pipeline is conn where that is one, or nil.
	pipeline Pipeline

	// telling, when not nil, is the memory of the Tx for which the reader only tells what
	// will be read.
	telling *memory

	places *Places // of a snapshot, or nil

	// memory is what a Tx knows of the rows that it read and wrote, and ledger what
	// it has counted. Both are nil in a plain Reader.
	memory *memory
	ledger *ledger
}

// NewReader returns a reader of a scope, given by what the column has of it.
func NewReader(conn Conn, scope any) *Reader {
	r := &Reader{conn: conn, scope: scope}
	r.pipeline, _ = conn.(Pipeline)
	return r
}

// Expect implements [store.Reader]. The reads are made on a connection that only tells
// which statements they run.
func (r *Reader) Expect(reads ...store.Read) {
	if r.pipeline == nil {
		return
	}
	told := &Reader{conn: expecting{r.pipeline}, scope: r.scope, pipeline: r.pipeline, places: r.places}
	if r.memory != nil {
		told.memory, told.telling = &memory{}, r.memory
	}
	for _, read := range reads {
		read(told)
	}
}

// expecting is a connection that finds nothing, and says what it was asked for.
type expecting struct{ Pipeline }

// Query implements [Conn].
func (e expecting) Query(query string, _ func(Scanner) error, args ...any) error {
	e.Expect(query, args...)
	return nil
}

// Now implements [Conn].
func (e expecting) Now() (time.Time, error) {
	e.ExpectNow()
	return time.Time{}, nil
}

// ExpectNothingMore is what [store.NothingMore] calls.
func (r *Reader) ExpectNothingMore() {
	if r.pipeline != nil && r.memory == nil {
		r.pipeline.ExpectNothingMore()
	}
}

// End makes r, or the Tx it belongs to, fail from now on. Its connection serves
// another transaction next.
func (r *Reader) End() { r.conn, r.pipeline = ended{}, nil }

// ended is the connection of a reader after its transaction.
type ended struct{}

var errEnded = errors.New("sqlstore: used after the end of its transaction")

func (ended) Exec(string, ...any) (int64, error) { return 0, errEnded }

func (ended) Query(string, func(Scanner) error, ...any) error { return errEnded }

func (ended) Now() (time.Time, error) { return time.Time{}, errEnded }

// Now implements [store.Clock].
func (r *Reader) Now() (time.Time, error) {
	now, err := r.conn.Now()
	return now.UTC().Truncate(time.Millisecond), err
}

// Tx reads and writes one scope. It implements [store.Tx].
type Tx struct {
	Reader
	appended []*store.Event
	put      []*store.Account
}

// NewTx returns a transaction on a scope, given by what the column has of it. The state
// is that of its row, read under the lock, or what the transaction before it left.
func NewTx(conn Conn, scope any, state State) *Tx {
	return NewLazyTx(conn, scope, func() (State, error) { return state, nil })
}

// NewLazyTx is NewTx for a state that is only read when it is needed, at most once.
// Its error is that of the method which needed it.
func NewLazyTx(conn Conn, scope any, state func() (State, error)) *Tx {
	t := &Tx{Reader: *NewReader(conn, scope)}
	t.memory, t.ledger = &memory{}, &ledger{load: state}
	return t
}

// State returns what the scope counts after the transaction. The next one goes on from
// it; whoever commits them saves it first, see [State.Save]. It is nothing, and has not
// changed, where a lazy Tx did not need it.
func (t *Tx) State() State { return t.ledger.State }

// Finish saves the state. Nothing is written in the transaction afterwards.
func (t *Tx) Finish() (err error) {
	t.ledger.State, err = t.ledger.Save(t.conn, t.scope)
	return err
}

// Appended returns the events that were appended.
func (t *Tx) Appended() []*store.Event { return t.appended }

// Put returns the accounts that were put, each time that they were; of very many only
// the first, see [watch.Most].
func (t *Tx) Put() []*store.Account { return t.put }

func (t *Tx) didPut(a *store.Account) {
	if len(t.put) <= watch.Most {
		t.put = append(t.put, a)
	}
}

// Scope returns the scope as it was given.
func (t *Tx) Scope() any { return t.scope }

// memory holds the columns that a later write compares with. The maps are made
// when they are needed.
type memory struct {
	resources map[string]storedResource // by id
	accounts  map[string]accountColumns // by id
	names     map[string]string         // what resources display, by id

	// The following is known where statements travel together: by it they are known to
	// do what they are to do.
	links   map[string]string           // the account of a resource, "" for none
	records map[recordKey]*store.Record // nobody else has these; nil for what is not there
	groups  map[string]map[tie]bool     // all visible memberships of a member
	lists   [][]string                  // of members whose memberships were announced
}

type recordKey struct{ kind, key string }

// tie is a membership of a member.
type tie struct {
	group  string
	source store.Source
}

// storedResource is what a write needs to know of the row it replaces.
type storedResource struct {
	typ      string
	position int64
	version  int64
	display  string
	keys     string // packed
}

func (m *memory) putResource(id string, s storedResource) {
	if m == nil {
		return
	}
	if m.resources == nil {
		m.resources = make(map[string]storedResource)
	}
	m.resources[id] = s
	delete(m.names, id)
}

// displays returns the map of names, to read from and to add to.
func (m *memory) displays() map[string]string {
	if m.names == nil {
		m.names = make(map[string]string)
	}
	return m.names
}

func (m *memory) putAccount(id string, c accountColumns) {
	if m == nil {
		return
	}
	if m.accounts == nil {
		m.accounts = make(map[string]accountColumns)
	}
	m.accounts[id] = c
	if c.resourceID != "" {
		m.putLink(c.resourceID, id)
	}
}

func (m *memory) putLink(resource, account string) {
	if m.links == nil {
		m.links = make(map[string]string)
	}
	m.links[resource] = account
}

// putRecord remembers the record with a key, or that there is none.
func (m *memory) putRecord(kind, key string, record *store.Record) {
	if m.records == nil {
		m.records = make(map[recordKey]*store.Record)
	}
	m.records[recordKey{kind, key}] = record
}

// putGroups takes all memberships of members.
func (m *memory) putGroups(members []string, rows []store.Membership) {
	if m.groups == nil {
		m.groups = make(map[string]map[tie]bool)
	}
	for _, id := range members {
		m.groups[id] = map[tie]bool{}
	}
	for _, r := range rows {
		if m.groups[r.Member] == nil {
			m.groups[r.Member] = map[tie]bool{}
		}
		m.groups[r.Member][tie{r.Group, r.Source}] = true
	}
}

// LastEventOfAll calls fn with every scope and the sequence of its last event, 0 where
// there was none. The query is [LastEvents] or [LastEventsByName].
func LastEventOfAll(conn Conn, query string, fn func(scope string, last int64)) error {
	var (
		scope string
		last  int64
	)
	return conn.Query(query, func(row Scanner) error {
		err := row.Scan(&scope, &last)
		if err == nil {
			fn(scope, last)
		}
		return err
	})
}

var (
	_ store.Reader = (*Reader)(nil)
	_ store.Tx     = (*Tx)(nil)
)
