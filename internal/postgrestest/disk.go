//go:build linux

package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small file system, to be filled up. It is gone with the test.
type Disk struct {
	Directory string // of the servers
}

// NewDisk makes one of some bytes, in memory. Where it may not it skips the test: that
// takes a right, and no program which could be installed, so that SKIP-EXTERNAL, which
// the gate refuses, would be the wrong word. The gate shows each skip.
func NewDisk(t *testing.T, size int) *Disk {
	t.Helper()
	s := newServer(t)
	d := &Disk{Directory: s.directory}
	if err := syscall.Mount("tmpfs", d.Directory, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		t.Skip("a file system cannot be mounted, as in a container without the right to:", err)
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

// Fill leaves no room on the disk.
func (d *Disk) Fill(t *testing.T) {
	t.Helper()
	file, err := os.Create(d.filler())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for size := 1 << 20; size > 0; size /= 2 { // the last ones find no room
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// Clear gives back the room that Fill took.
func (d *Disk) Clear(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}

func (d *Disk) filler() string { return filepath.Join(d.Directory, "filler") }
