package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store/memory"
)

// startProvider runs an identity provider that the server does not know of, and
// writes its metadata to a file.
func startProvider(t *testing.T, file string, people ...demoPerson) *demoProvider {
	t.Helper()
	pages, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDemoProvider(t.Context(), people, pages, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := d.settings()
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, settings.Metadata)
	return d
}

// serveProvider lets an identity provider answer a service provider.
func serveProvider(t *testing.T, d *demoProvider, metadata string) {
	t.Helper()
	if err := d.trust([]byte(metadata)); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.serve() }()
	t.Cleanup(func() {
		d.close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var certificatePattern = regexp.MustCompile(`(?s)X509Certificate>(.*?)<`)

// An identity provider whose metadata is in the configuration, before and after
// a restart.
func TestSAML(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "idps"), 0o700); err != nil {
		t.Fatal(err)
	}
	mal := demoPerson{UID: "mal", Name: `<script>alert("Mal")</script>`, Given: "M&M", Family: "Al", Email: "mal@example.com", Groups: []string{`<b>"IT"</b>`}}
	idp := startProvider(t, filepath.Join(dir, "idps", "idp.xml"), mal)
	config := filepath.Join(dir, "config.json")
	write(t, config, `{"connections":[{"id":"corp","saml":{"idpMetadataFile":"idps/idp.xml","entityID":"https://app.example.com/","preset":"samlidp","mapping":{"displayName":"urn:oid:2.5.4.3","title":"urn:oid:2.5.4.42"},"signRequests":true,"clockSkewSeconds":120},"attributes":["title"]},{"id":"none"}]}`)
	args := []string{"-db", filepath.Join(dir, "provision.db"), "-config", config, "-operator-token", operatorToken}

	s := start(t, args...)
	metadata := newBrowser(t).do(http.MethodGet, s.base+"/saml/corp/metadata", nil)
	if metadata.status != http.StatusOK || !strings.Contains(metadata.body, `entityID="https://app.example.com/"`) || !strings.Contains(metadata.body, `AuthnRequestsSigned="true"`) {
		t.Fatalf("metadata: %d %s", metadata.status, metadata.body)
	}
	serveProvider(t, idp, metadata.body)
	first := newBrowser(t).login(s.base, "/saml/corp/login", "mal")
	if first.status != http.StatusOK || strings.Contains(first.body, "<script>") || strings.Contains(first.body, "<b>") {
		t.Fatalf("%d %s", first.status, first.body)
	}
	for _, want := range []string{"&lt;script&gt;alert(&#34;Mal&#34;)&lt;/script&gt;", "&lt;b&gt;&#34;IT&#34;&lt;/b&gt; (source: jit)", "No option of the policy applied", `<span class="soft">none</span>`} {
		if !strings.Contains(first.body, want) {
			t.Errorf("the page lacks %q: %s", want, first.body)
		}
	}
	if title := string(s.people("corp")[0].Attributes["title"]); title != `"M\u0026M"` && title != `"M&M"` {
		t.Errorf("the mapped title is %s", title)
	}
	events := s.get("/events?connection=corp", operatorToken)
	s.stop()

	s = start(t, args...)
	if got := s.get("/events?connection=corp", operatorToken); got != events {
		t.Errorf("an unchanged configuration made events: %s, before %s", got, events)
	}
	again := newBrowser(t).do(http.MethodGet, s.base+"/saml/corp/metadata", nil)
	if diff := cmp.Diff(certificatePattern.FindAllString(metadata.body, -1), certificatePattern.FindAllString(again.body, -1)); diff != "" {
		t.Errorf("the certificate after a restart: %s", diff)
	}
	if err := idp.trust([]byte(again.body)); err != nil { // the port is another one
		t.Fatal(err)
	}
	second := newBrowser(t).login(s.base, "/saml/corp/login", "mal")
	if a, b := idPattern.FindString(first.body), idPattern.FindString(second.body); a == "" || a != b {
		t.Errorf("the account is %q before a restart, %q after", a, b)
	}
	s.checkNotFound()
}

