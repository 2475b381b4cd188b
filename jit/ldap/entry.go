package ldap

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
)

// entry is one that a search found.
type entry struct{ *goldap.Entry }

// values returns the values of an attribute, whose name matches in any case. Where there
// are some with options, such as cn;lang-de, those without count; parts of a long list
// (member;range=0-1499) are never all.
func (e entry) values(name string) [][]byte {
	var optional [][]byte
	for _, a := range e.Attributes {
		base, options, has := strings.Cut(a.Name, ";")
		switch {
		case !strings.EqualFold(base, name) || len(a.ByteValues) == 0:
		case !has || strings.EqualFold(options, "binary"):
			return a.ByteValues
		case optional == nil && !strings.Contains(strings.ToLower(options), "range="):
			optional = a.ByteValues
		}
	}
	return optional
}

// text returns the first value of the first attribute that has one, trimmed and in one
// line. It is for what is only shown.
func (e entry) label(names []string) string {
	for _, name := range names {
		for _, value := range e.values(name) {
			if text := label(value); text != "" {
				return text
			}
		}
	}
	return ""
}

// label returns a value as people see it: in one line, cut at the length that an identity
// may have.
func label(value []byte) string {
	text := strings.ToValidUTF8(string(value), "")
	if strings.ContainsFunc(text, naming.Control) {
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return naming.Control(r) || unicode.IsSpace(r) }), " ")
	}
	text = naming.Normal(text)
	if len(text) <= provision.MaxIdentityText {
		return text
	}
	end := provision.MaxIdentityText
	for end > 0 && (!utf8.RuneStart(text[end])) {
		end--
	}
	for end > 0 { // the accents of a letter go with it
		r, _ := utf8.DecodeRuneInString(text[end:])
		if !unicode.Is(unicode.M, r) && r != '\u200d' {
			break
		}
		_, n := utf8.DecodeLastRuneInString(text[:end])
		end -= n
	}
	return strings.TrimSpace(text[:end])
}

// name returns the first value of the first attribute that has one, as it is. It is for
// what names somebody.
func (e entry) name(names []string) string {
	for _, name := range names {
		for _, value := range e.values(name) {
			if strings.TrimSpace(string(value)) != "" {
				return string(value)
			}
		}
	}
	return ""
}

// wrongName says what is wrong with what names a person, or "".
func wrongName(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case len(text) > provision.MaxIdentityText:
		return fmt.Sprintf("has more than %d bytes", provision.MaxIdentityText)
	}
	if at, r := naming.Hidden(text); at >= 0 {
		return fmt.Sprintf("has the invisible character %U", r)
	}
	return ""
}

// isAddress reports whether a text can be an e-mail address.
func isAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s, " \t<>,;") && wrongName(s) == ""
}

// An idForm reads an immutable id of one syntax.
type idForm func(value []byte) (string, bool)

// textID is an id that is text: entryUUID, nsUniqueId, ipaUniqueID.
func textID(value []byte) (string, bool) {
	text := string(value)
	return text, strings.TrimSpace(text) == text && text != "" && wrongName(text) == ""
}

// guidID is a GUID of Active Directory (MS-DTYP section 2.3.4): 16 bytes, of which the
// first three numbers are little-endian. The text is the one of Entra ID and of Windows.
func guidID(value []byte) (string, bool) {
	if len(value) != 16 {
		return "", false
	}
	b := append([]byte{value[3], value[2], value[1], value[0], value[5], value[4], value[7], value[6]}, value[8:]...)
	text := hex.EncodeToString(b)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:], true
}

// siblingSID returns the SID (MS-DTYP section 2.4.2.2) of the same domain with another
// relative id, in bytes, or "".
func siblingSID(sid []byte, rid string) string {
	id, err := strconv.ParseUint(rid, 10, 32)
	if len(sid) < 12 || len(sid) != 8+4*int(sid[1]) || err != nil {
		return ""
	}
	return string(binary.LittleEndian.AppendUint32(append([]byte(nil), sid[:len(sid)-4]...), uint32(id)))
}

// A stateRule says whether a value of an attribute means that somebody is disabled.
// Locked out after wrong passwords is not disabled.
type stateRule struct {
	attribute string
	disabled  func(value string, now time.Time) bool
}

// accountDisabled is bit 2 of userAccountControl (MS-ADTS section 2.2.16).
func accountDisabled(value string, _ time.Time) bool {
	flags, err := strconv.ParseInt(value, 10, 64)
	return err == nil && flags&2 != 0
}

// never is the other value of accountExpires that means no end.
const never = 1<<63 - 1

// accountExpired reads accountExpires (MS-ADTS section 2.2): 100 ns since 1601.
func accountExpired(value string, now time.Time) bool {
	ticks, err := strconv.ParseInt(value, 10, 64)
	if err != nil || ticks <= 0 || ticks == never {
		return false
	}
	const since1601 = 11644473600 // seconds until 1970
	return !now.Before(time.Unix(ticks/1e7-since1601, ticks%1e7*100))
}

func isTrue(value string, _ time.Time) bool { return strings.EqualFold(value, "true") }

// shadowExpired reads shadowExpire (RFC 2307): days since 1970.
func shadowExpired(value string, now time.Time) bool {
	days, err := strconv.ParseInt(value, 10, 64)
	return err == nil && days > 0 && now.Unix()/86400 >= days
}

// timePassed reads a GeneralizedTime.
func timePassed(value string, now time.Time) bool {
	at, ok := generalizedTime(value)
	return ok && !now.Before(at)
}

// generalizedTime reads a time of a server (RFC 4517 section 3.3.13) in UTC.
func generalizedTime(value string) (time.Time, bool) {
	digits, _, fraction := strings.Cut(strings.TrimSuffix(value, "Z"), ".")
	at, err := time.Parse("20060102150405", digits)
	return at, err == nil && strings.HasSuffix(value, "Z") && (fraction || len(value) == 15)
}

// formatTime writes a time for a filter.
func formatTime(at time.Time) string { return at.UTC().Format("20060102150405") + "Z" }

// rangeOf reads the description of a part of an attribute's values, such as
// member;range=0-1499. next is where the next part begins; 0 where this is the last.
func rangeOf(description string) (name string, next int, ok bool) {
	name, option, has := strings.Cut(description, ";")
	if !has || !strings.HasPrefix(strings.ToLower(option), "range=") {
		return "", 0, false
	}
	_, last, has := strings.Cut(option, "-")
	if !has {
		return "", 0, false
	}
	if last == "*" {
		return name, 0, true
	}
	end, err := strconv.Atoi(last)
	if err != nil || end < 0 || end > 1<<30 {
		return "", 0, false
	}
	return name, end + 1, true
}
