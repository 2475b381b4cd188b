package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the files that make and change the schema, in the order of
// their names. [Open] applies them; a host that applies them with a tool of its
// own sets Config.NoMigrate. Each keeps the version in the table
// provision_schema. With another Config.Prefix, replace "provision_" in them.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the directory is embedded
	}
	return sub
}

// prepare checks that the database can be used, puts it into WAL mode and
// brings its schema up to date. It may be called again when the database was
// busy: another process that opens or closes it keeps it locked for a moment.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.writable(); err != nil {
		return err
	}
	have, err := s.version(ctx)
	if err != nil {
		return err
	}
	files, err := fs.ReadDir(s.migrations, ".")
	if err != nil {
		return err
	}
	switch {
	case have > len(files):
		return fmt.Errorf("the schema has version %d, and this program knows up to %d", have, len(files))
	case have < len(files) && s.config.NoMigrate:
		return fmt.Errorf("the schema has version %d of %d, and migrations are not allowed", have, len(files))
	}
	if err := s.useWAL(ctx); err != nil {
		return err
	}
	if err := s.writer.findWAL(ctx, s.config.WALLimit); err != nil {
		return err
	}
	if have == len(files) {
		return nil
	}
	return s.migrate(ctx, files)
}

// writable fails when the database is open for reading only.
func (s *Store) writable() error {
	return s.writer.conn.Raw(func(conn any) error {
		c, ok := conn.(interface{ IsReadOnly(string) (bool, error) })
		if !ok {
			return nil // another driver: the first Update will tell
		}
		readOnly, err := c.IsReadOnly("main")
		if err == nil && readOnly {
			err = errors.New("the database is read-only")
		}
		return err
	})
}

// version returns the version of the schema, 0 when there is none. A file with
// other tables, and none of ours, is somebody else's.
func (s *Store) version(ctx context.Context) (version int, err error) {
	row := func(query string, dest ...any) error {
		query = sqlstore.Rewrite(query, s.config.Prefix)
		return classify(s.writer.conn.QueryRowContext(ctx, query).Scan(dest...))
	}
	var ours, all int
	// One statement, as another process may be making the tables right now.
	err = row(`SELECT count(*) FILTER (WHERE name = 'provision_schema'), count(*)
		FROM sqlite_master WHERE type = 'table'`, &ours, &all)
	if err != nil {
		return 0, err
	}
	if ours == 0 {
		if s.config.DB == nil && all > 0 {
			return 0, errors.New("the file holds other tables; to share a database set Config.DB")
		}
		return 0, nil
	}
	err = row(`SELECT version FROM provision_schema`, &version)
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.New("the table of the schema version is empty")
	}
	return version, err
}

// useWAL switches the journal mode.
func (s *Store) useWAL(ctx context.Context) error {
	var mode string
	err := classify(s.writer.conn.QueryRowContext(ctx, journalMode).Scan(&mode))
	if err == nil && mode != "wal" {
		err = fmt.Errorf("the database cannot use a write-ahead log: its journal mode is %q", mode)
	}
	return err
}

// migrate applies the migrations that are missing, all in one transaction, under the
// write lock.
func (s *Store) migrate(ctx context.Context, files []fs.DirEntry) error {
	if err := s.writer.begin(ctx, beginWrite); err != nil {
		return err
	}
	have, err := s.version(ctx) // again: another process may have been first
	if err != nil {
		s.writer.Rollback()
		return err
	}
	for _, file := range files[min(have, len(files)):] {
		text, err := fs.ReadFile(s.migrations, file.Name())
		if err == nil {
			_, err = s.writer.conn.ExecContext(ctx, sqlstore.Rewrite(string(text), s.config.Prefix))
		}
		if err != nil {
			s.writer.Rollback()
			return fmt.Errorf("migration %s: %w", file.Name(), classify(err))
		}
	}
	return s.writer.Commit()
}
