package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

// Config says where a store is and how it behaves. Either URL or Pool is required;
// all other fields work as they are.
type Config struct {
	// URL says how to connect, as pgx reads it:
	// postgres://user:password@host:5432/database, or "host=... dbname=...". Several
	// hosts want target_session_attrs=read-write. The size of the pool is
	// pool_max_conns, 10 where the URL does not say.
	URL string

	// Pool is an existing pool to use instead of URL. It stays open when the store
	// is closed. It should leave connections for the host: the store uses as many as
	// it has work for. With URL the store also notices when an operator
	// cancels the wait of a COMMIT for a standby; with a pool of the host it cannot.
	Pool *pgxpool.Pool

	// Schema is where the tables are. It is made when it is not there. Empty means
	// the first schema of the search path of the role.
	Schema string

	// Prefix stands before the name of every table and index. It consists of
	// lower-case ASCII letters, digits and underscores, at most 30 of them. Empty
	// means "provision_".
	Prefix string

	// Partitions is in how many partitions the tables are made, by scope; at most
	// 256. 0 means plain tables, or what is there already.
	Partitions int

	// SkipMigrations makes Open fail where it would change the schema. Use it when
	// the migrations are applied by a tool, see [Migrations], or by another role: the
	// store then needs no right but to read and write its tables.
	SkipMigrations bool

	// Migrating, when not nil, is called before each statement of a migration, in its
	// transaction: to log the progress, or to look for room on the disk. Its error
	// undoes all migrations and is what Open returns.
	Migrating func(store.Migration) error

	// InTx, when not nil, is called at the end of every Update that appended events, with
	// the transaction of the change, for hosts whose tables are in the same database. What
	// it writes commits with the change, exactly once; its error undoes the change, and is
	// what Update returns. An error of the server that asks for it runs the whole
	// Update again, and so does a lost connection: InTx is called again then, and what it
	// wrote before is undone. It does nothing but to write by tx, which it must neither
	// keep nor end, and reads all rows that it asks for. Others wait for the lock of the
	// scope meanwhile.
	InTx func(ctx context.Context, tx pgx.Tx, events []store.Event) error

	// Notify lets processes tell each other at once that events were appended, by
	// NOTIFY: consumers then hear of them in milliseconds, and without it within a
	// second, as each process asks. It takes a connection beside the pool that listens,
	// and a statement after the commits of each 20 milliseconds. A hint that is lost
	// costs that second. It works where sessions are the server's own: through a pooler
	// Open refuses it.
	Notify bool

	// Scans is how many scans run at once ([store.Store.Scan]), each on a connection
	// of the pool. Further ones wait for their turn. 0 means a quarter of the pool,
	// and at least 1.
	Scans int

	// MaxWaiting bounds how many Updates of one scope wait for each other. Further
	// ones fail with a [*store.UnavailableError]. 0 means 1,000.
	MaxWaiting int

	// AcquireTimeout bounds how long to wait for a connection of the pool. 0 means 5
	// seconds.
	AcquireTimeout time.Duration

	// LockTimeout bounds how long to wait for another process that updates the same
	// scope. It should be longer than IdleTimeout: then one that has stopped is found
	// and its session ended, by pg_terminate_backend, which the role may for its own.
	// 0 means 8 seconds.
	LockTimeout time.Duration

	// IdleTimeout bounds how long an Update computes between two statements, while
	// it holds the lock of its scope. The server ends one that takes longer. It also
	// bounds how long one reads a result or sends a message, where others wait. 0 means
	// 5 seconds.
	IdleTimeout time.Duration

	// StatementTimeout bounds each statement. 0 means 30 seconds.
	StatementTimeout time.Duration
}

const (
	defaultConns    = 10
	lifetimeJitter  = 10 * time.Minute
	connectTimeout  = 5 * time.Second
	mostPartitions  = 256
	applicationName = "provision"
)

// A name of an index has at most 63 bytes, of which the longest of ours leaves 30.
var (
	validPrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,29}$`)
	validSchema = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
)

// complete checks the configuration and fills in the defaults.
func (c *Config) complete() error {
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&c.AcquireTimeout, 5 * time.Second},
		{&c.LockTimeout, 8 * time.Second},
		{&c.IdleTimeout, 5 * time.Second},
		{&c.StatementTimeout, 30 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.fallback
		}
	}
	if c.MaxWaiting <= 0 {
		c.MaxWaiting = 1000
	}
	switch {
	case c.URL == "" && c.Pool == nil:
		return errors.New("neither URL nor Pool is set")
	case c.URL != "" && c.Pool != nil:
		return errors.New("both URL and Pool are set")
	case c.LockTimeout >= c.StatementTimeout:
		return fmt.Errorf("LockTimeout %s is not below StatementTimeout %s", c.LockTimeout, c.StatementTimeout)
	}
	return c.completeNames()
}

// completeNames is complete for what the tables are called.
func (c *Config) completeNames() error {
	c.Prefix = cmp.Or(c.Prefix, sqlstore.DefaultPrefix)
	switch {
	case !validPrefix.MatchString(c.Prefix):
		return fmt.Errorf("the prefix %q is not made of at most 30 lower-case letters, digits and underscores", c.Prefix)
	case c.Schema != "" && !validSchema.MatchString(c.Schema):
		return fmt.Errorf("the schema %q is not made of letters, digits and underscores", c.Schema)
	case c.Partitions < 0 || c.Partitions > mostPartitions:
		return fmt.Errorf("%d partitions are not between 0 and %d", c.Partitions, mostPartitions)
	}
	return nil
}

// newPool returns a pool for the URL. Nothing is connected yet.
func (s *Store) newPool(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(s.config.URL)
	if err != nil {
		// The error of pgx has the URL, where it cannot always hide the password.
		return nil, errors.New("the URL cannot be read: it looks like postgres://user:password@host:5432/database, with special characters escaped as %XX" + parseReason(err))
	}
	if !strings.Contains(s.config.URL, "pool_max_conns") {
		config.MaxConns = defaultConns
	}
	if config.MaxConnLifetimeJitter == 0 {
		config.MaxConnLifetimeJitter = lifetimeJitter
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	config.ConnConfig.OnNotice = noteWarning
	// A connection that was lost is found out by the first statement, which is sent
	// again: no trip is spent on asking.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	return pgxpool.NewWithConfig(ctx, config)
}

// parseReason returns the part of an error of pgx that has nothing of the URL.
func parseReason(err error) string {
	for _, reason := range []string{"invalid port", "failed to configure TLS", "invalid default_query_exec_mode", "cannot parse pool_max_conns", "sslmode is invalid"} {
		if strings.Contains(err.Error(), reason) {
			return " (" + reason + ")"
		}
	}
	return ""
}

// warned is the key of the data of a connection that had a warning.
const warned = "provision.warned"

// noteWarning remembers that the server has warned, as when an operator cancels the
// wait for a standby.
func noteWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warned] = true
	}
}
