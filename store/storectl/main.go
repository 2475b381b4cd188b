// Command storectl is what an operator does to stores beside the program that uses them.
//
//	storectl migrations -schema app -role app | psql -v ON_ERROR_STOP=1 URL
//	storectl copy -from provision.db -to URL
//	storectl move -connection acme -from URL -to URL
//	storectl remove -connection acme -db URL
//	storectl restored -db URL
//
// A store is a file of SQLite or the URL of a PostgreSQL database. Run it as
// "go run github.com/scimjit/provision/store/storectl", in the module of the program, so
// that both have the same version. docs/operations.md says when.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "storectl:", err)
		os.Exit(1)
	}
}

// command is one thing to do, with its flags.
type command struct {
	name, what string
	flags      func(*flag.FlagSet, *options)
	run        func(context.Context, *options) error
}

type options struct {
	out              io.Writer
	tables, from     postgres.Config
	role, connection string
	source, db       string
	after            int
	resume           bool
}

var commands = []command{
	{"migrations", "print the statements that make the tables in PostgreSQL, or change them", migrationFlags, migrations},
	{"copy", "copy a whole store into an empty one in PostgreSQL", copyFlags, copyStore},
	{"move", "move one disabled connection to another store in PostgreSQL", moveFlags, move},
	{"remove", "remove all rows of a connection from a store in PostgreSQL, for good", removeFlags, remove},
	{"restored", "tell consumers that a store was restored from a backup", restoredFlags, restored},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		for _, c := range commands {
			_, _ = fmt.Fprintf(stderr, "storectl %-12s%s\n", c.name, c.what) // nobody reads a closed stderr
		}
		return fmt.Errorf("there is no command %q", name)
	}
	o := &options{out: stdout}
	fs := flag.NewFlagSet("storectl "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	commands[i].flags(fs, o)
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return commands[i].run(ctx, o)
}

func tableFlags(fs *flag.FlagSet, o *options) {
	fs.StringVar(&o.tables.Schema, "schema", "", "schema of the tables in PostgreSQL; empty is the first of the search path")
	fs.StringVar(&o.tables.Prefix, "prefix", "", "what the names of the tables begin with; empty is provision_")
	fs.IntVar(&o.tables.Partitions, "partitions", 0, "make the tables in so many partitions; 0 is plain tables")
}

func sourceFlags(fs *flag.FlagSet, o *options) {
	tableFlags(fs, o)
	fs.StringVar(&o.source, "from", "", "the store to read: a file of SQLite, or a postgres:// URL")
	fs.StringVar(&o.db, "to", "", "the store to write: a postgres:// URL")
	fs.StringVar(&o.from.Schema, "from-schema", "", "schema of the tables to read")
	fs.StringVar(&o.from.Prefix, "from-prefix", "", "prefix of the tables to read")
}

func migrationFlags(fs *flag.FlagSet, o *options) {
	tableFlags(fs, o)
	fs.IntVar(&o.after, "after", 0, "leave out the versions up to this one, which the tables have already")
	fs.StringVar(&o.role, "role", "", "also grant this role what a store needs that opens with SkipMigrations")
}

// migrations prints the migrations.
func migrations(_ context.Context, o *options) error {
	text, err := o.tables.Script(o.after)
	if err != nil {
		return err
	}
	if o.role != "" {
		grants, err := o.tables.Grants(o.role)
		if err != nil {
			return err
		}
		text += "\n" + grants
	}
	_, err = io.WriteString(o.out, text)
	return err
}

func copyFlags(fs *flag.FlagSet, o *options) {
	sourceFlags(fs, o)
	fs.BoolVar(&o.resume, "resume", false, "go on with a copy that has ended early; nothing may have been written to -from since it began")
}

