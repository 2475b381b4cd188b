// Package samltest is a SAML identity provider for the tests of an application
// that logs people in by package jit/saml. A login is three lines:
//
//	idp := samltest.New(t) // its Metadata goes into the connection
//	got := idp.Login(t, app.URL+"/saml/okta/login", samltest.User{Email: "ada@example.com", Groups: []string{"Support"}})
//	if got.Status != http.StatusSeeOther { ... }
//
// Everything but the person is real: the application is asked over HTTP, its
// request for authentication is read, and a response that is signed, and
// encrypted where the application has a key, is posted to where the application
// waits for it, by a browser that keeps cookies.
//
// # What is asserted
//
// The attributes of a [User] have the names that the presets "generic", which is
// that of a connection that names none, and "shibboleth" read. For another
// preset, set [User.Attributes] by the names that it reads, and [User.NameID]
// where it reads the user name there.
//
// # Time
//
// A response is of the moment of the request that it answers, so it is valid by
// the clock of the application, whatever that shows. The metadata and its
// certificate are valid in the years 2000 to 2099.
package samltest
