package provision

import (
	"context"
	"fmt"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// PreviewTotals says in numbers what another policy would make of the accounts of a
// connection, with the guards.
type PreviewTotals struct {
	Before AccountCounts `json:"before"`
	After  AccountCounts `json:"after"`

	Changed int `json:"changed"` // accounts that would not be as they are
	Leaving int `json:"leaving"` // of these, those that would lose access, or be deleted after that

	// Held says that these are too many at once, so that the guard would hold them: After
	// counts them as they are. A forced save lets them go ([Directory.Forced]).
	Held bool `json:"held"`

	// LastAdminKept says that the last site admin would lose the role, and be kept.
	LastAdminKept bool `json:"lastAdminKept"`

	// OtherAdmins is how many site admins the host has by other ways.
	OtherAdmins int `json:"otherAdmins"`
}

// FewAdmins reports whether one site admin or none would be left, those of the host
// counted. Whoever saves such a policy is asked whether that is meant.
func (p PreviewTotals) FewAdmins() bool {
	kept := 0
	if p.LastAdminKept { // in spite of the policy
		kept = 1
	}
	return p.After.SiteAdmins-kept+p.OtherAdmins <= 1
}

// PreviewTotals counts what [Directory.Preview] lists, and asks the guards: too many at
// once, and the last site admin. Nothing is stored. Numbers are of several moments where
// the connection changes meanwhile. Errors are those of Preview, and of [Engine.Guard].
//
// It reads every account, so that it belongs to an act of somebody, not to each view of a
// page.
func (d *Directory) PreviewTotals(ctx context.Context, config policy.Config) (PreviewTotals, error) {
	var p PreviewTotals
	other, err := compilePolicy(config, d.engine.Permissions)
	if err != nil {
		return p, fmt.Errorf("provision: preview: %w", err)
	}
	if d.engine.Guard != nil {
		if p.OtherAdmins, err = d.engine.Guard.OtherAdmins(ctx, d.connection); err != nil {
			return p, fmt.Errorf("provision: asking for the host's admins: %w", err)
		}
	}
	sum := totals{PreviewTotals: p}
	for after, more := "", true; more; {
		next := sum
		err := d.view(ctx, func(r store.Reader) (err error) {
			next = sum
			after, more, err = next.page(d, r, other, after)
			return err
		})
		if err != nil {
			return p, err
		}
		sum = next
	}
	err = d.view(ctx, func(r store.Reader) error { return sum.settle(&massGuard{r: r, most: d.engine.Limits.deprovision()}) })
	return sum.PreviewTotals, err
}

// totals are the numbers as far as they are counted.
type totals struct {
	PreviewTotals
	before, after, stay tally // stay: of those that leave, were they to stay
	leave               tally
	rescue              tally // what it changes to keep the last site admin seen who leaves
	losing              int   // site admins that stay and lose the role
}

// page counts the accounts after one.
func (t *totals) page(d *Directory, r store.Reader, p *policy.Policy, after string) (last string, more bool, err error) {
	if err := d.exists(r); err != nil {
		return "", false, err
	}
	size := d.engine.Limits.batch()
	list, err := r.Accounts(store.AccountQuery{After: after, Limit: size})
	if err != nil || len(list) == 0 {
		return "", false, err
	}
	people := make([]string, len(list))
	for i, a := range list {
		people[i] = a.ResourceID
	}
	groups, err := readGraph(r, p, people...)
	if err != nil {
		return "", false, err
	}
	now := d.engine.now()
	for _, a := range list {
		if a.Status == policy.StatusDeleted {
			t.before.add(a, 1)
			t.after.add(a, 1)
			continue
		}
		t.count(a, account.Decide(account.Input{Before: a, Next: a, Groups: groups, Policy: p, Now: now, Sure: d.engine.sure(now)}))
	}
	return list[len(list)-1].ID, len(list) == size, nil
}

// count counts an account with what is decided about it.
func (t *totals) count(a *Account, d account.Decision) {
	t.before.add(a, 1)
	next := d.Account()
	if next.Status != policy.StatusActive && account.IsHeld(a) {
		next = a // it stays held, or kept
	}
	if len(store.Changes(a, next)) > 0 {
		t.Changed++
	}
	if d.Leaves() {
		t.Leaving++
		t.stay.add(a, 1)
		t.leave.add(next, 1)
		if account.IsAdmin(a) {
			t.rescue = tally{}
			t.rescue.add(next, -1)
			t.rescue.add(a, 1)
		}
		return
	}
	t.after.add(next, 1)
	if account.IsAdmin(a) && !account.IsAdmin(next) {
		t.losing++
	}
}

// settle asks the guards.
func (t *totals) settle(mass *massGuard) error {
	t.Before = AccountCounts(t.before.change)
	verdict := account.LetGo
	if t.Leaving > 0 {
		many, err := mass.tooMany(t.Leaving)
		if err != nil {
			return err
		}
		if many {
			verdict = account.Hold
		}
	}
	went := t.leave.change
	if t.Held = verdict == account.Hold; t.Held {
		went = t.stay.change
		went.Held = t.Leaving
	}
	after := t.after.change
	after.Add(went)
	if t.LastAdminKept = t.before.change.SiteAdmins > 0 && after.SiteAdmins == 0 && t.OtherAdmins == 0; t.LastAdminKept {
		if t.losing > 0 {
			after.SiteAdmins = 1
		} else {
			after.Add(t.rescue.change)
		}
	}
	t.After = AccountCounts(after)
	return nil
}
