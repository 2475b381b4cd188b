package console

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store"
)

func listEvents(c *call) (any, error) {
	if _, err := c.number("after"); err != nil {
		return nil, err
	}
	newest, err := c.newestFirst()
	if err != nil {
		return nil, err
	}
	if newest {
		return list[*store.Event](c.latestEvents), nil
	}
	return list[*store.Event](func(ctx context.Context, after string, limit int) ([]*store.Event, string, error) {
		sequence := int64(0)
		if after != "" {
			sequence, _ = strconv.ParseInt(after, 10, 64) // checked above
		}
		rows, err := c.directory.Events(ctx, sequence, limit+1)
		if err != nil || len(rows) <= limit {
			return rows, "", err
		}
		return rows[:limit], strconv.FormatInt(rows[limit-1].Sequence, 10), nil
	}), nil
}

// newestFirst reports in which order events are asked for. Those of one account are read by
// an index that has the newest first.
func (c *call) newestFirst() (bool, error) {
	switch order := c.parameter("order"); order {
	case "newest":
		return true, nil
	case "":
		return c.parameter("account") != "", nil
	default:
		return false, wrong(codeParameter, "order", "the parameter order must be newest, or absent")
	}
}

func (c *call) latestEvents(ctx context.Context, after string, limit int) ([]*store.Event, string, error) {
	q := store.EventQuery{Account: c.parameter("account"), Limit: limit + 1}
	if after != "" {
		q.Before, _ = strconv.ParseInt(after, 10, 64) // it was checked
	}
	rows, err := c.directory.LatestEvents(ctx, q)
	if err != nil || len(rows) <= limit {
		return rows, "", err
	}
	return rows[:limit], strconv.FormatInt(rows[limit-1].Sequence, 10), nil
}

func syncStatus(c *call) (any, error) {
	return c.directory.SyncStatus(c.r.Context())
}

// syncMost bounds the body of a sync where the API does not.
const syncMost = 1 << 30

func syncNow(c *call) (any, error) {
	var options provision.SyncOptions
	var err error
	if options.DryRun, err = c.truth("dryRun"); err != nil {
		return nil, err
	}
	if options.Force, err = c.truth("force"); err != nil {
		return nil, err
	}
	// A directory is larger than a request of an identity provider.
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	if c.r.ContentLength == 0 {
		report, err := c.directory.SyncNow(c.r.Context(), options)
		var setting *provision.ConnectionError
		if errors.As(err, &setting) && setting.Field == "ldap" {
			return nil, wrong(codeSyncEmpty, "", "there is no body, and no directory to read: %s", setting.Reason)
		}
		return report, err
	}
	most := c.api.MaxSync
	if most == 0 {
		most = syncMost
	}
	body := http.MaxBytesReader(c.w, c.r.Body, most)
	source := scimsync.JSONLines(body)
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err == nil && kind == "text/csv" {
		source = scimsync.CSV(body)
	}
	return c.directory.Sync(c.r.Context(), source, options)
}

func listUnknownRefusals(c *call) (any, error) { return refusals(c, "") }

func listRefusals(c *call) (any, error) { return refusals(c, c.connection) }

// refusals pages by minute, address and cause, which no two rows have in common.
func refusals(c *call, connection string) (any, error) {
	since, err := c.time("since")
	if err != nil {
		return nil, err
	}
	if minute, _, ok := strings.Cut(c.parameter("after"), " "); ok {
		if at, err := time.Parse(time.RFC3339, minute); err == nil && at.After(since) {
			since = at
		}
	}
	return paged(func(ctx context.Context) ([]provision.Refusal, error) {
		return c.api.Engine.Refusals(ctx, connection, since)
	}, func(r provision.Refusal) string {
		return r.Minute.Format(time.RFC3339) + " " + r.Address + " " + r.Cause
	}), nil
}

// Parked is an account whose events wait.
type Parked struct {
	Account  string    `json:"account"` // empty for the events without an account
	Sequence int64     `json:"sequence"`
	Since    time.Time `json:"since"`
	Error    string    `json:"lastError"` // what the consumer said last
	Redriven bool      `json:"redriven"`
}

// consumer returns the consumer that a request names.
func (c *call) consumer() (provision.Consumer, error) {
	name := c.parameter("consumer")
	if name == "" {
		name = c.api.Consumer
	}
	if name == "" {
		return provision.Consumer{}, wrong(codeParameter, "consumer", "the parameter consumer is missing")
	}
	return c.api.Engine.Consumer(name), nil
}

func listParked(c *call) (any, error) {
	consumer, err := c.consumer()
	if err != nil {
		return nil, err
	}
	return paged(func(ctx context.Context) ([]Parked, error) {
		found, err := consumer.Parked(ctx, c.connection)
		rows := make([]Parked, len(found))
		for i, p := range found {
			rows[i] = Parked{p.AccountID, p.Sequence, p.Since, p.LastError, p.Redriven}
		}
		return rows, orMissing(err, "there is no such consumer")
	}, func(p Parked) string { return "." + p.Account }), nil
}

func redrive(c *call) (any, error) {
	skip, err := c.truth("skip")
	if err != nil {
		return nil, err
	}
	consumer, err := c.consumer()
	if err != nil {
		return nil, err
	}
	accounts := c.r.URL.Query()["account"]
	if len(accounts) == 0 {
		parked, err := consumer.Parked(c.r.Context(), c.connection)
		if err != nil {
			return nil, orMissing(err, "there is no such consumer")
		}
		for _, p := range parked {
			accounts = append(accounts, p.AccountID)
		}
	}
	try := consumer.Redrive
	if skip {
		try = consumer.SkipParked
	}
	for _, account := range accounts {
		if err := try(c.r.Context(), c.connection, account); err != nil {
			return nil, orMissing(err, "there is no such consumer, or nothing is parked of account %q", account)
		}
	}
	return Accounts{len(accounts)}, nil
}
