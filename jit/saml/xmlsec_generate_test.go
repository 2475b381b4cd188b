package saml_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// xmlGenerator writes signed responses in the ways in which XML may be written.
type xmlGenerator struct {
	*rand.Rand

	saml, protocol string // prefixes with a colon, or empty
	target         string // the ID of the element that is signed
	encrypt        bool
	digest         string
	info, content  string // canonicalizations, "" for no transform
	lists          [2]string
}

func pick[T any](g *xmlGenerator, list ...T) T { return list[g.IntN(len(list))] }

const (
	c14n10 = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	c14n11 = "http://www.w3.org/2006/12/xml-c14n11"
	excC14 = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

func newXMLGenerator(seed uint64) *xmlGenerator {
	g := &xmlGenerator{Rand: rand.New(rand.NewPCG(seed, 7))}
	methods := []string{c14n10, c14n10 + "#WithComments", c14n11, c14n11 + "#WithComments", excC14, excC14 + "WithComments", excC14}
	g.saml, g.protocol = pick(g, "saml:", "s:", ""), pick(g, "samlp:", "")
	g.target, g.encrypt = pick(g, "_a1", "_r1"), g.IntN(3) == 0
	g.digest = pick(g, "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384",
		"http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2000/09/xmldsig#sha1")
	g.info, g.content = pick(g, methods...), pick(g, append(methods, "")...)
	for i := range g.lists {
		g.lists[i] = pick(g, "", "", "x y", "#default", "#default saml xs ds", " s\t#default\nx ", "nowhere")
	}
	return g
}

// document returns a response whose signature is a template. Its values are
// those of goodResponse.
func (g *xmlGenerator) document() string {
	outer := g.declaration(g.protocol, "urn:oasis:names:tc:SAML:2.0:protocol") + ` xmlns:xs="http://www.w3.org/2001/XMLSchema"`
	where := g.IntN(2) // where the prefix of assertions is declared
	own := g.declaration(g.saml, "urn:oasis:names:tc:SAML:2.0:assertion")
	inherits := g.saml != "" && where == 0
	if inherits {
		outer += own
	}
	assertion := goodAssertion
	assertion = strings.Replace(assertion, statement, g.statement(), 1)
	assertion = strings.NewReplacer(` xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`, "{own}", "<saml:", "<"+g.saml, "</saml:", "</"+g.saml).Replace(assertion)
	here := own
	if inherits {
		here = pick(g, "", own)
	}
	assertion = strings.Replace(assertion, "{own}", here+g.decoration(), 1)
	lone := issuer
	if !inherits {
		lone = sub("<saml:Issuer>", "<saml:Issuer"+own+">")(lone)
	}
	lone = strings.NewReplacer("<saml:", "<"+g.saml, "</saml:", "</"+g.saml).Replace(lone)
	if g.target == "_a1" {
		assertion = strings.Replace(assertion, "<"+g.saml+"Subject>", g.template()+"<"+g.saml+"Subject>", 1)
	}
	if g.encrypt {
		wrap := own
		if inherits {
			wrap = ""
		}
		assertion = "<" + g.saml + "EncryptedAssertion" + wrap + g.decoration() + ">" + assertion + "</" + g.saml + "EncryptedAssertion>"
	}
	head := sub(` xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`, outer+g.decoration())(responseHead)
	body := head + "{issuer}" + statusSuccess + "{assertion}" + "</samlp:Response>"
	body = strings.NewReplacer("<samlp:", "<"+g.protocol, "</samlp:", "</"+g.protocol).Replace(body)
	if g.target == "_r1" {
		lone += g.template()
	}
	return g.space(strings.NewReplacer("{issuer}", lone, "{assertion}", assertion).Replace(body))
}

func (g *xmlGenerator) declaration(prefix, uri string) string {
	if prefix == "" {
		return ` xmlns="` + uri + `"`
	}
	return " xmlns:" + strings.TrimSuffix(prefix, ":") + `="` + uri + `"`
}

// decoration returns attributes that mean nothing to SAML.
func (g *xmlGenerator) decoration() string {
	var out []string
	for _, a := range []string{`xmlns:x="urn:x"`, `xmlns:y='urn:y'`, `xml:lang="de"`, `xml:space="preserve"`, `xmlns:unused="urn:u"`, `xmlns:xml="http://www.w3.org/XML/1998/namespace"`} {
		if g.IntN(4) == 0 {
			out = append(out, a)
		}
	}
	if g.IntN(6) == 0 {
		out = append(out, pick(g, `xml:base="http://example.com/a"`, `xml:base="http://example.com/b/"`, `xml:base="c/d"`, `xml:base="../e/./f"`))
	}
	g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return strings.Join(append([]string{""}, out...), pick(g, " ", "\n", " \t", "\r\n "))
}

// statement has an attribute that nobody reads, in whose value anything may be.
func (g *xmlGenerator) statement() string {
	return sub("</saml:AttributeStatement>", `<saml:Attribute Name="junk"><saml:AttributeValue>`+g.junk(3)+
		`</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`)(statement)
}

// junk returns well-formed content in which x, y and xs are declared.
func (g *xmlGenerator) junk(depth int) string {
	var b strings.Builder
	for range g.IntN(4) {
		switch g.IntN(6) {
		case 0:
			b.WriteString(pick(g, "text", "ü\u2028𝄞", "\u0085\u00a0\ufeff\ue000", "a &amp; b &lt; c > d &quot; &apos;", "&#13;\r\n\r&#9;\t&#xA;", "&#x10FFFF;&#65;"))
		case 1:
			b.WriteString(pick(g, "<!-- a comment -->", "<!---->", "<!-- <a/> & -->"))
		case 2:
			b.WriteString(pick(g, "<![CDATA[<b> & \r\n]]>", "<![CDATA[]]>", "<![CDATA[]] >]]>"))
		default:
			if depth > 0 {
				b.WriteString(g.element(depth))
			}
		}
	}
	return b.String()
}

func (g *xmlGenerator) element(depth int) string {
	name := pick(g, "x:a", "y:b", "xs:c", "d", "e")
	attributes := []string{`xmlns:x="` + pick(g, "urn:x", "urn:other") + `"`, `xmlns:y="urn:y"`}
	for _, a := range []string{`xmlns=""`, `xmlns="urn:default"`, `xmlns:z="urn:x"`} {
		if g.IntN(4) == 0 {
			attributes = append(attributes, a)
			break
		}
	}
	for _, a := range []string{`k="v"`, `x:l="&quot;&#9;&#10;&#13;&lt;&amp;>'"`, "y:m=\" a\tb\r\nc\rd\ne \"", `A='"'`, `xml:lang=""`, `xml:space="default"`, `xs:n="ä"`} {
		if g.IntN(4) == 0 {
			attributes = append(attributes, a)
		}
	}
	g.Shuffle(len(attributes), func(i, j int) { attributes[i], attributes[j] = attributes[j], attributes[i] })
	start := "<" + name + " " + strings.Join(attributes, pick(g, " ", "\n\t", "  "))
	if inside := g.junk(depth - 1); inside != "" {
		return start + ">" + inside + "</" + name + pick(g, "", " ", "\r\n") + ">"
	}
	return start + pick(g, "/>", " />", "></"+name+">")
}

// space puts lines between some elements.
func (g *xmlGenerator) space(text string) string {
	parts := strings.SplitAfter(text, "</"+g.protocol+"Status>")
	return strings.Join(parts, pick(g, "", "\n", "\r\n\t", "<!-- between -->"))
}

// template returns the signature to be filled in.
func (g *xmlGenerator) template() string {
	list := func(algorithm string, i int) string {
		if !strings.HasPrefix(algorithm, excC14) || g.lists[i] == "" {
			return ""
		}
		return `<ec:InclusiveNamespaces xmlns:ec="` + excC14 + `" PrefixList="` + g.lists[i] + `"/>`
	}
	transform := ""
	if g.content != "" {
		transform = `<ds:Transform Algorithm="` + g.content + `">` + list(g.content, 1) + `</ds:Transform>`
	}
	text := fmt.Sprintf(`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>%s<ds:CanonicalizationMethod Algorithm="%s">%s</ds:CanonicalizationMethod>`+
		`<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="#%s"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>%s</ds:Transforms>`+
		`<ds:DigestMethod Algorithm="%s"/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue></ds:SignatureValue>%s</ds:Signature>`,
		pick(g, "", "<!-- in SignedInfo -->", "\n  "), g.info, list(g.info, 0), g.target, transform, g.digest,
		pick(g, "", "<ds:KeyInfo><ds:KeyName>some key</ds:KeyName></ds:KeyInfo>", "<ds:KeyInfo><ds:X509Data><ds:X509SubjectName>CN=nobody</ds:X509SubjectName></ds:X509Data></ds:KeyInfo>"))
	prefix := pick(g, "ds:", "ds:", "", "dsig:") // most identity providers have one of these
	declaration := strings.TrimSuffix(":"+strings.TrimSuffix(prefix, ":"), ":")
	return strings.NewReplacer("<ds:", "<"+prefix, "</ds:", "</"+prefix, "xmlns:ds=", "xmlns"+declaration+"=").Replace(text)
}

// mutation changes a signed document, in what is signed or not.
type mutation struct{ name, old, new string }

var mutations = []mutation{
	{name: "none"},
	{"text", "jane@example.com", "john@example.com"},
	{"attribute", `Version="2.0" IssueInstant="2026-03-04T12:00:00Z"`, `IssueInstant="2026-03-04T12:00:00Z" Version="2.0"`},
	{"attribute value", `SessionIndex="s1"`, `SessionIndex="s2"`},
	{"white space in a tag", `SessionIndex="s1"`, "\n\tSessionIndex = 's1' "},
	{"a comment", "jane@example.com", "jane<!-- -->@example.com"},
	{"a comment in SignedInfo", "<ds:SignedInfo>", "<ds:SignedInfo><!-- new -->"},
	{"a comment in the digest", "<ds:DigestValue>", "<ds:DigestValue><!-- -->"},
	{"CDATA", "jane@example.com", "<![CDATA[jane]]>&#64;example.com"},
	{"a namespace around it", ` ID="_r1"`, ` xmlns:new="urn:new" ID="_r1"`},
	{"a namespace in it", ` SessionIndex=`, ` xmlns:new="urn:new" SessionIndex=`},
	{"an xml: attribute around it", ` ID="_r1"`, ` ID="_r1" xml:id2="x"`},
	{"a line in it", "<ds:SignatureValue>", "\n<ds:SignatureValue>"},
	{"tabs in the value", "<ds:SignatureValue>", "<ds:SignatureValue>\t \r\n"},
	{"tabs in the digest", "<ds:DigestValue>", "<ds:DigestValue>\t \r\n"},
	{"an empty element", "<ds:SignatureValue>", "<ds:SignatureValue></ds:SignatureValue><ds:SignatureValue>"},
	{"another digest", "<ds:DigestValue>", "<ds:DigestValue>AAAA"},
}
