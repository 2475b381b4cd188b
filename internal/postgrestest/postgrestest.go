//go:build unix

// Package postgrestest gives tests PostgreSQL: a server of their own ([Start]), or an empty
// store on one that all tests of a program share ([Open]).
//
// # Environment
//
//   - PROVISION_TEST_POSTGRES_BIN is the directory with the programs of the server. Without
//     it those of Debian are used, the newest.
//   - PROVISION_TEST_POSTGRES is the connection string of a server to share, in place of
//     one that is started. Its role may make schemas.
//   - PROVISION_TEST_PARTITIONS is in how many partitions [Open] makes the tables.
//   - PROVISION_TEST_PGBOUNCER, when not empty, leads to the shared server through pgbouncer.
//
// What is not there skips the test with a line that holds SKIP-EXTERNAL. Whoever must not
// miss that looks for it in the output of go test -v.
package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server that ends with the test that started it. Its methods are
// called one at a time.
type Server struct {
	programs  string // a directory
	directory string // of the data and the socket
	owner     *syscall.SysProcAttr
	running   bool
	made      int // databases
}

// Start starts a server in a temporary directory, where it listens on a Unix
// socket only. The options are those of initdb.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := newServer(t)
	if len(options) > 0 {
		s.initialize(t, options...)
	} else {
		s.copyTemplate(t)
	}
	s.StartAgain(t)
	return s
}

// initialize makes the data of a new server.
func (s *Server) initialize(t testing.TB, options ...string) {
	t.Helper()
	s.run(t, "initdb", append([]string{"-D", s.data(), "-U", "postgres", "-A", "trust", "-N"}, options...)...)
}

// template has the data of a new server: to copy it takes a tenth of what it takes to make
// it. It is there until the program ends.
var template struct {
	sync.Mutex
	*Server
}

// copyTemplate makes the data of a new server from the template.
func (s *Server) copyTemplate(t testing.TB) {
	t.Helper()
	template.Lock()
	defer template.Unlock()
	if template.Server == nil {
		l := lasting{t}
		made := newServer(l)
		made.initialize(l)
		l.atEnd(`rm -rf "$0"`, made.directory)
		template.Server = made
	}
	// Who copies keeps the owner, or is the owner.
	if out, err := exec.Command("cp", "-a", template.data(), s.data()).CombinedOutput(); err != nil { //nolint:noctx // it ends at once
		t.Fatalf("cp: %v\n%s", err, out)
	}
}

// newServer returns a server without data.
func newServer(t testing.TB) *Server {
	t.Helper()
	programs := os.Getenv("PROVISION_TEST_POSTGRES_BIN")
	if programs == "" {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
		if len(found) == 0 {
			t.Skip("SKIP-EXTERNAL: postgresql is not installed")
		}
		programs = filepath.Dir(slices.Max(found))
	} else if _, err := os.Stat(filepath.Join(programs, "initdb")); err != nil {
		t.Skip("SKIP-EXTERNAL:", err) // before there is anything to remove
	}
	s := &Server{programs: programs, directory: temporary(t)}
	if os.Getuid() == 0 { // which the server refuses to be
		s.becomeNobody(t)
	}
	t.Cleanup(func() {
		if s.running {
			s.Stop(t, "immediate")
		}
	})
	return s
}

// temporary returns a directory with a short name, as a socket needs.
func temporary(t testing.TB) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "postgrestest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

func (s *Server) data() string { return filepath.Join(s.directory, "data") }

// Directory returns where the socket is: the host of connection strings.
func (s *Server) Directory() string { return s.directory }

// StartAgain starts a server that has stopped, or that is about to after a crash, and
// waits until it answers. It does not wait for the disk, unless the settings say
// "fsync=on".
func (s *Server) StartAgain(t testing.TB, settings ...string) {
	t.Helper()
	options := fmt.Sprintf("-c listen_addresses= -c unix_socket_directories=%s -c fsync=off", s.directory)
	for _, setting := range settings {
		options += " -c " + setting
	}
	s.run(t, "pg_ctl", "-D", s.data(), "-w", "-l", filepath.Join(s.directory, "log"), "-o", options,
		"-m", "immediate", "restart") // which also starts one that does not run
	s.running = true
}

// Stop stops the server: fast, which ends the sessions, or immediate, which leaves the
// data as after a crash.
func (s *Server) Stop(t testing.TB, mode string) {
	t.Helper()
	s.running = false
	s.run(t, "pg_ctl", "-D", s.data(), "-w", "-m", mode, "stop")
}

// Kill ends the first process of the server as kill -9 does. The others end when they
// notice.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	s.running = false
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// Standby starts a server that follows s.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby := newServer(t)
	standby.made = s.made
	standby.run(t, "pg_basebackup", "-h", s.directory, "-U", "postgres", "-D", standby.data(), "-R", "-c", "fast", "-N")
	standby.StartAgain(t)
	return standby
}

// Promote makes a standby a primary.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.run(t, "pg_ctl", "-D", s.data(), "-w", "promote")
}

// becomeNobody makes the server that of a user who may be it, and returns their name.
func (s *Server) becomeNobody(t testing.TB) string {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // a number on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(s.directory, uid, gid); err != nil {
		t.Fatal(err)
	}
	s.owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return u.Username
}

// Database makes an empty database and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.made++
	name := fmt.Sprintf("test%d", s.made)
	conn, err := pgx.Connect(t.Context(), s.url("postgres"))
	if err == nil {
		_, err = conn.Exec(t.Context(), `CREATE DATABASE `+name)
		err = errors.Join(err, conn.Close(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s", s.directory, database)
}

// run runs a program of the server. npm's PostgreSQL has not all of them.
func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	path := filepath.Join(s.programs, program)
	if _, err := os.Stat(path); err != nil {
		t.Skip("SKIP-EXTERNAL:", err)
	}
	// Not CommandContext: the context of a test ends before it is cleaned up.
	command := exec.Command(path, args...) //nolint:noctx // see above
	command.Dir, command.SysProcAttr = s.directory, s.owner
	// A file and not a pipe, which the server would keep open.
	out, err := os.CreateTemp(t.TempDir(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	command.Stdout, command.Stderr = out, out
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", program, err, text)
	}
}
