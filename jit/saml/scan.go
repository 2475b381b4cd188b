package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth      = 64  // of elements
	maxAttributes = 128 // of one element

	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
)

// element is an open element during a scan. Its names are resolved.
type element struct {
	name   xml.Name
	attrs  []xml.Attr // without namespace declarations
	parent *element   // nil for the root
	depth  int        // 1 for the root

	raw      xml.Name          // with the prefix as it is written
	prefixes map[string]string // declared here
	scope    int               // how many prefixes are declared here and above
	children map[string]int    // by local name
}

// attr returns the attribute of a local name. The scan has refused elements
// with two of them.
func (e *element) attr(local string) string {
	for _, a := range e.attrs {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// parentIs reports whether e is a child of an element with a local name.
func (e *element) parentIs(local string) bool {
	return e.parent != nil && e.parent.name.Local == local
}

// lookup returns the namespace of a prefix.
func (e *element) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlNamespace, true
	}
	for at := e; at != nil; at = at.parent {
		if ns, ok := at.prefixes[prefix]; ok {
			return ns, true
		}
	}
	return "", prefix == ""
}

// surroundings returns an element that stands for those around a document that
// is part of another, or nil.
func surroundings(around namespaces) *element {
	if len(around) == 0 {
		return nil
	}
	e := &element{prefixes: map[string]string{}, scope: len(around), children: map[string]int{}}
	for _, n := range around {
		e.prefixes[n.prefix] = n.uri
	}
	return e
}

// scan reads a document once, before any other parser sees it, and calls visit
// at each start of an element. It refuses what SAML has no use for and what
// parsers are known to disagree about: document types, processing instructions,
// other encodings than UTF-8, anything but white space and comments around the
// one root, odd names, undeclared prefixes, duplicate attributes and deep
// nesting.
//
// Namespaces are resolved here and not by the decoder, which lets undeclared
// prefixes and duplicates pass.
//
// What is part of another document is scanned with the namespaces that are declared
// around it.
func scan(data []byte, around namespaces, visit func(*element) error) error {
	if !utf8.Valid(data) {
		return refuse(CodeDocument, "not UTF-8")
	}
	outside := surroundings(around)
	s := &scanner{decoder: xml.NewDecoder(bytes.NewReader(data)), visit: visit, outside: outside, open: outside}
	for {
		start := s.decoder.InputOffset()
		token, err := s.decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &Error{Code: CodeDocument, Err: err}
		}
		if err := s.token(token, start); err != nil {
			return err
		}
	}
	if s.open != s.outside || !s.rooted {
		return refuse(CodeDocument, "the document ends early")
	}
	return nil
}

type scanner struct {
	decoder *xml.Decoder
	visit   func(*element) error
	outside *element // what is around the root
	open    *element // the innermost open element
	rooted  bool     // the root has begun
}

func (s *scanner) token(token xml.Token, start int64) error {
	switch t := token.(type) {
	case xml.StartElement:
		return s.start(t)
	case xml.EndElement:
		if s.open == s.outside || s.open.raw != t.Name {
			return refuse(CodeDocument, "%q ends an element that is not open", t.Name.Local)
		}
		s.open = s.open.parent
	case xml.CharData:
		if s.open == s.outside && strings.Trim(string(t), " \t\r\n") != "" {
			return refuse(CodeDocument, "text outside of the root")
		}
	case xml.ProcInst:
		// The decoder has refused a declaration with another encoding.
		if t.Target != "xml" || start != 0 {
			return refuse(CodeDocument, "processing instruction %q", t.Target)
		}
	case xml.Directive:
		return refuse(CodeDocument, "document type")
	}
	return nil
}

func (s *scanner) start(t xml.StartElement) error {
	if s.open == s.outside && s.rooted {
		return refuse(CodeDocument, "a second root %q", t.Name.Local)
	}
	s.rooted = true
	e := &element{raw: t.Name, parent: s.open, depth: 1, children: map[string]int{}}
	if s.open != nil {
		e.depth, e.scope = s.open.depth+1, s.open.scope
	}
	switch {
	case e.depth > maxDepth:
		return refuse(CodeDocument, "nested deeper than %d", maxDepth)
	case len(t.Attr) > maxAttributes:
		return refuse(CodeDocument, "more than %d attributes", maxAttributes)
	}
	if err := e.declare(t.Attr); err != nil {
		return err
	}
	if err := e.resolve(t); err != nil {
		return err
	}
	if e.parent != nil {
		e.parent.children[e.name.Local]++
	}
	s.open = e
	return s.visit(e)
}

// declare takes the namespace declarations of an element.
func (e *element) declare(attrs []xml.Attr) error {
	for _, a := range attrs {
		prefix, ok := declaredPrefix(a.Name)
		if !ok {
			continue
		}
		_, again := e.prefixes[prefix]
		switch {
		case again:
			return refuse(CodeDocument, "prefix %q is declared twice", prefix)
		case prefix == "xmlns", prefix == "xml" && a.Value != xmlNamespace:
			return refuse(CodeDocument, "prefix %q is reserved", prefix)
		case prefix != "xml" && (a.Value == xmlNamespace || a.Value == xmlnsNamespace):
			return refuse(CodeDocument, "namespace %q is reserved", a.Value)
		case a.Value == "" && prefix != "", a.Value != "" && !strings.Contains(a.Value, ":"):
			// Canonicalization of relative namespaces is undefined.
			return refuse(CodeDocument, "namespace %q is not absolute", a.Value)
		}
		if e.prefixes == nil {
			e.prefixes = map[string]string{}
		}
		e.prefixes[prefix] = a.Value
		e.scope++
	}
	return nil
}

// declaredPrefix returns the prefix that an attribute declares.
func declaredPrefix(name xml.Name) (string, bool) {
	if name.Space == "xmlns" {
		return name.Local, true
	}
	return "", name.Space == "" && name.Local == "xmlns"
}

// resolve sets the names of an element and of its attributes.
func (e *element) resolve(t xml.StartElement) error {
	var err error
	if e.name, err = e.resolveName(t.Name); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range t.Attr {
		if _, ok := declaredPrefix(a.Name); ok {
			continue
		}
		name := a.Name
		if name.Space != "" || strings.Contains(name.Local, ":") {
			if name, err = e.resolveName(a.Name); err != nil {
				return err
			}
		}
		// Parsers that ignore namespaces take the last attribute of a local
		// name: x:ID must not stand beside ID.
		if seen[name.Local] || (name.Space != "" && strings.EqualFold(name.Local, "ID")) {
			return refuse(CodeDocument, "attribute %q is there twice or in another namespace", name.Local)
		}
		seen[name.Local] = true
		e.attrs = append(e.attrs, xml.Attr{Name: name, Value: a.Value})
	}
	return nil
}

func (e *element) resolveName(name xml.Name) (xml.Name, error) {
	ns, ok := e.lookup(name.Space)
	if !ok || name.Local == "" || strings.Contains(name.Local, ":") {
		return xml.Name{}, refuse(CodeDocument, "odd name %q", name.Space+":"+name.Local)
	}
	return xml.Name{Space: ns, Local: name.Local}, nil
}
