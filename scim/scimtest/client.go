package scimtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// Person is somebody in the directory of an identity provider.
type Person struct {
	ExternalID string // the immutable id that the identity provider gives
	UserName   string
	GivenName  string
	FamilyName string
	Email      string // empty: UserName
	Title      string // not sent when empty
	Department string // not sent when empty
}

func (p Person) email() string {
	if p.Email != "" {
		return p.Email
	}
	return p.UserName
}

func (p Person) display() string { return strings.TrimSpace(p.GivenName + " " + p.FamilyName) }

// Error is an answer that an identity provider takes as a failure. Type and
// Detail are those of the SCIM error in the answer (RFC 7644 section 3.12), or
// Detail says what is wrong with an answer of success.
type Error struct {
	Method string
	Path   string // below the service root, with its query
	Status int
	Type   string // such as "uniqueness"
	Detail string
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("scimtest: %s %s: %d", e.Method, e.Path, e.Status)
	for _, part := range []string{e.Type, e.Detail} {
		if part != "" {
			text += " " + part
		}
	}
	return text
}

const (
	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchSchema      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// object is a JSON object.
type object map[string]any

// Client sends the requests of one identity provider. Set the field before the
// first call.
type Client struct {
	// HTTP sends the requests; nil means http.DefaultClient.
	HTTP *http.Client

	base    string
	token   string
	headers map[string]string
}

// do makes a request. The answer is the JSON object of its body, nil when it has
// none.
func (c *Client) do(ctx context.Context, method, path string, body object) (object, error) {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, fmt.Errorf("scimtest: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("scimtest: %s %s: %w", method, path, err)
	}
	failure := &Error{Method: method, Path: path, Status: resp.StatusCode}
	answer, problem := decode(resp.Header, data)
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		failure.Type, _ = answer["scimType"].(string)
		failure.Detail, _ = answer["detail"].(string)
		if failure.Detail == "" {
			failure.Detail = problem
		}
		return nil, failure
	case problem != "":
		failure.Detail = problem
		return nil, failure
	}
	if problem := missing(method, resp.StatusCode, answer); problem != "" {
		failure.Detail = problem
		return nil, failure
	}
	return answer, nil
}

func (c *Client) request(ctx context.Context, method, path string, body object) (*http.Request, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("scimtest: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("scimtest: %w", err)
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	return req, nil
}

// decode reads the body of an answer, and says what is wrong with it.
func decode(header http.Header, data []byte) (answer object, problem string) {
	if len(data) == 0 {
		return nil, ""
	}
	if media, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || media != "application/scim+json" {
		return nil, fmt.Sprintf("the answer is %q, not application/scim+json", header.Get("Content-Type"))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, "the answer is not a JSON object"
	}
	return answer, ""
}

// missing says what an answer of success lacks.
func missing(method string, status int, answer object) string {
	switch {
	case method == http.MethodPost && (status != http.StatusCreated || answer.text("id") == ""):
		return "the answer to a POST is not 201 with an id"
	case (method == http.MethodGet || method == http.MethodPut) && answer == nil:
		return "the answer is empty"
	}
	return ""
}

// text returns the text of a key, or "".
func (o object) text(key string) string {
	text, _ := o[key].(string)
	return text
}

// find asks for the resources that match and returns the first, or nil.
func (c *Client) find(ctx context.Context, path string) (object, error) {
	answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	list, ok := answer["Resources"].([]any)
	total, isNumber := answer["totalResults"].(json.Number)
	switch {
	case !ok || !isNumber:
		return nil, &Error{Method: http.MethodGet, Path: path, Status: http.StatusOK, Detail: "the answer is not a list with totalResults and Resources"}
	case len(list) == 0 && total == "0":
		return nil, nil
	}
	for _, element := range list {
		if resource, ok := element.(map[string]any); ok && object(resource).text("id") != "" {
			return resource, nil
		}
	}
	return nil, &Error{Method: http.MethodGet, Path: path, Status: http.StatusOK, Detail: "the list has no resource with an id"}
}

// equal returns the filter that compares an attribute.
func equal(attribute, value string) string {
	return attribute + ` eq "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// query encodes a value of a query with %20 for spaces.
func query(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// patch sends the operations of a PATCH.
func (c *Client) patch(ctx context.Context, path string, operations ...object) error {
	_, err := c.do(ctx, http.MethodPatch, path, object{"schemas": []string{patchSchema}, "Operations": operations})
	return err
}

// delete deletes a resource.
func (c *Client) delete(ctx context.Context, path string) error {
	_, err := c.do(ctx, http.MethodDelete, path, nil)
	return err
}
