package provision

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Attributes that are always kept as index keys. Others are marked by the host
// ([Engine.Indexes]). What is stored has no keys for those that were marked later, so
// that a connection remembers which are complete: a query is narrowed by these alone.
//
// The record says which; whoever changes it writes the connection anew as it is, so that
// every transaction, which reads that, knows of the change. A process that does not know
// a mark writes resources without its keys: it takes the index back in the same
// transaction.
var standardIndexes = map[string][]string{
	TypeUser:  {"userName", "externalId", "displayName", "emails.value", account.EnterpriseUser + ":manager.value"},
	TypeGroup: {"externalId", "displayName"},
}

// isStandard reports whether an attribute of some types is always kept, or is none of
// them.
func isStandard(types []string, attribute string) bool {
	known := false
	for _, t := range types {
		list, ok := standardIndexes[t]
		if !ok {
			return false
		}
		known = known || slices.Contains(list, attribute)
	}
	return known
}

// marks are the attributes that a host has marked beside the standard ones.
type marks struct {
	once   sync.Once
	byType map[string][]store.Index
	names  []string // ascending
	types  []string
}

// marks returns what the host has marked.
func (e *Engine) marks() *marks {
	m := &e.marked
	m.once.Do(func() {
		m.byType = map[string][]store.Index{}
		for _, x := range e.Indexes {
			if isStandard([]string{x.Type}, x.Attribute) || slices.Contains(m.names, x.Name()) {
				continue
			}
			if m.byType[x.Type] == nil {
				m.types = append(m.types, x.Type)
			}
			m.byType[x.Type] = append(m.byType[x.Type], x)
			m.names = append(m.names, x.Name())
		}
		slices.Sort(m.names)
	})
	return m
}

// keys appends the keys of a resource by what is marked, but for attributes of which it
// has some.
func (m *marks) keys(list []store.Key, r *Resource) []store.Key {
	for _, x := range m.byType[r.Type] {
		if !slices.ContainsFunc(list, func(k store.Key) bool { return k.Attribute == x.Attribute }) {
			list = x.Keys(list, r.Document)
		}
	}
	return list
}

// putResource writes a resource with all keys that this process knows of. Indexes that it
// does not know are incomplete from then on.
func (c *change) putResource(r *store.Resource) error {
	if r.Keys == nil {
		return c.tx.PutResource(r) // they stay as they are
	}
	m := c.engine.marks()
	r.Keys = m.keys(slices.Clip(r.Keys), r)
	if r.Keys == nil {
		r.Keys = []store.Key{}
	}
	known := func(name string) bool { return slices.Contains(m.names, name) }
	if c.conn != nil && (!every(c.conn.indexed.Complete, known) || !every(c.conn.indexed.Building, known)) {
		unknown := func(name string) bool { return !known(name) }
		err := c.setIndexed(func(x *records.IndexedAttributes) {
			x.Complete = slices.DeleteFunc(x.Complete, unknown)
			x.Building = slices.DeleteFunc(x.Building, unknown)
		})
		if err != nil {
			return err
		}
	}
	return c.tx.PutResource(r)
}

func every(list []string, is func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !is(s) })
}

// setIndexed changes which indexes are complete, and lets every process know.
func (c *change) setIndexed(fn func(*records.IndexedAttributes)) error {
	x, err := records.Indexed.Load(c.tx, "")
	if err != nil {
		return err
	}
	fn(&x.Value)
	if err := records.Indexed.Save(c.tx, &x); err != nil {
		return err
	}
	rec, err := records.LiveConnection(c.tx)
	if err != nil {
		return err
	}
	next := *c.conn
	next.indexed = x.Value
	next.Version, err = records.SaveConnection(c.tx, rec.Value)
	c.conn = &next
	return err
}

// IndexProgress is how it stands with the attributes that a host has marked.
type IndexProgress struct {
	Complete []string // of which queries are narrowed, such as "User:title"
	Building []string // of which the existing resources are being indexed
	Done     int      // resources so far
	Total    int      // resources of their types, about
}

