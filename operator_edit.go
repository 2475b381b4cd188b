package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/scimjit/provision/internal/spelling"
	"github.com/scimjit/provision/policy"
)

// AccountEdit is what an operator sets of an account. A zero field stays as it
// is.
type AccountEdit struct {
	// Authentication is how the person logs in. It is fixed from then on,
	// whatever option passwordGroups says, until the next edit.
	Authentication policy.Authentication `json:"authentication,omitempty"`

	// TwoFactor is the two-factor setting.
	TwoFactor policy.TwoFactor `json:"twoFactor,omitempty"`

	// Permissions are those that change, by name in any case; nil means the host's
	// default. There are those of the policy, of [Engine.Permissions], and what the
	// account has.
	Permissions policy.Permissions `json:"permissions,omitempty"`
}

// Edit sets what an operator decides about one account. Two-factor and
// permissions, which the policy sets at creation, stay as edited.
//
// An edit that changes nothing appends no event. The error is [ErrNotFound] for
// an unknown or deleted account, and an [*ArgumentError] for a value that
// does not exist; then nothing is changed.
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
		permissions, err := edit.permissions(d.engine, before)
		if err != nil {
			return fmt.Errorf("provision: editing account %q: %w", account, err)
		}
		if len(permissions) > 0 && edited.Permissions == nil {
			edited.Permissions = policy.Permissions{}
		}
		maps.Copy(edited.Permissions, permissions)
		return c.derive(derivation{before, edited})
	})
}

// permissions returns those that change, by the names of the host.
func (e *AccountEdit) permissions(engine *Engine, before *Account) (policy.Permissions, error) {
	had := slices.Sorted(maps.Keys(before.Permissions))
	named, err := e.Permissions.Named(slices.Concat(engine.Permissions, had)...)
	var wrong *policy.ConfigError
	if errors.As(err, &wrong) {
		return nil, &ArgumentError{Argument: wrong.Option, Value: shorten(wrong.Value), Reason: "it " + wrong.Detail}
	}
	return named, err
}

func (e *AccountEdit) check() error {
	wrong := func(argument, value string, words ...string) error {
		return &ArgumentError{Argument: argument, Value: shorten(value), Reason: spelling.Hint(words, value)}
	}
	switch e.Authentication {
	case "", policy.AuthenticationSSO, policy.AuthenticationPassword:
	default:
		return wrong("authentication", string(e.Authentication), string(policy.AuthenticationSSO), string(policy.AuthenticationPassword))
	}
	switch e.TwoFactor {
	case "", policy.TwoFactorSite, policy.TwoFactorAlways, policy.TwoFactorNever:
	default:
		return wrong("twoFactor", string(e.TwoFactor), string(policy.TwoFactorSite), string(policy.TwoFactorAlways), string(policy.TwoFactorNever))
	}
	return nil
}
