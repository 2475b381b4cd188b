package ldaptest

import (
	"fmt"
	"strings"
)

// LDIF is n people uid=userN below ou=people, and groups cn=groupN below ou=groups with
// some members each, who follow one another. People have the same ids on each server.
func LDIF(people, groups, members int) string {
	var b strings.Builder
	for i := range people {
		fmt.Fprintf(&b, "dn: uid=user%d,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nentryUUID: 00000000-0000-4000-8000-%012d\nuid: user%d\ncn: User %d\ngivenName: User\nsn: %d\nmail: user%d@example.com\n\n", i, i, i, i, i, i)
	}
	for i := range groups {
		fmt.Fprintf(&b, "dn: cn=group%d,ou=groups,dc=example,dc=com\nobjectClass: groupOfNames\ncn: group%d\n", i, i)
		for k := range members {
			fmt.Fprintf(&b, "member: uid=user%d,ou=people,dc=example,dc=com\n", (i*members+k)%people)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
