package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// statement is a statement with its arguments.
type statement struct {
	query string // as package sqlstore has it
	args  []any
	plain bool // it has no plan worth keeping

	// legs are the reads that the statement is made of, see together.
	legs []statement
}

// same reports whether another statement is the same with the same arguments.
func (st statement) same(other statement) bool {
	return st.query == other.query && slices.EqualFunc(st.args, other.args, sameArgument)
}

func sameArgument(a, b any) bool {
	switch a := a.(type) {
	case []string:
		b, ok := b.([]string)
		return ok && slices.Equal(a, b)
	case []int64:
		b, ok := b.([]int64)
		return ok && slices.Equal(a, b)
	case []byte:
		b, ok := b.([]byte)
		return ok && slices.Equal(a, b)
	}
	return a == b
}

// control returns a statement that begins, divides or ends a transaction.
func control(text string) statement { return statement{query: text, plain: true} }

// exchange sends statements in one pipeline and waits. The result of each goes to read,
// which closes it; after an error none of the later statements ran. It returns how many
// have succeeded.
func (s *session) exchange(list []statement, read func(i int, r *pgconn.ResultReader) error) (n int, err error) {
	ctx, cancel := s.store.wire()
	defer cancel()
	conn := s.conn.Conn()
	w := wire{store: s.store, types: conn.TypeMap(), plans: plansOf(conn.PgConn()), pipeline: conn.PgConn().StartPipeline(ctx)}
	defer func() {
		if closed := w.pipeline.Close(); err == nil {
			err = closed
		}
	}()
	isNew := s.store.owns() && conn.PgConn().CustomData()[hasSettings] == nil
	if isNew {
		if err := w.sendSettings(); err != nil {
			return 0, err
		}
	}
	for i := range list {
		if err := w.send(&list[i]); err != nil {
			return 0, err // the connection is lost with it
		}
	}
	if err := w.pipeline.Sync(); err != nil {
		return 0, err
	}
	if isNew {
		if err := w.receiveSettings(); err != nil {
			w.forget(0) // nobody knows which were made
			return 0, err
		}
		conn.PgConn().CustomData()[hasSettings] = true
	}
	for i := range list {
		r, err := w.receive(i)
		if err == nil {
			err = read(i, r)
		}
		if err != nil {
			w.forget(i + 1) // they were skipped
			return i, err
		}
	}
	return len(list), nil
}

// wire is one pipeline.
type wire struct {
	store    *Store
	types    *pgtype.Map
	plans    *plans
	pipeline *pgconn.Pipeline
	builder  pgx.ExtendedQueryBuilder
	made     []*plan // for each statement the plan that is made with it, or nil
}

// plans are the statements that a connection has prepared, by their texts.
type plans struct {
	of   map[string]*plan
	made int
}

// plan is a prepared statement.
type plan struct {
	text string
	name string
	*pgconn.StatementDescription
}

const (
	plansKey = "provision.plans" // of the data of a connection

	// mostPlans is how many statements a connection prepares. There are fewer, but for
	// those that are put together.
	mostPlans = 500
)

func plansOf(c *pgconn.PgConn) *plans {
	p, ok := c.CustomData()[plansKey].(*plans)
	if !ok {
		p = &plans{of: map[string]*plan{}}
		c.CustomData()[plansKey] = p
	}
	return p
}

// send adds a statement to the pipeline. One that is sent for the first time is
// prepared on the way.
func (w *wire) send(st *statement) error {
	text, args := w.store.rewrite(st.query), listsOf(st.args)
	w.store.tell(text, st.args)
	w.made = append(w.made, nil)
	known := w.plans.of[text]
	if known != nil && known.StatementDescription != nil {
		if err := w.builder.Build(w.types, known.StatementDescription, args); err != nil {
			return err
		}
		// The formats are read with the result, and the builder uses them again.
		w.pipeline.SendQueryStatement(known.StatementDescription, w.builder.ParamValues, w.builder.ParamFormats, slices.Clone(w.builder.ResultFormats))
		return nil
	}
	if err := w.builder.Build(w.types, nil, args); err != nil {
		return err
	}
	if st.plain || w.store.unnamed || known == nil && len(w.plans.of) >= mostPlans {
		w.pipeline.SendQueryParams(text, w.builder.ParamValues, nil, w.builder.ParamFormats, nil)
		return nil
	}
	if known == nil {
		w.plans.made++ // a name is never used again
		known = &plan{text: text, name: "provision_" + strconv.Itoa(w.plans.made)}
		w.plans.of[text] = known
		w.made[len(w.made)-1] = known
		w.pipeline.SendPrepare(known.name, text, nil)
	}
	w.pipeline.SendQueryPrepared(known.name, w.builder.ParamValues, w.builder.ParamFormats, nil)
	return nil
}

