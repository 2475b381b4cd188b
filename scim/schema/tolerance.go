package schema

import (
	"math/bits"
	"slices"
)

// Tolerance is a set of deviations from the RFCs that a dialect accepts.
type Tolerance uint32

// The tolerances. Each has a name (see [Tolerance.Names]) that is recorded in
// the event of a request that needed it.
const (
	// TextBooleans accepts "True", "false", "1" and [true] as booleans, and the
	// numbers 1 and 0.
	TextBooleans Tolerance = 1 << iota

	// SingleAsArray accepts one value where a multi-valued attribute is
	// expected, and a one-element array where a single value is.
	SingleAsArray

	// BareComplex accepts a bare value for a complex attribute that has a
	// "value" sub-attribute: manager given as a string.
	BareComplex

	// EmptyAsAbsent takes "", blank text, {} and {"value":""} as unassigned,
	// and so an element of which nothing but its type and primary is left. A
	// PATCH may have no operations.
	EmptyAsAbsent

	// NumberText accepts numbers given as text, and text given as a number or
	// boolean.
	NumberText

	// UnknownIgnored ignores what names an unknown attribute: keys of a
	// path-less PATCH value, and PATCH operations whose path parses.
	UnknownIgnored

	// ReadOnlyIgnored ignores attempts to change read-only attributes.
	ReadOnlyIgnored

	// AnyCaseOp accepts PATCH operations spelled "Add", "Replace", "Remove".
	AnyCaseOp

	// PathKeys accepts paths as the keys of a path-less PATCH value:
	// "name.givenName", "urn:...:User:department", "emails[type eq \"work\"].value".
	// In a resource it accepts keys of a schema URN and an attribute of it.
	PathKeys

	// ReplaceCreates lets a PATCH replace create the element that its value
	// filter did not find, instead of noTarget.
	ReplaceCreates

	// RemoveListed makes a PATCH remove with a path and a list of values remove
	// only those values. Without it the value has no meaning and all are
	// removed (RFC 7644 section 3.5.2.2).
	RemoveListed

	// LooseSchemas accepts a resource or PATCH without, or with unknown,
	// schema URIs, and extension data whose URN is not listed.
	LooseSchemas

	// OnePrimary keeps the first primary value of a multi-valued attribute that
	// has several; the others stay, not primary.
	OnePrimary

	// JSONText accepts JSON as text where an object or a list is expected:
	// "{\"displayName\":\"EPD\"}".
	JSONText

	// WrappedValue accepts {"value": x} where a simple value is expected.
	WrappedValue

	// ArmoredBinary accepts base64 with white space and with the armor of PEM
	// (RFC 7468), which are taken out.
	ArmoredBinary

	// BareText accepts text in the value filter of a PATCH path without quotes,
	// or in single ones.
	BareText
)

// toleranceNames are in the order of the bits.
var toleranceNames = []string{
	"textBooleans", "singleAsArray", "bareComplex", "emptyAsAbsent", "numberText", "unknownIgnored", "readOnlyIgnored",
	"anyCaseOp", "pathKeys", "replaceCreates", "removeListed", "looseSchemas", "onePrimary", "jsonText", "wrappedValue",
	"armoredBinary", "bareText",
}

// Names returns the names of the tolerances in the set, in order of their bits,
// such as "textBooleans". It is nil for the empty set.
func (t Tolerance) Names() []string {
	if t == 0 {
		return nil
	}
	names := make([]string, 0, bits.OnesCount32(uint32(t)))
	for i, name := range toleranceNames {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// ToleranceNamed returns the tolerance with a name, such as "textBooleans"; the
// case counts. It is the inverse of [Tolerance.Names].
func ToleranceNamed(name string) (Tolerance, bool) {
	i := slices.Index(toleranceNames, name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}
