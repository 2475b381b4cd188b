package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// killEnv names the database that a child process writes to until it is killed.
const killEnv = "PROVISION_SQLITE_KILL"

// TestKilledChild is the child process of TestKill. Alone it does nothing.
func TestKilledChild(t *testing.T) {
	path, first, ok := strings.Cut(os.Getenv(killEnv), "=")
	if !ok {
		return
	}
	next, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	take := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next
	}
	for range 8 {
		wg.Go(func() {
			for {
				n := take()
				if err := create(s, n); err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("ack %d\n", n) // one write each, so that no line is cut
			}
		})
	}
	wg.Wait()
}

// TestKill kills a process while it writes. What it acknowledged must be there,
// and what it was writing must be there whole or not at all.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	acknowledged := map[int64]bool{}
	for round := range int64(3) {
		writeUntilKilled(t, path, round*1_000_000, 200, acknowledged)
		checkKilled(t, path, acknowledged)
	}
}

// writeUntilKilled starts a child and kills it after some writes.
func writeUntilKilled(t *testing.T, path string, first int64, writes int, acknowledged map[int64]bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s=%d", killEnv, path, first))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); {
		text, ok := strings.CutPrefix(lines.Text(), "ack ")
		if !ok {
			t.Errorf("the child says %q", lines.Text())
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged[n] = true
		if seen++; seen == writes {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

func checkKilled(t *testing.T, path string, acknowledged map[int64]bool) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.View(t.Context(), benchScope, func(_ context.Context, r store.Reader) error {
		for n := range acknowledged {
			page, err := r.Query(store.Query{Filter: keyFilter("userName", userName(n))})
			if err != nil || page.Total != 1 {
				t.Fatalf("user %d was acknowledged and is found %d times, %v", n, page.Total, err)
			}
			if _, err := r.AccountOf(userID(n)); err != nil {
				t.Fatalf("account of user %d: %v", n, err)
			}
		}
		page, err := r.Query(store.Query{})
		if err != nil {
			return err
		}
		accounts, err := r.Accounts(store.AccountQuery{})
		if err != nil {
			return err
		}
		events, err := r.Events(0, 0)
		if page.Total != len(accounts) || page.Total != len(events) || page.Total < len(acknowledged) {
			t.Errorf("%d resources, %d accounts and %d events for %d acknowledgements",
				page.Total, len(accounts), len(events), len(acknowledged))
		}
		for i, e := range events {
			if e.Sequence != int64(i+1) {
				t.Fatalf("event %d has sequence %d", i, e.Sequence)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
