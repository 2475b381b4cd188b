package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Explanation says why an account is as it is.
type Explanation struct {
	// Account is the account as it is stored, with the reasons of its last
	// derivation.
	Account *Account `json:"account"`

	// Status is what the policy decides now. It differs from that of the account
	// while a guard keeps the account, or a job has not derived it yet.
	Status policy.Status `json:"status"`

	// Reasons are those of the decision, the options that did not apply
	// included, and then those of the guards that keep the account.
	Reasons []policy.Reason `json:"reasons"`
}

// Explain decides about one account again, from the stored facts and the policy
// of the connection, and says which options applied and which did not. A
// tombstone has no facts any more: its explanation is what it was deleted for.
//
// Nothing is stored. The error is [ErrNotFound] for an unknown account.
func (d *Directory) Explain(ctx context.Context, account string) (Explanation, error) {
	var out Explanation
	err := d.engine.Store.View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		a, err := r.Account(account)
		if err != nil {
			return err
		}
		list, err := markPending(r, []*Account{a})
		if err != nil {
			return err
		}
		out, err = explain(r, conn.policy, d.engine.now(), list[0])
		return err
	})
	return out, err
}

func explain(r store.Reader, p *policy.Policy, now time.Time, a *Account) (Explanation, error) {
	if a.Status == policy.Deleted {
		return Explanation{Account: a, Status: a.Status, Reasons: a.Reasons}, nil
	}
	facts, _, err := collect(r, p, now, a, a, a.ResourceID == "")
	if err != nil {
		return Explanation{}, err
	}
	decision := p.Trace(facts)
	out := Explanation{Account: a, Status: decision.Status, Reasons: decision.Reasons}
	for _, reason := range a.Reasons {
		if isGuardReason(reason) {
			out.Reasons = append(out.Reasons, reason)
		}
	}
	return out, nil
}

// isGuardReason reports whether a reason is not of the policy but of what keeps
// an account in spite of it.
func isGuardReason(r policy.Reason) bool {
	return isHoldReason(r) || isLastAdminReason(r)
}
