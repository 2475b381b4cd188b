//go:build linux

package postgrestest

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// Disk is a small file system, to be filled up. It is gone with the test.
type Disk struct {
	Directory string // empty at first, and the server's
}

// NewDisk makes one of some bytes, in memory. Where it may not it skips the test, as
// Start does.
func NewDisk(t *testing.T, size int) *Disk {
	t.Helper()
	s := newServer(t)
	d := &Disk{Directory: s.directory}
	if err := syscall.Mount("tmpfs", d.Directory, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		t.Skip("SKIP-EXTERNAL: a file system cannot be mounted:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.Directory, syscall.MNT_DETACH) })
	if s.owner != nil {
		owner := s.owner.Credential
		if err := os.Chown(d.Directory, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// Resize makes the disk larger.
func (d *Disk) Resize(t *testing.T, size int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", d.Directory, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
}
