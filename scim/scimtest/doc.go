// Package scimtest helps an application test its provisioning: fake identity
// providers that send what real ones send, a clock, and a recorder of events.
//
// # Identity providers
//
// [Okta] and [Entra] provision people and groups over HTTP to a SCIM service
// root. They send the requests that were recorded of the real ones, in the same
// order and encoding, and take as a failure what the real ones take as one: an
// answer of another media type, a new resource without an id, a list without
// "Resources". They need no knowledge of the server, so they work against any
// SCIM service provider.
//
// # Time and events
//
// [Clock] is a time that only the test moves, for the field Now of an Engine.
// [Recorder] collects events, from Consumer.Deliver or from a Directory, and waits
// for one without sleeping.
package scimtest
