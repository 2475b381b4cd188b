package scim

import (
	"errors"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// edit is what PUT or PATCH makes of a document and of members.
type edit struct {
	// apply returns the document after the edit, and whether it is to be written. It may
	// run again, also on another version of the document.
	apply func(members patch.Members, before schema.Object) (after schema.Object, write bool, err error)

	// whole says that apply asks for no members: a PUT. Where sets, they are to be those
	// in members, whoever they were.
	whole, sets bool
	members     []string
}

// largeDocument is how many bytes a document or a body may have that is edited inside
// the transaction, while the other writers of the connection wait: some 800 e-mails,
// which take a millisecond. Users have 2 kB. For these, to read the document first
// would cost one more transaction and save nothing.
const largeDocument = 16 << 10

// aheadTries is how often a group with many members is edited before its transaction,
// where others change it each time.
const aheadTries = 3

// edited is what an edit has made of one version of a document.
type edited struct {
	version int64 // 0: nothing was edited yet
	content provision.Content
	write   bool
	members *memberEdits // before the transaction, of a group; or nil
	err     error        // of the edit
}

// errAhead ends a transaction in which an edit turned out to be one that is made before
// it: of a large document, or one that asks who all members are.
var errAhead = errors.New("scim: the edit is made before the transaction")

// update changes a stored resource by an edit. A large one is made before the
// transaction, which takes what comes of it if the version is still the same. If it has
// moved, a document is edited again inside, and a group with many members again before:
// with those, nobody else waits while they are read.
func (x *exchange) update(t *schema.ResourceType, id string, parts store.Parts, body int, change edit) (*store.Resource, error) {
	var ahead edited
	if body > largeDocument && (t.Members == nil || change.whole) {
		r, err := x.directory.Get(x.request.Context(), t.Name, id, 0)
		if err != nil {
			return nil, err
		}
		ahead = x.ahead(t, r, change)
	}
	for try := 1; ; try++ {
		var late *store.Resource // what is to be edited before
		r, err := x.directory.Update(x.request.Context(), t.Name, id, parts, func(d *provision.Draft) error {
			x.pace.inside = true
			defer func() { x.pace.inside = false }()
			late = nil
			if err := x.checkVersion(d.Version()); err != nil {
				return err
			}
			e := ahead
			if e.version != d.Version() {
				if e = x.inside(t, d, &ahead, try, change); errors.Is(e.err, errAhead) {
					late = d.Resource()
				}
			} else if e.members != nil && e.err == nil {
				e.members.replay(d)
			}
			if e.err != nil {
				return e.err
			}
			if e.write { // but perhaps the members
				d.Write(e.content)
			}
			if change.sets {
				d.SetMembers(change.members)
			}
			d.Tolerated(x.decoder.Used.Names()...)
			return nil
		})
		if late == nil {
			if err == nil {
				x.countIgnored(t, id)
			}
			return r, err
		}
		ahead = x.ahead(t, late, change)
	}
}

// inside edits a version of a document inside the transaction, or refuses to, after
// what was edited before the transaction is of another version.
func (x *exchange) inside(t *schema.ResourceType, d *provision.Draft, ahead *edited, try int, change edit) edited {
	switch {
	case ahead.members != nil && try <= aheadTries:
		return edited{err: errAhead}
	case ahead.members != nil && len(ahead.members.stored) > provision.MembersPage:
		return edited{err: refuse(codeBusy, "the group has many members and changes all the time, try again").after(time.Second)}
	case t.Members == nil && ahead.version == 0 && len(d.Resource().Document) > largeDocument:
		return edited{err: errAhead}
	}
	all := ahead.members != nil // they are few
	return x.edited(t, draftMembers{draft: d, attribute: t.Members, all: all}, d.Resource(), change)
}

// ahead edits a version of a document before the transaction.
func (x *exchange) ahead(t *schema.ResourceType, r *store.Resource, change edit) edited {
	if t.Members == nil || change.whole {
		return x.edited(t, nil, r, change)
	}
	members, err := x.readMembers(t, r)
	if err != nil {
		return edited{version: r.Version, err: err}
	}
	e := x.edited(t, members, r, change)
	members.settle()
	e.members = members
	return e
}

// edited edits a version of a document.
func (x *exchange) edited(t *schema.ResourceType, members patch.Members, r *store.Resource, change edit) edited {
	e := edited{version: r.Version}
	x.pace.GiveWay()
	before, err := t.Document(r.Document)
	if err != nil {
		e.err = err
		return e
	}
	var after schema.Object
	if after, e.write, e.err = change.apply(members, before); e.err == nil && e.write {
		x.pace.GiveWay()
		e.content, e.err = x.content(t, after)
	}
	return e
}

// documentSize is room for the document of nearly every user.
const documentSize = 2048

// encoded returns the JSON of a document, in memory that it fills: a store may keep it
// as it is.
func encoded(doc schema.Object) store.Document {
	buffer := newBuffer(documentSize)
	*buffer = doc.AppendJSON(*buffer)
	text := make(store.Document, len(*buffer))
	copy(text, *buffer)
	keepBuffer(buffer)
	return text
}

// content checks a document and puts it into the form that a store keeps.
func (x *exchange) content(t *schema.ResourceType, doc schema.Object) (provision.Content, error) {
	if err := t.Validate(doc); err != nil {
		return provision.Content{}, err
	}
	x.written = doc
	keys := t.Keys(doc)
	if t.Name == provision.TypeGroup && !x.dialect.UniqueGroupNames {
		for i := range keys {
			keys[i].Unique = false
		}
	}
	if keys == nil {
		keys = []store.Key{}
	}
	return provision.Content{Document: encoded(doc), Keys: keys, Display: t.Display(doc)}, nil
}