// checkNotFound asks for logins that are not there: all look alike.
func (r *running) checkNotFound() {
	r.t.Helper()
	b := newBrowser(r.t)
	for _, path := range []string{"/saml/unknown/login", "/saml/unknown/metadata", "/saml/none/login", "/saml/corp/other"} {
		got := b.do(http.MethodGet, r.base+path, nil)
		if got.status != http.StatusNotFound || !strings.Contains(got.body, "There is no login at this address") {
			r.t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if strings.Contains(got.body, `href="login"`) {
			r.t.Errorf("%s: the page offers a login that is not there", path)
		}
	}
	if got := b.do(http.MethodGet, r.base+"/saml/corp/acs", nil); got.status != http.StatusMethodNotAllowed {
		r.t.Errorf("GET of the address for responses: %d", got.status)
	}
}

func TestSAMLErrors(t *testing.T) {
	var rows []struct {
		Name, SAML, Want string
		Metadata         *string `json:"idp"`
	}
	data, err := os.ReadFile("testdata/saml_errors.json")
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "idp.xml")
	startProvider(t, good).close()
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			dir := t.TempDir()
			metadata, err := os.ReadFile(good)
			if err != nil {
				t.Fatal(err)
			}
			if row.Metadata != nil {
				metadata = []byte(*row.Metadata)
			}
			write(t, filepath.Join(dir, "idp.xml"), string(metadata))
			file, db := filepath.Join(dir, "config.json"), filepath.Join(dir, "provision.db")
			write(t, file, `{"connections":[{"id":"a","saml":`+row.SAML+`}]}`)
			err = attempt(t, io.Discard, "-db", db, "-config", file)
			want := strings.ReplaceAll(row.Want, "DIR", dir)
			if err == nil || !strings.HasPrefix(err.Error(), file+": ") || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want the file and %q", err, want)
			}
			if _, err := os.Stat(db); err == nil {
				t.Error("a wrong configuration made a database")
			}
		})
	}
}

// attempt runs a server that should not start, and ends one that does.
func attempt(t *testing.T, out io.Writer, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), out, io.Discard)
}

// What the server cannot know before it has an address and a key.
func TestSAMLStart(t *testing.T) {
	dir := t.TempDir()
	startProvider(t, filepath.Join(dir, "idp.xml")).close()
	config := filepath.Join(dir, "config.json")
	write(t, config, `{"connections":[{"id":"a","saml":{"idpMetadataFile":"idp.xml"}}]}`)
	file := func(name, text string) string {
		write(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	const begin = "-----BEGIN CERT"
	key, _, _ := strings.Cut(string(newPair(t, time.Now()).pem), begin)
	_, certificate, _ := strings.Cut(string(newPair(t, time.Now()).pem), begin)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"all addresses", []string{"-addr", "0.0.0.0:0"}, `connection "a" has SAML, for which this server needs another address`},
		{"no key file", []string{"-saml-key", filepath.Join(dir, "none.pem")}, "none.pem"},
		{"empty key file", []string{"-saml-key", file("empty.pem", "")}, "empty.pem"},
		{"a key without a certificate", []string{"-saml-key", file("key.pem", key)}, "key.pem"},
		{"a certificate of another key", []string{"-saml-key", file("mixed.pem", key+begin+certificate)}, "mixed.pem"},
		{"a key that is not RSA", []string{"-saml-key", file("ec.pem", ecPair(t))}, "not an RSA key"},
		{"no spare key file", []string{"-saml-spare-key", filepath.Join(dir, "none.pem")}, "none.pem"},
		{"base URL without TLS", []string{"-base-url", "http://app.example.com"}, `flag -base-url: "http://app.example.com" must begin with https://`},
		{"base URL of another scheme", []string{"-base-url", "ftp://app.example.com"}, `flag -base-url: "ftp://app.example.com" must begin with https://`},
		{"base URL without a host", []string{"-base-url", "https:///x"}, "not an absolute URL"},
		{"base URL with a query", []string{"-base-url", "https://app.example.com/?x=1"}, "not an absolute URL"},
		{"base URL with a user", []string{"-base-url", "https://u:p@app.example.com"}, "not an absolute URL"},
		{"demo beside a configuration", []string{"-demo-idp"}, "flag -demo-idp"},
		{"demo directory beside a configuration", []string{"-demo-ldap"}, "flag -demo-ldap"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := attempt(t, &out, append([]string{"-db", ":memory:", "-config", config}, test.args...)...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if strings.Contains(fmt.Sprint(err), "PRIVATE") || out.Len() > 0 {
				t.Errorf("the server said %q and %v", out.String(), err)
			}
		})
	}
}

