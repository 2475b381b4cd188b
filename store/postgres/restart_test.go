package postgres_test

import (
	"fmt"
	"testing"

	"github.com/scimjit/provision/internal/postgrestest"
)

// TestPostgreSQLRestart stops and starts the server under load, in order and as if it had
// crashed. Whoever was told that an update is committed finds it, and the store goes on
// by itself.
func TestPostgreSQLRestart(t *testing.T) {
	server := postgrestest.Start(t)
	db := &database{url: server.Database(t)}
	for _, partitions := range []int{0, 4} {
		config := db.config()
		config.Partitions = partitions
		list := replicas(t, config, 2)
		l := newLedger("acme")
		var stops []func()
		for i, s := range list {
			stops = append(stops, l.write(t, s, fmt.Sprint("replica", i), 4))
		}
		for _, mode := range []string{"fast", "immediate"} {
			l.await(t, 20)
			server.Stop(t, mode)
			unavailable(t, "a view of a server that has stopped", list[0].Ping(t.Context()))
			server.StartAgain(t)
		}
		l.await(t, 20)
		for _, stop := range stops {
			stop()
		}
		l.check(t, list[0])
		for _, s := range list {
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("after all that: %v", err)
			}
		}
	}
}
