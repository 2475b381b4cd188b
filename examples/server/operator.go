package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// bodySize bounds the body of an operator's request.
const bodySize = 1 << 20

// readBody reads the body of an operator's request.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodySize))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &statusError{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
	} else if err != nil {
		return nil, &statusError{status: http.StatusBadRequest, text: "the body cannot be read"}
	}
	return body, nil
}

// decodeBody decodes a JSON body of an operator's request.
func decodeBody(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		text := describeJSON(err)
		if key, ok := strings.CutPrefix(text, "unknown field "); ok {
			text += "; " + keyHint(reflect.TypeOf(into), strings.Trim(key, `"`))
		}
		return &statusError{status: http.StatusBadRequest, text: "the body is not what is expected: " + text}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &statusError{status: http.StatusBadRequest, text: "the body goes on after its end"}
	}
	return nil
}

// describeJSON says what is wrong in a body, without the names of Go types.
func describeJSON(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Sprintf("%s: a JSON %s is the wrong type", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Sprintf("a JSON %s is the wrong type", wrong.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// refusal returns the answer to an error of an operator's action; missing is the
// text of a 404.
func refusal(err error, missing string) error {
	var (
		guard      *provision.GuardError
		expired    *provision.CursorExpiredError
		option     *policy.ConfigError
		connection *provision.ConnectionError
		argument   *provision.ArgumentError
	)
	switch {
	case errors.Is(err, provision.ErrNotFound):
		return &statusError{status: http.StatusNotFound, text: missing}
	case errors.As(err, &guard):
		return &statusError{status: http.StatusConflict, text: "this is the last site admin: make somebody else site admin first", code: "last_site_admin"}
	case errors.Is(err, provision.ErrReported):
		return &statusError{status: http.StatusConflict, text: "the identity provider reports that the person is in this group: remove the person there", code: "reported_by_provider"}
	case errors.As(err, &expired):
		return &statusError{status: http.StatusConflict, text: "events that waited are gone: read the account, then skip what is parked", code: "events_gone"}
	case errors.As(err, &option):
		return &statusError{status: http.StatusBadRequest, text: option.Option + ": " + option.Fault(), code: option.Code}
	case errors.As(err, &connection):
		return &statusError{status: http.StatusBadRequest, text: connection.Field + ": " + connection.Fault(), code: connection.Code()}
	case errors.As(err, &argument):
		return &statusError{status: http.StatusBadRequest, text: argument.Argument + ": " + argument.Fault(), code: argument.Code()}
	}
	return err
}

// actions are what an operator can do to an account.
var actions = []string{"disable", "enable", "delete", "logged-in", "unbind", "edit", "remove-group"}

// act answers POST /accounts/{id}/{action}: the account as it is then.
func (o operator) act(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	ctx, id := r.Context(), r.PathValue("id")
	missing := fmt.Sprintf("there is no account %q, or it is deleted", id)
	switch action := r.PathValue("action"); action {
	case "disable":
		err = d.Disable(ctx, id)
	case "enable":
		err = d.Enable(ctx, id)
	case "delete":
		err = d.DeleteAccount(ctx, id)
	case "logged-in":
		err = d.MarkLoggedIn(ctx, id)
	case "unbind":
		err = d.Unbind(ctx, id)
	case "edit":
		var edit provision.AccountEdit
		if err = decodeBody(w, r, &edit); err == nil {
			err = d.Edit(ctx, id, edit)
		}
	case "remove-group":
		group := r.URL.Query().Get("group")
		if group == "" {
			return &statusError{status: http.StatusBadRequest, text: "the parameter group is missing"}
		}
		missing = fmt.Sprintf("there is no account %q, or it does not carry the group %q", id, group)
		err = d.RemoveGroup(ctx, id, group)
	default:
		return &statusError{status: http.StatusNotFound, text: fmt.Sprintf("there is no action %q%s", action, near(action, actions))}
	}
	if err != nil {
		return refusal(err, missing)
	}
	account, err := d.Account(ctx, id)
	if err != nil {
		return refusal(err, missing)
	}
	writeJSON(w, http.StatusOK, account)
	return nil
}

// held answers GET /held: a JSON array of the accounts that a guard holds.
func (o operator) held(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	out := newArray(w)
	err = eachHeld(r.Context(), d, func(a *provision.Account) { out.add(a) })
	if err != nil {
		return out.fail(err)
	}
	return out.end()
}

// eachHeld calls fn with the accounts that a guard holds, in order of id.
func eachHeld(ctx context.Context, d *provision.Directory, fn func(*provision.Account)) error {
	q := store.AccountQuery{Statuses: []string{string(policy.StatusActive)}, Limit: pageSize} // whoever is held is active
	for {
		list, err := d.Accounts(ctx, q)
		if err != nil {
			return err
		}
		for _, a := range list {
			if a.Held {
				fn(a)
			}
			q.After = a.ID
		}
		if len(list) < q.Limit {
			return nil
		}
	}
}

// selection says which held accounts a request is about: a JSON array of ids, or
// {"all": true}.
type selection struct {
	ids []string
	all bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *selection) UnmarshalJSON(body []byte) error {
	if len(body) > 0 && body[0] == '[' {
		return json.Unmarshal(body, &s.ids)
	}
	var object struct {
		All bool `json:"all"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&object)
	s.all = object.All
	return err
}

// heldBatch is how many held accounts are decided about in one transaction.
const heldBatch = 500

// decide answers POST /held/release and POST /held/keep.
func (o operator) decide(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	end := map[string]func(context.Context, ...string) error{"release": d.Release, "keep": d.Keep}[r.PathValue("decision")]
	if end == nil {
		return &statusError{status: http.StatusNotFound, text: "held accounts are decided about at /held/release and /held/keep"}
	}
	var chosen selection
	if err := decodeBody(w, r, &chosen); err != nil {
		return err
	}
	if !chosen.all && len(chosen.ids) == 0 {
		return &statusError{status: http.StatusBadRequest, text: `the body must be a JSON array of account ids, or {"all": true}`}
	}
	if chosen.all {
		if err := eachHeld(r.Context(), d, func(a *provision.Account) { chosen.ids = append(chosen.ids, a.ID) }); err != nil {
			return err
		}
	}
	for ids := range slices.Chunk(chosen.ids, heldBatch) {
		if err := end(r.Context(), ids...); err != nil {
			return refusal(err, "one of the accounts does not exist, or is deleted")
		}
	}
	writeJSON(w, http.StatusOK, map[string]int{"accounts": len(chosen.ids)})
	return nil
}

// parkedRow is one row of GET /parked.
type parkedRow struct {
	Account  string    `json:"account"` // empty for the events without an account
	Sequence int64     `json:"sequence"`
	Since    time.Time `json:"since"`
	Error    string    `json:"lastError"` // what the consumer said last
	Redriven bool      `json:"redriven"`
}

// parked answers GET /parked: the accounts whose events wait.
func (o operator) parked(w http.ResponseWriter, r *http.Request) error {
	connection, consumer, err := o.delivery(r)
	if err != nil {
		return err
	}
	list, err := consumer.Parked(r.Context(), connection)
	if err != nil {
		return refusal(err, "there is no such consumer")
	}
	rows := make([]parkedRow, 0, len(list))
	for _, p := range list {
		rows = append(rows, parkedRow{p.AccountID, p.Sequence, p.Since, p.LastError, p.Redriven})
	}
	writeJSON(w, http.StatusOK, rows)
	return nil
}

// delivery returns the connection and the consumer that a request names.
func (o operator) delivery(r *http.Request) (connection string, consumer provision.Consumer, err error) {
	d, err := o.directory(r)
	if err != nil {
		return "", consumer, err
	}
	name := r.URL.Query().Get("consumer")
	if name == "" {
		name = logConsumer
	}
	return d.ID(), o.engine.Consumer(name), nil
}

// redrive answers POST /redrive: parked events are tried again, or skipped.
func (o operator) redrive(w http.ResponseWriter, r *http.Request) error {
	connection, consumer, err := o.delivery(r)
	if err != nil {
		return err
	}
	skip, err := truth(r, "skip")
	if err != nil {
		return err
	}
	accounts := r.URL.Query()["account"]
	if len(accounts) == 0 {
		list, err := consumer.Parked(r.Context(), connection)
		if err != nil {
			return refusal(err, "there is no such consumer")
		}
		for _, p := range list {
			accounts = append(accounts, p.AccountID)
		}
	}
	try := consumer.Redrive
	if skip {
		try = consumer.SkipParked
	}
	for _, account := range accounts {
		if err := try(r.Context(), connection, account); err != nil {
			return refusal(err, fmt.Sprintf("there is no such consumer, or nothing is parked of account %q", account))
		}
	}
	writeJSON(w, http.StatusOK, map[string]int{"accounts": len(accounts)})
	return nil
}

// refusals answers GET /refusals: how many requests were refused.
func (o operator) refusals(w http.ResponseWriter, r *http.Request) error {
	connection := ""
	if r.URL.Query().Has("connection") {
		d, err := o.directory(r)
		if err != nil {
			return err
		}
		connection = d.ID()
	}
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return &statusError{status: http.StatusBadRequest, text: "the parameter since must be a time such as 2030-01-02T15:04:05Z"}
		}
	}
	list, err := o.engine.Refusals(r.Context(), connection, since)
	if err != nil {
		return err
	}
	out := newArray(w)
	for _, row := range list {
		out.add(row)
	}
	return out.end()
}

// hostGroups answers GET /host-groups, and POST /host-groups with the list that
// replaces the one before.
func (o operator) hostGroups(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		var groups []provision.HostGroup
		if err := decodeBody(w, r, &groups); err != nil {
			return err
		}
		if groups == nil {
			return &statusError{status: http.StatusBadRequest, text: "the body must be a JSON array, which may be empty"}
		}
		if err := d.RegisterGroups(r.Context(), groups...); err != nil {
			return refusal(err, "the connection is gone")
		}
	}
	list, err := d.HostGroups(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}
