package scim

import (
	"errors"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// edit is what PUT or PATCH makes of a document, and whether that is to be written. It
// may run again, also on another version of the document. The draft is nil for a type
// without members.
type edit func(d *provision.Draft, before schema.Object) (after schema.Object, write bool, err error)

// largeDocument is how many bytes a document or a body may have that is edited inside
// the transaction, while the other writers of the connection wait: some 800 e-mails,
// which take a millisecond. Users have 2 kB. For these, to read the document first
// would cost one more transaction and save nothing.
const largeDocument = 16 << 10

// edited is what an edit has made of one version of a document.
type edited struct {
	version int64 // 0: nothing was edited yet
	content provision.Content
	write   bool
	err     error // of the edit
}

// errLarge ends a transaction in which a document turned out to be large.
var errLarge = errors.New("scim: the document is large")

// update changes a stored resource by an edit. A large document is edited before the
// transaction, which takes what comes of it if the version is still the same, and
// edits it again if it has moved.
func (x *exchange) update(t *schema.ResourceType, id string, parts store.Parts, body int, change edit) (*store.Resource, error) {
	var ahead edited
	mayLead := t.Members == nil // members are edited where they are stored
	if mayLead && body > largeDocument {
		r, err := x.directory.Get(x.request.Context(), t.Name, id, 0)
		if err != nil {
			return nil, err
		}
		ahead = x.edited(t, nil, r, change)
	}
	var large *store.Resource
	write := func(d *provision.Draft) error {
		if err := x.checkVersion(d.Version()); err != nil {
			return err
		}
		if large = nil; mayLead && ahead.version == 0 && len(d.Resource().Document) > largeDocument {
			large = d.Resource()
			return errLarge
		}
		e := ahead
		if e.version != d.Version() {
			e = x.edited(t, d, d.Resource(), change)
		}
		if e.err != nil {
			return e.err
		}
		if e.write { // but perhaps the members
			d.Write(e.content)
		}
		d.Tolerated(x.decoder.Used.Names()...)
		return nil
	}
	r, err := x.directory.Update(x.request.Context(), t.Name, id, parts, write)
	if large != nil {
		ahead = x.edited(t, nil, large, change)
		r, err = x.directory.Update(x.request.Context(), t.Name, id, parts, write)
	}
	if err == nil {
		x.countIgnored(t, id)
	}
	return r, err
}

// edited edits a version of a document.
func (x *exchange) edited(t *schema.ResourceType, d *provision.Draft, r *store.Resource, change edit) edited {
	e := edited{version: r.Version}
	before, err := t.Document(r.Document)
	if err != nil {
		e.err = err
		return e
	}
	var after schema.Object
	if after, e.write, e.err = change(d, before); e.err == nil && e.write {
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
