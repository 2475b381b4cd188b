package postgres_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// replica is another process with a store on the same data.
type replica struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	lines   *bufio.Scanner
}

// The environment of a replica: what it does, and where.
const (
	replicaRole   = "PROVISION_TEST_REPLICA"
	replicaURL    = "PROVISION_TEST_URL"
	replicaSchema = "PROVISION_TEST_SCHEMA"
	replicaName   = "PROVISION_TEST_NAME"
)

// TestMain runs the tests, or what one of them has started.
func TestMain(m *testing.M) {
	role := os.Getenv(replicaRole)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := playReplica(context.Background(), role, os.Getenv(replicaName)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// playReplica is what another process does.
func playReplica(ctx context.Context, role, name string) error {
	config, err := pgxpool.ParseConfig(os.Getenv(replicaURL))
	if err != nil {
		return err
	}
	stands := &standing{role: role}
	config.ConnConfig.DialFunc = stands.dial
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	s, err := postgres.Open(ctx, postgres.Config{Pool: pool, Schema: os.Getenv(replicaSchema)})
	if err != nil {
		return err
	}
	if role == "load" {
		return replicaWrites(ctx, s, name)
	}
	if role == "reading" {
		err := s.Update(ctx, name, func(_ context.Context, tx store.Tx) error {
			return tx.PutRecord(&store.Record{Kind: large, Key: "k", Value: make([]byte, 8<<20)})
		})
		if err != nil {
			return err
		}
	}
	stands.opened.Store(true) // and not before
	return replicaStops(ctx, s, name, stands)
}

// startReplica starts a process that plays a role.
func startReplica(t *testing.T, config postgres.Config, role, name string) *replica {
	t.Helper()
	r := &replica{command: exec.Command(os.Args[0])}
	r.command.Env = append(os.Environ(), replicaRole+"="+role, replicaURL+"="+config.URL+" application_name="+name, replicaSchema+"="+config.Schema, replicaName+"="+name)
	r.command.Stderr = os.Stderr
	var err error
	if r.stdin, err = r.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := r.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.lines = bufio.NewScanner(out)
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.command.Process.Kill()
		_ = r.command.Wait()
	})
	return r
}

func (r *replica) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := r.command.Process.Signal(signal); err != nil {
		t.Error(err)
	}
}

// next returns the next line that the process says.
func (r *replica) next(t *testing.T) string {
	t.Helper()
	if !r.lines.Scan() {
		t.Error("the other process has ended")
	}
	return r.lines.Text()
}

// hear waits for a line.
func (r *replica) hear(t *testing.T, want string) {
	t.Helper()
	if got := r.next(t); got != want {
		t.Errorf("the other process says %q, want %q", got, want)
	}
}

// replicaWrites writes until it is killed, and says what was acknowledged.
func replicaWrites(ctx context.Context, s *postgres.Store, name string) error {
	for n := 0; ; n++ {
		name := fmt.Sprint(name, "-", n)
		if err := s.Update(ctx, "acme", entry(name)); err != nil {
			return err
		}
		fmt.Println(name)
	}
}

// replicaStops makes an update, in which it stands still the first time.
func replicaStops(ctx context.Context, s *postgres.Store, scope string, stands *standing) error {
	err := s.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		if err := entry("stopped")(ctx, tx); err != nil {
			return err
		}
		switch stands.role {
		case "idle":
			stands.still()
		case "reading":
			_, err := tx.Record(large, "k")
			return err
		}
		return nil
	})
	if err == nil {
		fmt.Println("done")
	}
	return err
}

// large is the kind of a record that is more than the buffers between two processes hold.
const large = "large"

// standing is a process that stands still once, until its input is closed.
type standing struct {
	role   string
	opened atomic.Bool
	once   sync.Once
}

func (s *standing) still() {
	s.once.Do(func() {
		fmt.Println("inside")
		_, _ = io.Copy(io.Discard, os.Stdin)
	})
}

func (s *standing) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	return &standingConn{Conn: conn, standing: s}, err
}

// standingConn stands still after a part of what ends with COMMIT was sent, or before the
// answer about a large record is read.
type standingConn struct {
	net.Conn

	standing *standing
	asked    atomic.Bool
}

// Write implements [net.Conn].
func (c *standingConn) Write(b []byte) (int, error) {
	c.asked.Store(c.standing.role == "reading" && c.standing.opened.Load() && bytes.Contains(b, []byte(large)))
	at := bytes.Index(b, []byte("COMMIT\x00"))
	if c.standing.role != "sending" || at < 0 || !c.standing.opened.Load() {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[:at])
	if err != nil {
		return n, err
	}
	c.standing.still()
	rest, err := c.Conn.Write(b[at:])
	return n + rest, err
}

// Read implements [net.Conn].
func (c *standingConn) Read(b []byte) (int, error) {
	if c.asked.Load() {
		c.standing.still()
	}
	return c.Conn.Read(b)
}
