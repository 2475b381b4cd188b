package provision

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A change of more members than one transaction writes (Limits.InlineMembers) is
// staged. Nobody waits for it longer than for any other write:
//
//  1. The draft is written by a view of the group, and its members are compared with
//     those that are stored, page by page, each page in a view of its own, as long as
//     the version of the group stays the same. Who does not exist is refused here.
//  2. Where the difference is small, one transaction writes it, and else it is staged
//     in sets, each in a transaction of its own, while those who leave are read again:
//     they may be many more than the request names. Nobody sees what is staged. The same
//     transactions list the people for the job that may derive their accounts.
//  3. The last transaction shows all at once by one row, with the content, the version
//     and the event of the group. It derives the accounts, or leaves them to a job.
//  4. What was staged is settled, in sets again. Nobody sees that.
//
// The transactions of 2 and 3 look whether the version has moved. Then what was staged
// is dropped, and everything is done again, a few times. A process that ends before 3
// has changed nothing, and after it everything: Run settles what is left. That rows
// which count for nobody are stored by then is the one exception from the rule that a
// change is all in one transaction.
//
// So is the deletion of a group of more members: all of them are staged to leave, and 3
// deletes the group.

const (
	// stagingTries is how often a large change is done again because the group has
	// changed meanwhile.
	stagingTries = 5

	// stagingLease is how long a process that stages members is not heard of until
	// another takes its place.
	stagingLease = time.Minute
)

var (
	// errLarge ends a transaction in which a draft turned out to change more members
	// than it may write.
	errLarge = errors.New("provision: the members are to be staged")

	// errMoved says that a group has changed since its members were compared.
	errMoved = errors.New("provision: the group has changed meanwhile")
)

// largeChange is a change of a draft whose members are many.
type largeChange struct {
	*Directory
	cause cause
	isNew bool                          // the group is made
	open  func(*change) (*Draft, error) // makes the draft, with the resource as it is
	fn    func(*Draft) error
	with  store.Parts
	also  func(store.Tx) error // what each transaction does first, or nil
}

// first does what each transaction does first.
func (l *largeChange) first(tx store.Tx) error {
	if l.also == nil {
		return nil
	}
	return l.also(tx)
}

// run makes the change and returns the resource as it is then.
func (l *largeChange) run(ctx context.Context) (out *Resource, err error) {
	for range stagingTries {
		var d *Draft
		if d, err = l.draft(ctx); err != nil {
			return nil, err
		}
		out, err = l.stage(ctx, d)
		if !errors.Is(err, errMoved) {
			return out, err
		}
	}
	return nil, &store.UnavailableError{RetryAfter: time.Second, Err: err}
}

// draft writes the draft by a view of the group.
func (l *largeChange) draft(ctx context.Context) (d *Draft, err error) {
	err = l.view(ctx, func(r store.Reader) error {
		c := &change{cause: l.cause, engine: l.engine, tx: viewTx{Reader: r}, now: l.engine.now()}
		var err error
		if c.conn, err = l.engine.connections.load(l.connection, r); err != nil {
			return err
		}
		if d, err = l.open(c); err != nil {
			return err
		}
		if err := l.fn(d); err != nil {
			return err
		}
		if d.before == nil {
			if err := d.adopt(); err != nil {
				return err
			}
		}
		return d.misused
	})
	if err == nil {
		d.change = &change{cause: l.cause, engine: l.engine} // the view has ended
		d.takeWanted()
	}
	if most := l.engine.Limits.members(); err == nil && len(d.order) > most {
		err = &LimitError{Limit: "Limits.Members", Max: most}
	}
	return d, err
}

// viewTx reads a view as a transaction that writes nothing.
type viewTx struct {
	store.Reader
	store.ResourceWriter
	store.MemberWriter
	store.AccountWriter
	store.EventWriter
	store.LogWriter
	store.RecordWriter
}

