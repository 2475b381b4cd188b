// Command server runs the whole library on one machine: SCIM and SAML logins for
// identity providers, and the operator's view of accounts, groups and events.
//
//	go run ./examples/server
//	go run ./examples/server -demo-idp
//	go run ./examples/server -demo-ldap
//	go run ./examples/server -db postgres://user:password@localhost/database
//
// It starts with an embedded SQLite file, one demo connection and a fresh
// token, and prints a curl line that works. With -demo-idp or -demo-ldap it prints
// an address to log in at, too. See the flags with -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/ldap"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

type options struct {
	addr          string
	db            string
	config        string
	configImport  bool
	operatorToken string
	rate          float64
	testResource  bool
	baseURL       string
	samlKey       string
	samlSpareKey  string
	demoLogin     bool
	demoLDAP      bool
	allowPrivate  bool
	secretKey     string
	reseal        bool
}

// sqliteFile reports whether the store is a file of this machine.
func (o options) sqliteFile() bool { return o.db != ":memory:" && !isPostgres(o.db) }

func isPostgres(db string) bool {
	return strings.HasPrefix(db, "postgres://") || strings.HasPrefix(db, "postgresql://")
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:8080", "listen address; port 0 picks a free port")
	fs.StringVar(&o.db, "db", "provision.db", "SQLite file, postgres:// URL, or :memory: for a store that ends with the process")
	fs.StringVar(&o.config, "config", "", "JSON file with the connections; without it there is one demo connection")
	fs.BoolVar(&o.configImport, "config-import", false, "read the -config file once: its connections are then changed by the operator endpoints, and not at each start")
	fs.StringVar(&o.operatorToken, "operator-token", "", "token of at least 32 characters for /accounts, /events and the other operator endpoints; random and printed when empty")
	fs.Float64Var(&o.rate, "rate", 0, "SCIM requests per second and credential; 0 is no limit")
	fs.BoolVar(&o.testResource, "test-resource", false, "serve a resource type with an attribute of every kind at /TestResources")
	fs.StringVar(&o.baseURL, "base-url", "", "public address of the server where a proxy is in front of it, such as https://app.example.com")
	fs.StringVar(&o.samlKey, "saml-key", "", "PEM file with the RSA key and the certificate of the SAML service providers; made beside the -db file when empty")
	fs.StringVar(&o.samlSpareKey, "saml-spare-key", "", "PEM file of a second key and certificate, while one is replaced: identity providers may encrypt for both")
	fs.BoolVar(&o.demoLogin, "demo-idp", false, "run a SAML identity provider with three people, to log in to the demo connection; not with -config")
	fs.BoolVar(&o.demoLDAP, "demo-ldap", false, "run a directory with three people, to sync from and to log in to the demo connection by a password; implies -allow-private; not with -config")
	fs.BoolVar(&o.allowPrivate, "allow-private", false, "reach private addresses and this machine, too: to fetch metadata, and for directories")
	fs.StringVar(&o.secretKey, "secret-key", "", "file with the keys that seal secrets, 32 bytes in base64 a line, of which the first seals; made beside the -db file when empty")
	fs.BoolVar(&o.reseal, "reseal", false, "seal all secrets by the first key of -secret-key, and end; then the other keys can go")
	if err := fs.Parse(args); err != nil {
		return o, nearestFlag(fs, err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err := checkOperatorToken(o.operatorToken); err != nil {
		return o, err
	}
	if o.rate < 0 {
		return o, errors.New("flag -rate must not be negative")
	}
	for name, on := range map[string]bool{"-demo-idp": o.demoLogin, "-demo-ldap": o.demoLDAP} {
		if on && o.config != "" {
			return o, fmt.Errorf("flag %s is for the demo connection, which is not there with -config", name)
		}
	}
	o.allowPrivate = o.allowPrivate || o.demoLDAP
	if o.configImport && o.config == "" {
		return o, errors.New("flag -config-import needs flag -config")
	}
	if o.baseURL != "" {
		var err error
		o.baseURL, err = checkBaseURL(o.baseURL)
		return o, err
	}
	return o, nil
}

// checkOperatorToken demands of the operator token what every credential must have:
// nothing less is between the network and all connections.
func checkOperatorToken(token string) error {
	if token == "" {
		return nil // it will be random
	}
	var wrong *provision.CredentialError
	if err := (provision.Secret{Token: token}).Validate(); errors.As(err, &wrong) {
		return fmt.Errorf("flag -operator-token: %s [%s]", wrong.Reason, wrong.Code)
	} else if err != nil {
		return fmt.Errorf("flag -operator-token: %w", err)
	}
	return nil
}

// nearestFlag adds to the error about an unknown flag which one may be meant.
func nearestFlag(fs *flag.FlagSet, err error) error {
	unknown, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return err
	}
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if name := policy.Nearest(unknown, names); name != "" {
		return fmt.Errorf("%w; did you mean -%s?", err, name)
	}
	return err
}

// run serves until ctx ends, then lets running requests finish.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	config, err := loadConfig(o.config, o.configImport)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, o.db)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	// A database server is shared with other processes, a file is not.
	exclusive := !isPostgres(o.db)
	secrets, err := loadSecretKeys(o, logger)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	engine := &provision.Engine{
		Store: st, Logger: logger, SingleProcess: exclusive, Secrets: secrets,
		Outbound: provision.Outbound{AllowPrivate: o.allowPrivate},
	}
	if o.reseal {
		err = reseal(ctx, engine, stdout)
	} else {
		err = serve(ctx, o, config, engine, stdout)
	}
	return errors.Join(err, st.Close())
}

