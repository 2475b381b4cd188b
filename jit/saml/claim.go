package saml

import (
	"encoding/xml"
	"slices"
	"strings"
	"time"

	saml2 "github.com/russellhaering/gosaml2"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/xsd"
	"github.com/scimjit/provision/jit"
)

// signedXML is an assertion (SAML core section 2.3.3) as it was signed. What may
// be there once is a list here too, so that a second one is seen.
type signedXML struct {
	XMLName    xml.Name              `xml:"urn:oasis:names:tc:SAML:2.0:assertion Assertion"`
	Version    string                `xml:"Version,attr"`
	ID         string                `xml:"ID,attr"`
	Issuers    []string              `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	Subjects   []subjectXML          `xml:"urn:oasis:names:tc:SAML:2.0:assertion Subject"`
	Conditions []conditionsXML       `xml:"urn:oasis:names:tc:SAML:2.0:assertion Conditions"`
	Authn      []authnXML            `xml:"urn:oasis:names:tc:SAML:2.0:assertion AuthnStatement"`
	Statements []attributeStatements `xml:"urn:oasis:names:tc:SAML:2.0:assertion AttributeStatement"`
}

type subjectXML struct {
	NameIDs       []nameIDXML       `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
	Confirmations []confirmationXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion SubjectConfirmation"`
}

type nameIDXML struct {
	Format          string   `xml:"Format,attr"`
	NameQualifier   string   `xml:"NameQualifier,attr"`
	SPNameQualifier string   `xml:"SPNameQualifier,attr"`
	Value           string   `xml:",chardata"`
	Inside          []anyXML `xml:",any"`
}

type anyXML struct{ XMLName xml.Name }

type confirmationXML struct {
	Method string            `xml:"Method,attr"`
	Data   []confirmationFor `xml:"urn:oasis:names:tc:SAML:2.0:assertion SubjectConfirmationData"`
}

type confirmationFor struct {
	Recipient    string  `xml:"Recipient,attr"`
	NotBefore    timeXML `xml:"NotBefore,attr"`
	NotOnOrAfter timeXML `xml:"NotOnOrAfter,attr"`
	InResponseTo string  `xml:"InResponseTo,attr"`
}

// timeXML is an attribute that holds a time. One that is empty is there, and is no
// time.
type timeXML struct {
	text  string
	given bool
}

// UnmarshalXMLAttr implements xml.UnmarshalerAttr.
func (t *timeXML) UnmarshalXMLAttr(a xml.Attr) error {
	t.text, t.given = a.Value, true
	return nil
}

