package memory

import (
	"fmt"
	"slices"

	"github.com/scimjit/provision/store"
)

// stage is a number under which memberships of one group are staged. Each of them has
// its mark: an even number where it joins, and the odd one behind it where it leaves.
type stage struct {
	number int64
	group  uint32
	shown  bool
	rows   []stagedRow // in the order in which they were staged; some may be gone
}

type stagedRow struct {
	member uint32
	source uint16
}

// mostStages is how many stages a scope may have at a time.
const mostStages = 1 << 15

// unbornGroup is the resource of a group that has staged members only: one that is to be
// made, or was deleted.
func unbornGroup(id string) *store.Resource { return &store.Resource{ID: id} }

// seen reports whether anybody sees a membership.
func (s *scope) seen(e edge) bool {
	return e.mark == 0 || s.stages[e.mark&^1].shown == (e.mark&1 == 0)
}

// stageNumbered returns the stage with a number, and the mark of those that join.
func (s *scope) stageNumbered(number int64) (mark uint16, st *stage) {
	for mark, st := range s.stages { // there are few
		if st.number == number {
			return mark, st
		}
	}
	return 0, nil
}

// newStage begins a stage.
func (t *tx) newStage(number int64, group string) (mark uint16, st *stage, err error) {
	g, known := t.lookup("", group)
	if !known {
		if g, known = t.unborn[group]; !known {
			g = t.nodes.add(node{resource: unbornGroup(group)})
			t.unborn[group] = g
			t.did(func() {
				delete(t.unborn, group)
				t.nodes.remove(g)
			})
		}
	}
	for mark = 2; t.stages[mark] != nil; mark += 2 {
		if mark == mostStages*2-2 {
			return 0, nil, fmt.Errorf("memory: more than %d stages", mostStages)
		}
	}
	st = &stage{number: number, group: g}
	t.stages[mark] = st
	t.did(func() { delete(t.stages, mark) })
	return mark, st, nil
}

// StageMembers implements store.StageWriter.
func (t *tx) StageMembers(number int64, joining, leaving []store.Membership) (staged int, err error) {
	if err := store.CheckStage(number, joining, leaving); err != nil || len(joining)+len(leaving) == 0 {
		return 0, err
	}
	group := slices.Concat(joining, leaving)[0].Group
	mark, st := t.stageNumbered(number)
	if st == nil {
		if mark, st, err = t.newStage(number, group); err != nil {
			return 0, err
		}
	}
	if r := t.nodes.at(st.group).resource; r == nil || r.ID != group {
		return 0, fmt.Errorf("memory: stage %d is not one of group %q", number, group)
	}
	before := st.rows
	t.did(func() { st.rows = before })
	for _, m := range joining {
		n, ok := t.lookup("", m.Member)
		source := t.sourceNumber(m.Source)
		if !ok {
			continue
		}
		if _, found := t.searchGroups(n, st.group, source); found {
			continue
		}
		t.insertEdge(st.group, n, source, mark)
		st.rows = append(st.rows, stagedRow{n, source})
	}
	for _, m := range leaving {
		n, ok := t.lookup("", m.Member)
		source := t.sourceNumber(m.Source)
		if !ok {
			continue
		}
		i, found := t.searchGroups(n, st.group, source)
		if !found || t.nodes.at(n).groups[i].mark != 0 {
			continue
		}
		t.mark(st.group, n, source, mark+1)
		st.rows = append(st.rows, stagedRow{n, source})
	}
	return len(st.rows) - len(before), nil
}

// mark gives a membership the mark of a stage, on both sides.
func (t *tx) mark(group, member uint32, source, mark uint16) {
	was := t.setMark(group, member, source, mark)
	t.did(func() { t.setMark(group, member, source, was) })
}

func (s *scope) setMark(group, member uint32, source, mark uint16) (was uint16) {
	g, m := s.nodes.at(group), s.nodes.at(member)
	at, _ := g.members.search(s.byID(m.resource.ID, s.sources[source]))
	e := &g.members.chunks[at.chunk][at.index]
	was, e.mark = e.mark, mark
	i, _ := s.searchGroups(member, group, source)
	m.groups[i].mark = mark
	return was
}

// ShowStage implements store.StageWriter.
func (t *tx) ShowStage(number int64) error {
	if _, st := t.stageNumbered(number); st != nil && !st.shown {
		st.shown = true
		t.did(func() { st.shown = false })
	}
	return nil
}

// DeleteStaged implements store.StageWriter. The node of the group stays for its members
// that are not settled.
func (t *tx) DeleteStaged(typ, id string, number int64) error {
	if _, st := t.stageNumbered(number); st == nil {
		return t.DeleteResource(typ, id)
	}
	n, ok := t.lookup(typ, id)
	if !ok {
		return noResource(typ, id)
	}
	t.unlist(n)
	nd := t.nodes.at(n)
	resource, keys := nd.resource, nd.keys
	nd.resource, nd.keys, t.unborn[id] = unbornGroup(id), "", n
	t.did(func() {
		nd.resource, nd.keys = resource, keys
		delete(t.unborn, id)
	})
	return t.ShowStage(number)
}

// SettleStage implements store.StageWriter.
func (t *tx) SettleStage(number int64, limit int) (more bool, err error) {
	mark, st := t.stageNumbered(number)
	if st == nil {
		return false, nil
	}
	rows := st.rows
	t.did(func() { st.rows = rows })
	for n := 0; n < limit && len(st.rows) > 0; {
		last := len(st.rows) - 1
		row := st.rows[last]
		st.rows = st.rows[:last:last] // what is staged next takes new memory: an undo needs this
		if t.settle(st, mark, row) {
			n++
		}
	}
	if len(st.rows) > 0 {
		return true, nil
	}
	delete(t.stages, mark)
	t.did(func() { t.stages[mark] = st })
	t.forgetUnborn(st.group)
	return false, nil
}

// settle settles a membership that was staged, if it still is.
func (t *tx) settle(st *stage, mark uint16, row stagedRow) bool {
	if t.nodes.at(row.member).resource == nil || t.nodes.at(st.group).resource == nil {
		return false // deleted since
	}
	i, found := t.searchGroups(row.member, st.group, row.source)
	if !found {
		return false
	}
	e := t.nodes.at(row.member).groups[i]
	switch {
	case e.mark == 0 || e.mark&^1 != mark:
		return false
	case t.seen(e):
		t.mark(st.group, row.member, row.source, 0)
	default:
		t.removeEdge(st.group, row.member, e)
	}
	return true
}

// forgetUnborn removes the node of a group that was never made, with its last stage.
func (t *tx) forgetUnborn(g uint32) {
	r := t.nodes.at(g).resource
	if r == nil {
		return
	}
	if n, unborn := t.unborn[r.ID]; !unborn || n != g {
		return
	}
	was := *t.nodes.at(g)
	delete(t.unborn, r.ID)
	t.nodes.remove(g)
	t.did(func() {
		t.nodes.add(was) // the number that was freed last
		t.unborn[r.ID] = g
	})
}
