package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store/postgres"
)

// pair is a primary with a synchronous standby, and a database on both.
type pair struct {
	primary, standby *postgrestest.Server
	db               *database
}

func newPair(t *testing.T) pair {
	t.Helper()
	p := pair{primary: postgrestest.Start(t)}
	p.db = &database{url: p.primary.Database(t)}
	p.standby = p.primary.Standby(t)
	conn := p.db.connect(t)
	execute(t, conn, `ALTER SYSTEM SET synchronous_standby_names = '*'`) // not in the standby, which is alone later
	execute(t, conn, `SELECT pg_reload_conf()`)
	poll(t, conn, `SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`)
	return p
}

// url returns a connection string with both hosts, of which the store wants the one that
// can be written.
func (p pair) url() string {
	return hostOf.ReplaceAllString(p.db.url, "host="+p.primary.Directory()+","+p.standby.Directory()) + " target_session_attrs=read-write"
}

// TestPostgreSQLFailOver loses the primary under load, and promotes its standby. One
// replica knows both hosts; the other has one address, which leads to the standby before
// that can be written.
func TestPostgreSQLFailOver(t *testing.T) {
	p := newPair(t)
	config := p.db.config()
	proxy, address := newProxy(t, p.db.url)
	two, one := config, config
	two.URL, one.URL = p.url(), address
	hosts, moves := open(t, two), open(t, one)
	l := newLedger("acme")
	stopHosts, stopMoves := l.write(t, hosts, "hosts", 4), l.write(t, moves, "moves", 4)
	l.await(t, 40)
	p.primary.Kill(t)
	proxy.lead(p.standby.Directory())
	unavailable(t, "an update of a standby", moves.Update(t.Context(), "other", appendEvent))
	p.standby.Promote(t)
	l.await(t, 40)
	stopHosts()
	stopMoves()
	for name, s := range map[string]*postgres.Store{"two hosts": hosts, "one address": moves} {
		if err := s.Update(t.Context(), "acme", entry(name)); err != nil {
			t.Errorf("%s, after all that: %v", name, err)
		}
	}
	l.check(t, hosts)
}

// TestPostgreSQLStandbyAway stops the standby, so that no COMMIT ends. An operator ends the
// wait of one, and another session: the update is not acknowledged before a standby has it.
func TestPostgreSQLStandbyAway(t *testing.T) {
	p := newPair(t)
	s := open(t, p.db.config())
	l := newLedger("acme")
	conn := p.db.connect(t)
	const waits = `FROM pg_stat_activity WHERE wait_event = 'SyncRep'`
	for _, end := range []string{"pg_cancel_backend", "pg_terminate_backend"} {
		p.standby.Stop(t, "fast")
		done := make(chan error, 1)
		go func() { done <- s.Update(context.WithoutCancel(t.Context()), "acme", entry(end)) }()
		poll(t, conn, `SELECT count(*) `+waits)
		var ended time.Time
		if err := conn.QueryRow(t.Context(), `SELECT clock_timestamp(), `+end+`(pid) `+waits).Scan(&ended, nil); err != nil {
			t.Fatal(err)
		}
		poll(t, conn, `SELECT count(*) `+waits+` AND xact_start > $1`, ended) // the store asks, and waits too
		select {
		case err := <-done:
			t.Fatalf("%s: acknowledged without a standby, or refused: %v", end, err)
		default:
		}
		p.standby.StartAgain(t)
		if err := <-done; err != nil {
			t.Errorf("%s: %v", end, err)
		}
		l.acknowledge(end)
	}
	l.check(t, s)
}
