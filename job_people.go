package provision

import (
	"errors"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A job of some people walks over users in order of id: over those that its lists
// name, and over the members of its groups as they are now. It looks at nobody else.

// peopleList is how many users a record of a list names.
const peopleList = 500

// jobReader reads the people of a job.
type jobReader interface {
	store.MemberReader
	store.RecordReader
}

// savePeople adds a record to a list of people. The users are in order of id, and come
// behind those that the list has.
func savePeople(w store.RecordWriter, list string, users []string) error {
	e := records.Entry[[]string]{Key: list + "/" + users[len(users)-1], Value: users}
	return records.JobPeople.Save(w, &e)
}

// dropPeople removes a list of people, at most so many of its records (0: all), and
// reports whether there may be more.
func dropPeople(tx records.ReadWriter, list string, most int) (more bool, err error) {
	recs, err := tx.Records(records.JobPeople.Row().Name, list+"/", most)
	if err != nil {
		return false, err
	}
	for _, rec := range recs {
		if !strings.HasPrefix(rec.Key, list+"/") {
			return false, nil
		}
		if err := records.JobPeople.Delete(tx, rec.Key, rec.Version); err != nil {
			return false, err
		}
	}
	return most > 0 && len(recs) == most, nil
}

// usersAfter returns the next users of a job of some people, in order of id, at most
// so many.
func usersAfter(r jobReader, of *records.People, after string, most int) ([]string, error) {
	var users []string
	for _, list := range of.Lists {
		some, err := listedAfter(r, list, after, most)
		if err != nil {
			return nil, err
		}
		users = append(users, some...)
	}
	for _, group := range of.Groups {
		some, err := membersAfter(r, group, after, most)
		if err != nil {
			return nil, err
		}
		users = append(users, some...)
	}
	slices.Sort(users)
	users = slices.Compact(users)
	return users[:min(most, len(users))], nil
}

// listedAfter returns the next users of a list.
func listedAfter(r store.RecordReader, list, after string, most int) (users []string, err error) {
	for key := list + "/" + after; len(users) < most; {
		next, err := records.JobPeople.List(r, key, 1)
		if err != nil || len(next) == 0 || !strings.HasPrefix(next[0].Key, list+"/") {
			return users, err
		}
		for _, user := range next[0].Value {
			if user > after {
				users = append(users, user)
			}
		}
		key = next[0].Key
	}
	return users, nil
}

// membersAfter returns the next users in a group: at least so many, unless there are
// fewer.
func membersAfter(r store.MemberReader, group, after string, most int) (users []string, err error) {
	for len(users) < most {
		page, err := r.Memberships(group, after, most)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if after = m.Member; m.Kind == TypeUser && (len(users) == 0 || users[len(users)-1] != m.Member) {
				users = append(users, m.Member)
			}
		}
		if len(page) < most {
			break
		}
	}
	return users, nil
}

// among returns those of some users that are among the people of a job.
func among(r jobReader, of *records.People, users []string) (found map[string]bool, err error) {
	found = map[string]bool{}
	if len(of.Groups) > 0 {
		rows, err := r.MembershipsOf(users...)
		if err != nil {
			return nil, err
		}
		for _, m := range rows {
			if slices.Contains(of.Groups, m.Group) {
				found[m.Member] = true
			}
		}
	}
	sorted := slices.Sorted(slices.Values(users))
	for _, list := range of.Lists {
		var listed []string // of the record that has the next user, if any
		for _, user := range sorted {
			if len(listed) == 0 || listed[len(listed)-1] < user {
				if listed, err = recordWith(r, list, user); err != nil {
					return nil, err
				}
				if listed == nil {
					break
				}
			}
			if _, is := slices.BinarySearch(listed, user); is {
				found[user] = true
			}
		}
	}
	return found, nil
}

// recordWith returns what the record of a list has that would name a user, or nil
// behind the last one.
func recordWith(r store.RecordReader, list, user string) ([]string, error) {
	e, err := records.JobPeople.Load(r, list+"/"+user) // of whom it is the last
	if err != nil || e.Stored() {
		return e.Value, err
	}
	next, err := records.JobPeople.List(r, e.Key, 1)
	if err != nil || len(next) == 0 || !strings.HasPrefix(next[0].Key, list+"/") {
		return nil, err
	}
	return next[0].Value, nil
}

