package schema

import (
	"strconv"

	elimity "github.com/elimity-com/scim/schema"
)

// appendSchema appends a schema as a resource of the /Schemas endpoint
// (RFC 7643 sections 7 and 8.7.1).
func appendSchema(dst []byte, def elimity.Schema, attributes []*Attribute) []byte {
	dst = append(dst, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Schema"],"id":`...)
	dst = appendString(dst, def.ID)
	dst = append(dst, `,"name":`...)
	dst = appendString(dst, def.Name.Value())
	dst = append(dst, `,"description":`...)
	dst = appendString(dst, def.Description.Value())
	dst = append(dst, `,"attributes":`...)
	return append(appendAttributes(dst, attributes), '}')
}

func appendAttributes(dst []byte, attributes []*Attribute) []byte {
	dst = append(dst, '[')
	for i, a := range attributes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAttribute(dst, a)
	}
	return append(dst, ']')
}

// appendAttribute appends all characteristics of an attribute, defaults
// included: some clients build their mappings from them and miss what is not
// there.
func appendAttribute(dst []byte, a *Attribute) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, a.Name)
	dst = append(dst, `,"type":"`+a.Type.String()...)
	dst = append(dst, `","multiValued":`...)
	dst = strconv.AppendBool(dst, a.MultiValued)
	dst = append(dst, `,"description":`...)
	dst = appendString(dst, a.Description)
	dst = append(dst, `,"required":`...)
	dst = strconv.AppendBool(dst, a.Required)
	if a.Type == Complex {
		dst = append(dst, `,"subAttributes":`...)
		dst = appendAttributes(dst, a.Sub)
	} else {
		dst = append(dst, `,"caseExact":`...)
		dst = strconv.AppendBool(dst, a.CaseExact)
	}
	dst = appendList(dst, `,"canonicalValues":`, a.CanonicalValues)
	dst = appendList(dst, `,"referenceTypes":`, a.ReferenceTypes)
	dst = append(dst, `,"mutability":"`+a.Mutability.String()...)
	dst = append(dst, `","returned":"`+a.Returned.String()...)
	dst = append(dst, `","uniqueness":"`+a.Uniqueness.String()...)
	return append(dst, `"}`...)
}

func appendList(dst []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, key...)
	for i, s := range list {
		if i == 0 {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}
