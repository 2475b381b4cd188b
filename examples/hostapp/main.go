// Command hostapp is a small application that keeps its own users table right
// by events: the pattern for a host whose data are in another database than the
// provisioning store.
//
//	go run ./examples/hostapp
//
// It prints a SCIM base URL, a fresh token and a curl line that works. Users that
// are created there show up in the table users of hostapp.db:
//
//	sqlite3 hostapp.db 'SELECT userName, email, active FROM users'
//
// # How it stays right
//
// Consumer.Deliver brings each event at least once, and those of one account in
// order. For each, one transaction of the application writes the row of the
// user together with the sequence of the event (file users.go). When the process
// dies after that transaction and before the event counts as seen, the event
// comes again, finds its sequence in the row and changes nothing. So the process
// can be killed at any point: started again, it goes on where it was.
//
// The application also keeps the greatest fence of each connection, so that a
// replica that was cut off and writes late is refused.
//
// # What to look at
//
// GET / says how many users there are, and how many events of accounts the table
// has yet to take: {"users":12,"behind":0}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/sqlite"
)

const connection = "demo"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hostapp:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then lets running requests finish.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	fs := flag.NewFlagSet("hostapp", flag.ContinueOnError)
	fs.SetOutput(stderr)
	addr := fs.String("addr", "127.0.0.1:8081", "listen address; port 0 picks a free port")
	facts := fs.String("db", "provision-hostapp.db", "SQLite file of the provisioning store")
	own := fs.String("users", "hostapp.db", "SQLite file of the application itself")
	if err := fs.Parse(args); err != nil {
		return err
	}
	table, err := openUsers(ctx, *own)
	if err != nil {
		return fmt.Errorf("flag -users %s: %w", *own, err)
	}
	defer func() { err = errors.Join(err, table.close()) }()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: *facts})
	if err != nil {
		return fmt.Errorf("flag -db %s: %w", *facts, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	engine := &provision.Engine{Store: st, Logger: slog.New(slog.NewTextHandler(stderr, nil))}
	return serve(ctx, engine, table, *addr, stdout)
}

func serve(ctx context.Context, engine *provision.Engine, table *users, addr string, stdout io.Writer) error {
	token, err := setUp(ctx, engine)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", http.StripPrefix("/scim/v2", &scim.Handler{
		Engine: engine, Logger: engine.Logger,
		BaseURL: func(*http.Request, string) string { return base + "/scim/v2" },
	}))
	mux.Handle("GET /{$}", progress(engine, table))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = engine.Run(background) }) // it ends with background, and only then
	wg.Go(func() {
		// There is one process: after a crash it need not wait long for itself.
		o := provision.DeliveryOptions{Lease: 2 * time.Second}
		if err := engine.Consumer("users-table").Deliver(background, table.apply, o); !errors.Is(err, context.Canceled) {
			engine.Logger.Error("the users table is no longer kept right", "error", err)
		}
	})
	_, _ = fmt.Fprintf(stdout, "SCIM base URL: %s/scim/v2\nToken: %s\nProgress: %s/\n\nTry it in another terminal:\n"+
		"  curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/scim+json' %s/scim/v2/Users"+
		" -d '{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],\"userName\":\"ada@example.com\"}'\n",
		base, token, base, token, base)

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	return server.Shutdown(drain)
}

// setUp saves the connection and gives it a fresh token, which replaces the one
// of the last start.
func setUp(ctx context.Context, engine *provision.Engine) (token string, err error) {
	operator := provision.Actor{Kind: "operator", ID: "hostapp"}
	d := engine.Directory(connection).As(operator)
	if _, err := d.UpdateConnection(ctx, func(c *provision.Connection) error { c.Name, c.SCIM = "Demo", true; return nil }); err != nil {
		return "", err
	}
	if err := d.RevokeCredentials(ctx); err != nil {
		return "", err
	}
	token, _, err = d.IssueToken(ctx, time.Time{})
	return token, err
}

// progress answers how far the users table is. It names nobody, so it is open.
func progress(engine *provision.Engine, table *users) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		count, sequence, err := table.progress(r.Context(), connection)
		var events []*provision.Event
		if err == nil {
			events, err = engine.Directory(connection).Events(r.Context(), sequence, 0)
		}
		if err != nil {
			engine.Logger.Error("reading the progress", "error", err)
			http.Error(w, "internal error, see the log", http.StatusInternalServerError)
			return
		}
		behind := 0
		for _, ev := range events {
			if ev.Account != nil {
				behind++
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]int{"users": count, "behind": behind}) // or the reader is gone
	}
}
