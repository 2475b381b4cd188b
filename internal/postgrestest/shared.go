//go:build unix

package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store/postgres"
)

// Open opens an empty store on the server that all tests of the program share, in as many
// partitions as PROVISION_TEST_PARTITIONS says. It is closed with the test.
func Open(t testing.TB) *postgres.Store {
	t.Helper()
	partitions := 0
	if text := os.Getenv("PROVISION_TEST_PARTITIONS"); text != "" {
		var err error
		if partitions, err = strconv.Atoi(text); err != nil {
			t.Fatal("PROVISION_TEST_PARTITIONS:", err)
		}
	}
	s, err := postgres.Open(t.Context(), Empty(t, partitions))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Empty returns where an empty store is on the server that all tests of the program share,
// in some partitions, or in plain tables for 0. Stores there are closed before the test
// ends.
//
// What is sent to partitions is planned when the test ends: it fails where a statement
// reads several of them and is none of those that may.
func Empty(t testing.TB, partitions int) postgres.Config {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.start(t)
	free := shared.free[partitions]
	var schema string
	if last := len(free) - 1; last >= 0 {
		schema, shared.free[partitions] = free[last], free[:last]
		shared.clear(t, schema)
	} else {
		shared.made++
		schema = fmt.Sprintf("test_%d_%d", os.Getpid(), shared.made)
	}
	t.Cleanup(func() { shared.release(t, schema, partitions) })
	pool := shared.pool
	if partitions > 0 {
		pool = shared.recorded
	}
	return postgres.Config{
		Pool: pool, Schema: schema, Partitions: partitions,
		// A busy machine fails nobody.
		AcquireTimeout: time.Minute, IdleTimeout: time.Minute, LockTimeout: 2 * time.Minute, StatementTimeout: 3 * time.Minute,
	}
}

// shared is the server of the program.
var shared server

// server is a server with schemas that are used again and again: to make the tables of a
// store takes longer than most tests.
type server struct {
	mu       sync.Mutex
	named    bool // it was there before, and goes on
	admin    *pgxpool.Pool
	pool     *pgxpool.Pool
	recorded *pgxpool.Pool // what it sends is told to plans
	plans    plans
	made     int
	free     map[int][]string // schemas, by the number of their partitions
}

// poolSize is how many connections the tests have at once.
const poolSize = 12

// start starts the server when there is none yet.
func (s *server) start(t testing.TB) {
	t.Helper()
	if s.admin != nil {
		return
	}
	l := lasting{t}
	url := os.Getenv("PROVISION_TEST_POSTGRES")
	s.named = url != ""
	if !s.named {
		started := Start(l)
		l.atEnd(`read -r pid <"$0"/data/postmaster.pid; kill -QUIT "$pid"
			while kill -0 "$pid"; do sleep 0.1; done; rm -rf "$0"`, started.directory)
		url = started.Database(t)
	}
	through := url
	if os.Getenv("PROVISION_TEST_PGBOUNCER") != "" {
		through = StartPooler(l, url, "transaction", poolSize)
	}
	s.free = map[int][]string{}
	s.pool = newPool(t, through, nil)
	s.recorded = newPool(t, through, s.plans.record)
	s.admin = newPool(t, url, nil)
}

// newPool returns a pool that tells fn what it sends.
func newPool(t testing.TB, url string, fn func(statement)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = poolSize
	if dial := config.ConnConfig.DialFunc; fn != nil {
		config.ConnConfig.DialFunc = tapped(dial, fn)
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// clear empties the tables of a schema.
func (s *server) clear(t testing.TB, schema string) {
	t.Helper()
	var statements string
	err := s.admin.QueryRow(t.Context(), `SELECT coalesce(string_agg(format('DELETE FROM %I.%I', $1::text, relname), ';'), '') FROM pg_class
		WHERE relnamespace = quote_ident($1)::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT LIKE '%schema'`,
		schema).Scan(&statements)
	if err == nil {
		err = s.execute(t.Context(), statements)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) execute(ctx context.Context, statements string) error {
	conn, err := s.admin.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, statements).ReadAll()
	return err
}

// release ends the use of a schema.
func (s *server) release(t testing.TB, schema string, partitions int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := context.WithoutCancel(t.Context())
	if partitions > 0 {
		s.plans.check(ctx, t, s.admin)
	}
	if !s.named {
		s.free[partitions] = append(s.free[partitions], schema)
	} else if err := s.execute(ctx, `DROP SCHEMA IF EXISTS `+schema+` CASCADE`); err != nil {
		t.Error(err)
	}
}

// lasting is a test for what outlives it and ends with the program.
type lasting struct{ testing.TB }

// Cleanup does nothing: atEnd does.
func (lasting) Cleanup(func()) {}

// TempDir returns a directory that stays.
func (l lasting) TempDir() string { return os.TempDir() }

// atEnd runs a script of the shell when the program has ended, in whatever way. It is a
// process that waits for the end of a pipe which this program keeps open.
func (l lasting) atEnd(script string, args ...string) {
	l.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		l.Fatal(err)
	}
	command := exec.Command("sh", append([]string{"-c", "read -r end; " + script}, args...)...) //nolint:noctx // it outlives everything
	command.Stdin, command.Dir = r, "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // nor does a terminal end it
	if err := command.Start(); err != nil {
		l.Fatal(err)
	}
	_ = r.Close()
	kept = append(kept, w)
}

// kept are the pipes of atEnd.
var kept []*os.File
