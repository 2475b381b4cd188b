package follow

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// defaultPrefix begins the names of the tables where nobody says otherwise.
const defaultPrefix = "follow_"

// The statements, in the SQL that both dialects understand.
const (
	createConnections = `
CREATE TABLE IF NOT EXISTS {connections} (
	consumer   TEXT NOT NULL,
	connection TEXT NOT NULL,
	fence      {integer} NOT NULL, -- the greatest that was seen
	behind     {integer} NOT NULL, -- greater than 0 while the accounts are to be read again
	PRIMARY KEY (consumer, connection)
){strict}`

	createAccounts = `
CREATE TABLE IF NOT EXISTS {accounts} (
	consumer   TEXT NOT NULL,
	connection TEXT NOT NULL,
	account    TEXT NOT NULL,      -- empty for the events without an account
	sequence   {integer} NOT NULL, -- of the last event that was taken
	version    {integer} NOT NULL, -- of the account that came with it
	hostid     TEXT NOT NULL,      -- what the application calls the account
	PRIMARY KEY (consumer, connection, account)
){strict}`

	raiseFence = `INSERT INTO {connections} AS c (consumer, connection, fence, behind) VALUES ($1, $2, $3, 0)
		ON CONFLICT (consumer, connection) DO UPDATE SET fence = excluded.fence WHERE excluded.fence >= c.fence`

	// lockConnection is one with those that raise the fence, one after the other.
	lockConnection = `UPDATE {connections} SET fence = fence WHERE consumer = $1 AND connection = $2`

	readAccount = `SELECT sequence, version, hostid FROM {accounts} WHERE consumer = $1 AND connection = $2 AND account = $3`

	writeAccount = `INSERT INTO {accounts} (consumer, connection, account, sequence, version, hostid) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (consumer, connection, account) DO UPDATE SET
			sequence = excluded.sequence, version = excluded.version, hostid = excluded.hostid`

	markBehind = `INSERT INTO {connections} AS c (consumer, connection, fence, behind) VALUES ($1, $2, 0, 1)
		ON CONFLICT (consumer, connection) DO UPDATE SET behind = c.behind + 1`

	nextBehind = `SELECT connection, behind FROM {connections}
		WHERE consumer = $1 AND connection > $2 AND behind > 0 ORDER BY connection LIMIT 1`

	// forgetAccounts keeps what the application calls the accounts. Those that are not
	// read again afterwards are gone.
	forgetAccounts = `UPDATE {accounts} SET sequence = 0, version = 0 WHERE consumer = $1 AND connection = $2`

	clearBehind = `UPDATE {connections} SET behind = 0 WHERE consumer = $1 AND connection = $2 AND behind = $3`
)

// validPrefix keeps a prefix from being anything but the beginning of a name.
var validPrefix = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]{0,40}$`)

// Schema returns the statement that makes the two tables, for the migrations of
// the application. Running it again changes nothing. An empty prefix means
// "follow_". Prefixes are those of [Follower.Prefix].
func Schema(dialect Dialect, prefix string) (string, error) {
	connections, err := statement(dialect, prefix, createConnections)
	if err != nil {
		return "", err
	}
	accounts, err := statement(dialect, prefix, createAccounts)
	return strings.TrimSpace(connections) + ";\n" + strings.TrimSpace(accounts) + ";\n", err
}

// statement writes a statement in a dialect.
func statement(dialect Dialect, prefix, text string) (string, error) {
	if prefix == "" {
		prefix = defaultPrefix
	}
	if !validPrefix.MatchString(prefix) {
		return "", fmt.Errorf("follow: the prefix %q is not the beginning of a name", prefix)
	}
	words := []string{"{connections}", prefix + "connections", "{accounts}", prefix + "accounts"}
	switch dialect {
	case PostgreSQL:
		words = append(words, "{integer}", "BIGINT", "{strict}", "")
	case SQLite:
		words = append(words, "{integer}", "INTEGER", "{strict}", " STRICT", "$", "?")
	default:
		return "", fmt.Errorf("follow: the dialect %q is neither %q nor %q", dialect, SQLite, PostgreSQL)
	}
	return strings.NewReplacer(words...).Replace(text), nil
}

// taken is what the tables know of an account.
type taken struct {
	sequence int64
	version  int64
	hostID   string
}

// tables are the two tables inside a transaction.
type tables[Tx any] struct {
	follower   *Follower[Tx]
	tx         Tx
	connection string
}

func (t tables[Tx]) exec(ctx context.Context, text string, args ...any) (int64, error) {
	f := t.follower
	query, err := statement(f.db.Dialect(), f.Prefix, text)
	if err != nil {
		return 0, err
	}
	return f.db.Exec(ctx, t.tx, query, append([]any{f.name, t.connection}, args...)...)
}

func (t tables[Tx]) row(ctx context.Context, dest []any, text string, args ...any) (bool, error) {
	f := t.follower
	query, err := statement(f.db.Dialect(), f.Prefix, text)
	if err != nil {
		return false, err
	}
	return f.db.Row(ctx, t.tx, dest, query, append([]any{f.name, t.connection}, args...)...)
}

// account returns what is known of an account; nothing where it is new.
func (t tables[Tx]) account(ctx context.Context, id string) (a taken, err error) {
	_, err = t.row(ctx, []any{&a.sequence, &a.version, &a.hostID}, readAccount, id)
	return a, err
}

func (t tables[Tx]) put(ctx context.Context, id string, a taken) error {
	_, err := t.exec(ctx, writeAccount, id, a.sequence, a.version, a.hostID)
	return err
}