func openStore(ctx context.Context, db string) (store.Store, error) {
	switch {
	case db == ":memory:":
		return memory.New(), nil
	case isPostgres(db):
		st, err := postgres.Open(ctx, postgres.Config{URL: db})
		if err != nil {
			return nil, fmt.Errorf("flag -db: %w", err) // the URL has a password
		}
		return st, nil
	}
	st, err := sqlite.Open(ctx, sqlite.Config{Path: db})
	if err != nil {
		return nil, fmt.Errorf("flag -db %s: %w", db, err)
	}
	return st, nil
}

// site is what the server answers with, and what it tells about itself.
type site struct {
	handler       http.Handler
	idp           *demoProvider  // nil without -demo-idp
	directory     *demoDirectory // nil without -demo-ldap
	servers       *ldap.Servers
	base          string
	demoToken     string
	operatorToken string
	announceToken bool
}

func serve(ctx context.Context, o options, config *config, engine *provision.Engine, stdout io.Writer) error {
	// A server that cannot listen must not have revoked the token of another
	// one that runs on the same file.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return err
	}
	s := &site{operatorToken: o.operatorToken, announceToken: o.operatorToken == ""}
	if err := s.prepare(ctx, o, config, engine, listener.Addr().String()); err != nil {
		s.close()
		return errors.Join(err, listener.Close())
	}
	server := newServer(s.handler, readingTime)
	s.announce(stdout)

	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.close()
	defer cancel()
	wg.Go(func() { _ = engine.Run(background) }) // it ends with background, and only then
	wg.Go(func() {
		_ = engine.Consumer(logConsumer).Deliver(background, logEvent(engine.Logger), provision.DeliveryOptions{}) // likewise, as events are kept
	})

	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	if s.idp != nil {
		wg.Go(func() {
			if err := s.idp.serve(); err != nil {
				failed <- err
			}
		})
	}
	select {
	case err := <-failed:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	return server.Shutdown(drain)
}

// prepare brings the store in line with the configuration, after everything
// else that may fail.
func (s *site) prepare(ctx context.Context, o options, config *config, engine *provision.Engine, address string) (err error) {
	if s.operatorToken == "" {
		if s.operatorToken, err = engine.Plumbing().NewToken(); err != nil {
			return err
		}
	}
	s.base = o.baseURL
	host := ""
	if s.base == "" {
		s.base, host = "http://"+address, address
	}
	rate := o.rate
	if rate == 0 {
		rate = -1 // the flag's 0 is off, the field's is the default
	}
	service := &scim.Handler{Engine: engine, Logger: engine.Logger, Limits: scim.Limits{Rate: rate}}
	if o.testResource {
		if service.Schemas, err = withTestResource(); err != nil {
			return err
		}
	}
	if o.demoLDAP {
		if s.directory, err = newDemoDirectory(demoPeople()); err != nil {
			return err
		}
		config.demo.LDAP, config.demo.Policy = s.directory.settings(), demoPolicy()
	}
	logins, err := s.prepareSAML(ctx, o, config, engine)
	if err != nil {
		return err
	}
	api := newAPI(engine, s.operatorToken)
	api.Check = checkSettings(logins)
	s.handler = withConsole(newHandler(api), newConsole(api, s.operatorToken, s.base), newPortal(api, s.operatorToken, s.base))
	s.handler = withSAML(s.handler, logins, s.base, host)
	passwords := newLDAP(api, s.base, logins.Login)
	s.servers = passwords.Servers
	s.handler = withLDAP(s.handler, passwords)
	s.handler = withSCIM(s.handler, service, s.base)
	if s.demoToken, err = config.apply(ctx, engine); err != nil {
		return err
	}
	return logWarnings(ctx, engine)
}

