package provision

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/docs"
	"github.com/scimjit/provision/internal/advice"
	"github.com/scimjit/provision/internal/dialect"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Remedy says how something is mended, in the words of the identity provider of the
// connection.
type Remedy struct {
	Cause    string `json:"cause,omitempty"` // what happened, as docs/troubleshooting.md says it
	Who      string `json:"who,omitempty"`   // who mends it, likewise
	How      string `json:"how,omitempty"`   // how, whatever the identity provider
	Provider string `json:"provider"`        // for whom Place is written, such as "okta"
	Place    string `json:"place"`           // where that identity provider has it, and what to do there
	Guide    string `json:"guide"`           // where more is said, such as "docs/troubleshooting.md#scim"
}

// RequestProof says why a request was refused, and what to change.
type RequestProof struct {
	Request Request `json:"request"`
	Remedy  *Remedy `json:"remedy,omitempty"` // nil of one that was not refused

	// Account is why the account that the request names is as it is: the rule, the group,
	// the fact. It is nil where there is none.
	Account *AccountProof `json:"account,omitempty"`
}

// AccountProof says why an account is as it is, and where that comes from.
type AccountProof struct {
	Explanation
	Evidence []Evidence `json:"evidence"` // in the order of Explanation.Reasons
}

// Evidence is what a reason rests on.
type Evidence struct {
	Reason policy.Reason `json:"reason"` // rule, pattern and group

	// GroupID is the group that the reason names, and Source who said that the person is
	// in it; both are empty where there is none.
	GroupID string `json:"groupId,omitempty"`
	Source  Source `json:"source,omitempty"`

	// Request is the last one that wrote the group, or where the reason names none the
	// person, not later than the account was changed last; nil where the log has none. Of
	// a group it may be another one than brought the person.
	Request *Request `json:"request,omitempty"`

	Remedy Remedy `json:"remedy"`
}

// ProveRequest says why a request of the log was refused, and what to change in the identity
// provider. The error is [ErrNotFound] for an unknown request.
func (d *Directory) ProveRequest(ctx context.Context, id string) (RequestProof, error) {
	r, err := d.Request(ctx, id)
	if err != nil {
		return RequestProof{}, err
	}
	out := RequestProof{Request: r}
	if d.connection == store.Global {
		out.Remedy = remedyOf(&Connection{}, &r)
		return out, nil
	}
	conn, err := d.Connection(ctx)
	if err != nil {
		return RequestProof{}, err
	}
	out.Remedy = remedyOf(&conn, &r)
	account := r.Account
	if account == "" && r.Resource != "" {
		a, err := d.accountOf(ctx, r.Resource)
		if ignoreMissing(err) != nil {
			return RequestProof{}, err
		}
		if err == nil {
			account = a.ID
		}
	}
	if account == "" {
		return out, nil
	}
	proof, err := d.ProveAccount(ctx, account)
	if err == nil {
		out.Account = &proof
	}
	return out, ignoreMissing(err)
}

func (d *Directory) accountOf(ctx context.Context, resource string) (a *Account, err error) {
	err = d.view(ctx, func(r store.Reader) error {
		var err error
		a, err = r.BareAccountOf(resource)
		return err
	})
	return a, err
}

// remedyOf returns how a refusal is mended, or nil for what was not refused.
func remedyOf(c *Connection, r *Request) *Remedy {
	if r.Outcome == RequestSucceeded {
		return nil
	}
	row, _ := docs.Find(r.Protocol, r.Code)
	out := remedyAt(c, r.Protocol, advice.Kind(r.Code))
	out.Cause, out.Who, out.How = row.Cause, row.Who, row.How
	if row.Guide != "" {
		out.Guide = row.Guide
	}
	return &out
}

// remedyAt returns where the identity provider of a connection has a kind of change.
func remedyAt(c *Connection, protocol, kind string) Remedy {
	if kind == "" {
		kind = advice.Here
	}
	provider := providerOf(c, protocol)
	return Remedy{Provider: provider, Place: advice.Place(provider, kind), Guide: "docs/troubleshooting.md"}
}

// providerOf returns the identity provider that speaks a protocol at a connection, as far as
// its settings say.
func providerOf(c *Connection, protocol string) string {
	known := func(name string) bool { return slices.Contains(advice.Providers(), name) && name != advice.Generic }
	if protocol == "ldap" || protocol == "sync" && c.LDAP != nil {
		return "directory"
	}
	var names []string
	if c.SAML != nil {
		names = append(names, strings.ToLower(c.SAML.Preset))
	}
	if name := strings.ToLower(c.Dialect); protocol == "scim" {
		names = append([]string{name}, names...)
	} else {
		names = append(names, name)
	}
	for _, name := range names {
		if known(name) && name != dialect.Auto && name != preset.Generic {
			return name
		}
	}
	return advice.Generic
}

// ProveAccount says why an account is as it is: for each reason of [Directory.Explain] the
// group and who said that the person is in it, the request from which that comes as far as
// the log has it, and where the identity provider of the connection has it. The error is
// [ErrNotFound] for an unknown account.
func (d *Directory) ProveAccount(ctx context.Context, id string) (out AccountProof, err error) {
	if out.Explanation, err = d.Explain(ctx, id); err != nil {
		return out, err
	}
	conn, err := d.Connection(ctx)
	if err != nil {
		return out, err
	}
	err = d.view(ctx, func(r store.Reader) error {
		out.Evidence = nil
		groups, err := r.MembershipsOf(out.Account.ResourceID)
		if err != nil {
			return err
		}
		for _, reason := range out.Reasons {
			e := Evidence{Reason: reason, Remedy: remedyAt(&conn, protocolOf(&conn), kindOf(reason))}
			e.Remedy.Guide = "docs/policy.md"
			of := out.Account.ResourceID
			for _, m := range groups {
				if reason.Group != "" && (m.Display == reason.Group || m.Group == reason.Group) {
					e.GroupID, e.Source, of = m.Group, m.Source, m.Group
				}
			}
			if e.Request, err = lastWrite(r, of, out.Account.Modified); err != nil {
				return err
			}
			out.Evidence = append(out.Evidence, e)
		}
		return nil
	})
	return out, err
}

// protocolOf returns by what the identity provider tells of people.
func protocolOf(c *Connection) string {
	switch {
	case c.SCIM:
		return "scim"
	case c.LDAP != nil:
		return "sync"
	}
	return "saml"
}

// kindOf returns what kind of change in the identity provider a reason depends on.
func kindOf(r policy.Reason) string {
	switch {
	case r.Group != "", r.Pattern != "", strings.HasSuffix(r.Option, "Groups"), r.Option == "roles":
		return "group"
	case r.Option == "deprovisionMethod", r.Option == "deprovisionUsers":
		return "status"
	case r.Effect == policy.EffectEmailShared, r.Effect == policy.EffectInvalid:
		return "mapping"
	}
	return advice.Here
}

// writeSlack is how much later than its time a request may have written.
const writeSlack = 5 * time.Second

// lastWrite returns the last request that wrote a resource, not later than a time.
func lastWrite(r store.Reader, resource string, until time.Time) (*Request, error) {
	if resource == "" {
		return nil, nil
	}
	q := RequestQuery{Resource: resource, Outcome: RequestSucceeded, Until: until.Add(writeSlack), Limit: 1}
	f, err := q.find()
	if err != nil {
		return nil, err
	}
	if f.Who, err = whoseRequests(r, &q); err != nil {
		return nil, err
	}
	list, _, err := f.Search(r)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	found := requestOf(list[0])
	return &found, nil
}
