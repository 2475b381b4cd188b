// Command hostapp is a small application that people are provisioned to: a users
// table and sessions of its own, SCIM, logins by SAML, and a form for settings.
//
//	go run ./examples/hostapp
//
// Open the address that it prints. The operator token is the password.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/sqlite"
)

//go:embed schema.sql
var schema string

// app is the application, and the directory that it is provisioned from.
type app struct {
	*provision.Directory
	db            *sql.DB
	users         *follow.Follower[*sql.Tx]
	base          string // URL
	operatorToken string
}

func main() {
	addr := flag.String("addr", "localhost:8081", "listen address")
	dir := flag.String("data", ".", "folder of the two SQLite files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *addr, *dir, os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends, then lets running requests finish.
func run(ctx context.Context, addr, dir string, stdout io.Writer) error {
	facts, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "provision.db")})
	if err != nil {
		return err
	}
	defer func() { _ = facts.Close() }()
	db, err := sql.Open("sqlite", filepath.Join(dir, "hostapp.db")+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}

	engine := &provision.Engine{Store: facts}
	demo := engine.Directory("demo").As(provision.Actor{Kind: "operator", ID: "settings"})
	if _, err := demo.UpdateConnection(ctx, func(c *provision.Connection) error { c.SCIM = true; return nil }); err != nil {
		return err
	}
	users := follow.New(engine, "users-table", follow.SQL(db, follow.SQLite), writeUser)
	if err := users.Create(ctx); err != nil {
		return err
	}
	a := &app{demo, db, users, "http://" + listener.Addr().String(), rand.Text()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.Handle("/settings", http.NewCrossOriginProtection().Handler(http.HandlerFunc(a.settings)))
	mux.Handle("/scim/v2/", &scim.Handler{Engine: engine})
	mux.Handle("/saml/", &saml.Handler{
		Engine: engine, BaseURL: func(connection string) string { return a.base + "/saml/" + connection },
		Login: &jit.LoginHandler{Engine: engine, OnLogin: a.beginSession},
	})

	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() { _ = engine.Run(background) }) // both end with background, and only then
	group.Go(func() { _ = users.Deliver(background, provision.DeliveryOptions{Lease: 2 * time.Second}) })

	_, _ = fmt.Fprintf(stdout, "Settings: %s/settings\nOperator token: %s\n", a.base, a.operatorToken)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(background) })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return server.Shutdown(background) // waits for the requests that still run
}
