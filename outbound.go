package provision

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Outbound is how the library reaches addresses that a customer has named, such as
// that of metadata. A customer must not reach by it what only the operator of the
// application may reach:
//
//   - An address is checked when it is dialed, after its name was resolved, whatever
//     the name resolved to before. It must be public. Addresses of metadata services
//     of clouds, of the local link and of multicast are never dialed.
//   - Redirects are not followed, and no proxy of the environment is used.
//   - HTTP is https only, takes no longer than Timeout and reads no more than
//     MaxBytes.
//
// The zero value is the strict one. It is safe for concurrent use.
type Outbound struct {
	// AllowPrivate also permits addresses of private networks and of this machine,
	// for an application whose customers have none of their own to be protected
	// from, such as one that a company runs for itself.
	AllowPrivate bool

	// Timeout bounds a request or a dial as a whole; 0 means 10 seconds.
	Timeout time.Duration

	// MaxBytes bounds the body of an answer; 0 means 1 MiB.
	MaxBytes int64

	// RootCAs are the authorities whose certificates servers may have; nil means
	// those of the system.
	RootCAs *x509.CertPool
}

const (
	outboundTimeout  = 10 * time.Second
	outboundMaxBytes = 1 << 20
	outboundHeader   = 64 << 10
)

// ErrOutbound is what errors of [Outbound] wrap that say that something is not
// permitted, rather than that it failed.
var ErrOutbound = errors.New("provision: not permitted")

// Client returns a client for HTTP. It keeps no connections.
func (o Outbound) Client() *http.Client {
	return &http.Client{
		Timeout: o.timeout(),
		Transport: outboundTransport{outbound: o, next: &http.Transport{
			DialContext:            o.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    o.timeout(),
			ResponseHeaderTimeout:  o.timeout(),
			MaxResponseHeaderBytes: outboundHeader,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// DialContext connects to an address, as [net.Dialer.DialContext] does.
func (o Outbound) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: o.timeout(), Control: func(network, address string, _ syscall.RawConn) error {
		return o.check(network, address)
	}}
	return d.DialContext(ctx, network, address)
}

func (o Outbound) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return outboundTimeout
}

// check judges an address that is about to be connected to.
func (o Outbound) check(network, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: to dial %s %q", ErrOutbound, network, address)
	}
	if reason := o.refuses(at.Addr()); reason != "" {
		return fmt.Errorf("%w: %s", ErrOutbound, reason)
	}
	return nil
}

// networks are the special addresses (the registries of IANA for IPv4 and IPv6), by
// what they are. Those that are private may be permitted; the others never are. The
// first that has an address decides.
var networks = []struct {
	prefix  netip.Prefix
	what    string
	private bool
}{
	{netip.MustParsePrefix("168.63.129.16/32"), "a service of a cloud", false},
	{netip.MustParsePrefix("100.100.100.200/32"), "a metadata service", false},
	{netip.MustParsePrefix("192.0.0.192/32"), "a metadata service", false},
	{netip.MustParsePrefix("169.254.0.0/16"), "of the local link", false},
	{netip.MustParsePrefix("0.0.0.0/8"), "of this network", false},
	{netip.MustParsePrefix("224.0.0.0/4"), "for multicast", false},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved", false},
	{netip.MustParsePrefix("10.0.0.0/8"), "private", true},
	{netip.MustParsePrefix("172.16.0.0/12"), "private", true},
	{netip.MustParsePrefix("192.168.0.0/16"), "private", true},
	{netip.MustParsePrefix("100.64.0.0/10"), "private to a provider", true},
	{netip.MustParsePrefix("127.0.0.0/8"), "this machine", true},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks", true},
	{netip.MustParsePrefix("192.0.0.0/24"), "for protocols", false},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation", false},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation", false},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation", false},
	{netip.MustParsePrefix("192.88.99.0/24"), "of a relay to IPv6", false},

	{netip.MustParsePrefix("fd00:ec2::/32"), "a metadata service", false},
	{netip.MustParsePrefix("fd20:ce::/32"), "a metadata service", false},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "of a translator to IPv4", false}, // RFC 8215
	{netip.MustParsePrefix("::1/128"), "this machine", true},
	{netip.MustParsePrefix("fc00::/7"), "private", true},
	{netip.MustParsePrefix("2001::/23"), "for protocols, such as a tunnel", false},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation", false},
	{netip.MustParsePrefix("3fff::/20"), "for documentation", false},
}

// embedding are prefixes of IPv6 addresses that hold one of IPv4 at a byte, to which
// a gateway brings what is sent to them.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4 (RFC 3056)
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible (RFC 4291)
}

var global = netip.MustParsePrefix("2000::/3")

// refuses says why an address is not dialed, or "".
func (o Outbound) refuses(addr netip.Addr) string {
	if addr.Zone() != "" {
		return "it is of the local link"
	}
	addr = addr.Unmap()
	for _, n := range networks {
		if n.prefix.Contains(addr) {
			if n.private && o.AllowPrivate {
				return ""
			}
			return "the address is " + n.what + allowed(n.private)
		}
	}
	for _, e := range embedding {
		if !e.prefix.Contains(addr) {
			continue
		}
		if !o.AllowPrivate {
			return "the address stands for one of IPv4" + allowed(true)
		}
		bytes := addr.As16()
		inner, _ := netip.AddrFromSlice(bytes[e.at : e.at+4])
		return o.refuses(inner)
	}
	if addr.Is6() && !global.Contains(addr) {
		return "the address is not public"
	}
	return ""
}

func allowed(private bool) string {
	if private {
		return " (Outbound.AllowPrivate permits it)"
	}
	return ""
}

// outboundTransport bounds what the transport of net/http does not.
type outboundTransport struct {
	outbound Outbound
	next     *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t outboundTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%w: %s instead of https", ErrOutbound, r.URL.Scheme)
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	most := t.outbound.MaxBytes
	if most <= 0 {
		most = outboundMaxBytes
	}
	if resp.ContentLength > most {
		_ = resp.Body.Close() // nothing of it is read
		return nil, fmt.Errorf("%w: an answer of %d bytes, of which %d are read", ErrOutbound, resp.ContentLength, most)
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: most, most: most}
	return resp, nil
}

// boundedBody fails where a body is longer than it may be.
type boundedBody struct {
	io.ReadCloser
	left, most int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("%w: an answer of more than %d bytes", ErrOutbound, b.most)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return n - 1, fmt.Errorf("%w: an answer of more than %d bytes", ErrOutbound, b.most)
	}
	return n, err
}
