package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// value is a JSON value that is known to be well formed, and its place.
type value struct {
	option string // what it belongs to, for errors
	data   []byte
	at     int // where data begins in the document
}

// member is a member of a JSON object.
type member struct {
	key string
	at  int // where the key begins in the document
	value
}

// members returns the members of an object, in order. A duplicate key is an
// error.
func (v value) members() ([]member, error) {
	decoder, err := v.open('{', "an object")
	if err != nil {
		return nil, err
	}
	var members []member
	seen := map[string]bool{}
	for decoder.More() {
		before := int(decoder.InputOffset())
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: token.(string)}
		m.at = v.at + before + bytes.IndexByte(v.data[before:], '"')
		if v.option != "" {
			m.option = v.option + "."
		}
		m.option += m.key
		if seen[m.key] {
			return nil, &ConfigError{Code: CodeTwice, Option: m.option, Value: m.key, Offset: m.at, Document: true, Detail: "is there twice"}
		}
		seen[m.key] = true
		if m.data, m.value.at, err = v.next(decoder); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// elements returns the elements of an array.
func (v value) elements(want string) ([]value, error) {
	decoder, err := v.open('[', want)
	if err != nil {
		return nil, err
	}
	var elements []value
	for decoder.More() {
		element := value{option: v.option}
		if element.data, element.at, err = v.next(decoder); err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	return elements, nil
}

// open returns a decoder that has read the opening delimiter of v.
func (v value) open(delimiter json.Delim, want string) (*json.Decoder, error) {
	decoder := json.NewDecoder(bytes.NewReader(v.data))
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if token != delimiter {
		return nil, v.wrong(CodeWrongType, "is not "+want)
	}
	return decoder, nil
}

// next reads the next value of an object or array, and where it begins.
func (v value) next(decoder *json.Decoder) (data json.RawMessage, at int, err error) {
	if err := decoder.Decode(&data); err != nil {
		return nil, 0, err
	}
	return data, v.at + int(decoder.InputOffset()) - len(data), nil
}

// read reads v into an option's field.
func (v value) read(field any) (err error) {
	switch field := field.(type) {
	case *bool:
		*field, err = v.boolean()
	case *string:
		*field, err = v.text()
	case *Switch:
		*field, err = v.onOff()
	case *int:
		*field, err = v.number()
	case *days:
		*field, err = v.days()
	case *[]string:
		*field, err = v.names()
	case *Patterns:
		*field, err = v.names()
	case *FirstLogin:
		*field, err = v.firstLogin()
	case **bool:
		*field, err = v.optional()
	case *Permissions:
		*field, err = v.permissions()
	case *[]RoleGrant:
		*field, err = v.roles()
	default:
		panic(fmt.Sprintf("policy: option %s has a field of type %T", v.option, field))
	}
	return err
}

func (v value) boolean() (bool, error) {
	switch string(v.data) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, v.noneOf("true", "false")
}

// optional reads true, false or null.
func (v value) optional() (*bool, error) {
	if string(v.data) == "null" {
		return nil, nil
	}
	b, err := v.boolean()
	if err != nil {
		return nil, v.noneOf("true", "false", "null")
	}
	return &b, nil
}

func (v value) text() (text string, err error) {
	if v.data[0] != '"' {
		return "", v.wrong(CodeWrongType, "is not a string")
	}
	err = json.Unmarshal(v.data, &text)
	return text, err
}

func (v value) number() (int, error) {
	n, err := strconv.Atoi(string(v.data))
	if err != nil {
		return 0, v.wrong(CodeWrongType, "is not a whole number")
	}
	return n, nil
}

// onOff reads true or false.
func (v value) onOff() (Switch, error) {
	on, err := v.boolean()
	if err != nil || on {
		return On, err
	}
	return Off, nil
}

// days reads a number of days of which 0 is for ever.
func (v value) days() (days, error) {
	n, err := v.number()
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return Forever, nil
	case n < 0:
		return 0, v.wrong(CodeOutOfRange, "is less than 0")
	}
	return days(n), nil
}

func (v value) firstLogin() (FirstLogin, error) {
	switch string(v.data) {
	case `"auto"`:
		return FirstLoginAuto, nil
	case "true":
		return FirstLoginProvision, nil
	case "false":
		return FirstLoginRefuse, nil
	}
	return 0, v.noneOf(`"auto"`, "true", "false")
}

// names reads an array of strings, or a string that lists names.
func (v value) names() ([]string, error) {
	if v.data[0] == '"' {
		text, err := v.text()
		if err != nil {
			return nil, err
		}
		names, fault := splitNames(text)
		return names, fault.at(v.option)
	}
	elements, err := v.elements("an array of strings or a string")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, element := range elements {
		name, err := element.text()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// permissions reads an object of optional switches.
func (v value) permissions() (Permissions, error) {
	members, err := v.members()
	if err != nil || len(members) == 0 {
		return nil, err
	}
	permissions := make(Permissions, len(members))
	for _, m := range members {
		name := usualPermission(m.key)
		if _, twice := permissions[name]; twice {
			return nil, &ConfigError{Code: CodeTwice, Option: m.option, Value: m.key, Offset: m.at, Document: true, Detail: "is there twice"}
		}
		if permissions[name], err = m.optional(); err != nil {
			return nil, err
		}
	}
	return permissions, nil
}

// roles reads an array of role grants.
func (v value) roles() ([]RoleGrant, error) {
	elements, err := v.elements("an array")
	if err != nil {
		return nil, err
	}
	var grants []RoleGrant
	for i, element := range elements {
		element.option = fmt.Sprintf("%s[%d]", v.option, i)
		grant, err := element.role()
		if err != nil {
			return nil, err
		}
		grants = append(grants, grant)
	}
	return grants, nil
}

func (v value) role() (grant RoleGrant, err error) {
	members, err := v.members()
	if err != nil {
		return grant, err
	}
	for _, m := range members {
		switch m.key {
		case "groups":
			grant.Groups, err = m.names()
		case "role":
			grant.Role, err = m.text()
		default:
			err = &ConfigError{Code: CodeUnknownOption, Option: m.option, Value: m.key, Offset: m.at, Document: true, Detail: "is not a key of a role; there are groups and role"}
		}
		if err != nil {
			return grant, err
		}
	}
	if grant.Role == "" {
		return grant, v.wrong(CodeNoRole, "has no role")
	}
	return grant, nil
}

// noneOf is the error for a value that is none of the right ones, which are
// given as JSON.
func (v value) noneOf(right ...string) error {
	detail := "is not one of " + strings.Join(right, ", ")
	words := make([]string, len(right))
	for i, text := range right {
		words[i] = strings.Trim(text, `"`)
	}
	word, ok := nearest(strings.Trim(string(v.data), `"`), words, nearOfFew)
	if ok {
		detail += "; did you mean " + right[slices.Index(words, word)] + "?"
	}
	return v.wrong(CodeUnknownValue, detail)
}

// wrong is the error for a value of the wrong type.
func (v value) wrong(code, detail string) error {
	return &ConfigError{Code: code, Option: v.option, Value: string(v.data), Offset: v.at, Document: true, Detail: detail}
}
