package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// Settings are a connection, as it is read and saved.
type Settings struct {
	provision.Connection

	// Version is that of the ETag. A body may leave it out.
	Version int64 `json:"version,omitempty"`
}

// Overview is a row of the list of connections.
type Overview struct {
	provision.Connection
	Version     int64                  `json:"version"`
	Credentials []provision.Credential `json:"credentials"`
	Expired     int                    `json:"expiredCredentials"` // of them
	Warnings    []provision.Warning    `json:"warnings"`

	// Accounts is how many accounts there are, by status.
	Accounts provision.AccountCounts `json:"accounts"`
}

// Refreshed says whether metadata that was fetched is news.
type Refreshed struct {
	Changed bool `json:"changed"`
}

// TestLink is where somebody tries a login.
type TestLink struct {
	Path string `json:"path"` // below the address of the application
}

func listOptions(*call) (any, error) {
	return policy.Options(), nil
}

func listConnections(c *call) (any, error) {
	if c.r.URL.Query().Has("connection") {
		id := c.parameter("connection")
		stored, err := c.api.Engine.Directory(id).Connection(c.r.Context())
		if err != nil {
			return nil, orMissing(err, "there is no connection %q", id)
		}
		return c.overviews(stored)
	}
	return list[Overview](func(ctx context.Context, after string, limit int) ([]Overview, string, error) {
		found, err := c.connectionsWith(ctx, c.parameter("q"), after, limit+1)
		if err != nil {
			return nil, "", err
		}
		next := ""
		if len(found) > limit {
			found = found[:limit]
			next = found[limit-1].ID
		}
		rows, err := c.overviews(found...)
		return rows, next, err
	}), nil
}

// connectionsWith returns at most limit connections behind an id that have a text in them.
func (c *call) connectionsWith(ctx context.Context, text, after string, limit int) (found []provision.Connection, err error) {
	if text == "" {
		return c.api.Engine.ConnectionsAfter(ctx, after, limit)
	}
	text = policy.Lower(text)
	for {
		some, err := c.api.Engine.ConnectionsAfter(ctx, after, pageMost)
		if err != nil {
			return nil, err
		}
		for _, one := range some {
			after = one.ID
			words := append([]string{one.ID, one.Name}, one.Policy.EmailDomains...)
			if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(policy.Lower(w), text) }) {
				continue
			}
			if found = append(found, one); len(found) == limit {
				return found, nil
			}
		}
		if len(some) < pageMost {
			return found, nil
		}
	}
}

// overviews are the rows of connections.
func (c *call) overviews(connections ...provision.Connection) ([]Overview, error) {
	ids := make([]string, len(connections))
	for i, stored := range connections {
		ids[i] = stored.ID
	}
	found, err := c.api.Engine.Overviews(c.r.Context(), ids...)
	rows, now := make([]Overview, len(found)), c.now()
	for i, o := range found {
		v := Overview{
			Connection: o.Connection, Version: o.Connection.Version,
			Credentials: append([]provision.Credential{}, o.Credentials...), Warnings: append([]provision.Warning{}, o.Warnings...),
			Accounts: o.Accounts,
		}
		if v.SAML != nil {
			v.SAML.Metadata = ""
		}
		for _, cred := range v.Credentials {
			if !cred.Expires.IsZero() && !now.Before(cred.Expires) {
				v.Expired++
			}
		}
		rows[i] = v
	}
	return rows, err
}

// now is the time of the engine.
func (c *call) now() time.Time {
	if now := c.api.Engine.Now; now != nil {
		return now().UTC()
	}
	return time.Now().UTC()
}

// settings answers with a connection and its ETag.
func (c *call) settings(stored provision.Connection) (any, error) {
	c.w.Header().Set("ETag", entityTag(stored.Version))
	return Settings{stored, stored.Version}, nil
}

func readConnection(c *call) (any, error) {
	stored, err := c.directory.Connection(c.r.Context())
	if err != nil {
		return nil, err
	}
	return c.settings(stored)
}

