package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// client is who uses the application: an identity provider and an operator.
type client struct {
	t                     *testing.T
	base, operator, token string
}

// newClient reads what the application prints.
func newClient(t *testing.T, out io.Reader) *client {
	t.Helper()
	c := &client{t: t}
	lines := bufio.NewScanner(out)
	for c.operator == "" && lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "Settings":
			c.base = strings.TrimSuffix(value, "/settings")
		case "Operator token":
			c.operator = value
		}
	}
	if c.operator == "" {
		t.Fatal("the application ended before it was ready")
	}
	return c
}

// scim sends a request of an identity provider.
func (c *client) scim(method, path, body string) (answer struct{ ID string }, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+"/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		return answer, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return answer, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if resp.StatusCode != http.StatusNoContent {
		err = json.NewDecoder(resp.Body).Decode(&answer)
	}
	return answer, err
}

// settings opens the page of the settings, or presses one of its buttons.
func (c *client) settings(fields url.Values) (status int, page string) {
	c.t.Helper()
	method := http.MethodGet
	if fields != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+"/settings", strings.NewReader(fields.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.SetBasicAuth("anybody", c.operator)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// issue presses the button for a new SCIM token, which it returns.
func (c *client) issue() string {
	c.t.Helper()
	status, page := c.settings(url.Values{"do": {"issue"}})
	found := regexp.MustCompile(`<code id="token">([^<]*)</code>`).FindStringSubmatch(page)
	if status != http.StatusOK || found == nil {
		c.t.Fatalf("no token: status %d", status)
	}
	return html.UnescapeString(found[1])
}

var (
	oneInput  = regexp.MustCompile(`<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"|<input name="([^"]*)" value="([^"]*)"`)
	oneSelect = regexp.MustCompile(`(?s)<select name="([^"]*)">(.*?)</select>`)
	oneChoice = regexp.MustCompile(`value="([^"]*)"( selected)?`)
	oneArea   = regexp.MustCompile(`(?s)<textarea name="([^"]*)"[^>]*>(.*?)</textarea>`)
)

// form reads the form of the policy, as a browser does.
func (c *client) form() url.Values {
	c.t.Helper()
	_, page := c.settings(nil)
	_, page, _ = strings.Cut(page, `id="policy"`)
	fields := url.Values{}
	for _, m := range oneInput.FindAllStringSubmatch(page, -1) {
		fields.Set(m[1]+m[3], html.UnescapeString(m[2]+m[4]))
	}
	for _, m := range oneArea.FindAllStringSubmatch(page, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range oneSelect.FindAllStringSubmatch(page, -1) {
		for i, choice := range oneChoice.FindAllStringSubmatch(m[2], -1) {
			if i == 0 || choice[2] != "" {
				fields.Set(m[1], html.UnescapeString(choice[1]))
			}
		}
	}
	return fields
}
