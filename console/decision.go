package console

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"slices"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

func explain(c *call) (any, error) {
	id, err := c.required("account")
	if err != nil {
		return nil, err
	}
	explanation, err := c.directory.Explain(c.r.Context(), id)
	return explanation, orMissing(err, "there is no account %q", id)
}

func preview(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	config, err := policy.Parse(body)
	if err != nil {
		return nil, err
	}
	stored, err := c.directory.Connection(c.r.Context())
	if err != nil {
		return nil, err
	}
	next := stored
	next.Policy = config
	if err := c.mayChange(stored, next); err != nil {
		return nil, err
	}
	return anyRows(c.directory.Preview(c.r.Context(), config)), nil
}

func anyRows[T any](rows iter.Seq2[T, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
		}
	}
}

// Selection says which held accounts a request is about: a JSON array of ids, or
// {"all": true}.
type Selection struct {
	IDs []string
	All bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Selection) UnmarshalJSON(body []byte) error {
	if len(body) > 0 && body[0] == '[' {
		return json.Unmarshal(body, &s.IDs)
	}
	var object struct {
		All bool `json:"all"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&object)
	s.All = object.All
	return err
}

// Accounts says how many accounts a request was about.
type Accounts struct {
	Accounts int `json:"accounts"`
}

func listHeld(c *call) (any, error) {
	return list[*store.Account](func(ctx context.Context, after string, limit int) (rows []*store.Account, next string, err error) {
		q := store.AccountQuery{Statuses: []string{string(policy.StatusActive)}, After: after, Limit: pageMost} // whoever is held is active
		for {
			found, err := c.directory.Accounts(ctx, q)
			if err != nil {
				return nil, "", err
			}
			for _, a := range found {
				if a.Held && len(rows) == limit {
					return rows, rows[limit-1].ID, nil
				}
				if a.Held {
					rows = append(rows, a)
				}
				q.After = a.ID
			}
			if len(found) < q.Limit {
				return rows, "", nil
			}
		}
	}), nil
}

// heldBatch is how many held accounts are decided about in one transaction.
const heldBatch = 500

// decide ends that accounts are held.
func decide(end func(*provision.Directory, context.Context, ...string) error) func(*call) (any, error) {
	return func(c *call) (any, error) {
		var chosen Selection
		if err := c.decode(&chosen); err != nil {
			return nil, err
		}
		if !chosen.All && len(chosen.IDs) == 0 {
			return nil, wrong(codeWrong, "", `the body must be a JSON array of account ids, or {"all": true}`)
		}
		if chosen.All {
			var err error
			if chosen.IDs, err = c.heldIDs(); err != nil {
				return nil, err
			}
		}
		for ids := range slices.Chunk(chosen.IDs, heldBatch) {
			if err := end(c.directory, c.r.Context(), ids...); err != nil {
				return nil, orMissing(err, "one of the accounts does not exist, or is deleted")
			}
		}
		return Accounts{len(chosen.IDs)}, nil
	}
}

// heldIDs returns the ids of all held accounts.
func (c *call) heldIDs() (ids []string, err error) {
	read, err := listHeld(c)
	if err != nil {
		return nil, err
	}
	for after := ""; ; {
		rows, next, err := read.(list[*store.Account])(c.r.Context(), after, pageMost)
		if err != nil {
			return nil, err
		}
		for _, a := range rows {
			ids = append(ids, a.ID)
		}
		if after = next; after == "" {
			return ids, nil
		}
	}
}
