package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
)

// leastVersion is the oldest server that the store is tested with.
const leastVersion = 15

// server is what a server says of itself.
type server struct {
	version        int // such as 150004
	encoding       string
	clientEncoding string
	readOnly       bool
	standby        bool
	schema         string // where the tables are, empty for none
	process        uint32 // its own number
}

const askServer = `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
	current_setting('client_encoding'), current_setting('transaction_read_only') = 'on',
	pg_is_in_recovery(), coalesce(current_schema(), ''), pg_backend_pid()::bigint`

// prepare checks the server, brings the schema up to date and checks the rights.
func (s *Store) prepare(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var is server
	err = queryRow(ctx, conn.Conn(), askServer).Scan(&is.version, &is.encoding, &is.clientEncoding, &is.readOnly, &is.standby, &is.schema, &is.process)
	if err != nil {
		return err
	}
	if err := is.check(s.config.Schema); err != nil {
		return err
	}
	if err := checkTransaction(ctx, conn.Conn()); err != nil {
		return err
	}
	if err := s.prepareSchema(ctx, conn.Conn()); err != nil {
		return err
	}
	partitions, err := s.countPartitions(ctx, conn.Conn())
	if err != nil {
		return err
	}
	if s.config.Partitions != 0 && partitions != s.config.Partitions {
		return fmt.Errorf("the tables have %d partitions, and Config.Partitions is %d: partitions are chosen when the tables are made, so set it to 0 or to %d", partitions, s.config.Partitions, partitions)
	}
	if err := s.checkRights(ctx, conn.Conn()); err != nil {
		return err
	}
	// A pooler has another number for its clients than the server for its processes.
	pooled := is.process != conn.Conn().PgConn().PID()
	// The plan of a prepared statement does not know the scope, and so locks every
	// partition.
	mode := conn.Conn().Config().DefaultQueryExecMode
	s.unnamed = pooled || partitions > 0 || mode == pgx.QueryExecModeSimpleProtocol
	if s.config.Notify && pooled {
		return errors.New("Config.Notify needs sessions of the server, and a pooler gives it none: connect to the server itself, or leave Notify out, and other processes are heard within a second")
	}
	size, scans := int(s.pool.Config().MaxConns), s.config.Scans
	if scans <= 0 {
		scans = max(1, size/4)
	} else if scans >= size {
		return fmt.Errorf("a pool of %d connections has none beside %d scans: make it larger with pool_max_conns", size, scans)
	}
	s.scans = make(chan struct{}, scans)
	if s.config.Notify {
		s.startHints(cmp.Or(s.config.Schema, is.schema))
	}
	return nil
}

// connectWait bounds how long a server is waited for that says it has no room now.
const connectWait = time.Minute

// connect takes a connection, and waits for a server that is starting or full.
func (s *Store) connect(ctx context.Context) (*pgxpool.Conn, error) {
	for deadline, pause := time.Now().Add(connectWait), firstPause; ; pause = min(2*pause, maxPause) {
		conn, err := s.pool.Acquire(ctx)
		if err == nil {
			return conn, nil
		}
		if code := sqlState(err); code != codeStarting && code != codeManyClients || time.Now().After(deadline) {
			return nil, explainConnect(err)
		}
		select {
		case <-ctx.Done():
			return nil, &store.UnavailableError{RetryAfter: retryBusy, Err: err}
		case <-time.After(jitter(pause)):
		}
	}
}

// explainConnect adds what to do where a server cannot be reached.
func explainConnect(err error) error {
	advice := "is the server running, and are host and port right?"
	var failed *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case !errors.As(err, &failed):
		if strings.Contains(err.Error(), "read only") || strings.Contains(err.Error(), "read-only") {
			advice = "no host of the URL can be written: is the primary among them?"
		}
	case failed.Code == "3D000":
		advice = "create the database first, with encoding UTF8"
	case strings.HasPrefix(failed.Code, "28"):
		advice = "check user, password and pg_hba.conf of the host that the error names"
	case failed.Code == "08P01":
		advice = "a pooler refuses parameters at the start of a connection: leave them out of the URL"
	default:
		advice = "the server refuses the connection"
	}
	return fmt.Errorf("cannot connect: %s: %w", advice, err)
}

// check returns why a server cannot be used.
func (is server) check(schema string) error {
	switch {
	case is.version/10000 < leastVersion:
		return fmt.Errorf("the server is PostgreSQL %d, and %d is the oldest that works: upgrade it", is.version/10000, leastVersion)
	case is.encoding != "UTF8":
		return fmt.Errorf("the encoding of the database is %s: create one with encoding UTF8 (createdb -E UTF8 -T template0)", is.encoding)
	case is.clientEncoding != "UTF8":
		return fmt.Errorf("client_encoding is %s: leave it at UTF8, in the URL and for the role", is.clientEncoding)
	case is.standby:
		return errors.New("the server is a standby, which cannot be written: name the primary, or all hosts with target_session_attrs=read-write")
	case is.readOnly:
		return errors.New("transactions are read-only here: reset default_transaction_read_only for the role and the database")
	case schema == "" && is.schema == "":
		return errors.New("no schema of the search path is there: set Config.Schema, or the search_path of the role")
	}
	return nil
}

// checkTransaction returns why nobody can hold a transaction open.
func checkTransaction(ctx context.Context, conn *pgx.Conn) error {
	for _, text := range []string{`BEGIN`, commit} { // two messages, or a pooler sees none
		if err := execAll(ctx, conn, text); err != nil {
			return fmt.Errorf("transactions do not work: a pooler needs pool_mode=transaction, or session: %w", err)
		}
	}
	return nil
}

// names of the tables, without the prefix.
var names = []string{schemaTable, "scopes", "commits", "types", "resources", "keys", "members", "stages", "accounts", "events", "log", "log_keys", "records"}

// countPartitions returns how many partitions the tables have, 0 for plain ones.
func (s *Store) countPartitions(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	err = queryRow(ctx, conn, `SELECT count(*)::int FROM pg_inherits WHERE inhparent = to_regclass($1)`, s.config.tables()+"scopes").Scan(&n)
	return n, err
}

// checkRights returns which tables or rights on them are missing.
func (s *Store) checkRights(ctx context.Context, conn *pgx.Conn) error {
	var list []string
	for _, name := range names {
		list = append(list, s.config.tables()+name)
	}
	rows, err := conn.Query(ctx, `SELECT t, CASE WHEN to_regclass(t) IS NULL THEN '' ELSE p END
		FROM unnest($1::text[]) t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
		WHERE to_regclass(t) IS NULL OR NOT has_table_privilege(to_regclass(t), p) ORDER BY 1, 2`, pgx.QueryExecModeExec, list)
	if err != nil {
		return err
	}
	var (
		missing []string
		absent  string
	)
	var table, right string
	_, err = pgx.ForEachRow(rows, []any{&table, &right}, func() error {
		switch {
		case right == "":
			absent = table
		case right == "SELECT" || table != s.config.tables()+schemaTable: // of that one the version is read
			missing = append(missing, right+" on "+table)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case absent != "":
		return fmt.Errorf("the table %s is missing, although the schema has its version: restore it", absent)
	case len(missing) > 0:
		return fmt.Errorf("rights are missing: grant the role %s", strings.Join(missing, ", "))
	}
	return nil
}