// stage compares the members of the draft with those that are stored and makes the
// change. It returns errMoved where the group is not what the draft was made of.
func (l *largeChange) stage(ctx context.Context, d *Draft) (*Resource, error) {
	leave, err := l.engine.stagings.enter(ctx, l.connection+"/"+d.resource.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	diff, err := l.compare(ctx, d)
	if err != nil {
		return nil, err
	}
	s := &staging{largeChange: l, draft: d, diff: diff}
	if diff.size() > l.engine.Limits.inlineMembers() {
		if err := s.stageAll(ctx); err != nil {
			s.drop(ctx)
			return nil, err
		}
	}
	out, err := s.finish(ctx)
	switch {
	case s.number == 0:
	case err != nil:
		s.drop(ctx)
	default:
		s.settle(ctx)
	}
	return out, err
}

// sameVersion is a view in which the group is as the draft has it.
func (l *largeChange) sameVersion(ctx context.Context, d *Draft, fn func(store.Reader) error) error {
	return l.view(ctx, func(r store.Reader) error {
		if err := d.unmoved(r); err != nil {
			return err
		}
		return fn(r)
	})
}

// unmoved returns errMoved where the resource is not what the draft was made of.
func (d *Draft) unmoved(r store.ResourceReader) error {
	stored, err := r.Resource("", d.resource.ID, 0)
	switch {
	case errors.Is(err, store.ErrNotFound) && d.before == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return errMoved // the next draft says that it is not there
	case err != nil:
		return err
	case d.before == nil || stored.Version != d.before.Version:
		return errMoved
	}
	return nil
}

// staging is one try of a large change.
type staging struct {
	*largeChange
	draft  *Draft
	diff   *memberDifference
	number int64 // of the stage; 0: there is none
}

// stageAll stages the difference.
func (s *staging) stageAll(ctx context.Context) error {
	if err := s.engine.settleStage(ctx, s.connection, s.draft.resource.ID); err != nil {
		return err
	}
	random, err := s.engine.randomBytes(8)
	if err != nil {
		return err
	}
	s.number = int64(binary.BigEndian.Uint64(random)>>1) | 1
	if s.draft.deletes {
		if err := s.announce(ctx); err != nil {
			return err
		}
	}
	if err := s.eachSet(ctx, func(set *stagedSet) error { return s.stageSet(ctx, set) }); err != nil {
		return err
	}
	s.diff.delta.list = s.list()
	return nil
}

// announce says that the group is being deleted, before its members are read again: who
// joins it by default makes no version of it.
func (s *staging) announce(ctx context.Context) error {
	return s.engine.store().Update(ctx, s.connection, func(_ context.Context, tx store.Tx) error {
		if err := s.first(tx); err != nil {
			return err
		}
		if err := s.draft.unmoved(tx); err != nil {
			return err
		}
		return s.keep(tx, true)
	})
}

// beingDeleted reports whether a group has begun to be deleted. It reads the few groups
// that are staged, so that it can be announced before the group is known.
func beingDeleted(r store.RecordReader, group string) (bool, error) {
	list, err := records.Staging.List(r, "", 0)
	return slices.ContainsFunc(list, func(e records.Entry[records.Stage]) bool {
		return e.Key == group && e.Value.Deletes
	}), err
}

// stageSet stages a part of the difference in one transaction.
func (s *staging) stageSet(ctx context.Context, set *stagedSet) error {
	return s.engine.store().Update(ctx, s.connection, func(_ context.Context, tx store.Tx) error {
		if err := s.first(tx); err != nil {
			return err
		}
		if err := s.draft.unmoved(tx); err != nil {
			return err
		}
		if err := s.keep(tx, set.first); err != nil {
			return err
		}
		n, err := tx.StageMembers(s.number, set.joining, set.leaving)
		if err != nil {
			return err
		}
		if n != set.size() {
			return errMoved // somebody was deleted
		}
		if len(set.users) > 0 {
			return savePeople(tx, s.list(), set.users)
		}
		return nil
	})
}

// list names the people of the stage, of whom a job derives the accounts.
func (s *staging) list() string { return stageList(s.number) }

func stageList(number int64) string { return "stage" + strconv.FormatInt(number, 10) }

// stagedSet is what one transaction stages.
type stagedSet struct {
	first            bool
	joining, leaving []store.Membership
	users            []string // of both, in order of id
	last             string   // the member that was taken last
}

func (s *stagedSet) size() int { return len(s.joining) + len(s.leaving) }

func (s *stagedSet) take(m store.Membership, joins bool) {
	list := &s.leaving
	if joins {
		list = &s.joining
	}
	*list = append(*list, m)
	if m.Kind == TypeUser && m.Member != s.last {
		s.users = append(s.users, m.Member)
	}
	s.last = m.Member
}

// eachSet calls fn with the difference in sets, in order of member, so that those of one
// are together. One set is in memory at a time, and one page of those who leave, who are
// read again.
func (s *staging) eachSet(ctx context.Context, fn func(*stagedSet) error) error {
	byMember := func(a, b store.Membership) int { return strings.Compare(a.Member, b.Member) }
	most, set := s.engine.Limits.inlineMembers(), &stagedSet{first: !s.draft.deletes}
	take := func(m store.Membership, joins bool) error {
		if m.Member != set.last && set.size() >= most {
			if err := fn(set); err != nil {
				return err
			}
			set = &stagedSet{}
		}
		set.take(m, joins)
		return nil
	}
	// Those who join are in the order of the event that lists them.
	joining := slices.SortedFunc(slices.Values(s.diff.joining), byMember)
	join := func(through string, all bool) error {
		for len(joining) > 0 && (all || joining[0].Member <= through) {
			if err := take(joining[0], true); err != nil {
				return err
			}
			joining = joining[1:]
		}
		return nil
	}
	left := 0
	err := s.eachStored(ctx, s.draft, slices.Sorted(slices.Values(s.draft.order)), func(row store.Membership) error {
		if !s.draft.endsMembership(row) {
			return nil
		}
		if err := join(row.Member, false); err != nil {
			return err
		}
		left++
		return take(row, false)
	})
	if err == nil {
		err = join("", true)
	}
	switch {
	case err != nil:
		return err
	case left != s.diff.leave:
		return errMoved
	}
	return fn(set)
}

// keep says that this process stages, or returns errMoved where another has taken its
// place.
func (s *staging) keep(tx store.Tx, first bool) error {
	e, err := records.Staging.Load(tx, s.draft.resource.ID)
	if err != nil {
		return err
	}
	if first == e.Stored() || !first && (e.Value.Number != s.number || e.Value.Holder != s.engine.process()) {
		return errMoved
	}
	now, err := tx.Now()
	if err != nil {
		return err
	}
	e.Value = records.Stage{Number: s.number, Holder: s.engine.process(), Heard: now, Deletes: s.draft.deletes}
	return records.Staging.Save(tx, &e)
}

// finish is the last transaction.
func (s *staging) finish(ctx context.Context) (out *Resource, err error) {
	err = s.update(ctx, s.cause, func(c *change) error {
		if err := s.first(c.tx); err != nil {
			return err
		}
		d := *s.draft
		d.change, d.diff, d.stage = c, s.diff, s.number
		if d.before == nil {
			d.resource.Created = c.now
		}
		if err := s.same(c, &d); err != nil {
			return err
		}
		if s.number != 0 {
			if err := s.keep(c.tx, false); err != nil {
				return err
			}
		}
		if d.deletes {
			return d.delete()
		}
		if err := d.apply(); err != nil {
			return err
		}
		r, err := d.result(s.with)
		out = r
		return err
	})
	return out, err
}

// same returns errMoved where the draft would be another one now.
func (s *staging) same(c *change, d *Draft) error {
	if s.isNew {
		again, err := s.open(c)
		if err != nil {
			return err
		}
		again.resource, again.wrote = d.resource, d.wrote
		again.before = nil
		if err := again.adopt(); err != nil {
			return err
		}
		if (again.before == nil) != (d.before == nil) || d.before != nil && again.before.ID != d.before.ID {
			return errMoved
		}
	}
	return d.unmoved(c.tx)
}

// noteShown notes that the stage is shown.
func (d *Draft) noteShown() error {
	e, err := records.Staging.Find(d.change.tx, d.resource.ID)
	if err != nil {
		return err
	}
	e.Value.Shown = true
	return records.Staging.Save(d.change.tx, &e)
}

// showMembers makes the difference seen, or writes it where it is small.
func (d *Draft) showMembers() (memberDelta, error) {
	tx := d.change.tx
	if d.stage != 0 {
		if err := d.noteShown(); err != nil {
			return memberDelta{}, err
		}
		if err := tx.ShowStage(d.stage); err != nil {
			return memberDelta{}, err
		}
		return d.diff.delta, d.change.checkNesting(d.resource.ID, d.diff.delta.added)
	}
	for _, m := range d.diff.leaving {
		if _, err := tx.DeleteMembership(m.Group, m.Member, m.Source); err != nil {
			return memberDelta{}, err
		}
	}
	for _, m := range d.diff.joining {
		if _, err := memberOf(tx, m.Member); err != nil {
			return memberDelta{}, err
		}
		if _, err := tx.PutMembership(m); err != nil {
			return memberDelta{}, err
		}
	}
	return d.diff.delta, d.change.checkNesting(d.resource.ID, d.diff.delta.added)
}

// settle settles what is left of the stage.
func (s *staging) settle(ctx context.Context) {
	if err := s.engine.settleStage(ctx, s.connection, s.draft.resource.ID); err != nil {
		s.engine.logger().Warn("settling staged members", "connection", s.connection, "group", s.draft.resource.ID, "error", err)
	}
}

// drop is settle after a failure, also that of the client to wait.
func (s *staging) drop(ctx context.Context) {
	if s.number != 0 {
		s.settle(context.WithoutCancel(ctx))
	}
}

// process returns what tells this Engine from those of other processes.
func (e *Engine) process() string {
	e.processOnce.Do(func() { e.processID = rand.Text() })
	return e.processID
}

// settleStage settles what is left of the stage of a group, if it has one, unless
// another process is at it: then the store is unavailable for a while. What was shown
// becomes what it is seen as, and of what was not nothing is left, nor of the list of
// its people.
func (e *Engine) settleStage(ctx context.Context, connection, group string) error {
	most := e.Limits.inlineMembers()
	for more := true; more; {
		err := e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
			more = false
			held, err := records.Staging.Load(tx, group)
			if err != nil || !held.Stored() {
				return err
			}
			if err := e.takeStage(tx, &held); err != nil {
				return err
			}
			if err := records.Staging.Save(tx, &held); err != nil {
				return err
			}
			left, err := tx.SettleStage(held.Value.Number, most)
			if err == nil && !left && !held.Value.Shown {
				left, err = dropPeople(tx, stageList(held.Value.Number), most)
			}
			if err != nil || left {
				more = left
				return err
			}
			return records.Staging.Delete(tx, group, held.Version)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeStage makes this process the one that settles a stage. It is not asked while a
// request of this process stages members of the same group.
func (e *Engine) takeStage(clock store.Clock, held *records.Entry[records.Stage]) error {
	now, err := clock.Now()
	if err != nil {
		return err
	}
	if !e.SingleProcess && held.Value.Holder != e.process() && records.Within(held.Value.Heard, now, stagingLease) {
		return &store.UnavailableError{
			RetryAfter: stagingLease - now.Sub(held.Value.Heard),
			Err:        fmt.Errorf("provision: another process changes the members of group %q", held.Key),
		}
	}
	held.Value.Holder, held.Value.Heard = e.process(), now
	return nil
}

// settleStages settles the stages that were left behind, but for those that somebody
// may be at.
func (e *Engine) settleStages(ctx context.Context, connection string) error {
	var (
		list []records.Entry[records.Stage]
		now  time.Time
	)
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) (err error) {
		if list, err = records.Staging.List(r, "", 0); err == nil && len(list) > 0 {
			now, err = r.Now()
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, held := range list {
		if records.Within(held.Value.Heard, now, stagingLease) {
			continue
		}
		leave, err := e.stagings.enter(ctx, connection+"/"+held.Key)
		if err != nil {
			return err
		}
		err = e.settleStage(ctx, connection, held.Key)
		leave()
		if err != nil {
			return err
		}
	}
	return nil
}
