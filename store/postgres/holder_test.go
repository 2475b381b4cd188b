package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store/postgres"
)

// TestPostgreSQLEndHolder ends the session that stands still and holds the very lock, and
// no other.
func TestPostgreSQLEndHolder(t *testing.T) {
	db := newDatabase(t)
	conn := db.connect(t)
	for _, partitions := range []int{0, 4} {
		config := db.config()
		config.Partitions, config.IdleTimeout = partitions, 50*time.Millisecond
		s := open(t, config)
		for _, scope := range []string{"acme", "other"} {
			if err := s.Update(t.Context(), scope, appendEvent); err != nil {
				t.Fatal(err)
			}
		}
		execute(t, conn, fmt.Sprintf(`DROP ROLE IF EXISTS stranger%d`, partitions))
		execute(t, conn, fmt.Sprintf(`CREATE ROLE stranger%d SUPERUSER LOGIN`, partitions))
		const (
			endless = `SELECT repeat('x', 1000) FROM generate_series(1, 1000000)` // nobody reads it
			ages    = ` AND state_change < clock_timestamp() - interval '50 milliseconds'`
			stands  = `state = 'active' AND wait_event_type = 'Client'` + ages
		)
		for _, test := range []struct {
			name, role, scope, then, becomes string
			ended                            bool
		}{
			{"idle", "postgres", "acme", ``, `state = 'idle in transaction'` + ages, false},
			{"it computes", "postgres", "acme", `SELECT pg_sleep(600)`, `wait_event = 'PgSleep'` + ages, false},
			{"of another role", fmt.Sprint("stranger", partitions), "acme", endless, stands, false},
			{"of another scope", "postgres", "other", endless, stands, false},
			{"it stands still", "postgres", "acme", endless, stands, true},
		} {
			holder, err := pgx.Connect(t.Context(), strings.Replace(db.url, "user=postgres", "user="+test.role, 1))
			if err != nil {
				t.Fatal(err)
			}
			execute(t, holder, `BEGIN`)
			execute(t, holder, fmt.Sprintf(`SELECT FROM %s.provision_scopes WHERE scope = $1 FOR UPDATE`, config.Schema), test.scope)
			if test.then != "" {
				holder.PgConn().Exec(t.Context(), test.then)
			}
			pid := holder.PgConn().PID()
			poll(t, conn, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND `+test.becomes, pid)
			if got := postgres.EndHolder(t.Context(), s, "acme"); got != test.ended {
				t.Errorf("%d partitions, %s: ended: %t", partitions, test.name, got)
			}
			if test.ended {
				poll(t, conn, `SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE pid = $1`, pid)
			} else {
				poll(t, conn, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, pid)
			}
			execute(t, conn, `SELECT pg_terminate_backend($1)`, pid)
			poll(t, conn, `SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE pid = $1`, pid)
			_ = holder.PgConn().Conn().Close()
		}
	}
}

// TestPostgreSQLStoppedReplica stops another process while it holds the lock of a scope:
// between two statements, in the middle of what it sends, and before it reads a result.
// With the time-outs as they are the first update of somebody else gets the lock, which
// says that it waited less than the 8 seconds of LockTimeout. When the other process goes
// on, its update is there once. It is the same where both come through a pooler.
func TestPostgreSQLStoppedReplica(t *testing.T) {
	db := newDatabase(t)
	direct := db.config()
	s := open(t, direct)
	conn := db.connect(t)
	pooled := direct
	pooled.URL = postgrestest.StartPooler(t, db.url, "transaction", 10)
	var group sync.WaitGroup
	defer group.Wait()
	for _, test := range []struct{ where, becomes string }{
		{"idle", `state = 'idle in transaction'`},
		{"sending", `state = 'active' AND wait_event = 'ClientRead'`},
		{"reading", `state = 'active' AND wait_event = 'ClientWrite'`},
	} {
		for name, config := range map[string]postgres.Config{test.where: direct, test.where + "_pooled": pooled} {
			other := open(t, config)
			l := newLedger(name)
			if err := s.Update(t.Context(), name, entry("before")); err != nil {
				t.Fatal(err)
			}
			r := startReplica(t, config, test.where, name)
			r.hear(t, "inside")
			poll(t, conn, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND `+test.becomes, name)
			r.signal(t, syscall.SIGSTOP)
			group.Go(func() {
				if err := other.Update(t.Context(), name, entry("other")); err != nil {
					t.Errorf("%s: another process: %v", name, err)
				}
				l.acknowledge("other")
				r.signal(t, syscall.SIGCONT)
				_ = r.stdin.Close()
				r.hear(t, "done")
				l.acknowledge("stopped")
				l.check(t, s)
			})
		}
	}
}

// TestPostgreSQLKilledReplica kills a process that writes, beside another one.
func TestPostgreSQLKilledReplica(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	s := open(t, config)
	l := newLedger("acme")
	stop := l.write(t, s, "here", 4)
	for i := range 3 {
		r := startReplica(t, config, "load", fmt.Sprint("killed", i))
		for range 20 {
			l.acknowledge(r.next(t))
		}
		r.signal(t, syscall.SIGKILL)
		for r.lines.Scan() { // what it was told before
			l.acknowledge(r.lines.Text())
		}
		l.await(t, 20)
	}
	stop()
	l.check(t, s)
}