type conditionsXML struct {
	NotBefore    timeXML `xml:"NotBefore,attr"`
	NotOnOrAfter timeXML `xml:"NotOnOrAfter,attr"`
	Restrictions []struct {
		Audiences []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Audience"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion AudienceRestriction"`
	OneTimeUse       []anyXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion OneTimeUse"`
	ProxyRestriction []anyXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion ProxyRestriction"`
	Others           []anyXML `xml:",any"`
}

type authnXML struct {
	AuthnInstant        timeXML  `xml:"AuthnInstant,attr"`
	SessionIndex        string   `xml:"SessionIndex,attr"`
	SessionNotOnOrAfter timeXML  `xml:"SessionNotOnOrAfter,attr"`
	Classes             []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion AuthnContext>AuthnContextClassRef"`
}

type attributeStatements struct {
	Attributes []struct {
		Name         string     `xml:"Name,attr"`
		FriendlyName string     `xml:"FriendlyName,attr"`
		Values       []valueXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion AttributeValue"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Attribute"`
}

type valueXML struct {
	Text    string      `xml:",chardata"`
	NameIDs []nameIDXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
	Others  []anyXML    `xml:",any"`
}

// maxLifetime bounds how long a bearer confirmation may be used, and with that
// how long its use must be remembered. Identity providers give minutes, by some
// settings hours, and a day at most. How long Conditions hold is not bounded.
const maxLifetime = 24 * time.Hour

// claim is a signed assertion and what it is judged by.
type claim struct {
	sp        *ServiceProvider
	seen      *inspection
	requestID string
	now       time.Time
	assertion signedXML

	nameID provision.NameID
	until  time.Time // from when on it counts no more, without the skew
	authn  time.Time // when the person authenticated; zero where that is not said

	session provision.Session // that the login belongs to
}

// verified applies the rules of the Web Browser SSO profile (SAML profiles
// section 4.1.4.3), and stricter ones where the profile leaves a choice.
func (c *claim) verified() (*Verified, error) {
	rules := [...]func(*claim) error{
		(*claim).checkForm,
		(*claim).checkDestination,
		(*claim).checkConfirmations,
		(*claim).checkConditions,
		(*claim).checkAudience,
		(*claim).checkSession,
		(*claim).checkAuthn,
		(*claim).checkResponseID,
		(*claim).checkNameID,
	}
	for _, rule := range rules {
		if err := rule(c); err != nil {
			return nil, err
		}
	}
	return &Verified{
		Assertion: jit.Assertion{
			Issuer:     c.sp.idp.EntityID,
			NameID:     c.nameID,
			Attributes: c.assertion.attributes(),
			Session:    c.endable(),
		},
		ID:           c.assertion.ID,
		Until:        c.until.Add(c.sp.skew),
		AuthnInstant: c.authn,
	}, nil
}

// endable returns the session, if the identity provider can end it.
func (c *claim) endable() *provision.Session {
	if !c.sp.endsLogins() {
		return nil
	}
	c.session.NameID = c.nameID
	return &c.session
}

func (c *claim) checkForm() error {
	a := &c.assertion
	switch {
	case a.Version != "2.0":
		return refuse(CodeVersion, "%q", a.Version)
	case a.ID == "":
		return refuse(CodeShape, "no ID")
	case len(a.Issuers) != 1 || xsd.Collapse(a.Issuers[0]) != c.sp.idp.EntityID:
		return refuse(CodeIssuer, "%q instead of %q", a.Issuers, c.sp.idp.EntityID)
	case len(a.Subjects) != 1 || len(a.Conditions) != 1:
		return refuse(CodeShape, "%d Subject, %d Conditions", len(a.Subjects), len(a.Conditions))
	case len(a.Authn) == 0:
		return refuse(CodeShape, "no AuthnStatement: this does not say that anybody logged in")
	}
	return nil
}

// checkDestination: a signed response must have one (SAML bindings section
// 3.5.5.2).
func (c *claim) checkDestination() error {
	to := xsd.Collapse(c.seen.destination)
	switch {
	case to == "" && c.seen.responseSigned:
		return refuse(CodeDestination, "a signed response without Destination")
	case to != "" && to != c.sp.ACS():
		return refuse(CodeDestination, "%q instead of %q", to, c.sp.ACS())
	}
	return nil
}

// checkConfirmations wants one good bearer confirmation; others beside it do no
// harm (SAML profiles section 4.1.4.3). Without one the fault of the first is
// told.
func (c *claim) checkConfirmations() error {
	var refused error
	good := false
	for i := range c.assertion.Subjects[0].Confirmations {
		s := &c.assertion.Subjects[0].Confirmations[i]
		err := c.checkConfirmation(s)
		good = good || err == nil
		if err != nil && refused == nil {
			refused = err
		}
		c.mayLast(s)
	}
	switch {
	case good:
	case refused != nil:
		return refused
	default:
		return refuse(CodeConfirmation, "no SubjectConfirmation")
	}
	// A good confirmation has an end, so that until has a value here.
	if c.until.After(c.now.Add(c.sp.skew + maxLifetime)) {
		return refuse(CodeLifetime, "SubjectConfirmationData is good until %v: more than %v", c.until, maxLifetime)
	}
	return nil
}

// mayLast keeps the latest end of all confirmations for this address, those too
// that are not good now: while one of them may become good, the assertion could be
// used a second time.
func (c *claim) mayLast(s *confirmationXML) {
	for _, data := range s.Data {
		end, err := xsd.DateTime(data.NotOnOrAfter.text)
		if err == nil && c.isRecipient(data) && end.After(c.until) {
			c.until = end
		}
	}
}

func (c *claim) isRecipient(data confirmationFor) bool {
	return xsd.Collapse(data.Recipient) == c.sp.ACS()
}

func (c *claim) checkConfirmation(s *confirmationXML) error {
	if xsd.Collapse(s.Method) != saml2.SubjMethodBearer || len(s.Data) != 1 {
		return refuse(CodeConfirmation, "method %q with %d SubjectConfirmationData", s.Method, len(s.Data))
	}
	data := s.Data[0]
	answers := xsd.Collapse(data.InResponseTo)
	switch {
	case !c.isRecipient(data):
		return refuse(CodeRecipient, "%q instead of %q", data.Recipient, c.sp.ACS())
	case !data.NotOnOrAfter.given:
		return refuse(CodeConfirmation, "SubjectConfirmationData without NotOnOrAfter")
	case answers != "" && c.requestID == "":
		return errNoRequest()
	case answers != c.requestID:
		return refuse(CodeInResponseTo, "%q instead of %q", answers, c.requestID)
	}
	_, err := c.checkTimes("SubjectConfirmationData", data.NotBefore, data.NotOnOrAfter)
	return err
}

// checkConditions: a condition that is not understood makes an assertion
// indeterminate (SAML core section 2.5.1.1), which is no login.
func (c *claim) checkConditions() error {
	conditions := c.assertion.Conditions[0]
	if len(conditions.Others) > 0 {
		return refuse(CodeConditions, "%q is not understood", conditions.Others[0].XMLName.Local)
	}
	end, err := c.checkTimes("Conditions", conditions.NotBefore, conditions.NotOnOrAfter)
	if err == nil && !end.IsZero() && end.Before(c.until) {
		c.until = end
	}
	return err
}

// checkAudience: several restrictions must all be met (SAML core section
// 2.5.1.4), and one must be there (SAML profiles section 4.1.4.2).
func (c *claim) checkAudience() error {
	restrictions := c.assertion.Conditions[0].Restrictions
	if len(restrictions) == 0 {
		return refuse(CodeAudience, "no AudienceRestriction")
	}
	for _, r := range restrictions {
		named := false
		for _, audience := range r.Audiences {
			named = named || xsd.Collapse(audience) == c.sp.entityID
		}
		if !named {
			return refuse(CodeAudience, "%q instead of %q", r.Audiences, c.sp.entityID)
		}
	}
	return nil
}

// checkSession: a session at the identity provider that is over is no reason to
// begin one here.
func (c *claim) checkSession() error {
	for _, a := range c.assertion.Authn {
		if !a.SessionNotOnOrAfter.given {
			continue
		}
		end, err := parseTime("AuthnStatement SessionNotOnOrAfter", a.SessionNotOnOrAfter)
		if err != nil {
			return err
		}
		if !c.now.Before(end.Add(c.sp.skew)) {
			return refuse(CodeExpired, "the session at the identity provider has ended at %s", a.SessionNotOnOrAfter.text)
		}
	}
	return nil
}

// checkAuthn wants a statement of one of the contexts that are asked for. Of several
// that fit, the latest authentication counts.
func (c *claim) checkAuthn() error {
	var seen []string
	fits := false
	for _, a := range c.assertion.Authn {
		var classes []string
		for _, class := range a.Classes {
			classes = append(classes, xsd.Collapse(class))
		}
		seen = append(seen, classes...)
		if len(c.sp.contexts) > 0 && !slices.ContainsFunc(classes, func(class string) bool { return slices.Contains(c.sp.contexts, class) }) {
			continue
		}
		if fits = true; !a.AuthnInstant.given {
			if c.authn.IsZero() {
				c.takeSession(a)
			}
			continue
		}
		instant, err := parseTime("AuthnStatement AuthnInstant", a.AuthnInstant)
		if err != nil {
			return err
		}
		if instant.After(c.authn) {
			c.authn = instant
			c.takeSession(a)
		}
	}
	if !fits {
		return refuse(CodeAuthn, "authenticated by %q instead of one of %q", seen, c.sp.contexts)
	}
	return nil
}

// takeSession takes the session of a statement. Its end was read before.
func (c *claim) takeSession(a authnXML) {
	c.session = provision.Session{Index: strings.TrimSpace(a.SessionIndex)}
	if end, err := xsd.DateTime(a.SessionNotOnOrAfter.text); err == nil {
		c.session.Until = end
	}
}

// checkResponseID: the InResponseTo of the response is often not signed, so that
// it proves nothing; one that contradicts is wrong all the same.
func (c *claim) checkResponseID() error {
	if id := xsd.Collapse(c.seen.inResponseTo); id != "" && id != c.requestID {
		return refuse(CodeInResponseTo, "the response answers %q instead of %q", id, c.requestID)
	}
	return nil
}

func (c *claim) checkNameID() error {
	ids := c.assertion.Subjects[0].NameIDs
	if len(ids) != 1 || len(ids[0].Inside) > 0 {
		return refuse(CodeNameID, "%d NameID that are plain text", len(ids))
	}
	nameID, err := jit.CleanNameID(provision.NameID{
		Value:           ids[0].Value,
		Format:          xsd.Collapse(ids[0].Format),
		NameQualifier:   ids[0].NameQualifier,
		SPNameQualifier: ids[0].SPNameQualifier,
	})
	switch {
	case err != nil:
		return &Error{Code: CodeNameID, Err: err}
	case nameID.Value == "":
		return refuse(CodeNameID, "the NameID is empty")
	}
	c.nameID = nameID
	return nil
}

// checkTimes compares a validity with the clock, give or take the skew, and returns
// its end, zero where it has none. The end is exclusive (SAML core section 2.5.1.2).
func (c *claim) checkTimes(where string, notBefore, notOnOrAfter timeXML) (end time.Time, err error) {
	if notBefore.given {
		begin, err := parseTime(where+" NotBefore", notBefore)
		if err != nil {
			return time.Time{}, err
		}
		if c.now.Add(c.sp.skew).Before(begin) {
			return time.Time{}, refuse(CodeNotYetValid, "%s: not before %s", where, notBefore.text)
		}
	}
	if !notOnOrAfter.given {
		return time.Time{}, nil
	}
	if end, err = parseTime(where+" NotOnOrAfter", notOnOrAfter); err != nil {
		return time.Time{}, err
	}
	if !c.now.Before(end.Add(c.sp.skew)) {
		return time.Time{}, refuse(CodeExpired, "%s: not on or after %s", where, notOnOrAfter.text)
	}
	return end, nil
}

func parseTime(where string, value timeXML) (time.Time, error) {
	t, err := xsd.DateTime(value.text)
	if err != nil {
		return time.Time{}, &Error{Code: CodeTime, Reason: where, Err: err}
	}
	return t, nil
}

// attributes returns the attributes of all statements. Those of the same name
// stay apart, as several identity providers send one for each value.
func (a *signedXML) attributes() []jit.Attribute {
	var out []jit.Attribute
	for _, statement := range a.Statements {
		for _, attribute := range statement.Attributes {
			to := jit.Attribute{Name: attribute.Name, FriendlyName: attribute.FriendlyName}
			for _, value := range attribute.Values {
				switch text, ok := value.text(); {
				case !ok:
					to.Malformed++
				case strings.TrimSpace(text) != "":
					to.Values = append(to.Values, text)
				}
			}
			out = append(out, to)
		}
	}
	return out
}

// text returns the text of a value. One with elements inside has none: to join
// the text around them would make up a value that nobody asserted. The one
// exception is a NameID alone, as in eduPersonTargetedID.
func (v *valueXML) text() (text string, ok bool) {
	switch {
	case len(v.Others) == 0 && len(v.NameIDs) == 0:
		return v.Text, true
	case len(v.Others) == 0 && len(v.NameIDs) == 1 && strings.TrimSpace(v.Text) == "" && len(v.NameIDs[0].Inside) == 0:
		return v.NameIDs[0].Value, true
	}
	return "", false
}