// markPending returns the accounts with Pending set on those that wait for a
// job.
func markPending(r store.Reader, list []*Account) ([]*Account, error) {
	j, err := records.Job.Load(r, "")
	if err != nil || !j.Stored() {
		return list, err
	}
	waiting := make([]bool, len(list))
	var users []string
	for i, a := range list {
		waiting[i] = j.Value.Waits(a.ID, walkKey(&j.Value, a))
		if waiting[i] && j.Value.Of != nil {
			users = append(users, a.ResourceID)
		}
	}
	var those map[string]bool
	if len(users) > 0 {
		if those, err = among(r, j.Value.Of, users); err != nil {
			return nil, err
		}
	}
	out := make([]*Account, len(list))
	for i, a := range list {
		out[i] = a
		if waiting[i] && (those == nil || those[a.ResourceID]) {
			c := *a
			c.Pending = true
			out[i] = &c
		}
	}
	return out, nil
}

// walkKey is where an account comes in the walks of a job.
func walkKey(j *records.DeriveJob, a *Account) string {
	if j.Of != nil {
		return a.ResourceID
	}
	return a.ID
}

// nextPage returns the next accounts of a walk, at most size, and reports whether
// they are the last.
func (w *worker) nextPage(walk *records.Walk, size int) (list []*Account, done bool, err error) {
	if len(walk.Left) > 0 {
		ids, done := walk.Take(size)
		w.tx.Expect(func(r store.Reader) { _, _ = found(ids, r.Account) })
		list, err := found(ids, w.tx.Account)
		return list, done, err
	}
	if w.job.Of != nil {
		users, err := usersAfter(w.tx, w.job.Of, walk.Cursor, size)
		if err != nil {
			return nil, false, err
		}
		met, done := walk.Met(users, len(users) == size)
		w.tx.Expect(func(r store.Reader) { _, _ = found(users[:met], r.AccountOf) })
		list, err := found(users[:met], w.tx.AccountOf)
		return list, done, err
	}
	if list, err = w.tx.Accounts(store.AccountQuery{After: walk.Cursor, Limit: size}); err != nil {
		return nil, false, err
	}
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	met, done := walk.Met(ids, len(list) == size)
	return list[:met], done, nil
}

// found returns the accounts that get finds, and leaves the others out.
func found(ids []string, get func(string) (*Account, error)) (list []*Account, err error) {
	for _, id := range ids {
		a, err := get(id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// groupsBelow returns groups with all groups in them, transitively, in order of id, or
// nil where they are more than most.
func groupsBelow(r store.MemberReader, groups []string, most int) ([]string, error) {
	all := slices.Compact(slices.Sorted(slices.Values(groups)))
	for next := all; len(next) > 0 && len(all) <= most; {
		rows, err := r.GroupsIn(next...)
		if err != nil {
			return nil, err
		}
		next = nil
		for _, m := range rows {
			if at, known := slices.BinarySearch(all, m.Member); !known {
				all = slices.Insert(slices.Clip(all), at, m.Member)
				next = append(next, m.Member)
			}
		}
	}
	if len(all) > most {
		return nil, nil
	}
	return all, nil
}

// peopleOfJob returns whose accounts a job is to derive: users, everybody below groups,
// and those in a list that is stored already, if any. It stores the users as a list. It
// is nil, for all accounts, where there are too many groups.
func (c *change) peopleOfJob(users, groups []string, list string) (*records.People, error) {
	of := &records.People{}
	var err error
	if of.Groups, err = groupsBelow(c.tx, groups, records.PeopleParts); err != nil {
		return nil, err
	}
	if len(groups) > 0 && of.Groups == nil {
		return nil, nil
	}
	if list == "" && len(users) > 0 {
		if list, err = c.engine.newID(); err != nil {
			return nil, err
		}
		users = slices.Compact(slices.Sorted(slices.Values(users)))
		for part := range slices.Chunk(users, peopleList) {
			if err := savePeople(c.tx, list, part); err != nil {
				return nil, err
			}
		}
	}
	if list != "" {
		of.Lists = []string{list}
	}
	return of, nil
}
