package console

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision"
)

// call is one request for a row of the table.
type call struct {
	api    *API
	w      http.ResponseWriter
	r      *http.Request
	viewer Viewer
	bound

	connection string               // of a row with {connection}
	directory  *provision.Directory // likewise, acting as the viewer
}

// serve answers the request, or returns why not.
func (c *call) serve() error {
	if err := c.enter(); err != nil {
		return err
	}
	if err := c.checkParameters(); err != nil {
		return err
	}
	answer, err := c.serveRow(c)
	if err != nil {
		return err
	}
	switch answer := answer.(type) {
	case nil:
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	case pager:
		return answer.write(c)
	case iter.Seq2[any, error]:
		return stream(c, answer)
	}
	return c.write(c.success(), answer)
}

// enter decides whether the viewer may do this, and finds the connection. A connection that
// a customer does not see is not there, whatever they ask for.
func (c *call) enter() error {
	if !c.scoped() {
		if !c.viewer.may(c.route) {
			return c.forbidden()
		}
		return nil
	}
	c.connection = c.r.PathValue("connection")
	if c.alias {
		c.connection = c.r.URL.Query().Get("connection")
	}
	unknown := missing("there is no connection %q", c.connection)
	if !c.viewer.sees(c.connection) {
		return unknown
	}
	if !c.viewer.may(c.route) {
		return c.forbidden()
	}
	if c.connection == "" {
		return wrong(codeParameter, "connection", "the parameter connection is missing")
	}
	c.directory = c.api.Engine.Directory(c.connection).As(c.viewer.Actor)
	stored, err := c.directory.Connection(c.r.Context())
	if err != nil {
		return orMissing(err, "%s", unknown.Detail)
	}
	if c.owned && stored.ManagedBy != "" {
		return managed(stored)
	}
	return nil
}

func (c *call) forbidden() error {
	return &Problem{Status: http.StatusForbidden, Code: codeRole, Detail: fmt.Sprintf("this needs another role than yours: %s", c.name)}
}

// managed is the refusal to change what something else owns.
func managed(c provision.Connection) error {
	return &Problem{Status: http.StatusConflict, Code: codeManaged, Detail: fmt.Sprintf("the connection %q is managed by a %s: change it there", c.ID, c.ManagedBy)}
}

// checkParameters refuses parameters that the row does not have: one with a typing error
// would not do what was asked for.
func (c *call) checkParameters() error {
	if c.alias {
		return nil
	}
	var known []string
	for _, p := range c.parameters() {
		known = append(known, p.name)
	}
	for name := range c.r.URL.Query() {
		if !slices.Contains(known, name) {
			return wrong(codeParameter, name, "there is no parameter %q%s", name, near(name, known))
		}
	}
	return nil
}

// parameter returns a parameter of the address, empty where it is not there.
func (c *call) parameter(name string) string { return c.r.URL.Query().Get(name) }

// required returns a parameter that must be there.
func (c *call) required(name string) (string, error) {
	if text := c.parameter(name); text != "" {
		return text, nil
	}
	return "", wrong(codeParameter, name, "the parameter %s is missing", name)
}

// number reads a parameter that is a whole number, 0 when absent.
func (c *call) number(name string) (int64, error) {
	text := c.parameter(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, wrong(codeParameter, name, "the parameter %s must be a whole number that is not negative", name)
	}
	return n, nil
}

// truth reads a parameter that is true or false, false when absent.
func (c *call) truth(name string) (bool, error) {
	switch c.parameter(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, wrong(codeParameter, name, "the parameter %s must be true or false", name)
}

// time reads a parameter that is a time, zero when absent.
func (c *call) time(name string) (time.Time, error) {
	text := c.parameter(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, wrong(codeParameter, name, "the parameter %s must be a time such as 2030-01-02T15:04:05Z", name)
	}
	return at, nil
}

// version reads If-Match: the version of the connection that the request was made from.
func (c *call) version() (int64, error) {
	tag := c.r.Header.Get("If-Match")
	if tag == "" {
		return 0, &Problem{Status: http.StatusPreconditionRequired, Code: codeNoMatch, Field: "If-Match", Detail: "the header If-Match is missing: send the ETag of what you have read"}
	}
	text, isTag := strings.CutPrefix(tag, `"`)
	n, err := strconv.ParseInt(strings.TrimSuffix(text, `"`), 10, 64)
	if !isTag || err != nil || entityTag(n) != tag {
		return 0, &Problem{Status: http.StatusPreconditionFailed, Code: codeStale, Field: "If-Match", Detail: "the header If-Match is no ETag of a connection: read it again"}
	}
	return n, nil
}

// entityTag is the ETag of a version.
func entityTag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// write answers with a value.
func (c *call) write(status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("console: encoding an answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(append(data, '\n')) // the reader is gone: there is nobody to tell
	return nil
}

// next is the header Link to the page after this one: the same request from another place.
func (c *call) next(after string) {
	q := c.r.URL.Query()
	q.Set("after", after)
	c.w.Header().Set("Link", "<"+(&url.URL{RawQuery: q.Encode()}).String()+`>; rel="next"`)
}