// logWarnings logs what the connections should be seen to.
func logWarnings(ctx context.Context, engine *provision.Engine) error {
	connections, err := engine.Connections(ctx)
	if err != nil {
		return err
	}
	for _, c := range connections {
		if c.Disabled {
			continue
		}
		list, err := engine.Directory(c.ID).Warnings(ctx)
		if err != nil {
			return err
		}
		for _, w := range list {
			engine.Logger.Warn("warning: "+w.Field+": "+w.Text, "connection", c.ID, "code", w.Code, "value", w.Value)
		}
	}
	return nil
}

func (s *site) close() {
	if s.servers != nil {
		s.servers.Close()
	}
	if s.directory != nil {
		s.directory.close()
	}
	if s.idp != nil {
		s.idp.close()
	}
}

// announce prints, in one write, what a person or script needs to go on.
func (s *site) announce(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "SCIM base URL: %s/scim/v2\n", s.base)
	if s.demoToken != "" {
		fmt.Fprintf(&b, "Token: %s\n", s.demoToken)
	}
	if s.announceToken {
		fmt.Fprintf(&b, "Operator token: %s\n", s.operatorToken)
	}
	fmt.Fprintf(&b, "Console: %s/console/\n", s.base)
	if s.demoToken != "" {
		fmt.Fprintf(&b, "\nTry it in another terminal:\n  curl -H 'Authorization: Bearer %s' '%s/scim/v2/Users'\n", s.demoToken, s.base)
	}
	if s.demoToken != "" && s.announceToken {
		fmt.Fprintf(&b, "\nFor the lines in README.md:\n  export ADMIN=%s SCIM=%s/scim/v2 TOKEN=%s OPERATOR=%s\n", s.base, s.base, s.demoToken, s.operatorToken)
	}
	if s.idp != nil {
		fmt.Fprintf(&b, "\nDemo login: %s/saml/%s/login\n", s.base, demoConnection)
	}
	if s.directory != nil {
		fmt.Fprintf(&b, "\nDemo login by a password: %s/ldap/%s/login\n  ann, bob or eve, each with the password %s\n", s.base, demoConnection, demoPassword)
		fmt.Fprintf(&b, "  The directory is at %s. What was read of it:\n  curl -H 'Authorization: Bearer %s' '%s/accounts?connection=%s'\n",
			s.directory.settings().URLs[0], s.shownToken(), s.base, demoConnection)
	}
	if s.idp != nil || s.directory != nil {
		b.WriteString("\n" + demoNotice)
	}
	_, _ = io.WriteString(w, b.String()) // nobody reads a closed stdout
}

// shownToken is the operator token where it was made for this start: nobody prints one that
// was given.
func (s *site) shownToken() string {
	if s.announceToken {
		return s.operatorToken
	}
	return "$OPERATOR"
}

// logConsumer is the consumer of the events of [logEvent].
const logConsumer = "log"

// logEvent is where a host would keep its own tables right: here it logs.
func logEvent(logger *slog.Logger) func(context.Context, provision.Delivery) error {
	return func(_ context.Context, d provision.Delivery) error {
		args := []any{"connection", d.Event.Connection, "sequence", d.Event.Sequence}
		if a := d.Account; a != nil {
			args = append(args, "account", a.ID, "userName", a.UserName, "status", a.Status)
		}
		if d.Event.Type == store.ConnectionWarning {
			args = append(args, "code", d.Event.Reasons[0].Value)
		}
		logger.Info(string(d.Event.Type), args...)
		return nil
	}
}
