package postgres

import (
	"cmp"
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
// [Config.Migration] first; the command store/storectl prints them all ready. Each keeps
// the version in the table provision_schema. Every statement may be run again.
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
	var out strings.Builder
	for _, statement := range c.definitions(sqlstore.Statements(text)) {
		out.WriteString(statement)
		out.WriteString(";\n\n")
	}
	return out.String()
}

// Script returns the migrations after a version, 0 for all, as one transaction of plain
// SQL for the schema, the prefix and the partitions of c: what an owner of the tables
// gives to psql where the role of [Open] may not make any. It says on top what it is.
// The error is that of a wrong name, or of a version that there is not.
func (c Config) Script(after int) (string, error) {
	if err := c.completeNames(); err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
	list, err := sqlstore.ReadMigrations(Migrations())
	if err != nil {
		return "", err
	}
	if after < 0 || after >= len(list) {
		return "", fmt.Errorf("postgres: there is no migration after version %d: the newest is %d", after, len(list))
	}
	var out strings.Builder
	fmt.Fprintf(&out, "-- Tables of package postgres, from version %d to %d. It may be run again.\n", after, len(list))
	fmt.Fprintf(&out, "BEGIN;\n\nSET LOCAL lock_timeout = '%s';\n\n", migrationLock)
	if c.Schema != "" && after == 0 {
		fmt.Fprintf(&out, "-- Needs CREATE on the database: leave it out where the schema is there.\n%s;\n\n", c.createSchema())
	}
	for _, m := range list[after:] {
		fmt.Fprintf(&out, "-- %s\n%s", m.File, c.Migration(m.Text))
	}
	out.WriteString("COMMIT;\n")
	return out.String(), nil
}

// Grants returns the statements that give a role what [Open] needs with
// SkipMigrations: to read and write the tables, and nothing else.
func (c Config) Grants(role string) (string, error) {
	if err := c.completeNames(); err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
	to := pgx.Identifier{role}.Sanitize()
	var out strings.Builder
	if c.Schema != "" {
		fmt.Fprintf(&out, "GRANT USAGE ON SCHEMA %s TO %s;\n", pgx.Identifier{c.Schema}.Sanitize(), to)
	}
	for _, name := range names {
		rights := "SELECT, INSERT, UPDATE, DELETE"
		if name == schemaTable {
			rights = "SELECT"
		}
		fmt.Fprintf(&out, "GRANT %s ON %s%s TO %s;\n", rights, c.tables(), name, to)
	}
	return out.String(), nil
}

func (c Config) createSchema() string {
	return `CREATE SCHEMA IF NOT EXISTS ` + pgx.Identifier{c.Schema}.Sanitize()
}

// definitions returns statements for the schema, the prefix and the partitions of c.
func (c Config) definitions(list []string) (out []string) {
	c.Prefix = cmp.Or(c.Prefix, sqlstore.DefaultPrefix)
	for _, statement := range list {
		for _, part := range partitioned(statement, c.Partitions) {
			out = append(out, c.rewriteDefinition(part))
		}
	}
	return out
}

var (
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
	known, err := sqlstore.ReadMigrations(s.migrations)
	if err != nil {
		return err
	}
	have, err := s.version(ctx, conn)
	if err != nil {
		return err
	}
	missing, err := have.Missing(known)
	switch {
	case err != nil || len(missing) == 0:
		return err
	case s.config.SkipMigrations:
		return fmt.Errorf("the schema has version %d, and this program needs %d: an owner of the tables applies what %q prints, or opens once without SkipMigrations",
			have.Is, len(known), s.config.printCommand(have.Is))
	}
	return s.migrateWaiting(ctx, conn, known)
}

// printCommand returns the command that prints the migrations after a version.
func (c Config) printCommand(after int) string {
	text := "go run github.com/scimjit/provision/store/storectl migrations"
	if c.Schema != "" {
		text += " -schema " + c.Schema
	}
	if c.Prefix != sqlstore.DefaultPrefix {
		text += " -prefix " + c.Prefix
	}
	if c.Partitions > 0 {
		text += fmt.Sprintf(" -partitions %d", c.Partitions)
	}
	if after > 0 {
		text += fmt.Sprintf(" -after %d", after)
	}
	return text
}

// version returns the version of the schema, zero when there is none.
func (s *Store) version(ctx context.Context, conn *pgx.Conn) (v sqlstore.Version, err error) {
	var there bool
	err = queryRow(ctx, conn, `SELECT to_regclass($1) IS NOT NULL`, s.config.tables()+schemaTable).Scan(&there)
	if err != nil || !there {
		return v, err
	}
	err = queryRow(ctx, conn, s.config.rewriteDefinition(sqlstore.SelectVersion)).Scan(&v.Is, &v.Oldest)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, nil
	}
	return v, err
}

// queryRow asks without preparing: it works through every pooler.
func queryRow(ctx context.Context, conn *pgx.Conn, query string, args ...any) pgx.Row {
	return conn.QueryRow(ctx, query, append([]any{pgx.QueryExecModeExec}, args...)...)
}

// migrateWaiting migrates again while somebody else does, or keeps it from a lock.
func (s *Store) migrateWaiting(ctx context.Context, conn *pgx.Conn, known []sqlstore.Migration) error {
	for deadline := time.Now().Add(migrationWait); ; {
		err := s.migrate(ctx, conn, known)
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
func (s *Store) migrate(ctx context.Context, conn *pgx.Conn, known []sqlstore.Migration) (err error) {
	first := s.config.rewriteDefinition(makeSchemaTable)
	if s.config.Schema != "" {
		var there bool
		if err := queryRow(ctx, conn, `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL`, s.config.Schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			first = s.config.createSchema() + "; " + first
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
	missing, err := have.Missing(known)
	if err != nil {
		return err
	}
	for _, m := range missing {
		if err := s.apply(ctx, conn, &m); err != nil {
			return s.explain(err)
		}
	}
	return execAll(ctx, conn, `COMMIT`)
}

// apply runs one migration.
func (s *Store) apply(ctx context.Context, conn *pgx.Conn, m *sqlstore.Migration) error {
	var size int64
	for _, table := range m.Rewrites {
		n := int64(0)
		err := queryRow(ctx, conn, tableSize, s.config.rewriteDefinition(table)).Scan(&n)
		if err != nil {
			return fmt.Errorf("migration %s: the size of %s: %w", m.File, table, err)
		}
		size += n
	}
	return m.Run(s.config.definitions(m.Statements), size, s.config.Migrating, func(statement string) error {
		return execAll(ctx, conn, statement)
	})
}

const (
	schemaTable     = "schema" // without the prefix
	makeSchemaTable = `CREATE TABLE IF NOT EXISTS provision_schema (version bigint NOT NULL, oldest bigint NOT NULL)`

	// tableSize asks for the bytes of a table with its partitions and indexes, 0 where
	// there is no such table.
	tableSize = `SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
		FROM (SELECT relid FROM pg_partition_tree(to_regclass($1)) UNION SELECT to_regclass($1)) t WHERE relid IS NOT NULL`
)

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
	return fmt.Errorf("the role may not make tables here: grant it CREATE on the schema, or let an owner apply what %q prints and set SkipMigrations: %w", s.config.printCommand(0), err)
}

// sqlState returns the code of an error of the server, or "".
func sqlState(err error) string {
	var failed *pgconn.PgError
	if errors.As(err, &failed) {
		return failed.Code
	}
	return ""
}
