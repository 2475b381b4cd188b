package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/storetest"
)

// startPooler runs pgbouncer in transaction mode before a database, with some connections
// for all clients, and returns the connection string through it.
func startPooler(t *testing.T, url string, size int) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("SKIP-EXTERNAL: pgbouncer is not installed")
	}
	directory, err := os.MkdirTemp("", "pgbouncer") // a socket has a short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	write := func(name, text string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := write("users", `"postgres" ""`)
	settings := write("settings", fmt.Sprintf(`[databases]
* = host=%s user=postgres
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = %s
auth_type = any
auth_file = %s
pool_mode = transaction
default_pool_size = %d
`, hostOf.FindStringSubmatch(url)[1], directory, users, size))
	if err := os.Chmod(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	args := []string{settings}
	if os.Getuid() == 0 { // which it refuses to be: it is who may read the socket of the server
		args = append([]string{"-u", owner(t)}, args...)
	}
	command := exec.Command(program, args...)
	var log strings.Builder
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	through := hostOf.ReplaceAllString(url, "host="+directory)
	for range 100 {
		conn, err := pgx.Connect(t.Context(), through+" default_query_exec_mode=exec connect_timeout=5")
		if err == nil {
			_ = conn.Close(t.Context())
			return through
		}
		time.Sleep(20 * time.Millisecond) // until it listens
	}
	t.Fatalf("pgbouncer does not answer:\n%s", log.String())
	return ""
}

// owner returns who package postgrestest runs a server as, where root does.
func owner(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		if _, err := user.Lookup(name); err == nil {
			return name
		}
	}
	t.Fatal("there is no user postgres, nor nobody")
	return ""
}

// TestPostgreSQLPooler works through pgbouncer without being told of it.
func TestPostgreSQLPooler(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.URL = startPooler(t, config.URL, 3) // fewer than clients
	config.AcquireTimeout = time.Minute        // a busy machine fails nobody
	s := open(t, config)
	if !postgres.Unnamed(s) {
		t.Fatal("the pooler was not noticed")
	}
	race([]*postgres.Store{s, open(t, config)}, 60, func(s *postgres.Store, i int) {
		scope := fmt.Sprint("scope", i%6)
		if err := s.Update(t.Context(), scope, appendEvent); err != nil {
			t.Error(err)
		}
		lastEvent(t, s, scope)
	})
	storetest.RunSame(t, 1, 60, s)
	large := strings.Repeat("x", 10<<20)
	err := s.Update(t.Context(), "large", func(_ context.Context, tx store.Tx) error {
		return tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte(large)})
	})
	if err != nil {
		t.Error(err)
	}
	err = s.View(t.Context(), "large", func(_ context.Context, r store.Reader) error {
		got, err := r.Record("lease", "k")
		if err == nil && string(got.Value) != large {
			t.Error("10 MiB came back as something else")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
