package sqlstore

import (
	"slices"

	"github.com/scimjit/provision/store"
)

const (
	// chunkRows is how many resources a scan holds at once, and chunkBytes how
	// large they are together, but for the last of them.
	chunkRows  = store.ScanLook
	chunkBytes = 1 << 20
)

// chunk is the resources that a scan holds at once. The next ones take their memory:
// most are garbage as soon as they were looked at, and collecting it would take the
// processors from look-ups.
type chunk struct {
	rows      []store.Resource
	documents []byte
	size      int
}

// read reads the next resources by a statement, as many as there is room for.
func (c *chunk) read(conn Conn, query string, args ...any) error {
	c.rows, c.documents, c.size = c.rows[:0], c.documents[:0], 0
	scan := resourceScan{documents: &c.documents}
	return conn.Query(query, func(row Scanner) error {
		if err := scan.read(row); err != nil {
			return err
		}
		c.rows = append(c.rows, scan.resource)
		if c.size += scan.resource.Size(); c.full() {
			return ErrEnough
		}
		return nil
	}, args...)
}

// full reports whether there may be more than the chunk has room for.
func (c *chunk) full() bool { return len(c.rows) >= chunkRows || c.size >= chunkBytes }

func (c *chunk) last() int64 { return c.rows[len(c.rows)-1].Position }

// match adds copies of those resources to the selection that the filter matches. No
// statement is open meanwhile, as a filter may ask for memberships.
func (c *chunk) match(s *selection, r *Reader) error {
	for i := range c.rows {
		res := &c.rows[i]
		ok, err := s.matches(r, res)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if s.query.Sort == nil && !s.page.Full() {
			kept := *res
			kept.Document = slices.Clone(res.Document)
			res = &kept
		}
		s.add(res)
	}
	return nil
}
