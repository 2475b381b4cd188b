//go:build !linux && !darwin

package sqlite

// freeBytes knows nothing here.
func freeBytes(string) (free int64, known bool) { return 0, false }
