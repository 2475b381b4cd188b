package saml

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/beevik/etree"
)

// parse makes a tree of a document that a scan has passed.
func parse(data []byte) (*etree.Element, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		return nil, &Error{Code: CodeDocument, Err: err}
	}
	if doc.Root() == nil {
		return nil, refuse(CodeDocument, "no root")
	}
	return doc.Root(), nil
}

// normalize does what XML wants and the decoder leaves undone: a line ends in
// one newline (XML 1.0 section 2.11), and white space that is written as such in
// an attribute is a space (section 3.3.3). Between attributes it may be one, too.
// A byte order mark is not part of a document.
func normalize(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !bytes.ContainsAny(data, "\t\r\n") {
		return data
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for at := 0; at < len(data); {
		begin := bytes.IndexByte(data[at:], '<')
		if begin < 0 {
			break
		}
		at += begin
		if end, ok := notTag(data[at:]); ok {
			at += end
			continue
		}
		at += normalizeTag(data[at:])
	}
	return data
}

// notTag returns the length of a comment or the like at the begin of data.
func notTag(data []byte) (length int, ok bool) {
	for begin, end := range map[string]string{"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"} {
		if !bytes.HasPrefix(data, []byte(begin)) {
			continue
		}
		if i := bytes.Index(data[len(begin):], []byte(end)); i >= 0 {
			return len(begin) + i + len(end), true
		}
		return len(data), true
	}
	return 0, false
}

// normalizeTag makes the white space of a tag spaces, and returns its length.
func normalizeTag(data []byte) int {
	var quote byte
	for i, b := range data {
		switch {
		case b == '\t', b == '\n':
			data[i] = ' '
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"', b == '\'':
			quote = b
		case b == '>':
			return i + 1
		}
	}
	return len(data)
}

// attribute returns an attribute in no namespace.
func attribute(el *etree.Element, key string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == key {
			return a.Value
		}
	}
	return ""
}

// named reports whether el has this name.
func named(el *etree.Element, space, local string) bool {
	return el.Tag == local && el.NamespaceURI() == space
}

// children returns the child elements of this name.
func children(el *etree.Element, space, local string) []*etree.Element {
	var out []*etree.Element
	for _, child := range el.ChildElements() {
		if named(child, space, local) {
			out = append(out, child)
		}
	}
	return out
}

// only returns the one child element of this name.
func only(el *etree.Element, space, local string) (*etree.Element, error) {
	found := children(el, space, local)
	if len(found) != 1 {
		return nil, refuse(CodeShape, "%d %s in %s", len(found), local, el.Tag)
	}
	return found[0], nil
}

// content returns the text of an element, whose comments count for nothing. One
// with elements inside has no text.
func content(el *etree.Element) (string, error) {
	var out strings.Builder
	for _, child := range el.Child {
		switch child := child.(type) {
		case *etree.CharData:
			out.WriteString(child.Data)
		case *etree.Element:
			return "", refuse(CodeShape, "%s within %s", child.Tag, el.Tag)
		}
	}
	return out.String(), nil
}

// binary returns the base64 content of an element.
func binary(el *etree.Element) ([]byte, error) {
	text, err := content(el)
	if err != nil {
		return nil, err
	}
	return decodeBase64(text)
}

// decodeBase64 decodes xs:base64Binary (XML Schema part 2 section 3.2.16), in
// which white space may stand anywhere.
func decodeBase64(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(spaces.Replace(text))
}

var spaces = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")