// sendSettings gives a connection that is new the settings of updates, where they last.
func (w *wire) sendSettings() error {
	c := &w.store.config
	st := w.store.setFor(false, c.IdleTimeout, c.lockPart())
	st.plain = true
	if err := w.send(&st); err != nil {
		return err
	}
	w.made = w.made[:0]
	w.pipeline.SendPipelineSync() // it is no part of what follows
	return nil
}

func (w *wire) receiveSettings() error {
	r, err := w.pipeline.GetResults()
	reader, ok := r.(*pgconn.ResultReader)
	if !ok {
		return orShort(err)
	}
	if _, err := reader.Close(); err != nil {
		return err
	}
	r, err = w.pipeline.GetResults()
	if _, ok := r.(*pgconn.PipelineSync); !ok {
		return orShort(err)
	}
	return nil
}

// receive returns the result of a statement.
func (w *wire) receive(i int) (*pgconn.ResultReader, error) {
	if made := w.made[i]; made != nil {
		r, err := w.pipeline.GetResults()
		description, ok := r.(*pgconn.StatementDescription)
		if !ok {
			w.forget(i)
			return nil, orShort(err)
		}
		description.Name, description.SQL = made.name, made.text
		made.StatementDescription = description
	}
	r, err := w.pipeline.GetResults()
	reader, ok := r.(*pgconn.ResultReader)
	if !ok {
		return nil, orShort(err)
	}
	return reader, nil
}

// forget forgets the plans of the statements from one on: they were not made.
func (w *wire) forget(from int) {
	for _, made := range w.made[min(from, len(w.made)):] {
		if made != nil {
			delete(w.plans.of, made.text)
		}
	}
}

// orShort returns the error of a result that did not come.
func orShort(err error) error {
	if err == nil {
		err = errors.New("the server answered less than it was asked")
	}
	return err
}

// kept returns arguments that stay as they are whatever the caller does with its own.
func kept(args []any) []any {
	args = slices.Clone(args)
	for i, arg := range args {
		switch list := arg.(type) {
		case []string:
			args[i] = slices.Clone(list)
		case []int64:
			args[i] = slices.Clone(list)
		}
	}
	return args
}

// result is a result that is kept.
type result struct {
	of     statement
	fields []pgconn.FieldDescription
	rows   [][][]byte
}

// keep reads a result to its end.
func keep(st statement, r *pgconn.ResultReader) (*result, error) {
	kept := &result{of: st}
	for r.NextRow() {
		values, size := r.Values(), 0
		for _, v := range values {
			size += len(v)
		}
		row, data := make([][]byte, len(values)), make([]byte, 0, size)
		for i, v := range values {
			if v != nil { // which is NULL
				data = append(data, v...)
				row[i] = data[len(data)-len(v) : len(data) : len(data)]
			}
		}
		kept.rows = append(kept.rows, row)
	}
	kept.fields = slices.Clone(r.FieldDescriptions())
	_, err := r.Close()
	return kept, err
}

// each calls visit with each row, until it returns an error.
func (r *result) each(types *pgtype.Map, visit func(sqlstore.Scanner) error) error {
	for _, values := range r.rows {
		if err := visit(row{types, r.fields, values}); err != nil {
			return err
		}
	}
	return nil
}

// row is a row of a result that was kept. It implements [sqlstore.Scanner].
type row struct {
	types  *pgtype.Map
	fields []pgconn.FieldDescription
	values [][]byte
}

