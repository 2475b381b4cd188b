package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
)

// maxPassword is how many bytes a password may have.
const maxPassword = 1024

// An attempt is a password that somebody typed for a name.
type attempt struct {
	name, password string

	// may asks whether one more wrong password may reach the directory, for the person
	// with an id, or for a name that nobody has. right says that the password was right.
	may   func(ctx context.Context, key string) (bool, error)
	right func(ctx context.Context, key string) error

	// unasked says that the directory was not asked after all.
	unasked func(ctx context.Context, key string) error
}

// login checks a password at the directory, and returns who that is.
//
// Whoever is refused is refused by the same search and the same bind: a name that nobody
// has, several entries, somebody who is disabled, and one attempt too many are bound as a
// DN that is not there, with a password that is not theirs.
func (s *Server) login(ctx context.Context, a attempt) (provision.Identity, error) {
	if err := a.check(); err != nil {
		return provision.Identity{}, err
	}
	p, refused := s.lookUp(ctx, a.name)
	if refused != nil && !isRefusal(refused) {
		return provision.Identity{}, refused
	}
	key, who := "name\x00"+naming.Key(a.name), typed(a.name)
	if p != nil {
		key, who = "id\x00"+p.id, fmt.Sprintf("the entry %q", plain(p.entry.DN))
	}
	ok, err := a.may(ctx, key)
	switch {
	case err != nil:
		return provision.Identity{}, err
	case !ok:
		refused = &Error{Code: CodeThrottled, Reason: fmt.Sprintf("too many wrong passwords for %s: nobody asked the directory", who), Err: refused}
	}
	if refused != nil {
		if err := s.bindNobody(ctx); err != nil {
			return provision.Identity{}, err
		}
		return provision.Identity{}, refused
	}
	if err := s.bind(ctx, p.entry.DN, a.password); err != nil {
		if neverAsked(err) {
			err = errors.Join(err, a.unasked(ctx, key))
		}
		return provision.Identity{}, err
	}
	if err := a.right(ctx, key); err != nil {
		return provision.Identity{}, err
	}
	id := p.identity()
	id.Groups, id.Evidence, err = s.groupsOf(ctx, p)
	return id, err
}

// typed is a name as logs have it, which may be a password in the wrong field.
func typed(name string) string { return fmt.Sprintf("a name of %d bytes", len(name)) }

// check refuses what no directory is asked. A bind with an empty password succeeds
// whoever is named (RFC 4513 section 5.1.2).
func (a *attempt) check() error {
	switch {
	case a.name == "" || a.password == "":
		return wrong(CodePassword, "the name or the password is empty")
	case len(a.name) > provision.MaxIdentityText || len(a.password) > maxPassword:
		return wrong(CodePassword, "the name or the password is too long")
	case !utf8.ValidString(a.name) || strings.ContainsRune(a.password, 0):
		return wrong(CodePassword, "the name is no text, or the password has the character U+0000")
	}
	if at, r := naming.Hidden(a.name); at >= 0 {
		return wrong(CodePassword, "the name has the invisible character %U", r)
	}
	return nil
}

// isRefusal reports whether an error says that this person may not log in, rather than
// that the directory could not be asked.
func isRefusal(err error) bool {
	var known *Error
	return errors.As(err, &known) && (known.Code == CodePassword || known.Code == CodeAmbiguous || known.Code == CodeThrottled)
}

// neverAsked reports whether an error says that no server can have counted a password.
func neverAsked(err error) bool {
	var known *Error
	return errors.As(err, &known) && (known.Code == CodeConnect || known.Code == CodeTLS || known.Code == CodeBusy)
}

