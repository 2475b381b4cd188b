package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/store"
)

// What a sync takes from a group of more members than one transaction writes is staged,
// as a request of that size is (staged.go): all of it is seen at once, so that the mass
// guard takes it for one cause, and nobody waits for it longer than for any other write.

// takeMembers takes members from a group, those that are of some sources.
func (s *syncing) takeMembers(ctx context.Context, w *groupWrite) error {
	if len(w.removed) <= s.engine.Limits.inlineMembers() {
		return s.changeMembers(ctx, w, func(_ syncChange, d *Draft) error {
			for _, id := range w.removed {
				d.RemoveMember(id)
			}
			return nil
		})
	}
	for ids := range slices.Chunk(w.removed, s.engine.Limits.members()) {
		err := s.changeLarge(ctx, w.id, w.ends(), func(d *Draft) error {
			for _, id := range ids {
				d.RemoveMember(id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteLarge deletes a group of many members.
func (s *syncing) deleteLarge(ctx context.Context, group string) error {
	change := s.large(group, &Draft{deletes: true, cleared: true})
	_, err := change.run(ctx)
	return err
}

// changeLarge changes the members of a group, of those that are from some sources.
func (s *syncing) changeLarge(ctx context.Context, group string, ends []store.Source, fn func(*Draft) error) error {
	if s.options.DryRun {
		return nil
	}
	change := s.large(group, &Draft{ends: ends})
	change.fn = fn
	_, err := change.run(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil // deleted since the sync looked
	}
	return err
}

// large returns a change of a group by a draft like one, each transaction of which
// prolongs the lease of the sync.
func (s *syncing) large(group string, like *Draft) *largeChange {
	return &largeChange{
		Directory: s.Directory, cause: s.cause(), also: s.renew, fn: func(*Draft) error { return nil },
		open: func(c *change) (*Draft, error) {
			r, err := c.tx.Resource(TypeGroup, group, 0)
			if err != nil {
				return nil, err
			}
			d := *like
			d.change, d.resource, d.before = c, *r, r
			return &d, nil
		},
	}
}
