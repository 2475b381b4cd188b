package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/xsd"
)

const (
	assertionNamespace = "urn:oasis:names:tc:SAML:2.0:assertion"
	statusSuccess      = "urn:oasis:names:tc:SAML:2.0:status:Success"

	maxRelayState = 1024 // SAML bindings section 3.4.3 allows 80
	maxIndexes    = 100
)

// logoutXML is a LogoutRequest or LogoutResponse (SAML core section 3.7).
type logoutXML struct {
	ID           string      `xml:"ID,attr"`
	Version      string      `xml:"Version,attr"`
	IssueInstant timeXML     `xml:"IssueInstant,attr"`
	NotOnOrAfter timeXML     `xml:"NotOnOrAfter,attr"`
	Destination  string      `xml:"Destination,attr"`
	InResponseTo string      `xml:"InResponseTo,attr"`
	Issuers      []string    `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	NameIDs      []nameIDXML `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
	Indexes      []string    `xml:"urn:oasis:names:tc:SAML:2.0:protocol SessionIndex"`
	Status       []struct {
		Codes []struct {
			Value string `xml:"Value,attr"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:protocol StatusCode"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:protocol Status"`
}

// logoutMessage is a message as it came, with a signature that was checked.
type logoutMessage struct {
	logoutXML
	request    bool
	relayState string
	issued     time.Time
}

// The parameters of messages, and the elements that they hold.
var logoutRoots = map[string]string{"SAMLRequest": "LogoutRequest", "SAMLResponse": "LogoutResponse"}

// readLogout reads a message about a logout by the HTTP-Redirect or HTTP-POST
// binding and checks its signature, without which nothing of it counts.
func (h *Handler) readLogout(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) (*logoutMessage, error) {
	form := r.URL.Query()
	if r.Method == http.MethodPost {
		if err := h.parseForm(w, r); err != nil {
			return nil, err
		}
		form = r.PostForm
	}
	requests, responses, states := form["SAMLRequest"], form["SAMLResponse"], form["RelayState"]
	if len(requests)+len(responses) != 1 || len(states) > 1 {
		return nil, refuse(CodeRequest, "%d SAMLRequest, %d SAMLResponse and %d RelayState", len(requests), len(responses), len(states))
	}
	m := &logoutMessage{request: len(requests) == 1}
	name := "SAMLResponse"
	if m.request {
		name = "SAMLRequest"
	}
	if len(states) == 1 {
		m.relayState = states[0]
	}
	if len(m.relayState) > maxRelayState {
		return nil, refuse(CodeRequest, "a RelayState of %d bytes", len(m.relayState))
	}
	data, err := decodeBase64(form.Get(name))
	if err != nil {
		return nil, &Error{Code: CodeRequest, Reason: name, Err: err}
	}
	if r.Method == http.MethodPost {
		data, err = sp.signedMessage(data, h.now(), logoutRoots[name])
	} else {
		data, err = sp.signedQuery(data, r.URL.RawQuery, name, h.now())
	}
	if err == nil {
		data, err = sp.unsealMessage(data)
	}
	if err == nil {
		err = unmarshal(data, &m.logoutXML)
	}
	if err == nil {
		err = m.check(sp, h.now())
	}
	return m, err
}

// signedQuery returns a message that a query has, if the query is signed.
func (sp *ServiceProvider) signedQuery(packed []byte, rawQuery, name string, now time.Time) ([]byte, error) {
	o, err := signedOctets(rawQuery, name)
	if err != nil {
		return nil, err
	}
	if err := sp.checkOctets(o, now); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxBody+1))
	switch {
	case err != nil:
		return nil, &Error{Code: CodeRequest, Reason: "DEFLATE", Err: err}
	case len(data) > maxBody:
		return nil, refuse(CodeTooLarge, "more than %d bytes", maxBody)
	}
	_, err = inspectMessage(data, sp.algorithms, logoutRoots[name])
	return data, err
}

