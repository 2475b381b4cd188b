package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

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
	known, err := sqlstore.ReadMigrations(s.migrations)
	if err != nil {
		return err
	}
	missing, err := have.Missing(known)
	if err != nil {
		return err
	}
	if len(missing) > 0 && s.config.NoMigrate {
		return fmt.Errorf("the schema has version %d, and this program needs %d: apply sqlite.Migrations, or open once without NoMigrate", have.Is, len(known))
	}
	if err := s.useWAL(ctx); err != nil {
		return err
	}
	if err := s.writer.findWAL(ctx, s.config.WALLimit); err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	return s.migrate(ctx, known)
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

// version returns the version of the schema, zero when there is none. A file with
// other tables, and none of ours, is somebody else's.
func (s *Store) version(ctx context.Context) (version sqlstore.Version, err error) {
	row := func(query string, dest ...any) error {
		query = sqlstore.Rewrite(query, s.config.Prefix)
		return classify(s.writer.conn.QueryRowContext(ctx, query).Scan(dest...))
	}
	var ours, all int
	// One statement, as another process may be making the tables right now.
	err = row(`SELECT count(*) FILTER (WHERE name = 'provision_schema'), count(*)
		FROM sqlite_master WHERE type = 'table'`, &ours, &all)
	if err != nil {
		return version, err
	}
	if ours == 0 {
		if s.config.DB == nil && all > 0 {
			return version, errors.New("the file holds other tables; to share a database set Config.DB")
		}
		return version, nil
	}
	err = row(sqlstore.SelectVersion, &version.Is, &version.Oldest)
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
func (s *Store) migrate(ctx context.Context, known []sqlstore.Migration) error {
	if err := s.writer.begin(ctx, beginWrite); err != nil {
		return err
	}
	err := s.migrateInside(ctx, known)
	if err != nil {
		s.writer.Rollback()
		return err
	}
	return s.writer.Commit()
}

// migrateInside is migrate in its transaction.
func (s *Store) migrateInside(ctx context.Context, known []sqlstore.Migration) error {
	have, err := s.version(ctx) // again: another process may have been first
	if err != nil {
		return err
	}
	missing, err := have.Missing(known)
	if err != nil {
		return err
	}
	for _, m := range missing {
		var size int64
		if len(m.Rewrites) > 0 {
			if size, err = s.room(ctx); err != nil {
				return fmt.Errorf("migration %s: %w", m.File, err)
			}
		}
		err := m.Run(m.Statements, size, s.config.Migrating, func(statement string) error {
			_, err := s.writer.conn.ExecContext(ctx, sqlstore.Rewrite(statement, s.config.Prefix))
			return classify(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// room returns how large the file is, and an error where the disk has less room than a
// migration may need that writes it anew: once for the write-ahead log, and once for the
// file, in which the old pages are free only afterwards.
func (s *Store) room(ctx context.Context) (size int64, err error) {
	var file string
	err = s.writer.conn.QueryRowContext(ctx, `SELECT d.file, c.page_count * s.page_size
		FROM pragma_database_list d, pragma_page_count c, pragma_page_size s WHERE d.name = 'main'`).Scan(&file, &size)
	if err != nil {
		return 0, classify(err)
	}
	free, known := s.free(filepath.Dir(file))
	if known && free < 2*size {
		return 0, fmt.Errorf("%w: it writes %d bytes anew and the disk has %d bytes free: free %d more, nothing was changed", errNoRoom, size, free, 2*size-free)
	}
	return size, nil
}

var errNoRoom = errors.New("not enough room on the disk")
