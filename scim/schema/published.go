package schema

import (
	elimity "github.com/elimity-com/scim/schema"
)

// Published is a schema as encoding/json makes it a resource of the /Schemas
// endpoint (RFC 7643 sections 7 and 8.7.1). It lacks only "meta", whose location
// depends on the request.
type Published struct {
	Schemas     []string             `json:"schemas"`
	ID          string               `json:"id"`
	Name        string               `json:"name"`
	Description string               `json:"description"`
	Attributes  []PublishedAttribute `json:"attributes"`
}

// PublishedAttribute is an attribute of a published schema. All characteristics
// are written, defaults included: some clients build their mappings from them and
// miss what is not there.
type PublishedAttribute struct {
	Name            string               `json:"name"`
	Type            string               `json:"type"`
	MultiValued     bool                 `json:"multiValued"`
	Description     string               `json:"description"`
	Required        bool                 `json:"required"`
	Sub             []PublishedAttribute `json:"subAttributes,omitempty"` // of a complex attribute
	CaseExact       *bool                `json:"caseExact,omitempty"`     // nil for a complex attribute
	CanonicalValues []string             `json:"canonicalValues,omitempty"`
	ReferenceTypes  []string             `json:"referenceTypes,omitempty"`
	Mutability      string               `json:"mutability"`
	Returned        string               `json:"returned"`
	Uniqueness      string               `json:"uniqueness"`
}

func published(def elimity.Schema, attributes []*Attribute) Published {
	return Published{
		Schemas:     []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"},
		ID:          def.ID,
		Name:        def.Name.Value(),
		Description: def.Description.Value(),
		Attributes:  publishedAttributes(attributes),
	}
}

func publishedAttributes(attributes []*Attribute) []PublishedAttribute {
	out := make([]PublishedAttribute, len(attributes))
	for i, a := range attributes {
		out[i] = PublishedAttribute{
			Name:            a.Name,
			Type:            a.Type.String(),
			MultiValued:     a.MultiValued,
			Description:     a.Description,
			Required:        a.Required,
			CanonicalValues: a.CanonicalValues,
			ReferenceTypes:  a.ReferenceTypes,
			Mutability:      a.Mutability.String(),
			Returned:        a.Returned.String(),
			Uniqueness:      a.Uniqueness.String(),
		}
		if a.Type == Complex {
			out[i].Sub = publishedAttributes(a.Sub)
		} else {
			out[i].CaseExact = &a.CaseExact
		}
	}
	return out
}
