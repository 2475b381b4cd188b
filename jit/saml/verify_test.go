package saml_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision/jit/saml"
)

func codeOf(err error) saml.Code {
	var e *saml.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return "?"
	}
	return ""
}

func allowUnsolicited(o *saml.Options) { o.Settings.AllowIDPInitiated = true }
func allowSHA1(o *saml.Options)        { o.Settings.AllowSHA1 = true }
func allowCBC(o *saml.Options)         { o.Settings.InsecureAllowCBC = true }
func withoutKey(o *saml.Options)       { o.Key, o.Certificate = nil, nil }

func trust(pairs ...*keyPair) func(*saml.Options) {
	return func(o *saml.Options) {
		var certs []*x509.Certificate
		for _, p := range pairs {
			certs = append(certs, p.cert)
		}
		o.Settings.Metadata = idpMetadata(certs...)
	}
}

func wants(contexts ...string) func(*saml.Options) {
	return func(o *saml.Options) { o.Settings.AuthnContext = contexts }
}

// everyTime changes the times of an assertion.
func everyTime(old, by string) edit {
	return func(s string) string {
		begin := strings.Index(s, "<saml:Subject>")
		return s[:begin] + strings.ReplaceAll(s[begin:], old, by)
	}
}

// beside puts an edited confirmation before, and one after, the good one.
func beside(e edit) shape {
	return shape{assertion: sub(confirmation, e(confirmation)+confirmation+e(confirmation))}
}

// An assertion that one of several confirmations makes good is remembered until
// none of them can.
func TestUntilOfSeveral(t *testing.T) {
	later := sub("12:05:00Z", "12:08:00Z")
	tests := []struct {
		name  string
		shape shape
		want  time.Duration // after noon, with the skew
	}{
		{"one", shape{}, 6 * time.Minute},
		{"one and a later one", beside(later), 9 * time.Minute},
		{"one after a later one", shape{assertion: sub(confirmation, later(confirmation)+confirmation)}, 9 * time.Minute},
		{"one and a later one that answers another request", beside(all(later, sub(requestID, "_request-2"))), 9 * time.Minute},
		{"one and a later one for another", beside(all(later, sub(spACS, "https://other.example.com/acs"))), 6 * time.Minute},
		{"conditions end before", beside(sub("12:05:00Z", "12:20:00Z")), 11 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := provider(t).Verify([]byte(tt.shape.make(t)), requestID, noon)
			if err != nil || !v.Until.Equal(noon.Add(tt.want)) {
				t.Errorf("got %v, %v", v, err)
			}
		})
	}
}

var unanswered = all(sub(` InResponseTo="`+requestID+`"`, ""))

