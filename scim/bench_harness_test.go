package scim_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// benchUser is an enterprise user with every attribute of RFC 7643 section 8.3
// that a client writes. #n is the number of the user, #t the title.
const benchUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
	`"externalId":"00u#nharbor","userName":"ines.#n@harbor.example",` +
	`"name":{"formatted":"Ms. Ines Maria Okafor #n, MSc","familyName":"Okafor #n","givenName":"Ines","middleName":"Maria","honorificPrefix":"Ms.","honorificSuffix":"MSc"},` +
	`"displayName":"Ines Okafor #n","nickName":"Ina","profileUrl":"https://people.harbor.example/#n",` +
	`"emails":[{"value":"ines.#n@harbor.example","type":"work","primary":true},{"value":"ines.#n@quay.example","type":"home"}],` +
	`"addresses":[{"type":"work","streetAddress":"12 Pier Road","locality":"Harwich","region":"Essex","postalCode":"CO12 3HH","country":"GB","formatted":"12 Pier Road\nHarwich CO12 3HH\nGB","primary":true},` +
	`{"type":"home","streetAddress":"7 Cliff Lane","locality":"Dovercourt","region":"Essex","postalCode":"CO12 4EB","country":"GB","formatted":"7 Cliff Lane\nDovercourt CO12 4EB\nGB"}],` +
	`"phoneNumbers":[{"value":"tel:+44-1255-#n","type":"work"},{"value":"tel:+44-7700-#n","type":"mobile"}],` +
	`"ims":[{"value":"ines#n","type":"xmpp"}],` +
	`"photos":[{"value":"https://photos.harbor.example/#n/F","type":"photo"},{"value":"https://photos.harbor.example/#n/T","type":"thumbnail"}],` +
	`"userType":"Employee","title":"#t","preferredLanguage":"en-GB","locale":"en-GB","timezone":"Europe/London","active":true,` +
	`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"#n","costCenter":"4130","organization":"Harbor Logistics","division":"Pilotage","department":"Night Operations",` +
	`"manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`

// benchUserParts is benchUser cut before each placeholder.
var benchUserParts = strings.Split(benchUser, "#")

// appendBenchUser writes user n. It costs little, so that a benchmark can make
// its bodies as it goes.
func appendBenchUser(b []byte, n int, title string) []byte {
	b = append(b, benchUserParts[0]...)
	for _, part := range benchUserParts[1:] {
		if part[0] == 'n' {
			b = appendNumber(b, n)
		} else {
			b = append(b, title...)
		}
		b = append(b, part[1:]...)
	}
	return b
}

// appendNumber writes n with seven digits, so that all users have one size.
func appendNumber(b []byte, n int) []byte { return strconv.AppendInt(b, int64(1_000_000+n), 10) }

func benchUserName(n int) string   { return "ines." + string(appendNumber(nil, n)) + "@harbor.example" }
func benchExternalID(n int) string { return "00u" + string(appendNumber(nil, n)) + "harbor" }

// filterQuery is the query of a GET for the resources whose attribute is value.
func filterQuery(attribute, value string) string {
	return "filter=" + url.QueryEscape(attribute+` eq "`+value+`"`)
}

// client calls a handler in process. It reuses the request and the answer, so
// that what is measured is the handler; BenchmarkHarness measures the client.
type client struct {
	handler http.Handler
	request http.Request
	body    resetBody
	answer  answer
}

func newClient(h http.Handler, token string) *client {
	c := &client{handler: h, answer: answer{header: http.Header{}}}
	c.request = http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "app.example",
		URL: &url.URL{}, Header: http.Header{},
	}
	c.request.Header.Set("Authorization", "Bearer "+token)
	c.request.Header.Set("Content-Type", "application/scim+json")
	c.request.Header.Set("Accept", "application/scim+json")
	return c
}

// do sends one request and fails the benchmark unless the answer has the
// status. c.answer is valid until the next request.
func (c *client) do(tb testing.TB, want int, method, path, query string, body []byte) {
	if err := c.send(want, method, path, query, body); err != nil {
		tb.Fatal(err)
	}
}

func (c *client) send(want int, method, path, query string, body []byte) error {
	c.request.Method = method
	c.request.URL.Path, c.request.URL.RawQuery = path, query
	c.body.Reset(body)
	c.request.Body, c.request.ContentLength = &c.body, int64(len(body))
	clear(c.answer.header)
	c.answer.status, c.answer.body = http.StatusOK, c.answer.body[:0]
	c.handler.ServeHTTP(&c.answer, &c.request)
	if c.answer.status != want {
		return fmt.Errorf("%s %s?%s: status %d, want %d: %.400s", method, path, query, c.answer.status, want, c.answer.body)
	}
	return nil
}

// create sends a POST and returns the id of what it made.
func (c *client) create(path string, body []byte) (string, error) {
	if err := c.send(http.StatusCreated, http.MethodPost, path, "", body); err != nil {
		return "", err
	}
	_, after, _ := bytes.Cut(c.answer.body, []byte(`"id":"`))
	id, _, ok := bytes.Cut(after, []byte(`"`))
	if !ok {
		return "", fmt.Errorf("POST %s: no id in %.400s", path, c.answer.body)
	}
	return string(id), nil
}

type resetBody struct{ bytes.Reader }

func (*resetBody) Close() error { return nil }

// answer is a ResponseWriter that keeps the last answer.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return len(b), nil
}

// measure runs an operation as often as the benchmark asks, with its number. It
// reports processor time too: that counts the garbage collector, which runs
// beside the operation on another core, and depends less on what else the
// machine does.
func measure(b *testing.B, operation func(i int)) {
	b.Helper()
	b.ReportAllocs()
	started := cpuTime()
	for i := 0; b.Loop(); i++ {
		operation(i)
	}
	b.ReportMetric(float64(cpuTime()-started)/float64(b.N), "cpu-ns/op")
}
