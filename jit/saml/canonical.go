package saml

import (
	"bytes"
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// canonicalization is an algorithm of Canonical XML 1.0 or 1.1, or of Exclusive
// XML Canonicalization 1.0. Those of goxmldsig are not used: they know no
// #default in a list of prefixes, let ancestors override xml:lang in 1.0 and
// forget them in 1.1, and bound the number of elements at some 480.
type canonicalization struct {
	exclusive bool
	eleven    bool // Canonical XML 1.1
	comments  bool
	prefixes  []string // of InclusiveNamespaces; "" is #default
}

var canonicalizations = map[dsig.AlgorithmID]canonicalization{
	dsig.CanonicalXML10ExclusiveAlgorithmId:             {exclusive: true},
	dsig.CanonicalXML10ExclusiveWithCommentsAlgorithmId: {exclusive: true, comments: true},
	dsig.CanonicalXML10RecAlgorithmId:                   {},
	dsig.CanonicalXML10WithCommentsAlgorithmId:          {comments: true},
	dsig.CanonicalXML11AlgorithmId:                      {eleven: true},
	dsig.CanonicalXML11WithCommentsAlgorithmId:          {eleven: true, comments: true},
}

// maxCanonical is the most bytes of a canonical form. A namespace is declared
// again for each of many elements, so that a message could become a thousand
// times as long before anybody knows who signed it.
const maxCanonical = 4 * maxBody

// canonicalize returns the canonical form of an element where it stands, without
// the element omit. It writes no processing instructions: the scan has refused
// them.
func (c canonicalization) canonicalize(el, omit *etree.Element) ([]byte, error) {
	w := &canonicalWriter{canonicalization: c, omit: omit}
	inherited, err := c.inherited(el)
	if err != nil {
		return nil, err
	}
	if err := w.element(el, scopeOf(el.Parent()), nil, inherited); err != nil {
		return nil, err
	}
	return w.out.Bytes(), nil
}

// inherited returns the xml: attributes of the ancestors that count for el
// (section 2.4): all of them in 1.0; lang, space and base in 1.1, where a base
// that is relative to another one would have to be resolved, and an empty one is
// left out.
func (c canonicalization) inherited(el *etree.Element) ([]etree.Attr, error) {
	if c.exclusive {
		return nil, nil
	}
	var out []etree.Attr
	nearest := map[string]string{}
	for at := el; at != nil; at = at.Parent() {
		for _, a := range at.Attr {
			if a.Space != "xml" {
				continue
			}
			value, seen := nearest[a.Key]
			switch {
			case c.eleven && a.Key == "base" && (a.Value == "" || seen && !absolute(value)):
				return nil, refuse(CodeAlgorithm, "%q with an xml:base that is empty or relative to another", dsig.CanonicalXML11AlgorithmId)
			case seen:
				continue
			}
			nearest[a.Key] = a.Value
			if at != el && (!c.eleven || a.Key == "lang" || a.Key == "space" || a.Key == "base") {
				out = append(out, a)
			}
		}
	}
	return out, nil
}

func absolute(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.IsAbs()
}

// canonicalWriter writes one element and what is in it.
type canonicalWriter struct {
	canonicalization
	omit *etree.Element
	out  bytes.Buffer
}

// element writes an element. scope is what is declared around it, rendered what
// the elements around it were written with.
func (w *canonicalWriter) element(el *etree.Element, scope, rendered namespaces, inherited []etree.Attr) error {
	if w.out.Len() > maxCanonical {
		return refuse(CodeTooLarge, "more than %d bytes in canonical form", maxCanonical)
	}
	scope = scope.with(el)
	var declare namespaces
	for _, prefix := range w.wanted(el, scope) {
		uri, ok := scope.lookup(prefix)
		if before, _ := rendered.lookup(prefix); !ok && prefix != "" || before == uri {
			continue
		}
		declare = append(declare, namespace{prefix, uri})
	}
	attrs, err := scope.sorted(el, inherited)
	if err != nil {
		return err
	}
	name := el.FullTag()
	w.out.WriteString("<" + name)
	for _, n := range declare {
		w.attribute(n.attribute(), n.uri)
	}
	for _, a := range attrs {
		w.attribute(a.FullKey(), a.Value)
	}
	w.out.WriteByte('>')
	if err := w.children(el, scope, rendered.and(declare)); err != nil {
		return err
	}
	w.out.WriteString("</" + name + ">")
	return nil
}

func (w *canonicalWriter) children(el *etree.Element, scope, rendered namespaces) error {
	for _, child := range el.Child {
		switch child := child.(type) {
		case *etree.Element:
			if child == w.omit {
				continue
			}
			if err := w.element(child, scope, rendered, nil); err != nil {
				return err
			}
		case *etree.CharData:
			_, _ = textEscapes.WriteString(&w.out, child.Data) // a buffer has no errors
		case *etree.Comment:
			if w.comments {
				w.out.WriteString("<!--" + child.Data + "-->")
			}
		}
	}
	return nil
}

// Canonical XML section 2.3.
var (
	textEscapes      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	attributeEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

func (w *canonicalWriter) attribute(name, value string) {
	w.out.WriteString(" " + name + `="`)
	_, _ = attributeEscapes.WriteString(&w.out, value) // a buffer has no errors
	w.out.WriteByte('"')
}

// wanted returns the prefixes that el may have to declare, in their order: those
// in scope, or exclusively those that el uses visibly and those of the list.
func (w *canonicalWriter) wanted(el *etree.Element, scope namespaces) []string {
	var out []string
	if !w.exclusive {
		for _, n := range scope {
			out = append(out, n.prefix)
		}
		return out
	}
	out = append(out, el.Space)
	for _, a := range el.Attr {
		if _, ok := declares(a); !ok && a.Space != "" {
			out = append(out, a.Space)
		}
	}
	out = append(out, w.prefixes...)
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(prefix string) bool { return prefix == "xml" })
}

// namespace is a prefix and what it is bound to. No URI means that the default
// namespace was taken back.
type namespace struct{ prefix, uri string }

func (n namespace) attribute() string {
	if n.prefix == "" {
		return "xmlns"
	}
	return "xmlns:" + n.prefix
}

// namespaces are those in scope, sorted by prefix and without xml. They are
// never changed, but copied.
type namespaces []namespace

func (s namespaces) find(prefix string) (int, bool) {
	return slices.BinarySearchFunc(s, prefix, func(n namespace, prefix string) int { return cmp.Compare(n.prefix, prefix) })
}

func (s namespaces) lookup(prefix string) (uri string, ok bool) {
	if prefix == "xml" {
		return xmlNamespace, true
	}
	i, ok := s.find(prefix)
	if !ok {
		return "", false
	}
	return s[i].uri, true
}

// and returns s with others, which count more.
func (s namespaces) and(others namespaces) namespaces {
	if len(others) == 0 {
		return s
	}
	out := slices.Clone(s)
	for _, n := range others {
		if i, ok := out.find(n.prefix); ok {
			out[i] = n
		} else {
			out = slices.Insert(out, i, n)
		}
	}
	return out
}

// with returns s with what el declares.
func (s namespaces) with(el *etree.Element) namespaces {
	var own namespaces
	for _, a := range el.Attr {
		if prefix, ok := declares(a); ok && prefix != "xml" {
			own = append(own, namespace{prefix, a.Value})
		}
	}
	return s.and(own)
}

// scopeOf returns the namespaces in scope of an element; nil is no element.
func scopeOf(el *etree.Element) namespaces {
	if el == nil {
		return nil
	}
	return scopeOf(el.Parent()).with(el)
}

// redeclare gives an element what is declared around it, so that its names mean the
// same elsewhere.
func redeclare(el *etree.Element, around namespaces) {
	own := namespaces(nil).with(el)
	for _, n := range around {
		if _, ok := own.find(n.prefix); !ok {
			el.CreateAttr(n.attribute(), n.uri)
		}
	}
}

// sorted returns the attributes of an element that declare nothing, with those
// that it inherits, by namespace and local name.
func (s namespaces) sorted(el *etree.Element, inherited []etree.Attr) ([]etree.Attr, error) {
	type keyed struct {
		etree.Attr
		uri string
	}
	var list []keyed
	for _, a := range append(inherited, el.Attr...) {
		if _, ok := declares(a); ok {
			continue
		}
		k := keyed{Attr: a}
		if a.Space != "" {
			var ok bool
			if k.uri, ok = s.lookup(a.Space); !ok {
				return nil, refuse(CodeDocument, "undeclared prefix %q", a.Space)
			}
		}
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.uri, b.uri), cmp.Compare(a.Key, b.Key)) })
	out := make([]etree.Attr, len(list))
	for i, k := range list {
		out[i] = k.Attr
	}
	return out, nil
}

// declares returns the prefix that an attribute declares.
func declares(a etree.Attr) (prefix string, ok bool) {
	if a.Space == "xmlns" {
		return a.Key, true
	}
	return "", a.Space == "" && a.Key == "xmlns"
}
