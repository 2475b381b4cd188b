package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

var (
	_ store.Exporter = (*Store)(nil)
	_ store.Importer = (*Store)(nil)
)

// Scopes implements [store.Exporter].
func (s *Store) Scopes(ctx context.Context) ([]string, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var list []string
	err := s.ask(ctx, func(conn *session) error {
		list = nil
		return sqlstore.LastEventOfAll(conn, sqlstore.LastEvents, func(scope string, _ int64) { list = append(list, scope) })
	})
	slices.Sort(list)
	return list, err
}

// Export implements [store.Exporter]. It keeps one snapshot and a connection of the pool
// until it ends; put may take a minute at a time.
func (s *Store) Export(ctx context.Context, scope string, put func(store.Rows) error) error {
	return s.read(ctx, "export", scope, func(r *sqlstore.Reader) error { return r.Export(put) })
}

// Import implements [store.Importer]. Each page of rows is a transaction.
func (s *Store) Import(ctx context.Context, scope string, from store.Exporter) (map[string]int, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if _, err := s.enter(scope, false); err != nil {
		return nil, err
	}
	defer s.leave(nil)
	m := &incoming{store: s, scope: scope, rows: map[string]int{}}
	if err := m.clear(ctx); err != nil {
		return nil, m.failed(err)
	}
	err := from.Export(ctx, scope, func(rows store.Rows) error { return m.put(ctx, rows) })
	if err == nil {
		err = m.finish(ctx)
	}
	if err != nil {
		return nil, m.failed(err)
	}
	return m.rows, nil
}

// incoming is an import of one scope.
type incoming struct {
	store *Store
	scope string
	rows  map[string]int
	last  store.Rows // what makes the scope be there
}

func (m *incoming) failed(err error) error {
	return fmt.Errorf("postgres: import of scope %q: %w", m.scope, err)
}

// in runs statements in a transaction.
func (m *incoming) in(ctx context.Context, fn func(*session) error) error {
	conn := m.store.newSession(ctx, control(beginUpdate), m.store.set(0, 0))
	defer conn.release()
	if err := fn(conn); err != nil {
		return err
	}
	if conn.conn == nil {
		return ctx.Err() // nothing was written
	}
	if sure, err := conn.commit(); !sure {
		return fmt.Errorf("nobody knows whether rows were written: %w", err)
	} else if err != nil {
		return err
	}
	return ctx.Err()
}

const hasScope = `SELECT 1 FROM provision_scopes WHERE scope = ?`

// clear removes what an import has left that did not come to its end.
func (m *incoming) clear(ctx context.Context) error {
	err := m.in(ctx, func(conn *session) error {
		there := false
		err := conn.Query(hasScope, func(sqlstore.Scanner) error {
			there = true
			return nil
		}, m.scope)
		if err == nil && there {
			err = store.ErrNotEmpty
		}
		return err
	})
	if err != nil {
		return err
	}
	return m.remove(ctx)
}

// Remove implements [store.Importer].
func (s *Store) Remove(ctx context.Context, scope string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if _, err := s.enter(scope, false); err != nil {
		return err
	}
	defer s.leave(nil)
	if err := (&incoming{store: s, scope: scope}).remove(ctx); err != nil {
		return fmt.Errorf("postgres: removing scope %q: %w", scope, err)
	}
	s.known.Delete(scope)
	s.told.Delete(scope)
	return nil
}

const (
	removeRows    = 2000
	removeCommits = `DELETE FROM provision_commits WHERE scope = ?`
)

