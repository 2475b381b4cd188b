package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/policy"
)

// MaxBody is how many bytes a body may have, that of a sync apart.
const MaxBody = 1 << 20

// body reads the body of a request.
func (c *call) body() ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, err
	} else if err != nil {
		return nil, &Problem{Status: http.StatusBadRequest, Code: codeWrong, Detail: "the body cannot be read"}
	}
	return data, nil
}

// decode reads a JSON body. What is wrong is a problem that names the place.
func (c *call) decode(into any) error {
	data, err := c.body()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return wrong(codeWrong, "", "the body is not what is expected: it is empty")
	}
	if err := json.Unmarshal(data, into, json.RejectUnknownMembers(true)); err != nil {
		return bodyProblem(err)
	}
	return nil
}

// bodyProblem says what is wrong in a body, and where, without the names of Go types.
func bodyProblem(err error) error {
	var (
		option    *policy.ConfigError
		semantic  *json.SemanticError
		syntactic *jsontext.SyntacticError
	)
	const text = "the body is not what is expected: "
	switch {
	case errors.As(err, &option):
		p := settingProblem(option)
		if errors.As(err, &semantic) {
			p.Field = strings.TrimSuffix(place(semantic.JSONPointer)+"."+option.Option, ".")
		}
		return p
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		at, words := place(semantic.JSONPointer), keysOf(semantic.GoType)
		return wrong(codeUnknownKey, at, "%s%s: unknown key; there are %s%s", text, at, strings.Join(words, ", "), near(semantic.JSONPointer.LastToken(), words))
	case errors.As(err, &semantic):
		at := place(semantic.JSONPointer)
		return wrong(codeType, at, "%s%s%s in the place of %s", text, prefix(at), kindName(semantic.JSONKind), typeName(semantic.GoType))
	case errors.As(err, &syntactic) && errors.Is(err, jsontext.ErrDuplicateName):
		at := place(syntactic.JSONPointer)
		return wrong(codeTwice, at, "%s%s: is there twice", text, at)
	case errors.As(err, &syntactic) && errors.Is(err, io.ErrUnexpectedEOF):
		return wrong(codeNotJSON, "", "%sit ends too early", text)
	case errors.As(err, &syntactic):
		return wrong(codeNotJSON, "", "%sno JSON at byte %d: %v", text, syntactic.ByteOffset, syntactic.Err)
	}
	return wrong(codeNotJSON, "", "%sno JSON", text)
}

func prefix(at string) string {
	if at == "" {
		return ""
	}
	return at + ": "
}

// place writes a JSON pointer as people do: policy.roles[1].
func place(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			fmt.Fprintf(&b, "[%s]", token)
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return b.String()
}

// keysOf returns the JSON keys of a struct, those of embedded ones included.
func keysOf(t reflect.Type) []string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var keys []string
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// kindName names a JSON value for people.
func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "a list"
	}
	return "something"
}

// typeName names what a place must have for people.
func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		if t.PkgPath() == "time" {
			return "a time"
		}
		return "an object"
	}
	return "a number"
}