// lookUp finds the person with a name, by the filter of syncs. The refusal says why there
// is nobody who may log in; there may be an entry all the same.
func (s *Server) lookUp(ctx context.Context, name string) (p *person, refused error) {
	var found, sharing []entry
	err := s.use(ctx, true, func(c *client) (err error) {
		found, err = s.peopleBy(ctx, c, "looking for who logs in", s.loginFilter(name))
		if err == nil && s.mapping.own {
			sharing, err = s.peopleBy(ctx, c, "looking for who shares the id", s.idFilter(found))
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, wrong(CodePassword, "nobody has the name: %s", typed(name))
	case len(found) > 1:
		return nil, wrong(CodeAmbiguous, "several entries have the name, such as %q and %q", plain(found[0].DN), plain(found[1].DN))
	}
	who := s.mapping.person(found[0], s.options.Now())
	switch {
	case who.problem != "":
		return nil, wrong(CodePassword, "the entry %q cannot log in [%s]", plain(who.entry.DN), who.problem)
	case s.mapping.own && len(sharing) == 0:
		return nil, wrong(CodeAmbiguous, "the directory does not find the entry %q by its id: nobody can tell whether another one has it", plain(who.entry.DN))
	case len(sharing) > 1:
		return nil, wrong(CodeAmbiguous, "several entries have one id: %q and %q", plain(sharing[0].DN), plain(sharing[1].DN))
	case !who.active:
		return &who, wrong(CodePassword, "the entry %q is disabled or expired", plain(who.entry.DN))
	}
	return &who, nil
}

// peopleBy searches people: two or more of each base are enough to refuse.
func (s *Server) peopleBy(ctx context.Context, c *client, doing, filter string) (found []entry, err error) {
	for _, base := range s.peopleBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: filter, attributes: s.mapping.personAttributes}
		list, _, err := c.find(ctx, doing, q, 2)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return found, nil
}

// idFilter finds who has the id of an entry, where the id is an attribute that the
// connection chose. Where nobody or several were found the search costs as much.
func (s *Server) idFilter(found []entry) string {
	attribute, id := s.mapping.fields[fieldID][0], "0"
	if len(found) == 1 {
		if values := found[0].values(attribute); len(values) == 1 {
			id = string(values[0])
		}
	}
	return allOf(s.people, equals(attribute, id))
}

// loginFilter finds who has a name. The domain of a Windows name, as in CORP\ada, is no
// part of it.
func (s *Server) loginFilter(name string) string {
	if s.preset.delta == byUSN {
		if _, local, ok := strings.Cut(name, `\`); ok {
			name = local
		}
	}
	var names []string
	for _, attribute := range s.mapping.fields[fieldLogin] {
		names = append(names, equals(attribute, name))
	}
	return allOf(s.people, anyOf(names...))
}

// subcodes are what Active Directory adds to a refused bind (MS-ADTS, and Windows error
// codes in hexadecimal). Only the log has them.
var subcodes = map[string]string{
	"525": "there is no such user", "52e": "the password is wrong", "530": "not at this hour", "531": "not at this computer",
	"532": "the password has expired", "533": "the account is disabled", "701": "the account has expired",
	"773": "the password must be changed first", "775": "the account is locked out",
}

// bind tries a password. The DN is sent in the octets in which the directory sent it. The
// connection is one for logins: the service account is never bound there.
func (s *Server) bind(ctx context.Context, dn, password string) error {
	var refused error
	err := s.use(ctx, false, func(c *client) error {
		err := c.do(ctx, answerWithin, "the bind of who logs in", func() error { return c.Bind(dn, password) })
		var result *goldap.Error
		if errors.As(err, &result) && refusals[result.ResultCode] {
			refused, err = refusal(dn, result), nil // the connection is as good as before
		}
		return err
	})
	if err != nil {
		return err
	}
	return refused
}

// refusals are the results of a bind that say something about the person or the password.
// Others say something about the server.
var refusals = map[uint16]bool{
	goldap.LDAPResultInvalidCredentials:          true,
	goldap.LDAPResultInappropriateAuthentication: true,
	goldap.LDAPResultConstraintViolation:         true,
	goldap.LDAPResultUnwillingToPerform:          true,
	goldap.LDAPResultNoSuchObject:                true,
	goldap.LDAPResultInsufficientAccessRights:    true,
	goldap.LDAPResultInvalidDNSyntax:             true,
}

// refusal says why a bind was refused.
func refusal(dn string, result *goldap.Error) error {
	e := wrong(CodePassword, "the directory refuses the bind of %q with result %d", plain(dn), result.ResultCode)
	if result.Err != nil {
		e.Diagnostic = plain(result.Err.Error())
	}
	if _, data, ok := strings.Cut(e.Diagnostic, ", data "); ok {
		code, _, _ := strings.Cut(data, ",")
		if text := subcodes[strings.TrimSpace(code)]; text != "" {
			e.Reason += ": " + text
		}
	}
	return e
}

// bindNobody is a bind that fails, for a DN that is not there.
func (s *Server) bindNobody(ctx context.Context) error {
	err := s.bind(ctx, "cn=nobody-who-logs-in,"+s.peopleBases[0], "no password of anybody")
	if isRefusal(err) {
		return nil
	}
	return err
}
