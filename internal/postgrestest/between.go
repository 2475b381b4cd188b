//go:build unix

package postgrestest

import (
	"net"
	"path/filepath"
	"testing"
)

// SocketOf returns where the server of a connection string of [Server.Database], or one
// with the socket in that directory, is to be dialed.
func SocketOf(url string) string {
	return filepath.Join(hostOf.FindStringSubmatch(url)[1], ".s.PGSQL.5432")
}

// Accept returns a connection string like one of [Server.Database] that leads to serve,
// which gets each connection of a client in a goroutine of its own. The connection is
// closed when serve returns. No further ones are accepted after the test.
func Accept(t testing.TB, url string, serve func(client net.Conn)) string {
	t.Helper()
	through := hostOf.ReplaceAllString(url, "host="+temporary(t)) // a socket has a short name
	listener, err := net.Listen("unix", SocketOf(through))        //nolint:noctx // it listens at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				serve(client)
			}()
		}
	}()
	return through
}

// Between is Accept where serve stands between clients and the server: it gets each
// connection of a client with one to the server.
func Between(t testing.TB, url string, serve func(client, server net.Conn)) string {
	t.Helper()
	return Accept(t, url, func(client net.Conn) {
		server, err := net.Dial("unix", SocketOf(url)) //nolint:noctx // a socket of this machine
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		serve(client, server)
	})
}
