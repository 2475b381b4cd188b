package schema

import "slices"

// Type is an attribute data type of RFC 7643 section 2.3.
type Type uint8

// The data types.
const (
	String Type = iota + 1
	Boolean
	Decimal
	Integer
	DateTime
	Binary
	Reference
	Complex
)

// Mutability is defined in RFC 7643 section 2.2.
type Mutability uint8

// The mutabilities.
const (
	ReadWrite Mutability = iota
	ReadOnly
	Immutable
	WriteOnly
)

// Returned is defined in RFC 7643 section 2.2.
type Returned uint8

// When an attribute is returned.
const (
	Default Returned = iota
	Always
	Never
	Request
)

// Uniqueness is defined in RFC 7643 section 2.2.
type Uniqueness uint8

// The scopes in which a value is unique.
const (
	None Uniqueness = iota
	Server
	Global
)

// The keywords of RFC 7643 section 7, by constant.
var (
	typeKeywords       = []string{"", "string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}
	mutabilityKeywords = []string{"readWrite", "readOnly", "immutable", "writeOnly"}
	returnedKeywords   = []string{"default", "always", "never", "request"}
	uniquenessKeywords = []string{"none", "server", "global"}
)

// String returns the keyword of RFC 7643 section 7, such as "dateTime".
func (t Type) String() string { return keyword(typeKeywords, t) }

// String returns the keyword of RFC 7643 section 7, such as "readOnly".
func (m Mutability) String() string { return keyword(mutabilityKeywords, m) }

// String returns the keyword of RFC 7643 section 7, such as "always".
func (r Returned) String() string { return keyword(returnedKeywords, r) }

// String returns the keyword of RFC 7643 section 7, such as "server".
func (u Uniqueness) String() string { return keyword(uniquenessKeywords, u) }

func keyword[T ~uint8](keywords []string, t T) string {
	if int(t) < len(keywords) {
		return keywords[t]
	}
	return ""
}

func parseKeyword[T ~uint8](keywords []string, s string) T {
	return T(max(slices.Index(keywords, s), 0))
}
