//go:build linux

package postgres_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestPostgreSQLDiskFull fills the disk of the tables under load, and makes room again.
// Meanwhile what is there can be read.
func TestPostgreSQLDiskFull(t *testing.T) {
	disk := postgrestest.NewDisk(t, 64<<20)
	db := newDatabase(t)
	conn := db.connect(t)
	execute(t, conn, `CREATE TABLESPACE small LOCATION '`+disk.Directory+`'`)
	config := db.config()
	execute(t, conn, `CREATE SCHEMA `+config.Schema)
	execute(t, conn, `ALTER DATABASE test1 SET default_tablespace = small`)
	s := open(t, config)
	l := newLedger("acme")
	stop := l.write(t, s, "full", 4)
	l.await(t, 20)
	disk.Fill(t)
	l.awaitRefusals(t, 20)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a view while the disk is full: %v", err)
	}
	disk.Clear(t)
	l.await(t, 20)
	stop()
	l.check(t, s)
}

// TestPostgreSQLLogFull fills the disk of the write-ahead log under load: the server
// crashes, and does not come back before there is room.
func TestPostgreSQLLogFull(t *testing.T) {
	disk := postgrestest.NewDisk(t, 64<<20)
	server := postgrestest.Start(t, "-X", filepath.Join(disk.Directory, "wal"), "--wal-segsize=1")
	db := &database{url: server.Database(t)}
	s := open(t, db.config())
	postgres.ResolveTime(s, time.Second) // it does not come back by itself
	l := newLedger("acme")
	stop := l.write(t, s, "full", 4)
	l.await(t, 20)
	disk.Fill(t)
	var err error
	for n := 0; err == nil; n++ { // until the server has used what it had of the log
		err = s.Update(t.Context(), "large", func(_ context.Context, tx store.Tx) error {
			return tx.PutRecord(&store.Record{Kind: "once", Key: strconv.Itoa(n), Value: random(1 << 20)})
		})
	}
	unavailable(t, "an update that finds no room in the log", err)
	l.awaitRefusals(t, 10)
	disk.Clear(t)
	server.StartAgain(t)
	l.await(t, 20)
	stop()
	l.check(t, s)
}

// random returns bytes that do not get smaller when they are compressed.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}
