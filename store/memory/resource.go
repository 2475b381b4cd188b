package memory

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/scimjit/provision/store"
)

// idAttribute is the number of the id in scope.attributes.
const idAttribute = 0

// Resource implements store.ResourceReader.
func (r reader) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	n, ok := r.lookup(typ, id)
	if !ok {
		return nil, noResource(typ, id)
	}
	return r.load(n, with, 0), nil
}

// Types implements store.ResourceReader.
func (r reader) Types(ids ...string) (map[string]string, error) {
	types := make(map[string]string, len(ids))
	for _, id := range ids {
		if n, ok := r.lookup("", id); ok {
			types[id] = r.nodes.at(n).resource.Type
		}
	}
	return types, nil
}

func noResource(typ, id string) error {
	return &store.NotFoundError{Kind: cmp.Or(typ, store.KindResource), ID: id}
}

// few is room for the candidates of an index key without an allocation.
type few [4]uint32

// lookup finds a node by type (empty: any) and id.
func (s *scope) lookup(typ, id string) (uint32, bool) {
	var buffer few
	for _, n := range s.index.find(buffer[:0], idAttribute, id) {
		if r := s.nodes.at(n).resource; r.ID == id {
			return n, typ == "" || r.Type == typ
		}
	}
	return 0, false
}

// load returns the resource of a node with the parts asked for, and at most so many
// members (0: all).
func (r reader) load(n uint32, with store.Parts, most int) *store.Resource {
	nd := r.nodes.at(n)
	groups := with&store.WithGroups != 0 && len(nd.groups) > 0
	members := with&store.WithMembers != 0 && nd.members.size() > 0
	if !groups && !members {
		return nd.resource
	}
	loaded := *nd.resource
	if groups {
		loaded.Groups = r.groupsOf(n)
	}
	if members {
		loaded.Members = r.membersOf(n, "", most)
	}
	return &loaded
}

// loadResource returns a resource as it was read, with the parts asked for as they
// are now, and at most so many members (0: all). One that was deleted meanwhile has
// none.
func (r reader) loadResource(res *store.Resource, with store.Parts, most int) (*store.Resource, error) {
	if with == 0 {
		return res, nil
	}
	n, ok := r.lookup(res.Type, res.ID)
	if !ok {
		return res, nil
	}
	loaded := r.load(n, with, most)
	if r.nodes.at(n).resource == res {
		return loaded, nil
	}
	older := *res
	older.Groups, older.Members = loaded.Groups, loaded.Members
	return &older, nil
}

// PutResource implements store.ResourceWriter.
func (t *tx) PutResource(r *store.Resource) error {
	n, exists := t.lookup("", r.ID)
	switch {
	case r.Version < 1:
		return fmt.Errorf("memory: version %d of %s %q is below 1", r.Version, r.Type, r.ID)
	case r.Version == 1 && exists:
		return &store.VersionError{Kind: r.Type, ID: r.ID}
	case r.Version > 1 && (!exists || t.nodes.at(n).resource.Type != r.Type):
		return noResource(r.Type, r.ID)
	case r.Version > 1 && t.nodes.at(n).resource.Version != r.Version-1:
		return &store.VersionError{Kind: r.Type, ID: r.ID}
	}
	if err := t.conflict(r, n, exists); err != nil {
		return err
	}

	stored := *r
	stored.Keys, stored.Groups, stored.Members = nil, nil, nil
	if cap(stored.Document)-len(stored.Document) > len(stored.Document)/8 {
		stored.Document = slices.Clone(stored.Document)
	}
	keys := t.keepTexts(&stored, r.Keys)
	if exists && r.Keys == nil {
		keys = t.nodes.at(n).keys
	}
	if exists {
		stored.Position = t.nodes.at(n).resource.Position
		t.replace(n, &stored, keys)
	} else {
		stored.Position = t.position + 1
		t.insert(&stored, keys)
	}
	r.Position = stored.Position
	return nil
}

// AddKeys implements store.ResourceWriter.
func (t *tx) AddKeys(typ, id string, keys []store.Key) error {
	n, ok := t.lookup(typ, id)
	if !ok {
		return noResource(typ, id)
	}
	nd := t.nodes.at(n)
	stored := *nd.resource
	all := nd.keys
	for i := range keys {
		added := t.keepTexts(&stored, keys[i:i+1])
		a, value, _ := cutKey(added)
		if !hasKey(all, a, value) {
			all += added
		}
	}
	if all != nd.keys {
		t.replace(n, nd.resource, all)
	}
	return nil
}

// conflict looks for another resource that holds a unique key of r.
func (s *scope) conflict(r *store.Resource, self uint32, exists bool) error {
	for _, key := range r.Keys {
		if !key.Unique {
			continue
		}
		var buffer few
		for _, n := range s.holders(buffer[:0], key.Attribute, key.Value) {
			holder := s.nodes.at(n).resource
			if holder.Type == r.Type && (!exists || n != self) {
				return &store.ConflictError{Attribute: key.Attribute, ID: holder.ID}
			}
		}
	}
	return nil
}

