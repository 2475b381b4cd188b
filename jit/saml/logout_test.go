package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

const (
	spSLO = spBase + "/logout"

	logoutRequest = `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_l1" Version="2.0" IssueInstant="2026-03-04T12:00:00Z" Destination="` + spSLO + `">` +
		issuer + nameID + `<samlp:SessionIndex>s1</samlp:SessionIndex></samlp:LogoutRequest>`
	logoutResponse = `<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_l2" Version="2.0" IssueInstant="2026-03-04T12:00:00Z" Destination="` + spSLO + `" InResponseTo="` + requestID + `">` +
		issuer + statusSuccess + `</samlp:LogoutResponse>`
)

// withLogout gives the identity provider addresses for logouts.
func withLogout(s *provision.SAML) {
	s.Metadata = sub("<md:SingleSignOnService", `<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/slo?tenant=1" ResponseLocation="https://idp.example.com/slo/done"/><md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/slo/post"/><md:SingleSignOnService`)(s.Metadata)
}

// withLogoutByPOST leaves the address for POST.
func withLogoutByPOST(s *provision.SAML) {
	withLogout(s)
	s.Metadata = sub(`Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/slo`, `Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://idp.example.com/slo`)(s.Metadata)
}

// afterLogin is a site where jane has logged in.
func afterLogin(t *testing.T, edit func(*provision.SAML)) *site {
	t.Helper()
	s := newSite(t, memory.New(), edit)
	a := s.begin("")
	if answer := s.post(answerTo(a.id).make(t), a.relayState, a.cookie); answer.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d\n%s", answer.StatusCode, s.log.String())
	}
	return s
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

