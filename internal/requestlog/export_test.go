package requestlog

// Waiting returns how many rows are not stored yet.
func (c *Counts) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rows)
}
