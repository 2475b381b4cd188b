package metadata

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// node is an element of a document.
type node struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*node
	text     strings.Builder // directly inside, without that of children
}

// is reports whether a node is an element of metadata.
func (n *node) is(local string) bool {
	return n.name.Space == namespace && n.name.Local == local
}

// attr returns the attribute of no namespace.
func (n *node) attr(local string) string {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// find returns all elements below n by a path of local names.
func (n *node) find(path ...string) []*node {
	if len(path) == 0 {
		return []*node{n}
	}
	var out []*node
	for _, c := range n.children {
		if c.name.Local == path[0] {
			out = append(out, c.find(path[1:]...)...)
		}
	}
	return out
}

// oneByte are encodings in which each byte is the character of its number, or, in
// the last one, mostly.
var oneByte = regexp.MustCompile(`(?i)^\s*<\?xml[^>]*encoding\s*=\s*["'](?:iso-8859-1|latin1|windows-1252)["']`)

// Text returns a file as text in UTF-8, without byte order mark and white space
// around it. Editors of Windows write UTF-16, and old software ISO 8859-1.
func Text(data []byte) string {
	for mark, order := range map[string]binary.ByteOrder{"\xff\xfe": binary.LittleEndian, "\xfe\xff": binary.BigEndian} {
		if rest, ok := bytes.CutPrefix(data, []byte(mark)); ok {
			units := make([]uint16, len(rest)/2)
			for i := range units {
				units[i] = order.Uint16(rest[2*i:])
			}
			data = []byte(string(utf16.Decode(units)))
			break
		}
	}
	if !utf8.Valid(data) && oneByte.Match(data) {
		runes := make([]rune, len(data))
		for i, b := range data {
			runes[i] = rune(b)
		}
		data = []byte(string(runes))
	}
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(data)), "\ufeff"))
}

// parseXML reads the root of a text. Comments are passed over, and so is what stands
// before the root: processing instructions, such as a style sheet, and text, which
// problems tells of.
func parseXML(text string) (root *node, problems []string, err error) {
	if i := strings.IndexByte(text, '<'); i > 0 {
		problems = append(problems, fmt.Sprintf("the text before the document is left out: %q", shorten(strings.TrimSpace(text[:i]))))
		text = text[i:]
	}
	p := &parser{decoder: xml.NewDecoder(strings.NewReader(text))}
	p.decoder.CharsetReader = charset
	for {
		token, err := p.decoder.Token()
		if errors.Is(err, io.EOF) && len(p.open) == 0 {
			break
		}
		if err == nil {
			err = p.token(token)
		}
		if err != nil {
			return nil, nil, explain(err)
		}
	}
	if p.root == nil {
		return nil, nil, errors.New("it is not an XML document: it has no element")
	}
	if p.around {
		problems = append(problems, "the text after the document is left out")
	}
	return p.root, problems, nil
}

type parser struct {
	decoder  *xml.Decoder
	root     *node
	open     []*node // the innermost is the last
	elements int
	around   bool // there is text outside of the elements
}

func (p *parser) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		if p.root != nil && len(p.open) == 0 {
			return fmt.Errorf("it has a second root %q: two documents, perhaps", shorten(t.Name.Local))
		}
		p.elements++
		if p.elements > maxElements || len(p.open) == maxDepth {
			return fmt.Errorf("it has more than %d elements, or they are nested deeper than %d", maxElements, maxDepth)
		}
		n := &node{name: t.Name, attrs: t.Copy().Attr}
		if len(p.open) == 0 {
			p.root = n
		} else {
			parent := p.open[len(p.open)-1]
			parent.children = append(parent.children, n)
		}
		p.open = append(p.open, n)
	case xml.EndElement:
		p.open = p.open[:len(p.open)-1]
	case xml.CharData:
		if len(p.open) > 0 {
			p.open[len(p.open)-1].text.Write(t) // it does not fail
		} else if len(bytes.TrimSpace(t)) > 0 {
			p.around = true
		}
	case xml.ProcInst:
		if len(p.open) > 0 {
			return fmt.Errorf("it has a processing instruction (%s) inside of the root", shorten(t.Target))
		}
	case xml.Directive:
		if words := bytes.Fields(t); len(words) > 1 && strings.EqualFold(string(words[1]), "html") {
			return errors.New(anHTMLPage)
		}
		return errors.New("it has a document type (DOCTYPE), which metadata has not")
	}
	return nil
}

// explain puts an error of the decoder into words.
func explain(err error) error {
	var wrong *xml.SyntaxError
	switch {
	case !errors.As(err, &wrong):
		return err
	case wrong.Msg == "unexpected EOF":
		return errors.New("it is not XML to its end: a part of the document is missing")
	}
	return fmt.Errorf("it is not XML: line %d: %s", wrong.Line, wrong.Msg)
}

// charset passes over the encoding that a declaration names, where [Text] has
// changed it.
func charset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii", "utf8", "iso-8859-1", "latin1", "windows-1252":
		return input, nil
	}
	return nil, fmt.Errorf("it has the encoding %q: save it in UTF-8", shorten(label))
}
