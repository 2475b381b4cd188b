package policy

import "encoding/json"

// isText reports whether a field of a form has the value as text: the others have
// it as JSON.
func (k Kind) isText() bool {
	switch k {
	case KindText, KindTimeZone, KindPatterns, KindNames, KindDomains:
		return true
	}
	return false
}

// Text returns the value that the option has in a config, as a field of a form
// holds it: a list as [ParsePatterns] reads it, a text as it is, and anything else
// as JSON, such as true, 30 or the value of a [Choice]. It is what [ParseTexts]
// reads. An unknown key has no text.
func (o Option) Text(c Config) string {
	c.spellOut()
	for _, row := range options {
		if row.key != o.Key {
			continue
		}
		data := mustJSON(row.written(&c))
		var text string
		var list []string
		switch {
		case o.Kind.isText() && json.Unmarshal(data, &text) == nil:
			return text
		case o.Kind.isText() && json.Unmarshal(data, &list) == nil:
			return Patterns(list).String()
		}
		return string(data)
	}
	return ""
}

// ParseTexts reads a config from the fields of a form, which value returns by the
// key of the option, such as the method PostFormValue of a request: see
// [Option.Text]. A field that is empty, or that the form does not have, stands for
// the default. What is wrong is a [*ConfigError].
//
// Rules between options are left to [Config.Compile].
func ParseTexts(value func(key string) string) (Config, error) {
	values := map[string]any{}
	for _, o := range Options() {
		text := value(o.Key)
		switch {
		case text == "":
		case o.Kind.isText():
			values[o.Key] = text
		case json.Valid([]byte(text)):
			values[o.Key] = json.RawMessage(text)
		default:
			return Config{}, &ConfigError{Code: CodeWrongType, Option: o.Key, Value: text, Detail: "is not JSON"}
		}
	}
	return Parse(mustJSON(values))
}
