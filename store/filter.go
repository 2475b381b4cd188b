package store

// Filter is a compiled filter. The set of its implementations is closed: [And],
// [Or], [Not], [Compare], [In], [Present], [Any], [MemberOf] and [HasMember]. Paths,
// types and case rules are resolved from the schema by whoever builds it, so
// that a store needs no schema. [Match] defines what a filter means.
type Filter interface{ filter() }

// And matches when all of its filters match. An empty And matches everything.
type And []Filter

// Or matches when any of its filters matches. An empty Or matches nothing.
type Or []Filter

// Not matches when its filter does not.
type Not struct{ Filter Filter }

// Compare matches when any value at Path compares with Value. For the operator
// [NE] it matches when no value at Path is equal, so a missing attribute
// matches (RFC 7644 section 3.4.2.2 read as the negation of eq).
type Compare struct {
	Path Path
	Op   Operator

	// Value is the comparison value in the form that Path.Type asks for: text
	// for String and Exact (not folded), the number literal for Number, "true"
	// or "false" for Boolean, an RFC 3339 text for DateTime.
	Value string

	// Key, when not empty, names the index attribute (Key.Attribute) that
	// holds every value at Path, and Folded the value in the form of Key.Value.
	// A store may then find the candidates of an [EQ] by index.
	Key    string
	Folded string
}

// In matches when the key of any value at Path is one of Keys. The key of a value
// is what Key.Value is: of a [String] its [NameKey], of an [Exact] text the text
// itself; values of other types have none. So it finds names that clash, of which
// Compare finds those that are the same.
type In struct {
	Path Path
	Key  string   // the index attribute, which holds every value at Path
	Keys []string // ascending, none of them empty
}

// Present matches when there is a value at Path that is neither null, an empty
// string, an empty array nor an object without values.
type Present struct{ Path Path }

// Any matches when one element of the multi-valued complex attribute at Path,
// or the complex attribute itself where it is single-valued, matches Filter.
// Paths inside Filter are relative to the element.
type Any struct {
	Path   Path
	Filter Filter
}

// MemberOf matches the direct members of a group that an identity provider
// reported: what it reads of members and groups is what it may find by them. An empty Group matches those
// that are in any group.
type MemberOf struct{ Group string }

// HasMember matches the groups that an identity provider reported a user or group
// to be directly in. An empty
// Member matches groups that have any member.
type HasMember struct{ Member string }

func (And) filter()       {}
func (Or) filter()        {}
func (Not) filter()       {}
func (Compare) filter()   {}
func (In) filter()        {}
func (Present) filter()   {}
func (Any) filter()       {}
func (MemberOf) filter()  {}
func (HasMember) filter() {}

// Operator is a comparison operator of RFC 7644 section 3.4.2.2.
type Operator uint8

// The comparison operators. "pr" is [Present].
const (
	EQ Operator = iota + 1
	NE
	CO
	SW
	EW
	GT
	GE
	LT
	LE
)

// Path is the place of an attribute in a resource: the keys of the canonical
// document from the outside in, such as {"emails", "value"} or
// {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "department"}.
// Arrays on the way are descended into. The paths {"id"}, {"meta", "created"},
// {"meta", "lastModified"}, {"meta", "version"} and {"meta", "resourceType"}
// read the fields of [Resource] instead of the document.
type Path struct {
	Keys []string
	Type ValueType
}

// ValueType says how the values at a path compare.
type ValueType uint8

// The value types.
const (
	String   ValueType = iota + 1 // text; EQ holds for names that match, and the rest compares them by case and normalization alike
	Exact                         // text, compared byte by byte
	Number                        // numbers of any size, compared exactly
	Boolean                       // true or false; only EQ and NE
	DateTime                      // instants, compared across offsets and precisions; without an offset in UTC
)