// check judges what requests and responses have in common.
func (m *logoutMessage) check(sp *ServiceProvider, now time.Time) (err error) {
	switch {
	case m.Version != "2.0":
		return refuse(CodeVersion, "%q", m.Version)
	case m.ID == "":
		return refuse(CodeShape, "no ID")
	case len(m.Issuers) != 1 || xsd.Collapse(m.Issuers[0]) != sp.idp.EntityID:
		return refuse(CodeIssuer, "%q instead of %q", m.Issuers, sp.idp.EntityID)
	case xsd.Collapse(m.Destination) != sp.SLO():
		return refuse(CodeDestination, "%q instead of %q", m.Destination, sp.SLO())
	}
	if m.issued, err = parseTime("IssueInstant", m.IssueInstant); err != nil {
		return err
	}
	if now.Add(sp.skew).Before(m.issued) {
		return refuse(CodeNotYetValid, "issued at %s", m.IssueInstant.text)
	}
	end := m.issued.Add(pendingFor)
	if m.NotOnOrAfter.given {
		told, err := parseTime("NotOnOrAfter", m.NotOnOrAfter)
		if err != nil {
			return err
		}
		if told.Before(end) {
			end = told
		}
	}
	if !now.Before(end.Add(sp.skew)) {
		return refuse(CodeExpired, "issued at %s, and good until %s", m.IssueInstant.text, end.Format(time.RFC3339))
	}
	return nil
}

// until is when a message is refused for its age.
func (m *logoutMessage) until(sp *ServiceProvider) time.Time {
	return m.issued.Add(pendingFor + sp.skew + time.Second)
}

// success reports whether a response says that the logout is complete.
func (m *logoutMessage) success() bool {
	return len(m.Status) == 1 && len(m.Status[0].Codes) == 1 && xsd.Collapse(m.Status[0].Codes[0].Value) == statusSuccess
}

// newMessage returns an element of the protocol with what all messages have.
func (sp *ServiceProvider) newMessage(local, id, destination string, now time.Time) *etree.Element {
	root := etree.NewElement("samlp:" + local)
	root.CreateAttr("xmlns:samlp", protocolNamespace)
	root.CreateAttr("xmlns:saml", assertionNamespace)
	root.CreateAttr("ID", id)
	root.CreateAttr("Version", "2.0")
	root.CreateAttr("IssueInstant", now.UTC().Format("2006-01-02T15:04:05Z"))
	root.CreateAttr("Destination", destination)
	root.CreateElement("saml:Issuer").SetText(sp.entityID)
	return root
}

// logoutRequest asks for the end of the sessions of one NameID.
func (sp *ServiceProvider) logoutRequest(id, destination string, name provision.NameID, indexes []string, now time.Time) *etree.Element {
	root := sp.newMessage("LogoutRequest", id, destination, now)
	root.CreateAttr("NotOnOrAfter", now.Add(pendingFor).UTC().Format("2006-01-02T15:04:05Z"))
	el := root.CreateElement("saml:NameID")
	for _, a := range []struct{ key, value string }{{"Format", name.Format}, {"NameQualifier", name.NameQualifier}, {"SPNameQualifier", name.SPNameQualifier}} {
		if a.value != "" {
			el.CreateAttr(a.key, a.value)
		}
	}
	el.SetText(name.Value)
	for _, index := range indexes {
		if index != "" {
			root.CreateElement("samlp:SessionIndex").SetText(index)
		}
	}
	return root
}

// logoutResponse answers a request.
func (sp *ServiceProvider) logoutResponse(id, destination, inResponseTo string, now time.Time) *etree.Element {
	root := sp.newMessage("LogoutResponse", id, destination, now)
	root.CreateAttr("InResponseTo", inResponseTo)
	root.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", statusSuccess)
	return root
}

// send makes a message go to an address, by the HTTP-Redirect binding or else by
// HTTP-POST. parameter is SAMLRequest or SAMLResponse.
func (sp *ServiceProvider) send(redirect, post, parameter, relayState string, message func(destination string) *etree.Element) (outgoing, error) {
	doc := etree.NewDocument()
	if redirect == "" {
		root, err := sp.signElement(message(post))
		if err != nil {
			return outgoing{}, err
		}
		doc.SetRoot(root)
		page, err := postPage(post, parameter, relayState, doc)
		return outgoing{page: page}, err
	}
	doc.SetRoot(message(redirect))
	text, err := doc.WriteToBytes()
	if err != nil {
		return outgoing{}, err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return outgoing{}, err
	}
	query := parameter + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	if query, err = sp.signQuery(query); err != nil {
		return outgoing{}, err
	}
	if strings.Contains(redirect, "?") {
		return outgoing{redirect: redirect + "&" + query}, nil
	}
	return outgoing{redirect: redirect + "?" + query}, nil
}
