package memory

// Scopes returns how many scopes take memory.
func (s *Store) Scopes() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.scopes)
}
