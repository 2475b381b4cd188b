package sqlstore

import (
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/window"
)

// loadParts fills the memberships of the resources of a page, with one statement
// for each part. Where they are more than the page has room for, the resources get
// theirs one after the other, until it is full. Of those that a term found directly the
// groups were announced.
func (r *Reader) loadParts(w *window.Window, q *store.Query, direct *store.Term) error {
	page := w.Resources
	if len(page) == 0 || q.With == 0 {
		return nil
	}
	if len(page) == 1 {
		return r.firstParts(page[0], q, direct)
	}
	whole, err := r.partsOf(page, q.With, q.Bytes, direct)
	if err != nil {
		return err
	}
	if whole {
		w.Trim()
		return nil
	}
	for _, res := range page {
		res.Groups, res.Members = nil, nil
	}
	kept, left := 0, q.Bytes
	for kept < len(page) {
		i := kept
		if q.Backward {
			i = len(page) - 1 - kept
		}
		if room := left - page[i].Size(); kept > 0 {
			if room <= 0 {
				break
			}
			whole, err := r.partsOf(page[i:i+1], q.With, room, nil)
			if err != nil {
				return err
			}
			if !whole {
				break
			}
		} else if err := r.firstParts(page[i], q, nil); err != nil {
			return err
		}
		left -= page[i].Size()
		kept++
	}
	w.Keep(kept)
	return nil
}

// firstParts fills the memberships of the resource that a page has whatever its size.
func (r *Reader) firstParts(res *store.Resource, q *store.Query, direct *store.Term) (err error) {
	if with := q.With &^ store.WithMembers; with != 0 {
		if _, err := r.partsOf([]*store.Resource{res}, with, 0, direct); err != nil {
			return err
		}
	}
	if q.With&store.WithMembers != 0 {
		res.Members, err = r.Memberships(res.ID, "", q.MaxMembers())
	}
	return err
}

// partsOf fills the memberships of some resources. It stops and reports false when
// they are larger than a bound; 0 is none.
func (r *Reader) partsOf(page []*store.Resource, with store.Parts, bytes int, direct *store.Term) (whole bool, err error) {
	byID := make(map[string]*store.Resource, len(page))
	ids := make([]string, len(page))
	for i, res := range page {
		byID[res.ID], ids[i] = res, res.ID
	}
	size := 0
	fits := func() error {
		if size += store.MembershipSize; bytes > 0 && size > bytes {
			return ErrEnough
		}
		return nil
	}
	if with&store.WithGroups != 0 {
		query, args := r.groupsOf(direct, ids)
		err := r.memberships(query, func(m store.Membership) error {
			res := byID[m.Member]
			if res == nil {
				return nil // it has the key and is not in the page
			}
			res.Groups = append(res.Groups, m)
			return fits()
		}, args...)
		if err != nil {
			return false, err
		}
	}
	if with&store.WithMembers != 0 && (bytes <= 0 || size <= bytes) {
		err = r.memberships(membersOfGroups, func(m store.Membership) error {
			res := byID[m.Group]
			res.Members = append(res.Members, m)
			return fits()
		}, r.scope, ids, r.scope)
	}
	return bytes <= 0 || size <= bytes, err
}

// groupsOf returns the statement that reads the memberships of some resources, which a
// term may have found directly, and its arguments.
func (r *Reader) groupsOf(direct *store.Term, ids []string) (query string, args []any) {
	if r.pipeline == nil || direct == nil || direct.Kind != store.ByKey {
		return groupsOfMembers, []any{r.scope, ids, r.scope}
	}
	return groupsOfKey, []any{r.scope, direct.Attribute, direct.Value, int64(directRows + 1), r.scope, r.scope}
}