func newPair(t *testing.T, now time.Time) *keyPair {
	t.Helper()
	pair, err := newKeyPair("test", now)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// ecPair returns an ECDSA key with its certificate.
func ecPair(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := newPair(t, time.Now()).certificate
	template.SignatureAlgorithm, template.PublicKey = x509.UnknownSignatureAlgorithm, key.Public()
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}

// The key is made where SAML needs one, and only there; nobody else can read it.
func TestSAMLKeyFile(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "provision.db")
	key := db + ".saml-key.pem"
	start(t, "-db", db).stop()
	if _, err := os.Stat(key); err == nil {
		t.Error("a server without SAML made a key")
	}
	start(t, "-db", db, "-demo-idp").stop()
	info, err := os.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of the key file is %o", info.Mode().Perm())
	}
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	s := start(t, "-db", db, "-demo-idp")
	s.stop()
	if after, err := os.ReadFile(key); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key was made anew: %v", err)
	}
	if !strings.Contains(s.log.String(), "can be read by others") {
		t.Error("nothing warns of a key file that others can read")
	}
	list, err := filepath.Glob(filepath.Join(dir, "*.pem*"))
	if err != nil || len(list) != 1 {
		t.Errorf("files of keys: %q %v", list, err)
	}
}

// Warnings are in the log before anybody logs in.
func TestSAMLWarnings(t *testing.T) {
	dir := t.TempDir()
	idp := startProvider(t, filepath.Join(dir, "idp.xml"))
	idp.close()
	idp.provider.Certificate = newPair(t, time.Now().AddDate(-keyYears, 0, 10)).certificate
	settings, err := idp.settings()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "idp.xml"), settings.Metadata)
	write(t, filepath.Join(dir, "config.json"), `{"connections":[{"id":"okta","saml":{"idpMetadataFile":"idp.xml","preset":"okta"}}]}`)
	s := start(t, "-db", ":memory:", "-config", filepath.Join(dir, "config.json"))
	for _, want := range []string{
		"a certificate of the identity provider (serial ", " expires on ", "without an immutable id, renames cannot be seen", "connection=okta",
		"the key of the service providers ends with this process",
		"login=" + s.base + "/saml/okta/login metadata=" + s.base + "/saml/okta/metadata",
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, s.log)
		}
	}
}

// Behind a proxy only the base URL counts, whatever Host says.
func TestBaseURL(t *testing.T) {
	base, err := checkBaseURL("https://app.example.com/provision/")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{}
	defer s.close()
	engine := &provision.Engine{Store: memory.New(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	o := options{db: ":memory:", baseURL: base, demoLogin: true}
	config, err := loadConfig("", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.prepare(t.Context(), o, config, engine, "127.0.0.1:8080"); err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://internal:8080"+path, nil)
		r.Header.Set("Authorization", "Bearer "+s.demoToken)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	if body := get("/saml/demo/metadata").Body.String(); !strings.Contains(body, `Location="`+base+`/saml/demo/acs"`) {
		t.Errorf("metadata: %s", body)
	}
	login := get("/saml/demo/login")
	if to := login.Header().Get("Location"); login.Code != http.StatusFound || !strings.Contains(to, "SAMLRequest=") {
		t.Errorf("login: %d to %q", login.Code, to)
	}
	if cookie := login.Header().Get("Set-Cookie"); !strings.Contains(cookie, "Path=/provision/saml/demo/;") || !strings.Contains(cookie, "Secure") {
		t.Errorf("the cookie of a login is %q", cookie)
	}
	if body := get("/scim/v2/ServiceProviderConfig").Body.String(); !strings.Contains(body, base+"/scim/v2/") {
		t.Errorf("SCIM: %s", body)
	}
	var printed strings.Builder
	s.announce(&printed)
	if !strings.HasPrefix(printed.String(), "SCIM base URL: "+base+"/scim/v2\n") {
		t.Errorf("printed %q", printed.String())
	}
}

// The guide for administrators has a row for every code that the log can have,
// and names no other.
func TestCodesAreDocumented(t *testing.T) {
	guide, err := os.ReadFile("../../docs/saml.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(guide), "## When a login is refused")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (`+"`[^|]*"+`) \|`).FindAllStringSubmatch(rows, -1) {
		for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(m[1], -1) {
			documented[code[1]] = true
		}
	}
	constant := regexp.MustCompile(`(?m)^\s*(?:Code|Denied)[A-Za-z]+ +(?:Code |Denial )?= "([a-z_]+)"`)
	known := map[string]bool{}
	for _, file := range []string{"../../policy/denial.go", "../../jit/denial.go", "../../jit/saml/errors.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := constant.FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Errorf("%s has no codes", file)
		}
		for _, m := range found {
			known[m[1]] = true
		}
	}
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("codes (-in the source, +in docs/saml.md): %s", diff)
	}
}
