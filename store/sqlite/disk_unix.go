//go:build linux || darwin

package sqlite

import (
	"math"
	"syscall"
)

// freeBytes returns how many bytes of the file system of a directory this process may
// still use, and whether that is known.
func freeBytes(directory string) (free int64, known bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(directory, &fs); err != nil {
		return 0, false
	}
	bytes := fs.Bavail * uint64(fs.Bsize)
	return int64(min(bytes, math.MaxInt64)), true
}