// holders appends the nodes that have an index key to dst.
func (s *scope) holders(dst []uint32, attribute, value string) []uint32 {
	a := slices.Index(s.attributes[1:], attribute) + 1
	if a == 0 {
		return dst
	}
	start := len(dst)
	dst = s.index.find(dst, a, value)
	others := slices.DeleteFunc(dst[start:], func(n uint32) bool { return !hasKey(s.nodes.at(n).keys, a, value) })
	return dst[:start+len(others)]
}

func hasKey(packed string, attribute int, value string) bool {
	for packed != "" {
		var a int
		var v string
		if a, v, packed = cutKey(packed); a == attribute && v == value {
			return true
		}
	}
	return false
}

func (t *tx) insert(r *store.Resource, keys string) {
	list := t.byType[r.Type]
	if list == nil {
		list = &ordered[uint32]{}
		t.byType[r.Type] = list
	}
	t.position = r.Position
	n, unborn := t.unborn[r.ID]
	if unborn {
		delete(t.unborn, r.ID)
		t.nodes.at(n).resource, t.nodes.at(n).keys = r, keys
	} else {
		n = t.nodes.add(node{resource: r, keys: keys})
	}
	t.link(n)
	at := t.byPosition(r.Position)
	list.insert(n, at)
	t.everything.insert(n, at)
	t.did(func() {
		t.unlink(n)
		list.remove(at)
		t.everything.remove(at)
		if unborn {
			t.nodes.at(n).resource, t.nodes.at(n).keys = unbornGroup(r.ID), ""
			t.unborn[r.ID] = n
		} else {
			t.nodes.remove(n)
		}
	})
}

func (t *tx) replace(n uint32, r *store.Resource, keys string) {
	nd := t.nodes.at(n)
	oldResource, oldKeys := nd.resource, nd.keys
	set := func(r *store.Resource, keys string) {
		if nd.keys == keys {
			nd.resource = r
			return
		}
		t.unlink(n)
		nd.resource, nd.keys = r, keys
		t.link(n)
	}
	set(r, keys)
	t.did(func() { set(oldResource, oldKeys) })
}

// DeleteResource implements store.ResourceWriter.
func (t *tx) DeleteResource(typ, id string) error {
	n, ok := t.lookup(typ, id)
	if !ok {
		return noResource(typ, id)
	}
	t.removeMembers(n)
	t.unlist(n)
	removed := *t.nodes.at(n)
	t.nodes.remove(n)
	t.did(func() { t.nodes.add(removed) }) // the number that was freed last
	return nil
}

// unlist takes a resource out of all lists but those of its members.
func (t *tx) unlist(n uint32) {
	for _, e := range slices.Clone(t.nodes.at(n).groups) {
		t.removeEdge(e.node, n, e)
	}
	r := t.nodes.at(n).resource
	list, at := t.byType[r.Type], t.byPosition(r.Position)
	t.unlink(n)
	list.remove(at)
	t.everything.remove(at)
	t.did(func() {
		t.link(n)
		list.insert(n, at)
		t.everything.insert(n, at)
	})
}

// link enters a node in the index, and unlink takes it out again.
func (s *scope) link(n uint32) { s.indexNode(n, s.index.add) }

func (s *scope) unlink(n uint32) { s.indexNode(n, s.index.remove) }

// indexNode adds or removes all keys of a node, together as the index demands.
func (s *scope) indexNode(n uint32, change func(int, string, uint32)) {
	nd := s.nodes.at(n)
	change(idAttribute, nd.resource.ID, n)
	for packed := nd.keys; packed != ""; {
		var a int
		var value string
		a, value, packed = cutKey(packed)
		change(a, value, n)
	}
}

// keepTexts gives r and its keys texts of their own, in one piece of memory, and
// returns the keys packed: for each the number of its attribute, the length of
// its value, and the value.
func (t *tx) keepTexts(r *store.Resource, keys []store.Key) (packed string) {
	b := append(append(t.buffer[:0], r.ID...), r.Display...)
	for _, key := range keys {
		a := slices.Index(t.attributes[1:], key.Attribute) + 1
		if a == 0 {
			t.attributes = append(t.attributes, key.Attribute)
			a = len(t.attributes) - 1
		}
		b = binary.AppendUvarint(b, uint64(a))
		b = binary.AppendUvarint(b, uint64(len(key.Value)))
		b = append(b, key.Value...)
	}
	texts := string(b)
	id, display := len(r.ID), len(r.ID)+len(r.Display)
	r.ID, r.Display = texts[:id], texts[id:display]
	return texts[display:]
}

// cutKey returns the attribute number and the value of the first of some packed
// keys, and the others.
func cutKey(packed string) (attribute int, value, rest string) {
	attribute, packed = cutUvarint(packed)
	size, packed := cutUvarint(packed)
	return attribute, packed[:size], packed[size:]
}

func cutUvarint(s string) (int, string) {
	value := 0
	for i := 0; ; i++ {
		value |= int(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return value, s[i+1:]
		}
	}
}
