package store

import "time"

// Resource is one SCIM resource: a user, a group or a custom type, as the
// identity provider wrote it.
type Resource struct {
	ID       string    // made by the server, random, unique in the scope
	Type     string    // resource type name, such as "User"
	Version  int64     // 1 when created, one more with each change
	Position int64     // order of creation in the scope, assigned by the store
	Created  time.Time // UTC
	Modified time.Time // UTC; of the last change of the version

	// Source is the way of provisioning that owns the resource: JIT as long as
	// nothing else has written it, else the last other one that did. It is empty
	// for a resource that was stored before sources were kept.
	Source Source

	// Display is what a reference to the resource shows: its displayName, or
	// its userName where it has none.
	Display string

	// Document holds the attributes as one canonical JSON object, without id,
	// meta, schemas, groups and members.
	Document Document

	// Keys are the index entries of the resource. They are written with it and
	// not returned by a Reader.
	Keys []Key

	// Groups are the direct groups of a user or group, and Members the direct
	// members of a group. They are nil unless the reader was asked for them
	// with [WithGroups] or [WithMembers].
	Groups  []Membership
	Members []Membership
}

// EnvelopeSize is about what an answer about a resource takes beside its document,
// and MembershipSize for each membership. [Resource.Size] counts them.
const (
	EnvelopeSize   = 512
	MembershipSize = 256
)

// Size is about how many bytes the resource takes in an answer, and in memory,
// with the parts that were loaded.
func (r *Resource) Size() int {
	return len(r.Document) + EnvelopeSize + MembershipSize*(len(r.Groups)+len(r.Members))
}

// Key is one index entry of a resource. Value is already in its comparable
// form: the [NameKey] where the attribute ignores case. Stores compare
// it byte by byte.
type Key struct {
	Attribute string // as the schema spells it, such as "emails.value"
	Value     string
	Unique    bool // no other resource of the type in the scope has this value
}

// Parts selects what a Reader loads beside the document of a resource.
type Parts uint8

// The parts of a resource that live outside its document.
const (
	WithGroups Parts = 1 << iota
	WithMembers
)

// Membership is a user or group being a direct member of a group, known from
// one source. The same pair may be known from several.
type Membership struct {
	Group  string
	Member string
	Source Source

	// Kind is the resource type of the member: "User" or "Group".
	Kind string

	// Display is the Display of the other side: of the member when listing a
	// group, of the group when listing a member. Readers fill it; writers
	// ignore it.
	Display string
}

// Source says which way of provisioning a fact came from.
type Source string

// The sources of facts.
const (
	SourceSCIM     Source = "scim"
	SourceJIT      Source = "jit"
	SourceSync     Source = "sync"
	SourceDefault  Source = "default"
	SourceOperator Source = "operator"
)

// Reported reports whether facts of the source are what an identity provider
// said. The others are the application's own.
func (s Source) Reported() bool {
	return s == SourceSCIM || s == SourceJIT || s == SourceSync
}

// Record is a small keyed value with a version and an expiry. Its value is
// opaque to the store.
type Record struct {
	Kind    string
	Key     string
	Value   []byte
	Version int64
	Expires time.Time // zero: never
}
