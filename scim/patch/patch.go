// Package patch applies PATCH requests of RFC 7644 section 3.5.2 to documents.
//
// # Use
//
// [Parse] decodes a request and [Request.Apply] applies it to a document. Apply
// is a pure function of its arguments, all or nothing: it has no clock, no
// store and no memory between calls. What identity providers need beyond the
// RFC is allowed by the tolerances of the [schema.Decoder]; each that was
// needed is recorded there. The zero Decoder is the RFC.
//
// # Members
//
// The members of a group are not part of its document. Operations on them
// become calls of [Members] in the order of the operations, so that adding one
// member to a group of a hundred thousand loads none of them.
//
// # Choices
//
// Where the RFC leaves a choice, or identity providers contradict it:
//
//   - A complex attribute is merged: sub-attributes that the value does not
//     name stay as they are, both with a path and without (section 3.5.2.3).
//     This holds for the container of an extension too.
//   - Replacing the elements that a value filter selects replaces them whole
//     (section 3.5.2.3: "all matching record values SHALL be replaced"), but for
//     what the filter names and the value does not: a work address that is
//     replaced stays the work address. Adding to them merges.
//   - A path such as emails.value, without a value filter, means every element.
//   - An add whose value filter finds nothing creates the element from the
//     equalities that the filter joins by "and"; a replace does so with
//     [schema.ReplaceCreates] and is "noTarget" without. An element that its
//     own filter would not find is not created: that is "noTarget" as well.
//   - A remove whose value filter finds nothing is "noTarget" (section 3.12),
//     and with [schema.UnknownIgnored] no change.
//   - Adding an element that is there already merges into it: the same type and
//     value is there once, see [schema.Elements]. Where it says nothing new, it
//     is no change. Adding accepts one element without an array around it
//     (section 3.5.2.1: "a new value is added").
//   - An element that has nothing left but its type and primary after the last
//     operation is gone.
//   - Setting an element primary sets "primary" of the others to false, where
//     it was true (section 3.5.2). Of several that one operation sets, it is the
//     one that was primary before. Without one, two are "invalidValue", and with
//     [schema.OnePrimary] the first is.
//   - Null in a replace unassigns what it names (RFC 7643 section 2.5); null in
//     an add adds nothing. With [schema.EmptyAsAbsent] so do blank texts, {},
//     and a complex value whose "value" is empty; but {} leaves an extension
//     alone.
//   - Removing a required attribute is "mutability" (section 3.5.2.2), and
//     replacing it by nothing is "invalidValue". An immutable attribute can be
//     set once (section 3.5.2).
//   - Removing an attribute that is [schema.Attribute.Lasting] changes nothing:
//     "active" of a user.
//   - Attributes that are never kept, such as a password, are accepted and
//     change nothing.
//   - Member values are ids. What else a member value says, such as "display",
//     is made by the server.
package patch

import (
	"errors"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
)

// Request is a decoded PATCH request. It is not changed by [Request.Apply], so
// that a transaction may run again.
type Request struct {
	Operations []Operation

	// Rests, when not nil, is asked before each operation: a request of many may let
	// others have the processor.
	Rests interface{ GiveWay() }

	limits Limits
}

// Operation is one PATCH operation.
type Operation struct {
	Op   string // "add", "replace" or "remove"
	Path string // empty: the resource itself

	// Value is the JSON text of the value, without white space around it, nil
	// when there is none. It shares the memory of the body that was parsed.
	Value []byte
}

// The operations of RFC 7644 section 3.5.2.
const (
	add     = "add"
	replace = "replace"
	remove  = "remove"
)

// Limits bounds a request.
type Limits struct {
	Operations int           // of one request; 0 means 1000
	Filter     filter.Limits // of each path

	// Elements bounds the work of a request on multi-valued attributes: how
	// many elements its operations look at. The elements of an attribute count once
	// for all operations, and once for each sub-attribute by which value filters
	// with eq find them: such a filter then looks at those alone that it finds. Any
	// other looks at all each time. Looking at an element counts once for each term
	// of the filter and each 64 bytes of the element. 0 means 1,000,000. Beyond it,
	// Apply returns the error type "tooMany".
	Elements int
}

// ErrTooManyOperations is wrapped by the error of [Parse] when a request has
// more operations than [Limits] allow: status 413 of RFC 7644 section 3.12.
var ErrTooManyOperations = errors.New("patch: too many operations")

// Members receives changes of the members of a group, in the order of the
// operations. The patch engine never holds the members of a group. An error
// ends Apply, which returns it as it is.
type Members interface {
	Add(id string) error    // adding twice adds one
	Remove(id string) error // removing one that is not there succeeds
	Clear() error

	// Member returns a member by its id as a complex value ("value", "display",
	// "type") of the attribute "members", or reports that it is none.
	Member(id string) (v schema.Value, is bool, err error)

	// Each calls fn with every member as such a value, until fn fails. It is
	// called only for a value filter that is not a list of ids joined by "or", once
	// for all operations up to a Clear.
	Each(fn func(schema.Value) error) error
}