// check refuses settings that the application cannot serve.
func (c *call) check(next provision.Connection) error {
	if c.api.Check == nil {
		return nil
	}
	return c.api.Check(c.r.Context(), next)
}

func createConnection(c *call) (any, error) {
	var body Settings
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	next := body.Connection
	if next.ID == "" {
		return nil, wrong(codeWrong, "id", "id: it is missing")
	}
	if err := next.Validate(c.api.Engine.Permissions...); err != nil {
		return nil, err
	}
	if err := c.check(next); err != nil {
		return nil, err
	}
	saved, err := c.api.Engine.Directory(next.ID).As(c.viewer.Actor).UpdateConnection(c.r.Context(), func(stored *provision.Connection) error {
		if stored.Version != 0 {
			return &Problem{Status: http.StatusConflict, Code: codeExists, Field: "id", Detail: "there is a connection of this id already"}
		}
		if err := c.mayChange(*stored, next); err != nil {
			return err
		}
		*stored = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Location", (&url.URL{Path: "connections/" + saved.ID}).String())
	return c.settings(saved)
}

func saveConnection(c *call) (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	var body Settings
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	next := body.Connection
	if next.ID == "" {
		next.ID = c.connection
	}
	if body.Version != 0 && body.Version != version {
		return nil, provision.ErrVersion
	}
	if err := c.check(next); err != nil {
		return nil, err
	}
	saved, err := c.directory.UpdateConnection(c.r.Context(), func(stored *provision.Connection) error {
		if err := c.current(stored, version); err != nil {
			return err
		}
		if err := c.mayChange(*stored, next); err != nil {
			return err
		}
		*stored = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.settings(saved)
}

// current refuses to change a connection that is not as the request knows it.
func (c *call) current(stored *provision.Connection, version int64) error {
	switch {
	case stored.Version == 0:
		return missing("there is no connection %q", c.connection)
	case stored.ManagedBy != "":
		return managed(*stored)
	case stored.Version != version:
		return provision.ErrVersion
	}
	return nil
}

// deleteConnection closes the connection first: of two that have read the same version, one
// deletes it, and an edit in between is not lost unseen.
func deleteConnection(c *call) (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	_, err = c.directory.UpdateConnection(c.r.Context(), func(stored *provision.Connection) error {
		stored.Disabled = true
		return c.current(stored, version)
	})
	if err != nil {
		return nil, err
	}
	return nil, c.directory.DeleteConnection(c.r.Context(), nil)
}

func listWarnings(c *call) (any, error) {
	warnings, err := c.directory.Warnings(c.r.Context())
	return append([]provision.Warning{}, warnings...), err
}

func refreshMetadata(c *call) (any, error) {
	changed, err := c.directory.RefreshMetadata(c.r.Context())
	return Refreshed{changed}, err
}

func checkDirectory(c *call) (any, error) {
	if c.api.CheckDirectory == nil {
		return nil, &Problem{Status: http.StatusConflict, Code: codeNoCheck, Detail: "this application cannot look into directories"}
	}
	report, err := c.api.CheckDirectory(c.r.Context(), c.connection)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(report)
	return json.RawMessage(data), err
}

func testLogin(c *call) (any, error) {
	if c.api.TestLogin == nil {
		return nil, &Problem{Status: http.StatusConflict, Code: codeNoTest, Detail: "this application has no test logins"}
	}
	path, err := c.api.TestLogin(c.r.Context(), c.connection)
	return TestLink{path}, err
}

// Clock is the time of the application.
type Clock struct {
	Now    time.Time `json:"now"`
	Jumped time.Time `json:"jumped,omitzero"` // since when work waits, because the clock has jumped
}

func readClock(c *call) (any, error) {
	at, err := c.api.Engine.ClockJumped(c.r.Context())
	return Clock{Now: c.now().Truncate(time.Millisecond), Jumped: at}, err
}

func confirmClock(c *call) (any, error) {
	if err := c.api.Engine.ConfirmClock(c.r.Context()); err != nil {
		return nil, err
	}
	return readClock(c)
}