// remove removes all rows of the scope. The row of the scope goes first: what is left
// where it ends early belongs to no scope.
func (m *incoming) remove(ctx context.Context) error {
	for _, t := range slices.Backward(sqlstore.Tables) {
		query, args := `DELETE FROM `+sqlstore.DefaultPrefix+t.Name+` WHERE scope = ?`, []any{m.scope}
		if t.Key > 0 {
			key := t.Names(t.Key)
			query += ` AND (` + key + `) IN (SELECT ` + key + ` FROM ` + sqlstore.DefaultPrefix + t.Name + ` WHERE scope = ? LIMIT CAST(? AS bigint))`
			args = append(args, m.scope, int64(removeRows))
		}
		for n := int64(removeRows); n == removeRows; {
			err := m.in(ctx, func(conn *session) (err error) {
				n, err = conn.Exec(query, args...)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return m.in(ctx, func(conn *session) error {
		_, err := conn.Exec(removeCommits, m.scope)
		return err
	})
}

// put writes rows, but for the last of all.
func (m *incoming) put(ctx context.Context, rows store.Rows) error {
	t, ok := sqlstore.TableNamed(rows.Table)
	if !ok || len(rows.Columns) != len(t.Columns) {
		return fmt.Errorf("the other store has a table %q with %d columns, which this program does not know", rows.Table, len(rows.Columns))
	}
	if t.Name == sqlstore.ScopesTable {
		m.last = rows
		return nil
	}
	return m.in(ctx, func(conn *session) error { return m.insert(conn, &t, rows.Values) })
}

// insert writes rows by one statement, and counts them.
func (m *incoming) insert(conn *session, t *sqlstore.Table, rows [][]any) error {
	args := []any{m.scope}
	var lists []string
	for i, c := range t.Columns {
		list, typ := column(c.Type, rows, i)
		args = append(args, list)
		lists = append(lists, `CAST(? AS `+typ+`[])`)
	}
	n, err := conn.Exec(`INSERT INTO `+sqlstore.DefaultPrefix+t.Name+` (scope, `+t.Names(len(t.Columns))+
		`) SELECT CAST(? AS text), u.* FROM unnest(`+strings.Join(lists, ", ")+`) AS u`, args...)
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("%d of %d rows of %s were written", n, len(rows), t.Name)
	}
	m.rows[t.Name] += len(rows)
	return err
}

// column returns a column of rows as an array, and the type of its elements.
func column(typ sqlstore.ColumnType, rows [][]any, i int) (list any, name string) {
	switch typ {
	case sqlstore.Number:
		return valuesOf[int64](rows, i), "bigint"
	case sqlstore.Flag:
		return valuesOf[bool](rows, i), "boolean"
	case sqlstore.Bytes:
		return valuesOf[[]byte](rows, i), "bytea"
	case sqlstore.Text:
		return valuesOf[string](rows, i), "text"
	case sqlstore.NullNumber:
		return orNull[int64](rows, i), "bigint"
	case sqlstore.NullText:
	}
	return orNull[string](rows, i), "text"
}

// orNull is valuesOf for a column that may be null.
func orNull[V any](rows [][]any, i int) []*V {
	list := make([]*V, len(rows))
	for n, row := range rows {
		if v, ok := row[i].(V); ok {
			list[n] = &v
		}
	}
	return list
}

func valuesOf[V any](rows [][]any, i int) []V {
	list := make([]V, len(rows))
	for n, row := range rows {
		list[n], _ = row[i].(V) // an Exporter gives what the column has
	}
	return list
}

// finish counts what is there, and makes the scope be there.
func (m *incoming) finish(ctx context.Context) error {
	if len(m.last.Values) != 1 {
		return errors.New("the other store does not have it")
	}
	return m.in(ctx, func(conn *session) error {
		for _, t := range sqlstore.Tables[:len(sqlstore.Tables)-1] {
			n := 0
			err := conn.Query(`SELECT count(*) FROM `+sqlstore.DefaultPrefix+t.Name+` WHERE scope = ?`,
				func(row sqlstore.Scanner) error { return row.Scan(&n) }, m.scope)
			if err == nil && n != m.rows[t.Name] {
				err = fmt.Errorf("%s has %d rows, and %d were copied: somebody writes the scope", t.Name, n, m.rows[t.Name])
			}
			if err != nil {
				return err
			}
		}
		n, err := conn.Exec(`INSERT INTO provision_scopes (scope, position, sequence, pruned) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			append([]any{m.scope}, m.last.Values[0]...)...)
		if err == nil && n != 1 {
			err = store.ErrNotEmpty
		}
		return err
	})
}