// copyStore copies a store.
func copyStore(ctx context.Context, o *options) error {
	return o.both(ctx, func(from source, to *postgres.Store) error {
		err := store.Copy(ctx, from, to, store.CopyOptions{Resume: o.resume, Progress: func(scope string, done, all int, rows map[string]int) {
			what := "was there already"
			if rows != nil {
				what = fmt.Sprintf("%d resources, %d memberships, %d accounts, %d events, %d records",
					rows["resources"], rows["members"], rows["accounts"], rows["events"], rows["records"])
			}
			if scope == store.Global {
				scope = "beside connections"
			}
			_, _ = fmt.Fprintf(o.out, "%d of %d: %s: %s\n", done, all, scope, what) // nor a closed stdout
		}})
		if errors.Is(err, store.ErrNotEmpty) {
			err = fmt.Errorf("%w: name an empty database, schema or prefix, or -resume a copy that has ended early", err)
		}
		return err
	})
}

func moveFlags(fs *flag.FlagSet, o *options) {
	sourceFlags(fs, o)
	fs.StringVar(&o.connection, "connection", "", "id of the connection")
}

// move moves a connection.
func move(ctx context.Context, o *options) error {
	return o.both(ctx, func(from source, to *postgres.Store) error {
		if err := provision.MoveConnection(ctx, o.connection, from, to); err != nil {
			return err
		}
		_, err := fmt.Fprintf(o.out, "Connection %q is at the other store, and disabled. Ten minutes from now, or when the processes of the first store have ended, enable it there.\n", o.connection)
		return err
	})
}

func removeFlags(fs *flag.FlagSet, o *options) {
	tableFlags(fs, o)
	fs.StringVar(&o.db, "db", "", "the store: a postgres:// URL")
	fs.StringVar(&o.connection, "connection", "", "id of the connection")
}

// remove removes what a connection has left that is not there any more.
func remove(ctx context.Context, o *options) error {
	s, err := openPostgres(ctx, "db", o.db, o.tables)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	engine := &provision.Engine{Store: s}
	switch _, err := engine.Directory(o.connection).Connection(ctx); {
	case err == nil:
		return fmt.Errorf("connection %q is in use: delete or move it first", o.connection)
	case !errors.Is(err, provision.ErrNotFound):
		return err
	case o.connection == store.Global:
		return errors.New("flag -connection is required")
	}
	return s.Remove(ctx, o.connection)
}

func restoredFlags(fs *flag.FlagSet, o *options) {
	tableFlags(fs, o)
	fs.StringVar(&o.db, "db", "", "the store: a file of SQLite, or a postgres:// URL")
}

// restored tells the consumers of a store.
func restored(ctx context.Context, o *options) error {
	s, err := open(ctx, "db", o.db, o.tables)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return (&provision.Engine{Store: s}).Restored(ctx)
}

// source is a store that can be read whole.
type source interface {
	store.Store
	store.Exporter
}

// both opens the stores to read and to write.
func (o *options) both(ctx context.Context, fn func(from source, to *postgres.Store) error) error {
	from, err := open(ctx, "from", o.source, o.from)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := openPostgres(ctx, "to", o.db, o.tables)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	return fn(from, to)
}

func isPostgres(db string) bool {
	return strings.HasPrefix(db, "postgres://") || strings.HasPrefix(db, "postgresql://")
}

// open opens a store that is there.
func open(ctx context.Context, name, db string, tables postgres.Config) (source, error) {
	if isPostgres(db) {
		tables.SkipMigrations = true
		return openPostgres(ctx, name, db, tables)
	}
	if _, err := os.Stat(db); err != nil {
		return nil, fmt.Errorf("flag -%s: %w", name, err)
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: db})
	if err != nil {
		return nil, fmt.Errorf("flag -%s: %w", name, err)
	}
	return s, nil
}

func openPostgres(ctx context.Context, name, db string, tables postgres.Config) (*postgres.Store, error) {
	if !isPostgres(db) {
		return nil, fmt.Errorf("flag -%s: %q is not a postgres:// URL", name, db)
	}
	tables.URL = db
	s, err := postgres.Open(ctx, tables)
	if err != nil {
		return nil, fmt.Errorf("flag -%s: %w", name, err) // the URL has a password
	}
	return s, nil
}
