//go:build unix

package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var hostOf = regexp.MustCompile(`host=(\S+)`)

// StartPooler starts pgbouncer before a database of a [Server], with size connections to it
// and in a mode such as transaction, and returns the connection string through it. It ends
// with the test.
func StartPooler(t testing.TB, url, mode string, size int) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("SKIP-EXTERNAL: pgbouncer is not installed")
	}
	s := &Server{directory: temporary(t)}
	args := []string{filepath.Join(s.directory, "settings")}
	if os.Getuid() == 0 { // which it refuses to be: it is who may read the socket of the server
		args = append([]string{"-u", s.becomeNobody(t)}, args...)
	}
	for name, text := range map[string]string{
		"users": `"postgres" ""`,
		"settings": fmt.Sprintf(`[databases]
* = host=%s user=postgres
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = %s
auth_type = any
auth_file = %[2]s/users
pool_mode = %[3]s
default_pool_size = %[4]d
`, hostOf.FindStringSubmatch(url)[1], s.directory, mode, size),
	} {
		if err := os.WriteFile(filepath.Join(s.directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	command := exec.Command(program, args...) //nolint:noctx // it ends after the context of the test
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	if l, ok := t.(lasting); ok {
		l.atEnd(`kill -9 "$0"; rm -rf "$1"`, fmt.Sprint(command.Process.Pid), s.directory)
	}
	through := hostOf.ReplaceAllString(url, "host="+s.directory)
	for range 500 {
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