// The rules of this package. Each refused row differs from an accepted one in
// what its name says.
func TestRules(t *testing.T) {
	longID := strings.Repeat("x", 257)
	tests := []struct {
		name    string
		shape   shape
		options func(*saml.Options)
		request string        // "" means requestID, "-" means none
		after   time.Duration // after noon
		want    saml.Code     // "" means accepted
	}{
		{name: "assertion signed"},
		{name: "response signed", shape: shape{unsigned: true, signResponse: true}},
		{name: "both signed", shape: shape{signResponse: true}},
		{name: "signed without KeyInfo", shape: shape{noKeyInfo: true}},
		{name: "ECDSA", shape: shape{key: ecPair(), method: dsig.ECDSASHA256SignatureMethod}, options: trust(ecPair())},
		{name: "SHA-512", shape: shape{method: dsig.RSASHA512SignatureMethod}},

		// What the libraries refuse by themselves.
		{name: "stranger's key", shape: shape{key: strangerKey()}, want: saml.CodeSignature},
		{name: "stranger's key in a signed response", shape: shape{key: strangerKey(), unsigned: true, signResponse: true}, want: saml.CodeSignature},
		{name: "nothing signed", shape: shape{unsigned: true}, want: saml.CodeSignature},
		{name: "changed after signing", shape: shape{after: sub(">jane<", ">admin<")}, want: saml.CodeSignature},
		{name: "response changed after signing", shape: shape{signResponse: true, after: sub(`IssueInstant="2026-03-04T12:00:00Z"`, `IssueInstant="2026-03-04T12:00:01Z"`)}, want: saml.CodeSignature},
		{name: "other issuer", shape: shape{assertion: sub(idpEntity, "https://other.example.com")}, want: saml.CodeIssuer},
		{name: "other issuer of the response", shape: shape{response: sub(idpEntity, "https://other.example.com")}, want: saml.CodeIssuer},
		{name: "other recipient", shape: shape{assertion: sub(spACS, "https://other.example.com/acs")}, want: saml.CodeRecipient},
		{name: "other destination", shape: shape{response: sub(spACS, "https://other.example.com/acs")}, want: saml.CodeDestination},
		{name: "not a bearer", shape: shape{assertion: sub("cm:bearer", "cm:holder-of-key")}, want: saml.CodeConfirmation},
		{name: "no confirmation", shape: shape{assertion: sub(confirmation, "")}, want: saml.CodeConfirmation},
		{name: "confirmation without an end", shape: shape{assertion: sub(`NotOnOrAfter="2026-03-04T12:05:00Z" `, "")}, want: saml.CodeConfirmation},
		{name: "status failure", shape: shape{response: sub("status:Success", "status:Responder")}, want: saml.CodeStatus},
		{name: "failure without an assertion", shape: shape{response: all(sub("status:Success", "status:Responder"), sub(placeholder, ""))}, want: saml.CodeStatus},
		{name: "success without an assertion", shape: shape{response: sub(placeholder, "")}, want: saml.CodeAssertions},
		{name: "comment in the NameID", shape: shape{after: sub(">jane<", "><!-- a -->jane<!-- b --><")}},

		{name: "rollover: first of two certificates", options: trust(idpPair(), nextPair())},
		{name: "rollover: second of two certificates", options: trust(nextPair(), idpPair())},
		{name: "rollover: second, without KeyInfo", shape: shape{noKeyInfo: true}, options: trust(nextPair(), idpPair())},
		{name: "certificate has expired", after: 400 * 24 * time.Hour, want: saml.CodeCertificate},

		{name: "other audience", shape: shape{assertion: sub(spEntity, "https://other.example.com")}, want: saml.CodeAudience},
		{name: "no audience restriction", shape: shape{assertion: sub(audience, "")}, want: saml.CodeAudience},
		{name: "empty audience", shape: shape{assertion: sub(spEntity, "")}, want: saml.CodeAudience},
		{name: "one of several audiences", shape: shape{assertion: sub(audience, sub("<saml:Audience>", "<saml:Audience>https://other.example.com</saml:Audience><saml:Audience>")(audience))}},
		{name: "one of two restrictions is for another", shape: shape{assertion: sub(audience, audience+sub(spEntity, "https://other.example.com")(audience))}, want: saml.CodeAudience},
		{name: "no Conditions", shape: shape{assertion: sub(conditions, "")}, want: saml.CodeShape},
		{name: "two Conditions", shape: shape{assertion: sub(conditions, conditions+conditions)}, want: saml.CodeShape},
		{name: "unknown condition", shape: shape{assertion: sub(audience, audience+"<saml:Condition></saml:Condition>")}, want: saml.CodeConditions},
		{name: "OneTimeUse is understood", shape: shape{assertion: sub(audience, audience+"<saml:OneTimeUse></saml:OneTimeUse>")}},

		{name: "not yet valid, within the skew", after: -2 * time.Minute},
		{name: "not yet valid, one second beyond", after: -2*time.Minute - time.Second, want: saml.CodeNotYetValid},
		{name: "last second of the skew", after: 6*time.Minute - time.Second},
		{name: "expired, as the end is exclusive", after: 6 * time.Minute, want: saml.CodeExpired},
		{name: "Conditions expired", shape: shape{assertion: sub("12:10:00Z", "11:59:00Z")}, want: saml.CodeExpired},
		{name: "Conditions not yet valid", shape: shape{assertion: sub("11:59:00Z", "12:01:01Z")}, want: saml.CodeNotYetValid},
		{name: "Conditions without times", shape: shape{assertion: sub(` NotBefore="2026-03-04T11:59:00Z" NotOnOrAfter="2026-03-04T12:10:00Z"`, "")}},
		{name: "confirmed for a day and the skew", shape: shape{assertion: sub("2026-03-04T12:05:00Z", "2026-03-05T12:01:00Z")}},
		{name: "confirmed for a second more", shape: shape{assertion: sub("2026-03-04T12:05:00Z", "2026-03-05T12:01:01Z")}, want: saml.CodeLifetime},
		{name: "confirmed for ever", shape: shape{assertion: sub("2026-03-04T12:05:00Z", "9999-12-31T23:59:59-14:00")}, want: saml.CodeLifetime},
		{name: "Conditions for ever", shape: shape{assertion: sub("2026-03-04T12:10:00Z", "9999-12-31T23:59:59Z")}},
		{name: "no time", shape: shape{assertion: sub("2026-03-04T11:59:00Z", "yesterday")}, want: saml.CodeTime},
		{name: "no time of the confirmation", shape: shape{assertion: sub("2026-03-04T12:05:00Z", "2026-03-04 12:05:00")}, want: saml.CodeTime},
		{name: "no time of the session", shape: shape{assertion: sub("<saml:AuthnStatement ", `<saml:AuthnStatement SessionNotOnOrAfter="soon" `)}, want: saml.CodeTime},
		{name: "empty begin of the Conditions", shape: shape{assertion: sub("2026-03-04T11:59:00Z", "")}, want: saml.CodeTime},
		{name: "empty end of the Conditions", shape: shape{assertion: sub("2026-03-04T12:10:00Z", "")}, want: saml.CodeTime},
		{name: "empty end of the confirmation", shape: shape{assertion: sub("2026-03-04T12:05:00Z", "")}, want: saml.CodeTime},
		{name: "empty end of the session", shape: shape{assertion: sub("<saml:AuthnStatement ", `<saml:AuthnStatement SessionNotOnOrAfter="" `)}, want: saml.CodeTime},
		{name: "empty time of the authentication", shape: shape{assertion: sub("2026-03-04T11:59:30Z", "")}, want: saml.CodeTime},
		{name: "times without a zone", shape: shape{assertion: everyTime("Z\"", "\"")}},
		{name: "times without a zone are UTC", shape: shape{assertion: everyTime("Z\"", "\"")}, after: 6 * time.Minute, want: saml.CodeExpired},
		{name: "times with fractions", shape: shape{assertion: everyTime(":00Z\"", ":00.1234567Z\"")}},
		{name: "times with fractions and no zone", shape: shape{assertion: everyTime(":00Z\"", ":00.000\"")}},
		{name: "times with a zone", shape: shape{assertion: all(sub("T12:05:00Z", "T14:05:00+02:00"), sub("T11:59:00Z", "T06:29:00-05:30"))}},
		{name: "times with a zone, expired", shape: shape{assertion: sub("T12:05:00Z", "T13:05:00+02:00")}, want: saml.CodeExpired},
		{name: "end of the day", shape: shape{assertion: all(sub("T12:05:00Z", "T24:00:00Z"), sub("T12:10:00Z", "T24:00:00.0Z"))}, after: 12*time.Hour + time.Minute - time.Second},
		{name: "end of the day, exclusive", shape: shape{assertion: all(sub("T12:05:00Z", "T24:00:00Z"), sub("T12:10:00Z", "T24:00:00.0Z"))}, after: 12*time.Hour + time.Minute, want: saml.CodeExpired},
		{name: "white space around times", shape: shape{assertion: all(sub("2026-03-04T12:05:00Z", "  2026-03-04T12:05:00Z "), sub("2026-03-04T11:59:00Z", " 2026-03-04T11:59:00Z"))}},

		{name: "white space around the audience", shape: shape{assertion: sub(spEntity+"<", "\n\t"+spEntity+" <")}},
		{name: "white space around the issuer", shape: shape{assertion: sub(idpEntity+"<", "\n"+idpEntity+"\n<")}},
		{name: "white space around the issuer of the response", shape: shape{response: sub(idpEntity+"<", "\n"+idpEntity+"\n<")}},
		{name: "white space around the recipient", shape: shape{assertion: sub(spACS, " "+spACS+"  ")}},
		{name: "white space around the destination", shape: shape{response: sub(spACS, " "+spACS+"&#10;")}},
		{name: "white space around the destination, signed", shape: shape{signResponse: true, response: sub(spACS, " "+spACS)}},
		{name: "white space around what is answered", shape: shape{assertion: sub(requestID, " "+requestID+" "), response: sub(requestID, requestID+"&#10;")}},
		{name: "white space around the status", shape: shape{response: sub("status:Success", "status:Success&#10; ")}},
		{name: "white space within the status", shape: shape{response: sub("status:Success", "status: Success")}, want: saml.CodeStatus},
		{name: "white space around the method", shape: shape{assertion: sub("cm:bearer", "cm:bearer ")}},
		{name: "white space within the audience", shape: shape{assertion: sub(spEntity+"<", spBase+" /metadata<")}, want: saml.CodeAudience},
		{name: "a no-break space is none", shape: shape{assertion: sub(spEntity+"<", spEntity+"\u00a0<")}, want: saml.CodeAudience},
		{name: "blank destination of a signed response", shape: shape{signResponse: true, response: sub(spACS, " ")}, want: saml.CodeDestination},
		{name: "two issuers of the response", shape: shape{response: sub(issuer, issuer+issuer)}, want: saml.CodeIssuer},
		{name: "no issuer of the response", shape: shape{response: sub(issuer, "")}},
		{name: "no issuer of a signed response", shape: shape{response: sub(issuer, ""), signResponse: true}, want: saml.CodeIssuer},
		{name: "no issuer of a response with an encrypted assertion", shape: shape{response: sub(issuer, ""), encrypt: aesGCM}, want: saml.CodeIssuer},
		{name: "empty issuer of the response", shape: shape{response: sub(idpEntity, "")}, want: saml.CodeIssuer},
		{name: "another version of the response", shape: shape{response: sub(`Version="2.0"`, `Version="2.1"`)}, want: saml.CodeVersion},
		{name: "confirmation not yet valid", shape: shape{assertion: sub("<saml:SubjectConfirmationData ", `<saml:SubjectConfirmationData NotBefore="2026-03-04T12:01:01Z" `)}, want: saml.CodeNotYetValid},
		{name: "session has ended", shape: shape{assertion: sub("<saml:AuthnStatement ", `<saml:AuthnStatement SessionNotOnOrAfter="2026-03-04T11:59:00Z" `)}, want: saml.CodeExpired},
		{name: "session goes on", shape: shape{assertion: sub("<saml:AuthnStatement ", `<saml:AuthnStatement SessionNotOnOrAfter="2026-03-04T20:00:00Z" `)}},
		{name: "one of the ways that are asked for", options: wants("X509", "Password")},
		{name: "with white space around it", shape: shape{assertion: sub("classes:Password<", "classes:Password\n<")}, options: wants("Password")},
		{name: "in the second statement", shape: shape{assertion: sub(authn, sub("classes:Password", "classes:X509")(authn)+authn)}, options: wants("Password")},
		{name: "none of the ways that are asked for", options: wants("X509", "REFEDS-MFA"), want: saml.CodeAuthn},
		{name: "a longer name than that which is asked for", shape: shape{assertion: sub("classes:Password", "classes:PasswordX")}, options: wants("Password"), want: saml.CodeAuthn},
		{name: "no way is told", shape: shape{assertion: sub("<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>", "")}, options: wants("Password"), want: saml.CodeAuthn},
		{name: "no way is told nor asked for", shape: shape{assertion: sub("<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>", "")}},
		{name: "no time of the authentication", shape: shape{assertion: sub("2026-03-04T11:59:30Z", "just now")}, want: saml.CodeTime},
		{name: "no AuthnStatement", shape: shape{assertion: sub(authn, "")}, want: saml.CodeShape},
		{name: "larger skew", options: func(o *saml.Options) { o.Settings.ClockSkewSeconds = 300 }, after: 10*time.Minute - time.Second},
		{name: "larger skew, exclusive end", options: func(o *saml.Options) { o.Settings.ClockSkewSeconds = 300 }, after: 10 * time.Minute, want: saml.CodeExpired},

		{name: "answer to another request", request: "_request-2", want: saml.CodeInResponseTo},
		{name: "no InResponseTo in the confirmation", shape: shape{assertion: unanswered}, want: saml.CodeInResponseTo},
		{name: "other InResponseTo in the confirmation", shape: shape{assertion: sub(requestID, "_request-2")}, want: saml.CodeInResponseTo},
		{name: "other InResponseTo in the response", shape: shape{response: sub(requestID, "_request-2")}, want: saml.CodeInResponseTo},
		{name: "no InResponseTo in the response", shape: shape{response: unanswered}},
		{name: "nobody asked", shape: shape{assertion: unanswered, response: unanswered}, request: "-", want: saml.CodeUnsolicited},
		{name: "nobody asked, allowed", shape: shape{assertion: unanswered, response: unanswered}, request: "-", options: allowUnsolicited},
		{name: "answer without a request", request: "-", want: saml.CodeNoRequest},
		{name: "answer without a request, by its assertion", shape: shape{response: unanswered}, request: "-", want: saml.CodeNoRequest},
		{name: "answer without a request, unsolicited allowed", request: "-", options: allowUnsolicited, want: saml.CodeNoRequest},
		{name: "answer without a request, encrypted, unsolicited allowed", shape: shape{encrypt: aesGCM, response: unanswered}, request: "-", options: allowUnsolicited, want: saml.CodeNoRequest},
		{name: "forged InResponseTo, unsolicited allowed", shape: shape{assertion: unanswered}, request: "-", options: allowUnsolicited, want: saml.CodeNoRequest},
		{name: "unsolicited for an open request", shape: shape{assertion: unanswered, response: unanswered}, options: allowUnsolicited, want: saml.CodeInResponseTo},

		{name: "signed response without Destination", shape: shape{signResponse: true, response: sub(` Destination="`+spACS+`"`, "")}, want: saml.CodeDestination},
		{name: "unsigned response without Destination", shape: shape{response: sub(` Destination="`+spACS+`"`, "")}},
		{name: "one confirmation for another, one for us", shape: beside(sub(spACS, "https://other.example.com/acs"))},
		{name: "one confirmation of another method", shape: beside(sub("cm:bearer", "cm:holder-of-key"))},
		{name: "one confirmation without data", shape: shape{assertion: sub(confirmation, `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"></saml:SubjectConfirmation>`+confirmation)}},
		{name: "one confirmation has expired", shape: beside(sub("12:05:00Z", "11:05:00Z"))},
		{name: "one confirmation has no end", shape: beside(sub(`NotOnOrAfter="2026-03-04T12:05:00Z" `, ""))},
		{name: "one confirmation has no time", shape: beside(sub("2026-03-04T12:05:00Z", "soon"))},
		{name: "one confirmation answers another request", shape: beside(sub(requestID, "_request-2"))},
		{name: "one confirmation is for ever, for another", shape: beside(all(sub("2026-03-04", "9999-03-04"), sub(spACS, "https://other.example.com/acs")))},
		{name: "one confirmation is for ever, for us", shape: beside(sub("2026-03-04", "9999-03-04")), want: saml.CodeLifetime},
		{name: "one confirmation will be good for ever", shape: beside(sub(`NotOnOrAfter="2026-03-04T12:05:00Z"`, `NotBefore="2030-01-01T00:00:00Z" NotOnOrAfter="2031-01-01T00:00:00Z"`)), want: saml.CodeLifetime},
		{name: "two confirmations for others", shape: shape{assertion: sub(confirmation, all(sub(spACS, "https://other.example.com/acs"))(confirmation)+sub("cm:bearer", "cm:holder-of-key")(confirmation))}, want: saml.CodeRecipient},
		{name: "second issuer", shape: shape{assertion: sub(issuer, issuer+issuer)}, want: saml.CodeIssuer},
		{name: "no ID", shape: shape{unsigned: true, signResponse: true, assertion: sub(` ID="_a1"`, "")}, want: saml.CodeShape},
		{name: "other version", shape: shape{assertion: sub(`Version="2.0"`, `Version="1.1"`)}, want: saml.CodeVersion},

		{name: "SHA-1 signature", shape: shape{method: dsig.RSASHA1SignatureMethod}, want: saml.CodeAlgorithm},
		{name: "SHA-1 signature method alone", shape: shape{after: sub("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", dsig.RSASHA1SignatureMethod)}, want: saml.CodeAlgorithm},
		{name: "SHA-1 digest alone", shape: shape{after: sub("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")}, want: saml.CodeAlgorithm},
		{name: "XPath transform", shape: shape{after: sub("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xpath-19991116")}, want: saml.CodeAlgorithm},
		{name: "SHA-1 signature, allowed", shape: shape{method: dsig.RSASHA1SignatureMethod}, options: allowSHA1},
		{name: "SHA-1 inside of the ciphertext", shape: shape{method: dsig.RSASHA1SignatureMethod, encrypt: aesGCM}, want: saml.CodeAlgorithm},

		{name: "two signed assertions", shape: shape{second: all()}, want: saml.CodeAssertions},
		{name: "two signed assertions, the second for another", shape: shape{second: sub(spEntity, "https://other.example.com")}, want: saml.CodeAssertions},
		{name: "two assertions in a signed response", shape: shape{unsigned: true, signResponse: true, second: all()}, want: saml.CodeAssertions},

		{name: "padded NameID", shape: shape{assertion: sub(">jane<", ">\n  jane\t<")}},
		{name: "NameID with a space at its end", shape: shape{assertion: sub(">jane<", ">jane <")}},
		{name: "NameID with a character that is not seen", shape: shape{assertion: sub(">jane<", ">ja\u200bne<")}, want: saml.CodeNameID},
		{name: "empty NameID", shape: shape{assertion: sub(">jane<", "><")}, want: saml.CodeNameID},
		{name: "blank NameID", shape: shape{assertion: sub(">jane<", "> \n <")}, want: saml.CodeNameID},
		{name: "long NameID", shape: shape{assertion: sub(">jane<", ">"+longID+"<")}, want: saml.CodeNameID},
		{name: "longest NameID", shape: shape{assertion: sub(">jane<", ">"+longID[1:]+"<")}},
		{name: "control character in the NameID", shape: shape{assertion: sub(">jane<", ">ja\nne<")}, want: saml.CodeNameID},
		{name: "element in the NameID", shape: shape{assertion: sub(">jane<", ">ja<saml:b></saml:b>ne<")}, want: saml.CodeNameID},
		{name: "no NameID", shape: shape{assertion: sub(nameID, "")}, want: saml.CodeNameID},
		{name: "EncryptedID", shape: shape{assertion: sub(nameID, "<saml:EncryptedID></saml:EncryptedID>")}, want: saml.CodeDecryption},

		{name: "document type", shape: shape{after: func(s string) string { return "<!DOCTYPE a>" + s }}, want: saml.CodeDocument},
		{name: "document type with a system id", shape: shape{after: func(s string) string { return `<!DOCTYPE a SYSTEM "http://example.com/a">` + s }}, want: saml.CodeDocument},
		{name: "second root", shape: shape{after: func(s string) string { return s + "<a/>" }}, want: saml.CodeDocument},
		{name: "text after the root", shape: shape{after: func(s string) string { return s + "a" }}, want: saml.CodeDocument},
		{name: "processing instruction", shape: shape{after: func(s string) string { return "<?a b?>" + s }}, want: saml.CodeDocument},
		{name: "declaration", shape: shape{after: func(s string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + s }}},
		{name: "byte order mark", shape: shape{after: func(s string) string { return "\ufeff" + `<?xml version="1.0" encoding="UTF-8"?>` + s }}},
		{name: "byte order mark inside of the ciphertext", shape: shape{encrypt: aesGCM, signed: func(s string) string { return "\ufeff" + s }}},
		{name: "declaration inside of the ciphertext", shape: shape{encrypt: aesGCM, signed: func(s string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + s }}},
		{name: "prefixes in a list", shape: shape{after: prefixList(64)}, want: saml.CodeSignature},
		{name: "too many prefixes in a list", shape: shape{after: prefixList(65)}, want: saml.CodeShape},
		{name: "xml:base that is relative to another", shape: shape{after: all(
			sub(`CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"`),
			sub(` ID="_r1"`, ` xml:base="http://example.com/" ID="_r1"`), sub(` ID="_a1"`, ` xml:base="a" ID="_a1"`),
		)}, want: saml.CodeAlgorithm},
		{name: "xml:base that is empty", shape: shape{after: all(
			sub(`CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"`),
			sub(` ID="_r1"`, ` xml:base="" ID="_r1"`),
		)}, want: saml.CodeAlgorithm},
		{name: "a namespace that is declared again and again", shape: shape{after: longNamespace}, want: saml.CodeTooLarge},
		{name: "other encoding", shape: shape{after: func(s string) string { return `<?xml version="1.0" encoding="utf-16"?>` + s }}, want: saml.CodeDocument},
		{name: "too deep", shape: shape{response: sub(placeholder, "<samlp:Extensions>"+nested(63)+"</samlp:Extensions>"+placeholder)}, want: saml.CodeDocument},
		{name: "many elements", shape: shape{response: sub(placeholder, "<samlp:Extensions>"+strings.Repeat("<samlp:a></samlp:a>", 2500)+"</samlp:Extensions>"+placeholder)}, want: saml.CodeAssertionTooLarge},
		{name: "many elements, nothing signed", shape: shape{unsigned: true, response: sub(placeholder, "<samlp:Extensions>"+strings.Repeat("<samlp:a></samlp:a>", 2500)+"</samlp:Extensions>"+placeholder)}, want: saml.CodeAssertionTooLarge},
		{name: "many attributes", shape: shape{response: sub(placeholder, "<samlp:Extensions>"+strings.Repeat("<samlp:a"+manyAttributes(100)+"></samlp:a>", 201)+"</samlp:Extensions>"+placeholder)}, want: saml.CodeAssertionTooLarge},
		{name: "many namespaces", shape: shape{response: sub(placeholder, "<samlp:Extensions"+manyNamespaces(30)+"><samlp:a"+manyNamespaces(33)+"></samlp:a></samlp:Extensions>"+placeholder)}, want: saml.CodeDocument},
		{name: "most namespaces", shape: shape{response: sub(placeholder, "<samlp:Extensions"+manyNamespaces(30)+"><samlp:a"+manyNamespaces(32)+"></samlp:a></samlp:Extensions>"+placeholder)}},
		{name: "deepest", shape: shape{response: sub(placeholder, "<samlp:Extensions>"+nested(62)+"</samlp:Extensions>"+placeholder)}},
		{name: "attribute name that begins with a colon", shape: shape{after: sub(" ID=", ` :a="" ID=`)}, want: saml.CodeDocument},
		{name: "relative namespace", shape: shape{after: sub(" ID=", ` xmlns:a="b" ID=`)}, want: saml.CodeDocument},

		{name: "ID there twice", shape: shape{response: sub(placeholder, `<samlp:Extensions ID="_a1"></samlp:Extensions>`+placeholder)}, want: saml.CodeShape},
		{name: "second Signature", shape: shape{after: sub("<ds:Signature ", emptySignature+"<ds:Signature ")}, want: saml.CodeShape},
		{name: "Signature elsewhere", shape: shape{response: sub(statusSuccess, emptySignature+statusSuccess), after: all(sub(emptySignature, ""), sub("<samlp:Status>", "<samlp:Status>"+emptySignature))}, want: saml.CodeShape},
		{name: "Signature of another namespace", shape: shape{after: sub("<samlp:Status>", `<samlp:Signature></samlp:Signature><samlp:Status>`)}, want: saml.CodeShape},
		{name: "second SignedInfo", shape: shape{after: sub("<ds:SignedInfo>", "<ds:SignedInfo></ds:SignedInfo><ds:SignedInfo>")}, want: saml.CodeShape},
		{name: "second Reference", shape: shape{after: sub("<ds:Reference ", `<ds:Reference URI="#_a1"></ds:Reference><ds:Reference `)}, want: saml.CodeShape},
		{name: "Reference to the document", shape: shape{after: sub(`URI="#_a1"`, `URI=""`)}, want: saml.CodeShape},
		{name: "Reference to something else", shape: shape{after: sub(`URI="#_a1"`, `URI="#_r1"`)}, want: saml.CodeShape},
		{name: "Object in the Signature", shape: shape{after: sub("</ds:Signature>", "<ds:Object></ds:Object></ds:Signature>")}, want: saml.CodeShape},
		{name: "assertion further down", shape: shape{response: sub(placeholder, "<samlp:Extensions>"+placeholder+"</samlp:Extensions>")}, want: saml.CodeShape},
		{name: "assertion of another namespace beside it", shape: shape{response: sub(placeholder, "<samlp:Assertion></samlp:Assertion>"+placeholder)}, want: saml.CodeShape},
		{name: "Response in the response", shape: shape{response: sub(placeholder, "<samlp:Extensions><samlp:Response></samlp:Response></samlp:Extensions>"+placeholder)}, want: saml.CodeShape},
		{name: "second Status", shape: shape{response: sub(statusSuccess, statusSuccess+statusSuccess)}, want: saml.CodeShape},
		{name: "second StatusCode", shape: shape{response: sub("</samlp:Status>", `<samlp:StatusCode Value=""></samlp:StatusCode></samlp:Status>`)}, want: saml.CodeShape},
		{name: "EncryptedData without an EncryptedAssertion", shape: shape{after: sub("<samlp:Status>", `<samlp:EncryptedData></samlp:EncryptedData><samlp:Status>`)}, want: saml.CodeShape},
		{name: "EncryptedData elsewhere beside an EncryptedAssertion", shape: shape{encrypt: aesGCM, signResponse: true, response: sub("</samlp:Status>", "<samlp:StatusDetail>"+decoy+"</samlp:StatusDetail></samlp:Status>")}, want: saml.CodeShape},
		{name: "EncryptedData below another element of an EncryptedAssertion", shape: shape{encrypt: aesGCM, after: sub("</saml:EncryptedAssertion>", "<samlp:a>"+decoy+"</samlp:a></saml:EncryptedAssertion>")}, want: saml.CodeShape},
		{name: "EncryptedData in EncryptedData", shape: shape{encrypt: aesGCM, after: sub("</xenc:EncryptedData>", decoy+"</xenc:EncryptedData>")}, want: saml.CodeShape},
		{name: "EncryptedKey elsewhere", shape: shape{encrypt: aesGCM, after: sub("<xenc:CipherData><xenc:CipherValue>", "<xenc:EncryptedKey></xenc:EncryptedKey><xenc:CipherData><xenc:CipherValue>")}, want: saml.CodeShape},
		{name: "EncryptedKey beside EncryptedData", shape: shape{encrypt: aesGCM, after: keyBeside}},
		{name: "EncryptedAttribute", shape: shape{assertion: sub("<saml:Attribute ", "<saml:EncryptedAttribute></saml:EncryptedAttribute><saml:Attribute ")}, want: saml.CodeDecryption},
		{name: "EncryptedAttribute elsewhere", shape: shape{assertion: sub("<saml:Subject>", "<saml:EncryptedAttribute></saml:EncryptedAttribute><saml:Subject>")}, want: saml.CodeShape},
		{name: "EncryptedID without a key", shape: shape{assertion: sub(nameID, "<saml:EncryptedID></saml:EncryptedID>")}, options: withoutKey, want: saml.CodeDecryption},
		{name: "unknown cipher", shape: shape{encrypt: aesGCM, after: sub(aesGCM, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc")}, want: saml.CodeAlgorithm},
		{name: "no cipher", shape: shape{encrypt: aesGCM, after: sub(`<xenc:EncryptionMethod Algorithm="`+aesGCM+`"></xenc:EncryptionMethod>`, "")}, want: saml.CodeDecryption},
		{name: "something else inside of the ciphertext", shape: shape{encrypt: aesGCM, signResponse: true, signed: func(string) string { return "<a/>" }}, want: saml.CodeAssertions},
		{name: "Signature inside of the ciphertext", shape: shape{encrypt: aesGCM, signResponse: true, signed: func(string) string { return rootSignature }}, want: saml.CodeAssertions},
		{name: "LogoutResponse", shape: shape{after: all(sub("<samlp:Response ", "<samlp:LogoutResponse "), sub("</samlp:Response>", "</samlp:LogoutResponse>"))}, want: saml.CodeDocument},

		{name: "encrypted", shape: shape{encrypt: aesGCM}},
		{name: "encrypted, response signed", shape: shape{encrypt: aesGCM, unsigned: true, signResponse: true}},
		{name: "encrypted and nothing signed", shape: shape{encrypt: aesGCM, unsigned: true}, want: saml.CodeSignature},
		{name: "CBC in a signed response", shape: shape{encrypt: aesCBC, signResponse: true}},
		{name: "CBC that anybody can change", shape: shape{encrypt: aesCBC}, want: saml.CodeAlgorithm},
		{name: "CBC that anybody can change, after a decoy", shape: shape{encrypt: aesCBC, response: sub("</samlp:Status>", "<samlp:StatusDetail>"+decoy+"</samlp:StatusDetail></samlp:Status>")}, want: saml.CodeShape},
		{name: "CBC that anybody can change, before a decoy", shape: shape{encrypt: aesCBC, after: sub("</samlp:Response>", "<samlp:Extensions>"+decoy+"</samlp:Extensions></samlp:Response>")}, want: saml.CodeShape},
		{name: "CBC that anybody can change, allowed", shape: shape{encrypt: aesCBC}, options: allowCBC},
		{name: "CBC that anybody can change and nothing signed, allowed", shape: shape{encrypt: aesCBC, unsigned: true}, options: allowCBC, want: saml.CodeSignature},
		{name: "encrypted where the key is not offered", shape: shape{encrypt: aesGCM}, options: func(o *saml.Options) { o.Settings.Encryption = "off" }},
		{name: "another digest of OAEP", shape: shape{encrypt: aesGCM, after: sub(`<ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"`, `<ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha256"`)}, want: saml.CodeAlgorithm},
		{name: "PKCS #1 v1.5", shape: shape{encrypt: aesGCM, keyTransport: rsaPKCS15}, want: saml.CodeAlgorithm},
		{name: "encrypted without a key", shape: shape{encrypt: aesGCM}, options: withoutKey, want: saml.CodeDecryption},
		{name: "encrypted and plain", shape: shape{encrypt: aesGCM, response: sub(placeholder, placeholder+goodAssertion)}, want: saml.CodeAssertions},
		{name: "document type inside of the ciphertext", shape: shape{encrypt: aesGCM, signed: func(s string) string { return "<!DOCTYPE a>" + s }}, want: saml.CodeDocument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options := []func(*saml.Options){}
			if tt.options != nil {
				options = append(options, tt.options)
			}
			request := requestID
			if tt.request != "" {
				request = strings.TrimPrefix(tt.request, "-")
			}
			got, err := provider(t, options...).Verify([]byte(tt.shape.make(t)), request, noon.Add(tt.after))
			if codeOf(err) != tt.want {
				t.Fatalf("got %v, want code %q", err, tt.want)
			}
			if (got == nil) != (err != nil) {
				t.Fatalf("got %v with %v", got, err)
			}
		})
	}
}

// decoy is an EncryptedData by which a cipher would pass for AES-GCM.
const decoy = `<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"><xenc:EncryptionMethod Algorithm="` + aesGCM + `"></xenc:EncryptionMethod></xenc:EncryptedData>`

const rootSignature = `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:Reference URI="#_a1"></ds:Reference></ds:SignedInfo></ds:Signature>`

// keyBeside moves the EncryptedKey out of the EncryptedData, as some identity
// providers have it.
func keyBeside(s string) string {
	before, rest, _ := strings.Cut(s, "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xenc:EncryptedKey>")
	key, after, _ := strings.Cut(rest, "</xenc:EncryptedKey></ds:KeyInfo>")
	key = `<xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + key + `</xenc:EncryptedKey>`
	return strings.Replace(before+after, "</xenc:EncryptedData>", "</xenc:EncryptedData>"+key, 1)
}

func manyNamespaces(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` xmlns:n%d="urn:x"`, i)
	}
	return b.String()
}

// prefixList adds a list to the CanonicalizationMethod, which was not signed.
func prefixList(n int) edit {
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "p%d ", i)
	}
	return sub(`<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>`,
		`<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"><ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="`+list.String()+`"/></ds:CanonicalizationMethod>`)
}

// longNamespace would make SignedInfo 200 MB long, in a message of 120 kB.
var longNamespace = all(
	sub("<samlp:Response ", `<samlp:Response xmlns:x="urn:`+strings.Repeat("x", 100_000)+`" `),
	sub(`rsa-sha256"/>`, `rsa-sha256">`+strings.Repeat("<x:a/>", 2000)+"</ds:SignatureMethod>"),
)

const emptySignature = `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:Signature>`

// What is kept against replay is kept until the message is refused for its age.
func TestUntil(t *testing.T) {
	for end, want := range map[string]string{"12:10:00Z": "12:06:00", "12:03:00Z": "12:04:00"} {
		got, err := provider(t).Verify([]byte(shape{assertion: sub("12:10:00Z", end)}.make(t)), requestID, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != "_a1" || got.Until.Format(time.TimeOnly) != want {
			t.Errorf("%s: %q until %v", end, got.ID, got.Until)
		}
	}
}

// A certificate may be younger than the clock skew.
func TestYoungCertificate(t *testing.T) {
	young := newPair(idpPair().signer, 6, noon.Add(-time.Second), noon.AddDate(1, 0, 0))
	message := []byte(shape{key: young}.make(t))
	if _, err := provider(t, trust(young)).Verify(message, requestID, noon); err != nil {
		t.Error(err)
	}
	if _, err := provider(t, trust(young)).Verify(message, requestID, noon.Add(-2*time.Second)); codeOf(err) != saml.CodeCertificate {
		t.Errorf("got %v", err)
	}
}

func nested(depth int) string {
	return strings.Repeat("<samlp:a>", depth) + strings.Repeat("</samlp:a>", depth)
}
