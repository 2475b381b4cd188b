package saml

import (
	"encoding/xml"
	"strings"
	"time"
	"unicode"

	saml2 "github.com/russellhaering/gosaml2"

	"github.com/scimjit/provision"
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
	Method string `xml:"Method,attr"`
	Data   []struct {
		Recipient    string `xml:"Recipient,attr"`
		NotBefore    string `xml:"NotBefore,attr"`
		NotOnOrAfter string `xml:"NotOnOrAfter,attr"`
		InResponseTo string `xml:"InResponseTo,attr"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion SubjectConfirmationData"`
}

type conditionsXML struct {
	NotBefore    string `xml:"NotBefore,attr"`
	NotOnOrAfter string `xml:"NotOnOrAfter,attr"`
	Restrictions []struct {
		Audiences []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Audience"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion AudienceRestriction"`
	OneTimeUse       []anyXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion OneTimeUse"`
	ProxyRestriction []anyXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion ProxyRestriction"`
	Others           []anyXML `xml:",any"`
}

type authnXML struct {
	SessionNotOnOrAfter string `xml:"SessionNotOnOrAfter,attr"`
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
	until  time.Time // the earliest end of its validity, without the skew
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
		},
		ID:    c.assertion.ID,
		Until: c.until.Add(c.sp.skew),
	}, nil
}

func (c *claim) checkForm() error {
	a := &c.assertion
	switch {
	case a.Version != "2.0":
		return refuse(CodeVersion, "%q", a.Version)
	case a.ID == "":
		return refuse(CodeShape, "no ID")
	case len(a.Issuers) != 1 || a.Issuers[0] != c.sp.idp.EntityID:
		return refuse(CodeIssuer, "%q instead of %q", a.Issuers, c.sp.idp.EntityID)
	case len(a.Subjects) != 1 || len(a.Conditions) != 1:
		return refuse(CodeShape, "%d Subject, %d Conditions", len(a.Subjects), len(a.Conditions))
	case len(a.Authn) == 0:
		return refuse(CodeShape, "no AuthnStatement: this does not say that anybody logged in")
	}
	return nil
}

// checkDestination: a signed response must have a Destination (SAML bindings
// section 3.5.5.2). One that is there was compared before.
func (c *claim) checkDestination() error {
	if c.seen.responseSigned && c.seen.destination == "" {
		return refuse(CodeDestination, "a signed response without Destination")
	}
	return nil
}

// checkConfirmations wants every confirmation to be good. The profile is content
// with one, but which of them gosaml2 has looked at is not known.
func (c *claim) checkConfirmations() error {
	confirmations := c.assertion.Subjects[0].Confirmations
	if len(confirmations) == 0 {
		return refuse(CodeConfirmation, "no SubjectConfirmation")
	}
	for _, s := range confirmations {
		if s.Method != saml2.SubjMethodBearer || len(s.Data) != 1 {
			return refuse(CodeConfirmation, "method %q with %d SubjectConfirmationData", s.Method, len(s.Data))
		}
		data := s.Data[0]
		switch {
		case data.Recipient != c.sp.ACS():
			return refuse(CodeRecipient, "%q instead of %q", data.Recipient, c.sp.ACS())
		case data.NotOnOrAfter == "":
			return refuse(CodeConfirmation, "SubjectConfirmationData without NotOnOrAfter")
		case data.InResponseTo != "" && c.requestID == "":
			return errNoRequest()
		case data.InResponseTo != c.requestID:
			return refuse(CodeInResponseTo, "%q instead of %q", data.InResponseTo, c.requestID)
		}
		if err := c.checkTimes("SubjectConfirmationData", data.NotBefore, data.NotOnOrAfter); err != nil {
			return err
		}
	}
	// Every confirmation has an end, so that until has a value here.
	if c.until.After(c.now.Add(c.sp.skew + maxLifetime)) {
		return refuse(CodeLifetime, "SubjectConfirmationData is good until %v: more than %v", c.until, maxLifetime)
	}
	return nil
}

// checkConditions: a condition that is not understood makes an assertion
// indeterminate (SAML core section 2.5.1.1), which is no login.
func (c *claim) checkConditions() error {
	conditions := c.assertion.Conditions[0]
	if len(conditions.Others) > 0 {
		return refuse(CodeConditions, "%q is not understood", conditions.Others[0].XMLName.Local)
	}
	return c.checkTimes("Conditions", conditions.NotBefore, conditions.NotOnOrAfter)
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
			named = named || audience == c.sp.entityID
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
		if a.SessionNotOnOrAfter == "" {
			continue
		}
		end, err := parseTime("AuthnStatement", a.SessionNotOnOrAfter)
		if err != nil {
			return err
		}
		if !c.now.Before(end.Add(c.sp.skew)) {
			return refuse(CodeExpired, "the session at the identity provider has ended at %s", a.SessionNotOnOrAfter)
		}
	}
	return nil
}

// checkResponseID: the InResponseTo of the response is often not signed, so that
// it proves nothing; one that contradicts is wrong all the same.
func (c *claim) checkResponseID() error {
	if id := c.seen.inResponseTo; id != "" && id != c.requestID {
		return refuse(CodeInResponseTo, "the response answers %q instead of %q", id, c.requestID)
	}
	return nil
}

func (c *claim) checkNameID() error {
	ids := c.assertion.Subjects[0].NameIDs
	if len(ids) != 1 || len(ids[0].Inside) > 0 {
		return refuse(CodeNameID, "%d NameID that are plain text", len(ids))
	}
	c.nameID = provision.NameID{
		Value:           strings.TrimSpace(ids[0].Value),
		Format:          ids[0].Format,
		NameQualifier:   ids[0].NameQualifier,
		SPNameQualifier: ids[0].SPNameQualifier,
	}
	switch value := c.nameID.Value; {
	case value == "":
		return refuse(CodeNameID, "the NameID is empty")
	case len(value) > provision.MaxIdentityText:
		return refuse(CodeNameID, "the NameID has more than %d bytes", provision.MaxIdentityText)
	case strings.ContainsFunc(value, unicode.IsControl):
		return refuse(CodeNameID, "the NameID has a control character")
	}
	return nil
}

// checkTimes compares a validity with the clock, give or take the skew. Its end
// is exclusive (SAML core section 2.5.1.2).
func (c *claim) checkTimes(where, notBefore, notOnOrAfter string) error {
	if notBefore != "" {
		begin, err := parseTime(where, notBefore)
		if err != nil {
			return err
		}
		if c.now.Add(c.sp.skew).Before(begin) {
			return refuse(CodeNotYetValid, "%s: not before %s", where, notBefore)
		}
	}
	if notOnOrAfter == "" {
		return nil
	}
	end, err := parseTime(where, notOnOrAfter)
	if err != nil {
		return err
	}
	if !c.now.Before(end.Add(c.sp.skew)) {
		return refuse(CodeExpired, "%s: not on or after %s", where, notOnOrAfter)
	}
	if c.until.IsZero() || end.Before(c.until) {
		c.until = end
	}
	return nil
}

func parseTime(where, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, refuse(CodeShape, "%s: %q is not a time", where, text)
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
