package provision_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
)

// Nothing is dialed that is not public, whatever form it has. A dial that is
// permitted is not made: its context has ended.
func TestOutboundAddresses(t *testing.T) {
	const (
		public  = "public"
		private = "private"
		never   = "never"
	)
	tests := map[string]string{
		"93.184.215.14":                          public,
		"8.8.8.8":                                public,
		"172.15.255.255":                         public,
		"172.32.0.1":                             public,
		"100.63.0.1":                             public,
		"100.128.0.1":                            public,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": public,
		"::ffff:8.8.8.8":                         public,
		"10.0.0.1":                               private,
		"172.16.0.1":                             private,
		"172.31.255.255":                         private,
		"192.168.1.1":                            private,
		"100.64.0.1":                             private,
		"127.0.0.1":                              private,
		"127.1.2.3":                              private,
		"198.18.0.1":                             private,
		"::1":                                    private,
		"fd12:3456::1":                           private,
		"::ffff:127.0.0.1":                       private,
		"::ffff:10.0.0.1":                        private,
		"64:ff9b::8.8.8.8":                       private,
		"64:ff9b::10.0.0.1":                      private,
		"2002:808:808::1":                        private,
		"2002:7f00:1::":                          private,
		"::8.8.8.8":                              private,
		"169.254.169.254":                        never,
		"169.254.1.1":                            never,
		"168.63.129.16":                          never,
		"100.100.100.200":                        never,
		"192.0.0.192":                            never,
		"0.0.0.0":                                never,
		"224.0.0.1":                              never,
		"255.255.255.255":                        never,
		"192.0.2.1":                              never,
		"203.0.113.1":                            never,
		"::":                                     never,
		"::ffff:169.254.169.254":                 never,
		"64:ff9b::a9fe:a9fe":                     never,
		"64:ff9b:1::a9fe:a9fe":                   never,
		"2002:a9fe:a9fe::":                       never,
		"fe80::1":                                never,
		"fe80::1%lo":                             never,
		"fd00:ec2::254":                          never,
		"fd20:ce::254":                           never,
		"fec0::1":                                never,
		"ff02::1":                                never,
		"2001::1":                                never,
		"2001:db8::1":                            never,
		"3fff::1":                                never,
		"5f00::1":                                never,
		"100::1":                                 never,
	}
	for address, want := range tests {
		for _, allow := range []bool{false, true} {
			o := provision.Outbound{AllowPrivate: allow, Timeout: time.Nanosecond}
			err := o.CheckAddress(net.JoinHostPort(address, "443"))
			permitted := want == public || want == private && allow
			if permitted != (err == nil) || err != nil && !errors.Is(err, provision.ErrOutbound) {
				t.Errorf("%s, private ones allowed %v: %v", address, allow, err)
			}
		}
	}
}

func outboundServer(t *testing.T, handler http.HandlerFunc) (*httptest.Server, provision.Outbound) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server, provision.Outbound{AllowPrivate: true, RootCAs: roots, Timeout: 5 * time.Second, MaxBytes: 100}
}

func get(t *testing.T, o provision.Outbound, url string) (body string, status int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := o.Client().Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return string(data), resp.StatusCode, err
}

func TestOutboundClient(t *testing.T) {
	server, o := outboundServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/most", http.StatusFound)
		case "/most":
			_, _ = io.WriteString(w, strings.Repeat("a", 100))
		case "/more":
			_, _ = io.WriteString(w, strings.Repeat("a", 101))
		case "/stream":
			for range 200 {
				_, _ = io.WriteString(w, "a")
				w.(http.Flusher).Flush()
			}
		}
	})
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // nobody is there
	if body, _, err := get(t, o, server.URL+"/most"); err != nil || len(body) != 100 {
		t.Errorf("got %q, %v", body, err)
	}
	for _, path := range []string{"/more", "/stream"} {
		if body, _, err := get(t, o, server.URL+path); !errors.Is(err, provision.ErrOutbound) || len(body) > 100 {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
	}
	if _, status, err := get(t, o, server.URL+"/redirect"); err != nil || status != http.StatusFound {
		t.Errorf("a redirect: %v, %v", status, err)
	}
	if _, _, err := get(t, o, strings.Replace(server.URL, "https", "http", 1)); !errors.Is(err, provision.ErrOutbound) {
		t.Errorf("http: %v", err)
	}
	strict := o
	strict.AllowPrivate = false
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if _, _, err := get(t, strict, strings.Replace(server.URL, "127.0.0.1", host, 1)); !errors.Is(err, provision.ErrOutbound) {
			t.Errorf("%s: %v", host, err)
		}
	}
	unknown := o
	unknown.RootCAs = x509.NewCertPool()
	if _, _, err := get(t, unknown, server.URL); err == nil {
		t.Error("a server whose certificate nobody vouches for")
	}
}

// A server that does not answer holds nobody up.
func TestOutboundTimeout(t *testing.T) {
	done := make(chan struct{})
	server, o := outboundServer(t, func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	o.Timeout = 50 * time.Millisecond
	if _, _, err := get(t, o, server.URL); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
