// Package filter parses SCIM filters and PATCH paths, writes them back, and
// compiles them with a schema.
//
// # Parsing
//
// [Parse] reads a filter of RFC 7644 section 3.4.2.2 and [ParsePath] the path
// of a PATCH operation (section 3.5.2). Both give the syntax tree of
// github.com/scim2/filter-parser/v2, so that a host can share it with other
// libraries, but do not use its parser: this one bounds its work by [Limits],
// decodes strings, keeps numbers exact and takes any logic within brackets.
//
// In the tree, operators are lower case, attribute names are as written, and
// the comparison value is a string, a bool, nil for null, or a
// [encoding/json.Number] that holds the number as written. A comparison behind
// a value filter, which identity providers send although the RFC has no grammar
// for it, is moved inside:
//
//	emails[type eq "work"].value eq "x"
//	emails[type eq "work" and value eq "x"]
//
// [Format] and [FormatPath] write a tree so that parsing gives the same tree.
//
// # Compiling
//
// [Compile] resolves names, types and case rules with a resource type. Its
// result is a [store.Filter], which a store evaluates without a schema.
// [CompileElement] does the same for the filter of a value path in PATCH. What
// cannot be resolved is an [*Error], never a filter that matches everything.
package filter

import (
	ast "github.com/scim2/filter-parser/v2"
)

// Limits bounds a filter or path. The zero value has the defaults. A limit is
// checked as the text is scanned, before the part that breaks it is built.
type Limits struct {
	Bytes int // of the text; 0 means 4096
	Depth int // of parentheses and brackets; 0 means 16
	Terms int // attribute expressions; 0 means 100
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 4096
	}
	if l.Depth <= 0 {
		l.Depth = 16
	}
	if l.Terms <= 0 {
		l.Terms = 100
	}
	return l
}

// Error says what is wrong with a filter or path, and where. It is the error
// "invalidFilter" or "invalidPath" of RFC 7644 section 3.12.
type Error struct {
	// Offset is the place in the text, in bytes. It is -1 for what [Compile]
	// and [CompileElement] report: a syntax tree has no offsets.
	Offset int

	// Detail is for the client. It may quote names, never values.
	Detail string

	unknown bool // the resource type does not have the attribute
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Parse parses a filter (RFC 7644 section 3.4.2.2). "and" binds tighter than
// "or"; operators of one kind associate to the left. Operators and keywords may
// be in any case. The error is an [*Error].
func Parse(text string, limits Limits) (ast.Expression, error) {
	return parse(text, limits, false)
}

// ParseLoose parses a filter as identity providers write it: beyond [Parse], a
// word without quotes that is no number, true, false or null is text, and so is
// what stands between single quotes. The words "and", "or" and "not" need quotes.
// The error is an [*Error].
func ParseLoose(text string, limits Limits) (ast.Expression, error) {
	return parse(text, limits, true)
}

func parse(text string, limits Limits, loose bool) (ast.Expression, error) {
	p := parser{scanner: scanner{text: text, limits: limits.withDefaults()}, loose: loose}
	e, err := p.filter()
	if err != nil {
		return nil, err
	}
	return e, nil
}

// ParsePath parses the path of a PATCH operation (RFC 7644 section 3.5.2): an
// attribute path, or one with a value filter and perhaps a sub-attribute. The
// error is an [*Error].
//
// Syntax does not tell the URN of an extension from an attribute of a schema:
// the path "urn:example:2.0:User" has the attribute name "User". [Resolve]
// finds either.
func ParsePath(text string, limits Limits) (ast.Path, error) {
	return parsePath(text, limits, false)
}

// ParsePathLoose is to [ParsePath] what [ParseLoose] is to [Parse].
func ParsePathLoose(text string, limits Limits) (ast.Path, error) {
	return parsePath(text, limits, true)
}

func parsePath(text string, limits Limits, loose bool) (ast.Path, error) {
	p := parser{scanner: scanner{text: text, limits: limits.withDefaults()}, loose: loose}
	path, err := p.path()
	if err != nil {
		return ast.Path{}, err
	}
	return path, nil
}
