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
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// childEnv, when it is set, makes the command the server, or with attackRole a process
// that attacks.
const childEnv = "PROVISION_SOAK_CHILD"

const (
	databaseFile = "soak.db"
	hostileCount = 4 // connections of hostile clients, beside the others
)

// connectionName and token are those of the i-th connection; those of hostile clients
// come after the others.
func connectionName(i int) string { return fmt.Sprintf("c%05d", i) }

func token(i int) string {
	return fmt.Sprintf("soak-token-of-connection-%05d-%s", i, strings.Repeat("x", 16))
}

// child is the server of a soak.
type child struct {
	engine *provision.Engine
	offset atomic.Int64 // of the clock
	calm   atomic.Bool  // consumers no longer misbehave
	logs   map[string]*os.File
}

func (c *child) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// serve is the server, until it is told to end. It prints its addresses in one line.
func serve(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("soak server", flag.ContinueOnError)
	folder := fs.String("folder", "", "where the store is; empty keeps it in memory")
	connections := fs.Int("connections", 0, "how many connections to make; 0 has them")
	offset := fs.Duration("offset", 0, "of the clock")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	c := &child{logs: map[string]*os.File{}}
	c.offset.Store(int64(*offset))
	st, err := openStore(ctx, *folder, c.now)
	if err != nil {
		return err
	}
	c.engine = &provision.Engine{
		Store: st, Now: c.now, SingleProcess: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1})),
		Limits: provision.Limits{Deprovision: -1},
	}
	if err := c.prepare(ctx, *connections); err != nil {
		return errors.Join(err, st.Close())
	}
	err = c.serve(ctx, *folder, out)
	return errors.Join(err, st.Close())
}

// openStore opens a store whose clock is that of the engine.
func openStore(ctx context.Context, folder string, now func() time.Time) (store.Store, error) {
	if folder == "" {
		st := memory.New()
		st.Now = now
		return st, nil
	}
	return sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, databaseFile), Now: now})
}

// prepare makes the connections: in each second one only members of a crew are let in.
func (c *child) prepare(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	for i := range n + hostileCount {
		d := c.engine.Directory(connectionName(i))
		_, err := d.UpdateConnection(ctx, func(conn *provision.Connection) error {
			conn.SCIM, conn.Dialect, conn.Attributes = true, "okta", []string{"title"}
			conn.Policy.ProvisionOnFirstLogin = policy.FirstLoginProvision
			if i%2 == 1 && i < n {
				conn.Policy.RequiredGroups = policy.Patterns{"crew*"}
			}
			return nil
		})
		if err == nil {
			_, err = d.SetCredential(ctx, provision.Secret{Token: token(i)}, time.Time{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *child) serve(ctx context.Context, folder string, out io.Writer) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 5)
	wg.Go(func() { _ = c.engine.Run(ctx) }) // it ends with ctx
	if folder != "" {
		for name, fn := range map[string]consume{mirror: c.take, wild: c.misbehave} {
			log, err := os.OpenFile(filepath.Join(folder, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			c.logs[name] = log
			wg.Go(func() {
				err := c.engine.Consumer(name).Deliver(ctx, fn, provision.DeliveryOptions{Attempts: 5, Timeout: hangTimeout, Lease: 3 * time.Second})
				if ctx.Err() == nil {
					failed <- fmt.Errorf("consumer %s ended: %w", name, err)
				}
			})
		}
	}
	handler := &scim.Handler{Engine: c.engine, Logger: c.engine.Logger, Limits: scim.Limits{Rate: -1}}
	front, err := c.listen(ctx, failed, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reading := &reader{ResponseWriter: w, control: http.NewResponseController(w)}
		handler.ServeHTTP(reading, r)
	}))
	if err != nil {
		return err
	}
	defer func() { _ = front.Close() }()
	control, err := c.listen(ctx, failed, c.control())
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	if _, err := fmt.Fprintf(out, "%s %s\n", front.Addr, control.Addr); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (c *child) listen(ctx context.Context, failed chan<- error, h http.Handler) (*http.Server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: l.Addr().String(), Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return s, nil
}

// reader closes the connections of clients that do not read.
type reader struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (r *reader) Write(p []byte) (written int, err error) {
	for {
		_ = r.control.SetWriteDeadline(time.Now().Add(5 * time.Second)) // a connection that is closed needs none
		n, err := r.ResponseWriter.Write(p[:min(len(p), 64<<10)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// control is what the harness asks of the server.
func (c *child) control() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(v) // the harness sees that it is cut off
	}
	mux.HandleFunc("POST /clock", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("offset"))
		if err == nil {
			c.offset.Store(int64(d))
		}
		answer(w, nil, err)
	})
	mux.HandleFunc("POST /calm", func(w http.ResponseWriter, r *http.Request) {
		c.calm.Store(true)
		n, err := c.redrive(r.Context())
		answer(w, n, err)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("userName")
		a, err := c.engine.Directory(r.FormValue("connection")).Login(r.Context(), provision.Identity{ID: name, UserName: name})
		var denied *provision.DeniedError
		if errors.As(err, &denied) {
			err = nil
		}
		answer(w, a != nil, err)
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { answer(w, readStats(), nil) })
	return mux
}

// redrive has everything tried again that is parked, and returns how much that was.
func (c *child) redrive(ctx context.Context) (n int, err error) {
	connections, err := c.engine.Connections(ctx)
	if err != nil {
		return 0, err
	}
	consumer := c.engine.Consumer(wild)
	for _, conn := range connections {
		list, err := consumer.Parked(ctx, conn.ID)
		if err != nil {
			return n, err
		}
		for _, p := range list {
			n++
			if err := consumer.Redrive(ctx, conn.ID, p.AccountID); err != nil && !errors.Is(err, provision.ErrNotFound) {
				return n, err
			}
		}
	}
	return n, nil
}

// stats are what a process takes, after a collection.
type stats struct {
	Heap       uint64 `json:"heap"`
	RSS        uint64 `json:"rss"`  // 0 where the system does not tell
	Peak       uint64 `json:"peak"` // the greatest RSS so far
	Goroutines int    `json:"goroutines"`
}

func readStats() stats {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := stats{Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine()}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return s
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "VmRSS:":
			s.RSS = n << 10
		case "VmHWM:":
			s.Peak = n << 10
		}
	}
	return s
}