// Indexing returns how it stands with the attributes that [Engine.Indexes] marks, or
// [ErrNotFound]. [Engine.Run] indexes what was there before: some resources at a time, so
// that other requests go on, and after a restart from where it was. Until an attribute is
// complete, queries do without its index.
func (d *Directory) Indexing(ctx context.Context) (IndexProgress, error) {
	var p IndexProgress
	err := d.view(ctx, func(r store.Reader) error {
		if err := d.exists(r); err != nil {
			return err
		}
		x, err := records.Indexed.Load(r, "")
		if err != nil {
			return err
		}
		p = IndexProgress{Complete: x.Value.Complete, Building: x.Value.Building, Done: x.Value.Done}
		if len(p.Building) > 0 {
			page, err := r.Query(store.Query{Types: d.engine.marks().types})
			if err != nil {
				return err
			}
			p.Total = page.Total
		}
		return nil
	})
	return p, err
}

const (
	// indexRows is how many resources are indexed in a transaction, and indexBatches how
	// many transactions follow each other before other work has its turn.
	indexRows    = 50
	indexBatches = 20
	indexBytes   = 4 << 20
)

// index indexes some more resources of a connection, if an attribute is marked that is not
// complete, and reports whether others are left.
func (e *Engine) index(ctx context.Context, connection string) (more bool, err error) {
	m := e.marks()
	c, err := e.connection(ctx, connection)
	if err != nil {
		return false, err
	}
	if len(m.names) == 0 || every(m.names, func(name string) bool { return slices.Contains(c.indexed.Complete, name) }) {
		return false, nil
	}
	err = e.update(ctx, connection, bySystem(), func(c *change) error {
		more, err = c.indexBatch(m)
		return err
	})
	if err == nil && !more {
		e.logger().Info("attributes are indexed", "connection", connection, "attributes", m.names)
	}
	return more, err
}

// indexBatch indexes the next resources.
func (c *change) indexBatch(m *marks) (more bool, err error) {
	x, err := records.Indexed.Load(c.tx, "")
	if err != nil {
		return false, err
	}
	var missing []string
	for _, name := range m.names {
		if !slices.Contains(x.Value.Complete, name) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 0:
		return false, nil
	case !slices.Equal(missing, x.Value.Building):
		// Writers keep these from now on, or take them back.
		return true, c.setIndexed(func(x *records.IndexedAttributes) { x.Building, x.At, x.Done = missing, 0, 0 })
	}
	page, err := c.tx.Query(store.Query{Types: m.types, After: x.Value.At, Limit: indexRows, NoTotal: true, Bytes: indexBytes})
	if err != nil {
		return false, err
	}
	for _, r := range page.Resources {
		if err := c.tx.AddKeys(r.Type, r.ID, m.keys(nil, r)); err != nil {
			return false, err
		}
		x.Value.At = r.Position
	}
	x.Value.Done += len(page.Resources)
	if len(page.Resources) == indexRows || page.Cut {
		return true, records.Indexed.Save(c.tx, &x)
	}
	return false, c.setIndexed(func(x *records.IndexedAttributes) {
		x.Complete = append(x.Complete, x.Building...)
		slices.Sort(x.Complete)
		x.Building, x.At, x.Done = nil, 0, 0
	})
}

// index indexes marked attributes: RunOnce all of it, Run for a while.
func (b *background) index(ctx context.Context, id string) error {
	for n := 0; ; n++ {
		more, err := b.engine.index(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil // it was deleted
		case err != nil || !more:
			return err
		case n >= indexBatches && b.schedules != nil:
			return errAgain
		}
	}
}

// narrowed returns a query that is narrowed only by indexes that are complete in a
// connection.
func (c *compiled) narrowed(q store.Query) store.Query {
	q.Filter = store.WithoutIndexes(q.Filter, func(attribute string) bool {
		return isStandard(q.Types, attribute) || len(q.Types) > 0 && every(q.Types, func(t string) bool {
			return slices.Contains(c.indexed.Complete, store.Index{Type: t, Attribute: attribute}.Name())
		})
	})
	return q
}

// usesMarks reports whether a filter may be narrowed by an index that is not always
// complete.
func usesMarks(q *store.Query) bool {
	return q.Filter != nil && !every(store.IndexesOf(q.Filter), func(attribute string) bool { return isStandard(q.Types, attribute) })
}
