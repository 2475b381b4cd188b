// Package schema compiles SCIM schemas and reads resources by them.
//
// # Schemas
//
// [Compile] turns [Definition] values, which hold elimity-com/scim schema
// definitions, into a [Set] of [ResourceType] trees of [Attribute] nodes. It
// reports what is wrong with a definition instead of panicking, and corrects
// characteristics that RFC 7643 fixes. [Standard] is the set of RFC 7643: User
// with the enterprise extension, and Group. Everything about an attribute that
// the rest of the library asks is decided here, once: its type and case rule,
// where its value lives, whether it is indexed, how paths name it.
//
// # Documents
//
// A decoded resource is an [Object]: its assigned attributes in the order of the
// schema. [Object.AppendJSON] writes the one canonical JSON form of it, which
// is what stores keep and compare. Texts and decimals come back as they were
// written, since identity providers compare what they read with what they sent,
// and send again what differs. It is the index keys that are normalized.
//
// An element of a multi-valued attribute is known by its type and value, and
// there once: see [Elements].
//
// # Reading
//
// A [Decoder] reads what a client sent. It is as strict as the RFCs, but for
// the deviations that its [Tolerance] set allows; it records those it needed.
// Safety does not depend on tolerance: duplicate keys, keys that differ only in
// case, damaged text and excessive nesting are refused always, and attributes
// that are unknown or not the client's to set are dropped always.
//
// [ResourceType.Document] reads a stored document, which needs no such care.
//
// # Deriving
//
// [ResourceType.Keys] returns the index entries of a document,
// [ResourceType.Display] and [ResourceType.Schemas] what a response shows, and
// [ResourceType.Validate] checks what must hold for a document as a whole.
package schema
