package console

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// schemas makes JSON Schemas of Go types, as encoding/json writes them. Structs have a name
// and are components; those of bodies need none of their keys, and have names of their own.
type schemas struct {
	components object
}

// special are the types whose JSON does not follow from their Go.
var special = map[reflect.Type]func(body bool) object{
	reflect.TypeFor[time.Time]():       func(bool) object { return object{"type": "string", "format": "date-time"} },
	reflect.TypeFor[json.RawMessage](): func(bool) object { return object{} },
	reflect.TypeFor[any]():             func(bool) object { return object{} },
	reflect.TypeFor[store.Attributes](): func(bool) object {
		return object{"type": "object", "additionalProperties": object{}}
	},
	reflect.TypeFor[policy.Permissions](): func(bool) object {
		return object{"type": "object", "additionalProperties": object{"type": []string{"boolean", "null"}}}
	},
	reflect.TypeFor[policy.Status](): func(bool) object {
		return words(policy.StatusStaged, policy.StatusActive, policy.StatusDisabled, policy.StatusDeleted)
	},
	reflect.TypeFor[provision.SecretText](): func(body bool) object {
		state := object{
			"type": "object", "properties": object{"set": object{"type": "boolean"}},
			"required": []string{"set"}, "additionalProperties": false,
		}
		if body {
			return object{"anyOf": []object{state, {"type": "string", "description": "A new secret; empty removes it."}}}
		}
		return state
	},
	reflect.TypeFor[policy.Config](): func(bool) object {
		schema := clone(policy.JSONSchema())
		delete(schema, "$schema")
		return schema
	},
	reflect.TypeFor[Selection](): func(bool) object {
		return object{"anyOf": []object{
			{"type": "array", "items": object{"type": "string"}},
			{"type": "object", "properties": object{"all": object{"type": "boolean"}}, "required": []string{"all"}, "additionalProperties": false},
		}}
	},
}

// of returns the schema of the type of a value.
func (s *schemas) of(v any, body bool) object {
	return s.schema(reflect.TypeOf(v), body)
}

func (s *schemas) schema(t reflect.Type, body bool) object {
	if make := special[t]; make != nil {
		if t.Kind() == reflect.Struct && t.Name() == "Config" {
			return s.component("Policy", func() object { return make(body) })
		}
		return make(body)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.schema(t.Elem(), body)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": s.schema(t.Elem(), body)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.schema(t.Elem(), body)}
	case reflect.Struct:
		name := t.Name()
		if body {
			name += "Body"
		}
		return s.component(name, func() object { return s.object(t, body) })
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

// component returns a reference to the schema of a name, which it makes once.
func (s *schemas) component(name string, schema func() object) object {
	if s.components[name] == nil {
		s.components[name] = object{} // a type that has itself in it ends here
		s.components[name] = schema()
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// object describes the keys of a struct: all of them, so that an answer has no others.
func (s *schemas) object(t reflect.Type, body bool) object {
	properties, required := object{}, []string{}
	s.fields(t, body, properties, &required)
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 && !body {
		o["required"] = required
	}
	return o
}

// fields adds the fields of a struct. An outer one hides that of an embedded struct.
func (s *schemas) fields(t reflect.Type, body bool, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			defer s.fields(embedded, body, properties, required)
			continue
		}
		key, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || key == "-" && !tagged || key == "" || properties[key] != nil {
			continue
		}
		properties[key] = s.schema(f.Type, body)
		if strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero") {
			continue
		}
		*required = append(*required, key)
		if f.Type.Kind() == reflect.Pointer {
			properties[key] = object{"anyOf": []object{s.schema(f.Type, body), {"type": "null"}}}
		}
	}
}
