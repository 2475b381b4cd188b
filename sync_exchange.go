package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/store"
)

// exchange writes users each of whom has the name or the address that the next one is to
// have, until the first one's: nobody of them can be written before the others. Those of
// a round are written in one transaction, at whose end nothing is there twice.
func (s *syncing) exchange(ctx context.Context) error {
	waiting := make(map[string]userWrite, len(s.again))
	for _, w := range s.again {
		waiting[w.id] = w
	}
	written := map[string]bool{}
	for _, w := range s.again {
		round := roundOf(w, waiting)
		if written[w.id] || len(round) == 0 {
			continue
		}
		ids, err := s.writeRound(ctx, round)
		if err != nil {
			return err
		}
		for i, id := range ids {
			s.wrote(round[i], id)
			written[round[i].id] = true
		}
	}
	left := s.again[:0]
	for _, w := range s.again {
		if !written[w.id] {
			left = append(left, w)
		}
	}
	s.again = left
	return nil
}

// roundOf returns the writes from one to the one that it waits for, and so on until it is
// itself waited for; none where it is not.
func roundOf(first userWrite, waiting map[string]userWrite) (round []userWrite) {
	for w := first; len(round) < syncBatch; {
		round = append(round, w)
		if w.refused == nil {
			return nil
		}
		next, ok := waiting[w.refused.ID]
		if !ok {
			return nil
		}
		if next.id == first.id {
			return round
		}
		w = next
	}
	return nil // it waits for a round, and is in none
}

// errRoundOver says that somebody of a round is not written any more: another source decides
// about them since the sync looked.
var errRoundOver = errors.New("provision: a user of the round is not written")

// writeRound writes a round, or nothing where one of it still cannot be written.
func (s *syncing) writeRound(ctx context.Context, round []userWrite) (ids []string, err error) {
	ids = make([]string, len(round))
	err = s.update(ctx, func(c syncChange) error {
		hidden := make([]int64, len(round))
		for i, w := range round {
			if hidden[i], err = c.hide(w.id); err != nil {
				return err
			}
		}
		for i := range round {
			id, err := c.syncUser(&round[i])
			if err != nil {
				return err
			}
			ids[i] = id
		}
		for i, id := range ids { // whoever was hidden and not written would be found by nothing
			r, err := c.tx.Resource(TypeUser, id, 0)
			if err != nil {
				return err
			}
			if r.Version == hidden[i] {
				return errRoundOver
			}
		}
		return nil
	})
	var conflict *store.ConflictError
	var refused *DeniedError
	if errors.As(err, &conflict) || errors.As(err, &refused) || errors.Is(err, ErrNotFound) || errors.Is(err, errRoundOver) {
		return nil, nil // it is reported as what it was
	}
	return ids, err
}

// hide takes a user who is written anew in the same transaction out of the indexes, so that
// others can have what it had. It returns the version that the user then has.
func (c syncChange) hide(id string) (version int64, err error) {
	r, err := c.tx.Resource(TypeUser, id, 0)
	if err != nil {
		return 0, err
	}
	hidden := *r
	hidden.Version++
	hidden.Keys = []store.Key{}
	return hidden.Version, c.putResource(&hidden)
}
