package requestlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/scimjit/provision/store"
)

// Entry is something that was asked, and how it went. Whoever makes one fills in what the
// fields say and nothing else: there is none for a header, a body or a parameter. What is
// text of a client is cut and masked again when the entry is noted.
type Entry struct {
	Number   int64 // set by Note: by it entries are in the order of their times
	Stranger bool  // nobody is known to have asked; see [Strangers]

	Time       time.Time // when it began, in UTC
	Protocol   string    // "scim", "saml", "ldap" or "sync"
	Credential string    // id of the credential, where one was known
	Method     string    // of HTTP, or what was done
	Path       string    // below the root of the protocol; query values are masked
	Status     int       // of HTTP; 0 of a sync that came to its end
	Type       string    // scimType
	Code       string    // why it was refused, or failed
	Detail     string    // the same for people, with values masked
	Duration   time.Duration

	Account    string   // id
	Resource   string   // id
	ExternalID string   // of who was created or refused
	Tolerances []string // that the request needed
	Refusal    string   // the id that whoever was refused can quote
	Count      int      // how many requests that are the same the entry stands for, where only samples are kept

	// UserName and what else is here is found by and never kept.
	UserName string
}

// Outcome is how something went.
type Outcome string

// The outcomes.
const (
	Succeeded Outcome = "succeeded"
	Refused   Outcome = "refused" // what was asked is wrong
	Failed    Outcome = "failed"  // the server or a source is at fault
)

// Outcome returns how it went.
func (e *Entry) Outcome() Outcome {
	switch {
	case e.Status >= 500, e.Status == 0 && e.Code != "":
		return Failed
	case e.Status >= 400:
		return Refused
	}
	return Succeeded
}

// stored is an entry as a store keeps it.
type stored struct {
	Time       int64    `json:"t"` // Unix time in milliseconds
	Protocol   string   `json:"p"`
	Credential string   `json:"cr"`
	Method     string   `json:"m"`
	Path       string   `json:"u"`
	Status     int      `json:"s"`
	Type       string   `json:"st"`
	Code       string   `json:"c"`
	Detail     string   `json:"d"`
	Took       int64    `json:"us"` // microseconds
	Account    string   `json:"a"`
	Resource   string   `json:"r"`
	ExternalID string   `json:"x"`
	Tolerances []string `json:"tol"`
	Refusal    string   `json:"id"`
	Count      int      `json:"n"`
}

// appendData appends the JSON of [stored], without what is empty. Every write of an
// identity provider makes one, so it is written by hand.
func (e *Entry) appendData(b []byte) []byte {
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, e.Time.UnixMilli(), 10)
	for _, f := range [...]struct{ name, text string }{
		{"p", e.Protocol}, {"cr", e.Credential}, {"m", e.Method}, {"u", e.Path}, {"st", e.Type}, {"c", e.Code}, {"d", e.Detail},
		{"a", e.Account}, {"r", e.ownResource()}, {"x", e.ExternalID}, {"id", e.Refusal},
	} {
		if f.text != "" {
			b = appendName(b, f.name)
			b = appendText(b, f.text)
		}
	}
	for _, f := range [...]struct {
		name   string
		number int64
	}{{"s", int64(e.Status)}, {"us", e.Duration.Microseconds()}, {"n", int64(e.Count)}} {
		if f.number != 0 {
			b = appendName(b, f.name)
			b = strconv.AppendInt(b, f.number, 10)
		}
	}
	for i, name := range e.Tolerances {
		if i == 0 {
			b = append(appendName(b, "tol"), '[')
		} else {
			b = append(b, ',')
		}
		if b = appendText(b, name); i == len(e.Tolerances)-1 {
			b = append(b, ']')
		}
	}
	return append(b, '}')
}

// samePlace stands for the resource that the path ends with.
const samePlace = "/"

// ownResource returns the resource as it is stored.
func (e *Entry) ownResource() string {
	if n := len(e.Path) - len(e.Resource); e.Resource != "" && n > 0 && e.Path[n:] == e.Resource && e.Path[n-1] == '/' {
		return samePlace
	}
	return e.Resource
}

