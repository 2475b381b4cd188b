package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSONSchema returns a JSON Schema (draft 2020-12) of the policy object, made
// from the table of options: for editors, and for whoever takes settings from
// elsewhere. Each call returns a new text, always the same.
//
// It takes every object that [Parse] and [Config.Compile] take and refuses most
// of the others. It does not know time zones, the permissions that a host has, the
// escapes and quotes of patterns, repeated keys, and who would be a site admin; it
// takes 1.0 for a whole number.
func JSONSchema() []byte {
	root := schema{
		Dialect:     "https://json-schema.org/draft/2020-12/schema",
		Title:       "Policy",
		Description: "What each person of a connection gets. An object names only what differs from the defaults.",
		Type:        "object",
		Additional:  mustJSON(false),
	}
	for _, o := range options {
		d := o.describe()
		s := d.schema()
		s.Title, s.Description, s.Default = d.Label, d.Help, d.Default
		root.Properties = append(root.Properties, property{d.Key, s})
	}
	var b bytes.Buffer
	if err := json.Indent(&b, mustJSON(root), "", "  "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// schema is a JSON Schema as far as options need it.
type schema struct {
	Dialect     string            `json:"$schema,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        any               `json:"type,omitempty"` // one or several
	Enum        []json.RawMessage `json:"enum,omitempty"`
	Minimum     *int              `json:"minimum,omitempty"`
	Maximum     *int              `json:"maximum,omitempty"`
	MaxLength   int               `json:"maxLength,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Items       *schema           `json:"items,omitempty"`
	MaxItems    int               `json:"maxItems,omitempty"`
	Names       *schema           `json:"propertyNames,omitempty"`
	MaxNames    int               `json:"maxProperties,omitempty"`
	Properties  properties        `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Additional  json.RawMessage   `json:"additionalProperties,omitempty"`
	Default     json.RawMessage   `json:"default,omitempty"`
}

// property is a member of an object. There is one order for them everywhere.
type property struct {
	name string
	schema
}

type properties []property

// MarshalJSON implements [json.Marshaler]: an object.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, member := range p {
		between := byte(',')
		if i == 0 {
			between = '{'
		}
		b.WriteByte(between)
		fmt.Fprintf(&b, "%s:%s", mustJSON(member.name), mustJSON(member.schema))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// The patterns of texts, in the part of the syntax that regular expressions
// everywhere share.
const (
	notBlank  = `\S`
	noEntries = `^$|[^,\s]` // nothing, or something beside separators
	aDomain   = `^[^.\s@*?/\\,;:]([^\s@*?/\\,;:]*[^.\s@*?/\\,;:])?$`
)

// schema returns what the values of the option are.
func (o Option) schema() schema {
	switch o.Kind {
	case KindSwitch:
		return schema{Type: "boolean"}
	case KindChoice:
		return o.choiceSchema()
	case KindNumber:
		return schema{Type: "integer", Minimum: &o.Range.Min, Maximum: &o.Range.Max}
	case KindPatterns, KindNames:
		return listSchema(nameSchema())
	case KindDomains:
		return listSchema(schema{Type: "string", MaxLength: MaxPatternLength, Pattern: aDomain})
	case KindPermissions:
		return permissionsSchema()
	case KindRoles:
		return rolesSchema()
	default:
		return schema{Type: "string"}
	}
}

func (o Option) choiceSchema() schema {
	var s schema
	texts := true
	for _, c := range o.Choices {
		s.Enum = append(s.Enum, c.Value)
		texts = texts && c.Value[0] == '"'
	}
	if texts {
		s.Enum = append(s.Enum, mustJSON("")) // the default
	}
	return s
}

// nameSchema is one name of a group or a role.
func nameSchema() schema {
	return schema{Type: "string", MaxLength: MaxPatternLength, Pattern: notBlank}
}

// listSchema is a list in its two forms: an array, or one text. What is said of
// arrays does not concern texts, and the other way round.
func listSchema(items schema) schema {
	return schema{Type: []string{"array", "string"}, Items: &items, MaxItems: MaxPatterns, Pattern: noEntries}
}

func permissionsSchema() schema {
	allowed := schema{Enum: []json.RawMessage{mustJSON(true), mustJSON(false), mustJSON(nil)}}
	names := nameSchema()
	s := schema{Type: "object", Names: &names, MaxNames: MaxPatterns, Additional: mustJSON(allowed)}
	for _, name := range usualPermissions {
		s.Properties = append(s.Properties, property{name, allowed})
	}
	return s
}

func rolesSchema() schema {
	return schema{Type: "array", MaxItems: MaxPatterns, Items: &schema{
		Type:       "object",
		Properties: properties{{"groups", listSchema(nameSchema())}, {"role", nameSchema()}},
		Required:   []string{"role"},
		Additional: mustJSON(false),
	}}
}