// Scan implements [sqlstore.Scanner].
func (r row) Scan(dest ...any) error { return pgx.ScanRow(r.types, r.fields, r.values, dest...) }

// rewritten returns a statement as PostgreSQL has it: with the names of the tables,
// and with numbered parameters. No statement has a question mark that is none.
func rewritten(query, tables string) string {
	parts := strings.Split(sqlstore.Rewrite(query, tables), "?")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// rewrite is rewritten, once for each statement.
func (s *Store) rewrite(query string) string {
	if text, ok := s.texts.Load(query); ok {
		return text.(string)
	}
	text := rewritten(query, s.config.tables())
	if s.kept.Add(1) <= maxTexts {
		s.texts.Store(query, text)
	}
	return text
}

const onConflict = ` ON CONFLICT DO NOTHING`

// guard is a statement that must write some number of rows.
type guard struct {
	query string
	rows  int
}

// guarded returns a statement that fails with codeGuard or codeUnique unless it writes
// some number of rows, so that nothing is committed then.
func (s *Store) guarded(query string, rows int) string {
	key := guard{query, rows}
	if text, ok := s.texts.Load(key); ok {
		return text.(string)
	}
	// An insertion of values writes all of them, or fails where it may not skip one.
	text, skips := strings.CutSuffix(query, onConflict)
	if !strings.HasPrefix(text, "INSERT") || !strings.Contains(text, "VALUES") || !skips && strings.Contains(text, "ON CONFLICT") {
		text = fmt.Sprintf(`WITH written AS (%s RETURNING 1) SELECT 1 / CAST(count(*) = %d AS integer) FROM written`, query, rows)
	}
	if s.kept.Add(1) <= maxTexts {
		s.texts.Store(key, text)
	}
	return text
}

// maxTexts is how many statements are remembered. There are fewer, but for those that
// are put together.
const maxTexts = 1000

// listsOf returns arguments without nil lists. Those would be NULL, which nothing is
// equal to and nothing differs from.
func listsOf(args []any) []any {
	for i, arg := range args {
		switch list := arg.(type) {
		case []string:
			if list == nil {
				args = slices.Clone(args)
				args[i] = []string{}
			}
		case []int64:
			if list == nil {
				args = slices.Clone(args)
				args[i] = []int64{}
			}
		}
	}
	return args
}

// wireMargin is how much longer than the server a client waits: its error says more.
const wireMargin = 5 * time.Second

// wire returns the context of what is sent. It does not end with that of a caller, as
// that would cost the connection, but a server that is gone holds nobody for ever.
func (s *Store) wire() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.config.StatementTimeout+wireMargin)
}

// settings sets how long things may take until the transaction ends, or for all
// transactions of the connection. One statement costs less than a SET for each.
//
// Whatever their arguments, statements are answered by an index, so that a plan which is
// prepared holds for all of them. The server would make the first five anew, on each
// connection. What is not prepared is planned for its arguments: on partitions a plan for
// all of them would lock each.
const settings = `SELECT set_config('idle_in_transaction_session_timeout', ?, local), set_config('statement_timeout', ?, local),
	set_config('lock_timeout', ?, local), set_config('plan_cache_mode', ?, local) FROM (SELECT ?::boolean AS local) AS how`

// setFor returns settings with its arguments; a wait of 0 has no end.
func (s *Store) setFor(local bool, idle, lock time.Duration) statement {
	plans := "auto"
	if !s.unnamed && s.config.InTx == nil { // else the host's statements would be planned so, too
		plans = "force_generic_plan"
	}
	return statement{query: settings, args: []any{milliseconds(idle), milliseconds(s.config.StatementTimeout), milliseconds(lock), plans, local}}
}

// set returns the settings of one transaction.
func (s *Store) set(idle, lock time.Duration) statement { return s.setFor(true, idle, lock) }

// owns reports whether connections are the store's own, so that settings last.
func (s *Store) owns() bool { return s.config.Pool == nil && s.config.InTx == nil && !s.unnamed }

const hasSettings = "provision.settings" // of the data of a connection

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// tell tells a test what is sent.
func (s *Store) tell(text string, args []any) {
	if s.sent != nil {
		s.sent(text, args)
	}
}
