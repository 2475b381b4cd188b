package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the files that make and change the schema, in the order of
// their names. [Open] applies them; a host that applies them with a tool of its
// own sets Config.SkipMigrations, and gives the text of each to
// [Config.Migration] first. Each keeps the version in the table provision_schema.
// Every statement may be run again.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the directory is embedded
	}
	return sub
}

// Migration returns the text of a file of [Migrations] for the schema, the prefix and
// the partitions of c.
func (c Config) Migration(text string) string {
	if c.Prefix == "" {
		c.Prefix = sqlstore.DefaultPrefix
	}
	var out strings.Builder
	for _, statement := range statements(text) {
		for _, part := range partitioned(statement, c.Partitions) {
			out.WriteString(c.rewriteDefinition(part))
			out.WriteString(";\n\n")
		}
	}
	return out.String()
}

// statements splits a file and drops its comments.
func statements(text string) []string {
	var list []string
	for statement := range strings.SplitSeq(comment.ReplaceAllString(text, ""), ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			list = append(list, statement)
		}
	}
	return list
}

var (
	comment     = regexp.MustCompile(`(?m)\s*--.*$`)
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE IF NOT EXISTS (\w+) \(\n(.*)\n\)( WITH \(.*\))?$`)
	indexName   = regexp.MustCompile(`\bINDEX IF NOT EXISTS ` + sqlstore.DefaultPrefix)
)

// partitioned returns the statements that make a table in partitions, where the
// statement makes one that has a scope. Its storage is that of the partitions.
func partitioned(statement string, partitions int) []string {
	m := createTable.FindStringSubmatch(statement)
	if m == nil || partitions == 0 || !strings.HasPrefix(strings.TrimSpace(m[2]), "scope ") {
		return []string{statement}
	}
	list := []string{fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (\n%s\n) PARTITION BY HASH (scope)", m[1], m[2])}
	for i := range partitions {
		list = append(list, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s_p%d PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)%s",
			m[1], i, m[1], partitions, i, m[3]))
	}
	return list
}

// rewriteDefinition names the tables. An index is in the schema of its table and must
// not name it.
func (c Config) rewriteDefinition(statement string) string {
	const mark = "\x00"
	statement = indexName.ReplaceAllString(statement, "INDEX IF NOT EXISTS "+mark)
	return strings.ReplaceAll(sqlstore.Rewrite(statement, c.tables()), mark, c.Prefix)
}

// tables returns what stands before the name of every table in a statement.
func (c Config) tables() string {
	if c.Schema == "" {
		return c.Prefix
	}
	return pgx.Identifier{c.Schema}.Sanitize() + "." + c.Prefix
}

// How long a migration waits for others, and how long at a time: a lock that waits
// stops everybody behind it.
const (
	migrationWait = time.Minute
	migrationLock = 2 * time.Second
)

// prepareSchema brings the schema up to date, or checks that it is.
func (s *Store) prepareSchema(ctx context.Context, conn *pgx.Conn) error {
	files, err := fs.ReadDir(s.migrations, ".")
	if err != nil {
		return err
	}
	have, err := s.version(ctx, conn)
	switch {
	case err != nil:
		return err
	case have > len(files):
		return fmt.Errorf("the schema has version %d, and this program knows up to %d: run a newer program", have, len(files))
	case have == len(files):
		return nil
	case s.config.SkipMigrations:
		return fmt.Errorf("the schema has version %d, and this program needs %d: apply postgres.Migrations first, or open once without SkipMigrations and with a role that may create tables", have, len(files))
	}
	return s.migrateWaiting(ctx, conn, files)
}

// version returns the version of the schema, 0 when there is none.
func (s *Store) version(ctx context.Context, conn *pgx.Conn) (version int, err error) {
	var there bool
	err = queryRow(ctx, conn, `SELECT to_regclass($1) IS NOT NULL`, s.config.tables()+"schema").Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	err = queryRow(ctx, conn, s.config.rewriteDefinition(`SELECT version FROM provision_schema`)).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

// queryRow asks without preparing: it works through every pooler.
func queryRow(ctx context.Context, conn *pgx.Conn, query string, args ...any) pgx.Row {
	return conn.QueryRow(ctx, query, append([]any{pgx.QueryExecModeExec}, args...)...)
}

// migrateWaiting migrates again while somebody else does, or keeps it from a lock.
func (s *Store) migrateWaiting(ctx context.Context, conn *pgx.Conn, files []fs.DirEntry) error {
	for deadline := time.Now().Add(migrationWait); ; {
		err := s.migrate(ctx, conn, files)
		if !isRace(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// isRace reports whether a migration failed because another one ran: IF NOT EXISTS
// does not see what is not committed yet.
func isRace(err error) bool {
	switch sqlState(err) {
	case codeLock, codeDeadlock, codeSerialization, "23505", "42P07", "42P06", "42710":
		return true
	}
	return false
}

// migrate applies the migrations that are missing, in one transaction that holds a
// lock on the table of the version. It needs no lock of a session, so that it works
// through a pooler.
func (s *Store) migrate(ctx context.Context, conn *pgx.Conn, files []fs.DirEntry) (err error) {
	first := s.config.rewriteDefinition(`CREATE TABLE IF NOT EXISTS provision_schema (version bigint NOT NULL)`)
	if s.config.Schema != "" {
		var there bool
		if err := queryRow(ctx, conn, `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL`, s.config.Schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			first = `CREATE SCHEMA IF NOT EXISTS ` + pgx.Identifier{s.config.Schema}.Sanitize() + "; " + first
		}
	}
	if err := execAll(ctx, conn, first); err != nil {
		return s.explain(err)
	}
	lock := fmt.Sprintf(`BEGIN; SET LOCAL lock_timeout = %d; `, migrationLock.Milliseconds()) +
		s.config.rewriteDefinition(`LOCK TABLE provision_schema IN EXCLUSIVE MODE`)
	defer func() {
		if err != nil {
			err = errors.Join(err, execAll(context.WithoutCancel(ctx), conn, `ROLLBACK`))
		}
	}()
	if err := execAll(ctx, conn, lock); err != nil {
		return s.explain(err)
	}
	have, err := s.version(ctx, conn) // again: another process may have been first
	if err != nil {
		return err
	}
	for _, file := range files[min(have, len(files)):] {
		text, err := fs.ReadFile(s.migrations, file.Name())
		if err == nil {
			err = execAll(ctx, conn, s.config.Migration(string(text)))
		}
		if err != nil {
			return fmt.Errorf("migration %s: %w", file.Name(), s.explain(err))
		}
	}
	return execAll(ctx, conn, `COMMIT`)
}

// execAll runs statements that have no parameters.
func execAll(ctx context.Context, conn *pgx.Conn, text string) error {
	_, err := conn.PgConn().Exec(ctx, text).ReadAll()
	return err
}

// explain adds what to do where a role may not do something.
func (s *Store) explain(err error) error {
	if sqlState(err) != "42501" {
		return err
	}
	return fmt.Errorf("the role may not make tables here: grant it CREATE on the schema, or let another role apply postgres.Migrations and set SkipMigrations: %w", err)
}

// sqlState returns the code of an error of the server, or "".
func sqlState(err error) string {
	var failed *pgconn.PgError
	if errors.As(err, &failed) {
		return failed.Code
	}
	return ""
}
