package console

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"time"

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
	config, err := c.previewed()
	if err != nil {
		return nil, err
	}
	return anyRows(c.directory.Preview(c.r.Context(), config)), nil
}

// previewed reads the policy of a body, which the viewer might save.
func (c *call) previewed() (policy.Config, error) {
	body, err := c.body()
	if err != nil {
		return policy.Config{}, err
	}
	config, err := policy.Parse(body)
	if err != nil {
		return policy.Config{}, err
	}
	stored, err := c.directory.Connection(c.r.Context())
	if err != nil {
		return policy.Config{}, err
	}
	next := stored
	next.Policy = config
	return config, c.mayChange(stored, next)
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

// Held is an account that the mass guard holds, and what it would become.
type Held struct {
	*store.Account

	Since    time.Time          `json:"since"`
	Actor    provision.Actor    `json:"actor"` // by whose change
	Resource *store.ResourceRef `json:"resource,omitempty"`

	// Release is what the account would become by a release, as the policy decides now.
	Release Released `json:"release"`
}

// Released is what becomes of an account that is held no more.
type Released struct {
	Status  policy.Status   `json:"status"`
	Changes []store.Change  `json:"changes"`
	Reasons []policy.Reason `json:"reasons"`
}

func listHeld(c *call) (any, error) {
	return list[Held](func(ctx context.Context, after string, limit int) (rows []Held, next string, err error) {
		for {
			found, err := c.directory.Held(ctx, after, limit+1-len(rows)) // it may return fewer than it is asked for
			if err != nil || len(found) == 0 {
				return rows, "", err
			}
			for _, h := range found {
				if len(rows) == limit {
					return rows, rows[limit-1].ID, nil
				}
				rows = append(rows, Held{h.Account, h.Since, h.Actor, h.Resource, Released{h.Status, h.Changes, h.Reasons}})
				after = h.Account.ID
			}
		}
	}), nil
}

func previewTotals(c *call) (any, error) {
	config, err := c.previewed()
	if err != nil {
		return nil, err
	}
	return c.directory.PreviewTotals(c.r.Context(), config)
}

func listJobs(c *call) (any, error) {
	jobs, err := c.directory.Jobs(c.r.Context())
	return append([]provision.JobStatus{}, jobs...), err
}

// Derivation says whose accounts are derived again: one account, or those of the people
// below a group; of everybody where neither is named.
type Derivation struct {
	Account string `json:"account,omitempty"`
	Group   string `json:"group,omitempty"`
}

func deriveAgain(c *call) (any, error) {
	var body Derivation
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return nil, orMissing(c.directory.DeriveAgain(c.r.Context(), provision.Whose{Account: body.Account, Group: body.Group}), "there is no such account or group")
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
		rows, next, err := read.(list[Held])(c.r.Context(), after, pageMost)
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
