package scimsync

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// Error says what is wrong with an input, and where.
type Error struct {
	Line   int    // from 1
	Column string // of a CSV file, or the SCIM attribute; may be empty
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("scimsync: line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("scimsync: line %d: %s: %v", e.Line, e.Column, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Source is a file as a source of a sync. It is read once, by one sync, and is
// not safe for concurrent use.
type Source struct {
	read   func(*Source, func(provision.SyncUser) bool) error
	groups []provision.SyncGroup
	silent bool // nothing is known of groups
	err    error
	done   bool
}

var _ provision.SyncSource = (*Source)(nil)

// Users implements [provision.SyncSource]. It keeps the groups that it meets.
func (s *Source) Users(ctx context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		if s.done {
			yield(provision.SyncUser{}, fmt.Errorf("scimsync: a source is read once"))
			return
		}
		s.done = true
		stopped := false
		err := s.read(s, func(u provision.SyncUser) bool {
			if s.err = ctx.Err(); s.err != nil {
				return false
			}
			stopped = !yield(u, nil)
			return !stopped
		})
		if s.err = cmp.Or(s.err, err); s.err != nil && !stopped {
			yield(provision.SyncUser{}, s.err)
		}
	}
}

// Groups implements [provision.SyncSource]. The users come first.
func (s *Source) Groups(context.Context) iter.Seq2[provision.SyncGroup, error] {
	if s.silent && s.err == nil {
		return nil
	}
	return func(yield func(provision.SyncGroup, error) bool) {
		if s.err != nil {
			yield(provision.SyncGroup{}, s.err)
			return
		}
		for _, g := range s.groups {
			if !yield(g, nil) {
				return
			}
		}
	}
}

// decode decodes and checks a resource, and returns its content and its members.
func decode(t *schema.ResourceType, data []byte) (provision.Content, []string, error) {
	d := schema.Decoder{Allow: schema.LooseSchemas}
	doc, err := d.Resource(t, data)
	if err != nil {
		return provision.Content{}, nil, err
	}
	var members []string
	if t.Members != nil {
		for i, m := range doc.Get(t.Members).Array {
			value := m.Object.Get(t.Members.Lookup("value")).Text
			if value == "" {
				return provision.Content{}, nil, fmt.Errorf("members[%d]: has no value", i)
			}
			members = append(members, strings.Clone(value))
		}
		doc.Set(t.Members, schema.Value{})
	}
	// As in a SCIM request, who is not said to be inactive is active.
	if active := t.Root.Lookup("active"); active != nil && doc.Get(active).Kind == schema.Unassigned {
		doc.Set(active, schema.Value{Kind: schema.Literal, Text: "true"})
	}
	if err := t.Validate(doc); err != nil {
		return provision.Content{}, nil, err
	}
	keys := t.Keys(doc)
	if keys == nil {
		keys = []store.Key{}
	}
	return provision.Content{Document: doc.AppendJSON(nil), Keys: keys, Display: t.Display(doc)}, members, nil
}