func appendName(b []byte, name string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	return append(b, `":`...)
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				quoted = []byte(`""`) // a text always marshals
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// log returns the entry as a store keeps it.
func (e *Entry) log() *store.LogEntry {
	return &store.LogEntry{
		Part: part(e.Stranger), Number: e.Number, Keys: strings.Fields(string(e.appendKeys(nil))), Data: e.appendData(nil),
	}
}

// read returns the entry that a store keeps.
func read(l *store.LogEntry) (*Entry, error) {
	var s stored
	if err := json.Unmarshal(l.Data, &s); err != nil {
		return nil, fmt.Errorf("provision: stored request %d: %w", l.Number, err)
	}
	if s.Resource == samePlace {
		s.Resource = s.Path[strings.LastIndexByte(s.Path, '/')+1:]
	}
	return &Entry{
		l.Number, l.Part == part(Strangers), time.UnixMilli(s.Time).UTC(), s.Protocol, s.Credential, s.Method, s.Path, s.Status,
		s.Type, s.Code, s.Detail, time.Duration(s.Took) * time.Microsecond,
		s.Account, s.Resource, s.ExternalID, s.Tolerances, s.Refusal, s.Count, "",
	}, nil
}

// Strangers is the value of [Entry.Stranger] for what anybody can send: requests without
// a valid credential, and messages that no identity provider has signed. Of these there is
// a twentieth of the room, so that they take nothing from the others.
const Strangers = true

func part(strangers bool) int {
	if strangers {
		return 1
	}
	return 0
}

// The keys by which entries are found. What an identity provider or a person has chosen
// is hashed.
func keyOfOutcome(o Outcome) string { return "is:" + string(o) }
func keyOfRefusal(id string) string { return keyOf("id:", id) }

func keyOfResource(id string) string   { return keyOf("r:", id) }
func keyOfExternal(id string) string   { return hashed("x:", id) }
func keyOfUserName(name string) string { return hashed("n:", store.NameKey(name)) }

// keyOf returns a key of an id that the server has made. One of an import may be anything.
func keyOf(kind, id string) string {
	if plainID(id) {
		return kind + id
	}
	return hashed(kind, id)
}

// plainID reports whether an id can be part of a key.
func plainID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= 60
}

func hashed(kind, text string) string {
	sum := sha256.Sum256([]byte(text))
	return kind + "#" + hex.EncodeToString(sum[:12])
}

// appendKeys appends what the entry is found by, with a space after each. What succeeded is
// found by no outcome: most did.
func (e *Entry) appendKeys(b []byte) []byte {
	if o := e.Outcome(); o != Succeeded {
		b = append(append(append(b, "is:"...), o...), ' ')
	}
	b = appendKey(b, "id:", e.Refusal)
	b = appendKey(b, "a:", e.Account)
	b = appendKey(b, "r:", e.Resource)
	if e.ExternalID != "" {
		b = append(append(b, keyOfExternal(e.ExternalID)...), ' ')
	}
	if e.UserName != "" {
		b = append(append(b, keyOfUserName(e.UserName)...), ' ')
	}
	return b
}

func appendKey(b []byte, kind, id string) []byte {
	if id == "" {
		return b
	}
	if !plainID(id) {
		return append(append(b, hashed(kind, id)...), ' ')
	}
	return append(append(append(b, kind...), id...), ' ')
}

// How much is kept of a text.
const (
	maxPath   = 300
	maxDetail = 300
	maxID     = 200
)

// clean cuts and masks what a client may have chosen, whatever the maker of the entry did.
func (e *Entry) clean() {
	if e.Method != "" && !slices.Contains(methods, e.Method) {
		e.Detail = strings.ReplaceAll(e.Detail, e.Method, mask)
		e.Method = mask
	}
	e.Path = cut(e.Path, maxPath)
	if e.Detail != "" {
		e.Detail = cut(masked(e.Detail), maxDetail)
	}
	for _, text := range []*string{&e.Credential, &e.Account, &e.Resource, &e.ExternalID, &e.Refusal} {
		*text = cut(*text, maxID)
	}
	for _, code := range []*string{&e.Protocol, &e.Type, &e.Code} {
		if *code != "" && !isCause(*code) {
			*code = causeOther
		}
	}
	if len(e.Tolerances) == 0 {
		return
	}
	e.Tolerances = slices.DeleteFunc(e.Tolerances, func(name string) bool { return !isCause(name) })
}

// methods are those that are kept: those of SCIM, of logins, and what is done of itself.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "sync"}

// mask stands for what is not kept.
const mask = "…"

// values are what a text may quote of a request: texts between quotation marks, and long
// numbers.
var values = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?|[0-9][0-9,.]{4,}`)

// masked returns a text without the values that it quotes.
func masked(text string) string {
	return values.ReplaceAllStringFunc(text, func(value string) string {
		if value[0] == '"' {
			return `"` + mask + `"`
		}
		return mask
	})
}

// cut returns a text on one line, of limited length.
func cut(text string, most int) string {
	if len(text) <= most && isPlain(text) {
		return text
	}
	plain := func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}
	if strings.ContainsFunc(text, func(r rune) bool { return plain(r) != r }) {
		text = strings.Map(plain, strings.ToValidUTF8(text, " "))
	}
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + mask
}

// isPlain reports whether a text has nothing but printable ASCII.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// numberBits is how many of the bits of a number tell entries of one millisecond apart.
const numberBits = 20

// numberAt returns the first number of a time.
func numberAt(t time.Time) int64 { return max(t.UnixMilli(), 0) << numberBits }

// ID returns a number as text.
func ID(number int64) string { return strconv.FormatInt(number, 36) }

// ParseID returns the number of an ID, and whether the text is one.
func ParseID(id string) (number int64, ok bool) {
	number, err := strconv.ParseInt(id, 36, 64)
	return number, err == nil && number > 0
}

// NumberAfter returns the first number of the millisecond after a time.
func NumberAfter(t time.Time) int64 { return numberAt(t.Add(time.Millisecond)) }
