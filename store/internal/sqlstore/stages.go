package sqlstore

import (
	"github.com/scimjit/provision/store"
)

// stagedAtOnce is how many memberships one statement stages.
const stagedAtOnce = 500

// StageMembers implements [store.StageWriter].
func (t *Tx) StageMembers(stage int64, joining, leaving []store.Membership) (staged int, err error) {
	if err := store.CheckStage(stage, joining, leaving); err != nil {
		return 0, err
	}
	err = bySource(joining, func(group string, source store.Source, members []string) error {
		n, err := t.conn.Exec(stageJoining, group, string(source), stage, t.scope, members)
		staged += int(n)
		return err
	})
	if err != nil {
		return 0, err
	}
	err = bySource(leaving, func(group string, source store.Source, members []string) error {
		n, err := t.conn.Exec(stageLeaving, -stage, t.scope, group, string(source), members)
		staged += int(n)
		return err
	})
	return staged, err
}

// bySource calls fn with the members of memberships in one group, those of one source
// together, but not too many.
func bySource(list []store.Membership, fn func(group string, source store.Source, members []string) error) error {
	members := map[store.Source][]string{}
	var sources []store.Source
	for _, m := range list {
		if _, known := members[m.Source]; !known {
			sources = append(sources, m.Source)
		}
		members[m.Source] = append(members[m.Source], m.Member)
	}
	for _, source := range sources {
		for ids := members[source]; len(ids) > 0; {
			n := min(stagedAtOnce, len(ids))
			if err := fn(list[0].Group, source, ids[:n]); err != nil {
				return err
			}
			ids = ids[n:]
		}
	}
	return nil
}

// ShowStage implements [store.StageWriter].
func (t *Tx) ShowStage(stage int64) error {
	t.memory.groups = nil
	_, err := t.conn.Exec(showStage, t.scope, stage)
	return err
}

// SettleStage implements [store.StageWriter].
func (t *Tx) SettleStage(stage int64, limit int) (more bool, err error) {
	shown := false
	err = t.conn.Query(stageShown, func(Scanner) error {
		shown = true
		return nil
	}, t.scope, stage)
	if err != nil {
		return false, err
	}
	joining, leaving := deleteStaged, settleStaged
	if shown {
		joining, leaving = settleStaged, deleteStaged
	}
	n, err := t.settle(joining, stage, limit)
	if err != nil {
		return false, err
	}
	if n < limit {
		left, err := t.settle(leaving, -stage, limit-n)
		if err != nil {
			return false, err
		}
		n += left
	}
	if n >= limit {
		return true, nil
	}
	_, err = t.conn.Exec(endStage, t.scope, stage)
	return false, err
}

// settle runs a statement on those memberships that have a number as their stage, and
// returns how many they were, at most limit.
func (t *Tx) settle(statement string, stage int64, limit int) (n int, err error) {
	var (
		group   string
		members []string
	)
	err = t.conn.Query(membersStaged, func(row Scanner) error {
		var in, member string
		if err := row.Scan(&in, &member); err != nil {
			return err
		}
		if group = in; len(members) == 0 || members[len(members)-1] != member {
			members = append(members, member)
		}
		n++
		return nil
	}, t.scope, stage, int64(limit))
	if err != nil || n == 0 {
		return 0, err
	}
	_, err = t.conn.Exec(statement, t.scope, group, members, stage)
	return n, err
}
