package provision

import (
	"context"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
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

	// Warnings are those of the connection, such as of default groups that do not
	// exist: see [Directory.Warnings].
	Warnings []Warning `json:"warnings,omitempty"`

	// Reasons are those of the decision, the options that did not apply
	// included, then the default groups that the account waits for, and then those
	// of the guards that keep the account.
	Reasons []policy.Reason `json:"reasons"`
}

// Explain decides about one account again, from the stored facts and the policy
// of the connection, and says which options applied and which did not. A
// tombstone has no facts any more: its explanation is what it was deleted for.
//
// Nothing is stored. The error is [ErrNotFound] for an unknown account.
func (d *Directory) Explain(ctx context.Context, id string) (Explanation, error) {
	var out Explanation
	clock, err := d.engine.clockWarnings(ctx)
	if err != nil {
		return out, err
	}
	err = d.view(ctx, func(r store.Reader) error {
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		a, err := readAccount(r, id)
		if err != nil {
			return err
		}
		out = Explanation{Account: a, Status: a.Status, Reasons: a.Reasons}
		if out.Warnings, err = d.engine.warnings(conn, r, clock); err != nil {
			return err
		}
		if a.Status == policy.StatusDeleted {
			return nil
		}
		groups, err := readGraph(r, conn.policy, a.ResourceID)
		if err != nil {
			return err
		}
		decision := account.Decide(account.Input{
			Before: a, Next: a, Groups: groups, Policy: conn.policy, Now: d.engine.now(), Sure: d.engine.sure(d.engine.now()), Trace: true,
		})
		out.Status, out.Reasons = decision.Status(), decision.Reasons()
		waits, err := waitsForGroups(r, conn, a)
		if err != nil {
			return err
		}
		out.Reasons = append(out.Reasons, waits...)
		for _, reason := range a.Reasons {
			if account.IsGuardReason(reason) {
				out.Reasons = append(out.Reasons, reason)
			}
		}
		return nil
	})
	return out, err
}

// waitsForGroups names the default groups that an account waits for, because no
// group has the name.
func waitsForGroups(r store.RecordReader, conn *compiled, a *Account) (list []policy.Reason, err error) {
	for _, name := range conn.Policy.DefaultGroups {
		e, err := records.DefaultGroup.Load(r, waitKey(name)+a.ID)
		if err != nil {
			return nil, err
		}
		if e.Stored() {
			list = append(list, policy.Reason{Option: "defaultGroups", Group: name, Effect: policy.EffectNotMatched})
		}
	}
	return list, nil
}
