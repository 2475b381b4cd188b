package store

// Documents returns how many documents and elements m has passed over, and Values
// how many values it has decoded or normalized.
func (m *Matcher) Documents() int { return m.work.documents }

// Values is described at Documents.
func (m *Matcher) Values() int { return m.work.values }
