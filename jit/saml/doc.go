// Package saml is a SAML 2.0 service provider (the Web Browser SSO profile, SAML
// profiles section 4.1) on a provision.Engine. It logs people in by the identity
// provider of a connection, and nothing else: sessions, and what follows from a
// login, are left to the host. It needs three lines of one:
//
//	login := &jit.LoginHandler{Engine: engine, OnLogin: beginSession}
//	base := func(connection string) string { return "https://app.example.com/saml/" + connection }
//	mux.Handle("/saml/", &saml.Handler{Engine: engine, Login: login, BaseURL: base})
//
// The last two segments of a path are the connection and its address, so the
// handler works under any router and at any prefix:
//
//	r.Mount("/saml", handler)                   // chi
//	r.Any("/saml/*path", gin.WrapH(handler))    // gin
//	e.Any("/saml/*", echo.WrapHandler(handler)) // echo
//
// The identity provider gets the address ".../metadata" of its connection, or
// the entity id (the same address, unless it is set) and ".../acs". The
// connection gets the metadata of the identity provider in its setting
// [provision.SAML.Metadata]. A link to ".../login?return=/path" begins a login.
//
// # What is accepted
//
// A response counts when everything below holds. Each refusal has a [Code] in
// the log of jit.LoginHandler; the browser sees the same page for all of them.
//
//   - It comes by the HTTP-POST binding, not compressed, in at most
//     [Limits.Body] bytes, as UTF-8 without a document type or processing
//     instructions, and has exactly one assertion. It has at most 2,500 elements
//     with 20,000 attributes, and 64 namespaces in one place.
//   - The response or the assertion is signed with a key from the metadata, by
//     RSA (PKCS #1 or PSS) or ECDSA with SHA-256 or better, as a whole: one
//     signature, one reference, the elements where SAML has them, in any
//     canonical form of XML. SHA-1 is an opt-in of the connection. An expired
//     certificate does not count. With several, each is tried, so that a
//     rollover needs no coordination. What KeyInfo says is a hint and not read.
//   - An encrypted assertion uses RSA-OAEP, with SHA-1 or SHA-2 as digest and in
//     the mask, and AES-GCM. AES-CBC is accepted only in a signed response:
//     otherwise whoever holds the ciphertext could decrypt it by trial, which a
//     connection may put up with ([provision.SAML.InsecureAllowCBC]). The
//     encrypted data is the child of the EncryptedAssertion and stands nowhere
//     else. One of up to eight encrypted keys is ours. What is inside obeys the
//     same rules.
//   - It is from the one issuer of the metadata, for the one entity id of this
//     service provider, confirmed for this ACS address, sent to it, and valid
//     now, give or take [provision.SAML.ClockSkewSeconds]. An end is exclusive.
//     White space around an address or a time is no part of it; a time without
//     a zone is UTC.
//   - One of its confirmations is a good bearer confirmation. Of all that are for
//     this address none lasts for more than 24 hours, so that the use of the
//     assertion can be remembered for as long.
//   - It answers a request that this browser was sent away with in the last ten
//     minutes, which a signed cookie of the browser tells. Without one it is
//     accepted only if the connection allows logins that the identity provider
//     begins; those cannot be bound to a browser, so that somebody can be logged
//     in as somebody else without noticing.
//   - Neither the assertion nor the request was used before, on any replica.
//   - It has a NameID that is text, or an EncryptedID with one. Attributes may be
//     encrypted, too.
//   - It says that the person authenticated in one of the ways that
//     [provision.SAML.AuthnContext] lists, if it lists any, and again, where
//     [provision.SAML.ForceAuthn] wants that and the time is told.
//
// A bearer's IP address and proxy restrictions are not looked at.
//
// # Logouts
//
// The address ".../logout" takes requests of the identity provider to end a login
// (the Single Logout profile, SAML profiles section 4.4), by HTTP-Redirect or
// HTTP-POST. One counts when it is signed, from the issuer, sent to this address, not
// older than ten minutes and not used before; it becomes the event login.ended.
// [Handler.Logout] begins a logout here.
//
// # What is read
//
// Only signed bytes are read. Attributes of one name, and of several statements,
// stay side by side for the [jit.Mapping]. A value with elements inside, but for
// the NameID of eduPersonTargetedID, is malformed, so that a mapping which reads
// the attribute refuses the login.
//
// An identity may have 1,000 groups, and an assertion not many more attribute
// values; see [ErrAssertionTooLarge].
//
// # Certificates
//
// [Handler.Check] tells what will go wrong soon, such as a certificate that
// expires within 30 days, before a connection is saved. The same warnings are
// logged once a day while the connection is in use, but for what is to know
// about its preset, which is logged once, at level Info.
package saml
