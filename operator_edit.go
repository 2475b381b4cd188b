package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// ErrReported says that the identity provider reports that a person is in a
// group: only it can end that.
var ErrReported = errors.New("provision: the identity provider reports that the person is in this group")

// RemoveGroup takes a group from an account for an operator: one that the
// account only carries still, because deprovisionGroups or provisionGroups is
// off, and one that a default, the host or an operator gave it. A default group
// does not come back by itself. The identity provider's view of the group stays
// as it is.
//
// The error is [ErrReported] when the identity provider reports the membership,
// directly or by a group inside the group; then nothing is changed. It is
// [ErrNotFound] for an unknown or deleted account, and for one that does not
// carry the group.
func (d *Directory) RemoveGroup(ctx context.Context, account, group string) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		groups, err := readGraph(c.tx, c.conn.policy, before.ResourceID)
		if err != nil {
			return err
		}
		if groups.Reports(before.ResourceID, group) {
			return ErrReported
		}
		has := func(g store.AccountGroup) bool { return g.ID == group }
		if !slices.ContainsFunc(before.Groups, has) {
			return ErrNotFound
		}
		edited := before.Clone()
		edited.Groups = slices.DeleteFunc(edited.Groups, has)
		edited.Facts.HostGroups = slices.DeleteFunc(edited.Facts.HostGroups, has)
		if before.ResourceID != "" {
			for _, source := range []store.Source{store.SourceDefault, store.SourceOperator} {
				if _, err := c.tx.DeleteMembership(group, before.ResourceID, source); err != nil {
					return err
				}
			}
		}
		return c.derive(derivation{before, edited})
	})
}

// AccountEdit is what an operator sets of an account. A zero field stays as it
// is.
type AccountEdit struct {
	// Authentication is how the person logs in. It is fixed from then on,
	// whatever option passwordGroups says, until the next edit.
	Authentication policy.Authentication `json:"authentication,omitempty"`

	// TwoFactor is the two-factor setting.
	TwoFactor policy.TwoFactor `json:"twoFactor,omitempty"`

	// Permissions are those that change, by name; nil means the host's default.
	// Names are text of 1 to 64 bytes without control characters. An account has
	// at most 100, or those that the policy gave it: an edit adds no more.
	Permissions policy.Permissions `json:"permissions,omitempty"`
}

// The bounds of the permissions of an [AccountEdit].
const (
	maxEditPermissions    = 100
	maxEditPermissionName = 64
)

// Edit sets what an operator decides about one account. Two-factor and
// permissions, which the policy sets at creation, stay as edited.
//
// An edit that changes nothing appends no event. The error is [ErrNotFound] for
// an unknown or deleted account, and an [*ArgumentError] for a value that
// does not exist and for too many permissions; then nothing is changed.
func (d *Directory) Edit(ctx context.Context, account string, edit AccountEdit) error {
	if err := edit.check(); err != nil {
		return fmt.Errorf("provision: editing account %q: %w", account, err)
	}
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		edited := before.Clone()
		if edit.Authentication != "" {
			edited.Authentication, edited.Facts.AuthenticationSet = edit.Authentication, true
		}
		if edit.TwoFactor != "" {
			edited.TwoFactor = edit.TwoFactor
		}
		if len(edit.Permissions) > 0 && edited.Permissions == nil {
			edited.Permissions = policy.Permissions{}
		}
		maps.Copy(edited.Permissions, edit.Permissions)
		if n := len(edited.Permissions); n > maxEditPermissions && n > len(before.Permissions) {
			return fmt.Errorf("provision: editing account %q: %w", account, tooManyPermissions(n))
		}
		return c.derive(derivation{before, edited})
	})
}

func tooManyPermissions(n int) error {
	return &ArgumentError{Argument: "permissions", Value: strconv.Itoa(n), Reason: fmt.Sprintf("there may be %d", maxEditPermissions)}
}

func (e *AccountEdit) check() error {
	switch e.Authentication {
	case "", policy.AuthenticationSSO, policy.AuthenticationPassword:
	default:
		return &ArgumentError{Argument: "authentication", Value: string(e.Authentication), Reason: "it must be one of sso, password"}
	}
	switch e.TwoFactor {
	case "", policy.TwoFactorSite, policy.TwoFactorAlways, policy.TwoFactorNever:
	default:
		return &ArgumentError{Argument: "twoFactor", Value: string(e.TwoFactor), Reason: "it must be one of site, always, never"}
	}
	if n := len(e.Permissions); n > maxEditPermissions {
		return tooManyPermissions(n)
	}
	for name := range e.Permissions {
		if !isPlainText(name, maxEditPermissionName) {
			return &ArgumentError{Argument: "permissions", Value: shorten(name), Reason: fmt.Sprintf("a name must be text of 1 to %d bytes without control characters", maxEditPermissionName)}
		}
	}
	return nil
}
