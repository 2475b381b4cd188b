// Package scimsync makes sources for [provision.Directory.Sync] out of files:
// SCIM resources as JSON lines, and CSV.
//
// # JSON lines
//
// Each line is one SCIM User or Group (RFC 7643) as a client would POST it. The
// key "schemas" may be left out: then a line with a userName is a user, and
// another one a group. The value of a member is the externalId or userName of a
// user, or the externalId or displayName of a group. The key "groups" of a user
// is ignored: members belong to the group. A file without any group says nothing
// about groups.
//
// # CSV
//
// The first line names the columns, in any order and case: userName, which is
// required, externalId, displayName, givenName, familyName, email, active and
// groups. The last one holds the display names of the groups of the user,
// separated by semicolons; a file without it says nothing about groups. An empty
// field is no value; an empty active is true.
//
// # Errors
//
// Input is checked like a request of a SCIM client. The first error ends the
// source; it is an [*Error], which names the line and, where known, the column.
package scimsync
