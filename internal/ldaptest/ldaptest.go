// Package ldaptest gives tests directories: OpenLDAP ([Slapd]), 389 Directory Server
// ([DS389]) and Samba as Active Directory ([Samba]), real servers on loopback, and one that
// does what it should not ([Fake]).
//
// A server that is not installed skips the test with a line that holds SKIP-EXTERNAL.
// Whoever must not miss that looks for it in the output of go test -v. Servers end with the
// test that started them.
package ldaptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// Server is a directory on loopback.
type Server struct {
	URL       string // ldap://
	SecureURL string // ldaps://
	CA        string // PEM
	Pair      string // PEM: a certificate for clients with its key, where the server knows it
	Base      string
	People    string // base DN
	Groups    string // base DN
	Admin     string // DN that may do everything
	Reader    string // DN of a service account
	Password  string // of these and of everybody else
	Preset    string // of jit/ldap

	directory string
	start     func(t testing.TB, s *Server) *exec.Cmd
	command   *exec.Cmd
	ended     chan struct{} // closed when it has
	log       *bytes.Buffer
}

// password is that of everybody who is made for tests.
const password = "Secret-of-tests-1"

// startWithin is how long a server may take until it answers.
const startWithin = 60 * time.Second

// Start starts a server that was stopped, at the same addresses.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.command = s.start(t, s)
	s.log = &bytes.Buffer{}
	s.command.Stdout, s.command.Stderr = s.log, s.log
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Samba has processes of its own
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	command, ended := s.command, make(chan struct{})
	s.ended = ended
	go func() {
		_ = command.Wait() // what it says is in the log
		close(ended)
	}()
	for deadline := time.Now().Add(startWithin); ; time.Sleep(20 * time.Millisecond) {
		conn, err := s.dial()
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("the directory ended\n%s", s.log)
		default:
		}
		if time.Now().After(deadline) {
			s.Stop(t)
			t.Fatalf("the directory does not answer: %v\n%s", err, s.log)
		}
	}
}

// Stop ends the server as a crash does.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.command == nil {
		return
	}
	if err := syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
	<-s.ended
	s.command = nil
}

func (s *Server) dial() (*goldap.Conn, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.CA))
	conn, err := goldap.DialURL(s.SecureURL, goldap.DialWithTLSConfig(&tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(10 * time.Second)
	if err := conn.Bind(s.Admin, s.Password); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Conn is a connection of the admin, until the test ends.
func (s *Server) Conn(t testing.TB) *goldap.Conn {
	t.Helper()
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Add adds an entry.
func (s *Server) Add(t testing.TB, dn string, attributes map[string][]string) {
	t.Helper()
	request := goldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		request.Attribute(name, values)
	}
	s.do(t, dn, func(c *goldap.Conn) error { return c.Add(request) })
}

// Replace replaces the values of an attribute; none removes it.
func (s *Server) Replace(t testing.TB, dn, attribute string, values ...string) {
	t.Helper()
	request := goldap.NewModifyRequest(dn, nil)
	request.Replace(attribute, values)
	s.do(t, dn, func(c *goldap.Conn) error { return c.Modify(request) })
}

// Delete deletes an entry.
func (s *Server) Delete(t testing.TB, dn string) {
	t.Helper()
	s.do(t, dn, func(c *goldap.Conn) error { return c.Del(goldap.NewDelRequest(dn, nil)) })
}

// Move gives an entry another name, below another one where that is not empty.
func (s *Server) Move(t testing.TB, dn, rdn, below string) {
	t.Helper()
	s.do(t, dn, func(c *goldap.Conn) error { return c.ModifyDN(goldap.NewModifyDNRequest(dn, rdn, true, below)) })
}

func (s *Server) do(t testing.TB, dn string, fn func(*goldap.Conn) error) {
	t.Helper()
	conn, err := s.dial()
	if err == nil {
		err = fn(conn)
		_ = conn.Close()
	}
	if err != nil {
		t.Fatalf("%s: %v", dn, err)
	}
}

// freeAddress returns an address of loopback where nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// program finds a program of a server, or skips the test.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, path := range []string{"/usr/sbin", "/usr/bin", "/usr/libexec/dirsrv"} {
		if file := filepath.Join(path, name); exists(file) {
			return file
		}
	}
	t.Skipf("SKIP-EXTERNAL: %s is not installed", name)
	return ""
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func temporary(t testing.TB) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "ldaptest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

func write(t testing.TB, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run runs a program to its end.
func run(t testing.TB, stdin, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...) //nolint:noctx // the context of a test ends before it is cleaned up
	command.Stdin = bytes.NewBufferString(stdin)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Certificate makes a certificate for names of this machine, with its key and the
// authority that signed it, all in PEM.
func Certificate(t testing.TB, names ...string) (certificate, key, authority string) {
	t.Helper()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of tests"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "directory of tests"}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(typ string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	return encode("CERTIFICATE", leafDER), encode("PRIVATE KEY", keyDER), encode("CERTIFICATE", caDER)
}

// port is the address of a URL.
func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		panic(fmt.Sprintf("ldaptest: %v", err)) // of freeAddress
	}
	return p
}