func inflate(t *testing.T, encoded string) *etree.Element {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if _, err := doc.ReadFrom(flate.NewReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

const rsaSHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

// logoutQuery is a signed query.
func logoutQuery(t *testing.T, parameter, message, relayState, method string, pair *keyPair) string {
	t.Helper()
	query := parameter + "=" + url.QueryEscape(packed(t, message))
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	query += "&SigAlg=" + url.QueryEscape(method)
	digest := sha256.Sum256([]byte(query))
	signature, err := pair.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
}

func (s *site) postLogout(form url.Values, cookies ...*http.Cookie) *reply {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://internal.example/saml/demo/logout", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r, cookies)
}

// encryptedID is the NameID that s encrypts, whose prefix is declared around it.
func encryptedID(t *testing.T, s shape) string {
	return strings.ReplaceAll(s.encrypted(t, nameID), "EncryptedAssertion", "EncryptedID")
}

// ended lists the events login.ended: the user names of their accounts, with the
// session indexes.
func (s *site) ended() string {
	s.t.Helper()
	dir := s.engine.Directory("demo")
	list, err := dir.Events(s.t.Context(), 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	accounts, err := dir.Accounts(s.t.Context(), provision.AccountQuery{})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, ev := range list {
		if ev.Type != store.LoginEnded {
			continue
		}
		text := "nobody"
		for _, a := range accounts {
			if a.ID == ev.AccountID {
				text = a.UserName
			}
		}
		for _, c := range ev.Changes {
			var index string
			if err := json.Unmarshal(c.Before, &index); err != nil {
				s.t.Fatal(err)
			}
			text += " " + c.Attribute + "=" + index
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// The identity provider ends a login, by either binding, and is answered by the one
// that it has an address for.
func TestLogoutByIDP(t *testing.T) {
	for name, edit := range map[string]func(*provision.SAML){"answer by redirect": withLogout, "answer by POST": withLogoutByPOST} {
		for _, byPOST := range []bool{false, true} {
			s := afterLogin(t, edit)
			var answer *reply
			if byPOST {
				answer = s.postLogout(url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(shape{}.sign(t, logoutRequest)))}, "RelayState": {"state/1"}})
			} else {
				answer = s.get("logout?" + logoutQuery(t, "SAMLRequest", logoutRequest, "state/1", rsaSHA256, idpPair()))
			}
			if got := s.ended(); got != "jane@example.com sessionIndex=s1" {
				t.Errorf("%s: ended %q\n%s", name, got, s.log.String())
			}
			var response *etree.Element
			var state string
			to := "https://idp.example.com/slo/done"
			if answer.StatusCode == http.StatusFound {
				location, err := answer.Location()
				if err != nil || location.Scheme+"://"+location.Host+location.Path != to {
					t.Errorf("%s: to %v, %v", name, location, err)
				}
				checkQuery(t, location.RawQuery, "SAMLResponse")
				response, state = inflate(t, location.Query().Get("SAMLResponse")), location.Query().Get("RelayState")
			} else {
				to = "https://idp.example.com/slo/post"
				if got := html.UnescapeString(between(t, answer.body, `action="`, `"`)); got != to {
					t.Errorf("%s: to %q", name, got)
				}
				data, err := base64.StdEncoding.DecodeString(html.UnescapeString(between(t, answer.body, `name="SAMLResponse" value="`, `"`)))
				if err != nil {
					t.Fatal(err)
				}
				doc := etree.NewDocument()
				if err := doc.ReadFromBytes(data); err != nil {
					t.Fatal(err)
				}
				response, state = doc.Root(), between(t, answer.body, `name="RelayState" value="`, `"`)
				if response.ChildElements()[1].Tag != "Signature" {
					t.Errorf("%s: not signed where the schema wants it", name)
				}
			}
			if response.Tag != "LogoutResponse" || response.SelectAttrValue("InResponseTo", "") != "_l1" || response.SelectAttrValue("Destination", "") != to || state != "state/1" ||
				response.FindElement("./Status/StatusCode").SelectAttrValue("Value", "") != "urn:oasis:names:tc:SAML:2.0:status:Success" || response.FindElement("./Issuer").Text() != spEntity {
				doc := etree.NewDocument()
				doc.SetRoot(response.Copy())
				text, _ := doc.WriteToString()
				t.Errorf("%s: state %q, response %s", name, state, text)
			}
		}
	}
}

// checkQuery checks the signature of a query that we have made.
func checkQuery(t *testing.T, raw, parameter string) {
	t.Helper()
	i := strings.Index(raw, parameter+"=")
	signed, signature, ok := strings.Cut(raw[i:], "&Signature=")
	if !ok {
		t.Fatalf("the query %q is not signed", raw)
	}
	plain, err := url.QueryUnescape(signature)
	if err != nil {
		t.Fatal(err)
	}
	value, err := base64.StdEncoding.DecodeString(plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := spPair().cert.CheckSignature(4, []byte(signed), value); err != nil { // SHA256WithRSA
		t.Errorf("the signature of the query: %v", err)
	}
}

// A request counts only if it is signed by the identity provider, for us, now, once.
func TestLogoutRules(t *testing.T) {
	query := func(message, method string, pair *keyPair) func(*testing.T) string {
		return func(t *testing.T) string { return logoutQuery(t, "SAMLRequest", message, "", method, pair) }
	}
	good := func(e edit) func(*testing.T) string { return query(e(logoutRequest), rsaSHA256, idpPair()) }
	tests := []struct {
		name  string
		query func(*testing.T) string
		want  string // the code; "" means that the login has ended
		times int
	}{
		{name: "good", query: good(all())},
		{name: "of all sessions", query: good(sub("<samlp:SessionIndex>s1</samlp:SessionIndex>", ""))},
		{name: "of a session that nobody knows", query: good(sub(">s1<", ">s9<"))},
		{name: "escaped in lower case", query: func(t *testing.T) string {
			q := "SAMLRequest=" + strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%3D", "%3d").Replace(url.QueryEscape(packed(t, logoutRequest))) + "&SigAlg=" + strings.ToLower(url.QueryEscape(rsaSHA256))
			digest := sha256.Sum256([]byte(q))
			signature, err := idpPair().signer.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			return q + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
		}},
		{name: "in another order", query: func(t *testing.T) string {
			parts := strings.Split(logoutQuery(t, "SAMLRequest", logoutRequest, "x", rsaSHA256, idpPair()), "&")
			return parts[3] + "&" + parts[1] + "&" + parts[2] + "&" + parts[0]
		}},
		{name: "white space around", query: good(all(sub(spSLO, spSLO+" "), sub(idpEntity, "\n"+idpEntity)))},

		{name: "twice", query: good(all()), times: 2, want: "replay"},
		{name: "not signed", query: func(t *testing.T) string { return "SAMLRequest=" + url.QueryEscape(packed(t, logoutRequest)) }, want: "signature"},
		{name: "signed inside alone", query: func(t *testing.T) string {
			return "SAMLRequest=" + url.QueryEscape(packed(t, shape{}.sign(t, logoutRequest)))
		}, want: "signature"},
		{name: "stranger's key", query: query(logoutRequest, rsaSHA256, strangerKey()), want: "signature"},
		{name: "our own key", query: query(logoutRequest, rsaSHA256, spPair()), want: "signature"},
		{name: "SHA-1", query: query(logoutRequest, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", idpPair()), want: "algorithm"},
		{name: "HMAC", query: query(logoutRequest, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", idpPair()), want: "algorithm"},
		{name: "another method than that of the key", query: query(logoutRequest, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", idpPair()), want: "signature"},
		{name: "changed", query: func(t *testing.T) string {
			q := logoutQuery(t, "SAMLRequest", logoutRequest, "", rsaSHA256, idpPair())
			_, rest, _ := strings.Cut(q, "&")
			return "SAMLRequest=" + url.QueryEscape(packed(t, sub(">jane<", ">admin<")(logoutRequest))) + "&" + rest
		}, want: "signature"},
		{name: "RelayState added", query: func(t *testing.T) string {
			return logoutQuery(t, "SAMLRequest", logoutRequest, "", rsaSHA256, idpPair()) + "&RelayState=x"
		}, want: "signature"},
		{name: "parameter twice", query: func(t *testing.T) string {
			q := logoutQuery(t, "SAMLRequest", logoutRequest, "", rsaSHA256, idpPair())
			return q + "&SigAlg=" + url.QueryEscape(rsaSHA256)
		}, want: "request"},
		{name: "parameter twice by escaping", query: func(t *testing.T) string {
			return "SAMLReques%74=x&" + logoutQuery(t, "SAMLRequest", logoutRequest, "", rsaSHA256, idpPair())
		}, want: "request"},
		{name: "signed as a response", query: func(t *testing.T) string {
			return strings.Replace(logoutQuery(t, "SAMLResponse", logoutRequest, "", rsaSHA256, idpPair()), "SAMLResponse", "SAMLRequest", 1)
		}, want: "signature"},
		{name: "other issuer", query: good(sub(idpEntity, "https://other.example.com")), want: "issuer"},
		{name: "other destination", query: good(sub(spSLO, "https://other.example.com/logout")), want: "destination"},
		{name: "no destination", query: good(sub(` Destination="`+spSLO+`"`, "")), want: "destination"},
		{name: "too old", query: good(sub("12:00:00Z", "11:49:00Z")), want: "expired"},
		{name: "old, within the skew", query: good(sub("12:00:00Z", "11:49:01Z"))},
		{name: "of the future", query: good(sub("12:00:00Z", "12:01:01Z")), want: "not_yet_valid"},
		{name: "over", query: good(sub(` Version=`, ` NotOnOrAfter="2026-03-04T11:59:00Z" Version=`)), want: "expired"},
		{name: "no end", query: good(sub(` Version=`, ` NotOnOrAfter="" Version=`)), want: "time"},
		{name: "no time", query: good(sub("2026-03-04T12:00:00Z", "now")), want: "time"},
		{name: "other version", query: good(sub(`"2.0"`, `"1.1"`)), want: "version"},
		{name: "no ID", query: good(sub(` ID="_l1"`, "")), want: "shape"},
		{name: "no NameID", query: good(sub(nameID, "")), want: "name_id"},
		{name: "two NameIDs", query: good(sub(nameID, nameID+nameID)), want: "name_id"},
		{name: "encrypted NameID", query: good(sub(nameID, encryptedID(t, shape{encrypt: aesGCM})))},
		{name: "encrypted NameID, by CBC", query: good(sub(nameID, encryptedID(t, shape{encrypt: aesCBC})))},
		{name: "encrypted NameID for another", query: good(sub(nameID, encryptedID(t, shape{encrypt: aesGCM, to: strangerKey()}))), want: "decryption"},
		{name: "encrypted NameID beside a plain one", query: good(sub(nameID, nameID+encryptedID(t, shape{encrypt: aesGCM}))), want: "name_id"},
		{name: "two encrypted NameIDs", query: good(sub(nameID, encryptedID(t, shape{encrypt: aesGCM})+encryptedID(t, shape{encrypt: aesGCM}))), want: "name_id"},
		{name: "encrypted NameID elsewhere", query: good(sub(nameID, "<saml:Subject>"+encryptedID(t, shape{encrypt: aesGCM})+"</saml:Subject>")), want: "name_id"},
		{name: "nothing in the encrypted NameID", query: good(sub(nameID, "<saml:EncryptedID></saml:EncryptedID>")), want: "decryption"},
		{name: "ciphertext elsewhere", query: good(sub(nameID, nameID+decoy)), want: "shape"},
		{name: "document type", query: good(func(s string) string { return "<!DOCTYPE a>" + s }), want: "document"},
		{name: "a response", query: good(func(string) string { return logoutResponse }), want: "document"},
		{name: "an assertion inside", query: good(sub(nameID, nameID+goodAssertion)), want: "shape"},
		{name: "bomb", query: good(func(s string) string { return s + strings.Repeat(" ", 2<<20) }), want: "too_large"},
		{name: "nothing", query: func(*testing.T) string { return "" }, want: "request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := afterLogin(t, withLogout)
			q := tt.query(t)
			for range max(tt.times, 1) {
				s.log.Reset()
				s.get("logout?" + q)
			}
			if tt.want != "" && !strings.Contains(s.log.String(), "code="+tt.want+" ") {
				t.Errorf("want %s, log %s", tt.want, s.log.String())
			}
			if (s.ended() != "") != (tt.want == "" || tt.times > 1) {
				t.Errorf("ended %q\n%s", s.ended(), s.log.String())
			}
		})
	}
}

// By POST the signature is inside, and only what it covers is read.
func TestLogoutRulesByPOST(t *testing.T) {
	signed := func(s shape, message string) string { return s.after.apply(s.sign(t, message)) }
	wrapped := func() string {
		inner := signed(shape{}, logoutRequest)
		return strings.Replace(sub(">jane<", ">admin<")(sub("_l1", "_l9")(logoutRequest)), "</samlp:LogoutRequest>", "<samlp:Extensions>"+inner+"</samlp:Extensions></samlp:LogoutRequest>", 1)
	}
	for name, tt := range map[string]struct{ message, want string }{
		"good":             {signed(shape{}, logoutRequest), ""},
		"ECDSA":            {signed(shape{key: ecPair(), method: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"}, logoutRequest), "signature"},
		"not signed":       {logoutRequest, "signature"},
		"stranger's key":   {signed(shape{key: strangerKey()}, logoutRequest), "signature"},
		"changed":          {signed(shape{after: sub(">jane<", ">admin<")}, logoutRequest), "signature"},
		"SHA-1":            {signed(shape{method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, logoutRequest), "algorithm"},
		"wrapped":          {wrapped(), "shape"},
		"encrypted":        {signed(shape{}, sub(nameID, encryptedID(t, shape{encrypt: aesGCM}))(logoutRequest)), ""},
		"ciphertext added": {signed(shape{after: sub("<samlp:SessionIndex", sub("<saml:EncryptedID", `<saml:EncryptedID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`)(encryptedID(t, shape{encrypt: aesGCM}))+"<samlp:SessionIndex")}, sub(nameID, "")(logoutRequest)), "signature"},
		"response inside":  {signed(shape{}, logoutResponse), "document"},
	} {
		s := afterLogin(t, withLogout)
		s.log.Reset()
		s.postLogout(url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(tt.message))}})
		if tt.want != "" && !strings.Contains(s.log.String(), "code="+tt.want+" ") || (s.ended() != "") != (tt.want == "") {
			t.Errorf("%s: ended %q, want %q\n%s", name, s.ended(), tt.want, s.log.String())
		}
	}
	ec := afterLogin(t, func(s *provision.SAML) {
		s.Metadata = idpMetadata(idpPair().cert, ecPair().cert)
		withLogout(s)
	})
	ec.postLogout(url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(signed(shape{key: ecPair(), method: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"}, logoutRequest)))}})
	if ec.ended() == "" {
		t.Errorf("ECDSA with its key\n%s", ec.log.String())
	}
}

// Whom nobody knows has no login that could end; the identity provider is answered
// all the same.
func TestLogoutOfNobody(t *testing.T) {
	s := newSite(t, memory.New(), withLogout)
	answer := s.get("logout?" + logoutQuery(t, "SAMLRequest", logoutRequest, "", rsaSHA256, idpPair()))
	if answer.StatusCode != http.StatusFound || s.ended() != "" {
		t.Errorf("status %d, ended %q\n%s", answer.StatusCode, s.ended(), s.log.String())
	}
}

// A transient NameID is known for as long as its session.
func TestLogoutOfTransient(t *testing.T) {
	transient := sub("format:persistent", "format:transient")
	s := newSite(t, memory.New(), withLogout)
	a := s.begin("")
	response := answerTo(a.id)
	response.assertion = all(response.assertion, transient, sub("<saml:AuthnStatement ", `<saml:AuthnStatement SessionNotOnOrAfter="2026-03-04T20:00:00Z" `))
	if answer := s.post(response.make(t), a.relayState, a.cookie); answer.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d\n%s", answer.StatusCode, s.log.String())
	}
	if err := s.engine.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.now = noon.Add(8*time.Hour - time.Second)
	later := all(transient, sub("12:00:00Z", "19:59:00Z"))
	s.get("logout?" + logoutQuery(t, "SAMLRequest", later(logoutRequest), "", rsaSHA256, idpPair()))
	if got := s.ended(); got != "jane@example.com sessionIndex=s1" {
		t.Errorf("ended %q\n%s", got, s.log.String())
	}
	s.now = noon.Add(8 * time.Hour)
	s.get("logout?" + logoutQuery(t, "SAMLRequest", sub("_l1", "_l5")(later(logoutRequest)), "", rsaSHA256, idpPair()))
	if got := s.ended(); strings.Contains(got, ",") {
		t.Errorf("ended after the session: %q", got)
	}
}

// The host knows which session a login belongs to.
func TestSessionOf(t *testing.T) {
	for _, edit := range []func(*provision.SAML){nil, withLogout} {
		s := newSite(t, memory.New(), edit)
		var got provision.Session
		var ok bool
		s.handler.Login.OnLogin = func(w http.ResponseWriter, r *http.Request, _ *provision.Account, _ string) {
			got, ok = jit.SessionOf(r)
		}
		a := s.begin("")
		s.post(answerTo(a.id).make(t), a.relayState, a.cookie)
		if ok != (edit != nil) || ok && (got.Index != "s1" || got.NameID.Value != "jane") {
			t.Errorf("got %+v, %v", got, ok)
		}
	}
}

// beginLogout lets the host log jane out and returns where the browser goes.
func (s *site) beginLogout(index, returnTo string) *reply {
	s.t.Helper()
	accounts, err := s.engine.Directory("demo").Accounts(s.t.Context(), provision.AccountQuery{})
	if err != nil || len(accounts) != 1 {
		s.t.Fatal(accounts, err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://internal.example/logout", nil)
	s.handler.Logout(w, r, "demo", accounts[0].ID, index, returnTo)
	return &reply{StatusCode: w.Code, Header: w.Header(), body: w.Body.String()}
}

// The host asks for a logout, and the browser comes back.
func TestLogoutByHost(t *testing.T) {
	s := afterLogin(t, withLogout)
	answer := s.beginLogout("s1", "/bye?a=1")
	to, err := answer.Location()
	if err != nil || answer.StatusCode != http.StatusFound || to.Path != "/slo" || to.Query().Get("tenant") != "1" {
		t.Fatalf("status %d, to %v, %v\n%s", answer.StatusCode, to, err, s.log.String())
	}
	checkQuery(t, to.RawQuery, "SAMLRequest")
	request := inflate(t, to.Query().Get("SAMLRequest"))
	name := request.FindElement("./NameID")
	if request.Tag != "LogoutRequest" || name.Text() != "jane" || name.SelectAttrValue("Format", "") != jit.NameIDPersistent || request.FindElement("./SessionIndex").Text() != "s1" ||
		request.SelectAttrValue("NotOnOrAfter", "") != "2026-03-04T12:10:00Z" {
		t.Errorf("request %v", request)
	}
	cookies := answer.Cookies()
	if len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, "saml_logout_") {
		t.Fatalf("cookies %v", cookies)
	}
	response := sub(requestID, request.SelectAttrValue("ID", ""))(logoutResponse)
	relayState := to.Query().Get("RelayState")
	query := logoutQuery(t, "SAMLResponse", response, relayState, rsaSHA256, idpPair())
	for name, r := range map[string]struct {
		query   string
		cookies []*http.Cookie
		want    string
	}{
		"another browser":   {query, nil, "no_request"},
		"another request":   {logoutQuery(t, "SAMLResponse", logoutResponse, relayState, rsaSHA256, idpPair()), cookies, "no_request"},
		"not signed":        {"SAMLResponse=" + url.QueryEscape(packed(t, response)) + "&RelayState=" + relayState, cookies, "signature"},
		"cookie of a login": {query, []*http.Cookie{{Name: strings.Replace(cookies[0].Name, "logout", "login", 1), Value: cookies[0].Value}}, "no_request"},
	} {
		s.log.Reset()
		if back := s.get("logout?"+r.query, r.cookies...); back.StatusCode != http.StatusBadRequest || !strings.Contains(s.log.String(), "code="+r.want+" ") {
			t.Errorf("%s: status %d\n%s", name, back.StatusCode, s.log.String())
		}
	}
	back := s.get("logout?"+query, cookies...)
	if back.StatusCode != http.StatusSeeOther || back.Header.Get("Location") != "/bye?a=1" || back.Cookies()[0].MaxAge >= 0 {
		t.Errorf("status %d, header %v\n%s", back.StatusCode, back.Header, s.log.String())
	}
	if again := s.get("logout?"+query, cookies...); again.StatusCode != http.StatusBadRequest {
		t.Errorf("again: status %d", again.StatusCode)
	}
}

// By POST, and back by POST.
func TestLogoutByHostByPOST(t *testing.T) {
	s := afterLogin(t, withLogoutByPOST)
	answer := s.beginLogout("", "//evil.example")
	if answer.StatusCode != http.StatusOK || html.UnescapeString(between(t, answer.body, `action="`, `"`)) != "https://idp.example.com/slo/post" {
		t.Fatalf("status %d\n%s", answer.StatusCode, answer.body)
	}
	data, err := base64.StdEncoding.DecodeString(html.UnescapeString(between(t, answer.body, `name="SAMLRequest" value="`, `"`)))
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	response := shape{}.sign(t, sub(requestID, doc.Root().SelectAttrValue("ID", ""))(logoutResponse))
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(response))}, "RelayState": {between(t, answer.body, `name="RelayState" value="`, `"`)}}
	if back := s.postLogout(form, answer.Cookies()...); back.StatusCode != http.StatusOK || !strings.Contains(back.body, "Logged out") {
		t.Errorf("status %d, %s\n%s", back.StatusCode, back.body, s.log.String())
	}
}

// Where there is nobody to ask, the browser goes on at once.
func TestLogoutAtHome(t *testing.T) {
	s := afterLogin(t, nil)
	if answer := s.beginLogout("", "/bye"); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/bye" {
		t.Errorf("without single logout: status %d, %v", answer.StatusCode, answer.Header)
	}
	s = afterLogin(t, withLogout)
	if answer := s.beginLogout("s9", ""); answer.StatusCode != http.StatusOK || !strings.Contains(answer.body, "Logged out") {
		t.Errorf("of a session that nobody knows: status %d", answer.StatusCode)
	}
	s.now = s.now.Add(8 * 24 * time.Hour)
	if answer := s.beginLogout("", "/bye"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("after the session: status %d", answer.StatusCode)
	}
}
