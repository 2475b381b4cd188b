package sqlstore

import "strings"

// A limit is cast: SQLite looks at a bare parameter there to plan the statement,
// and so prepares it again whenever the parameter is bound.

// Scopes.
const (
	selectScope = `SELECT id FROM provision_scopes WHERE name = ?`
	insertScope = `INSERT INTO provision_scopes (name) VALUES (?) RETURNING id`

	// The last event of every scope, whether it is retained or not.
	lastEvents = `SELECT s.name, coalesce((SELECT max(sequence) FROM provision_events WHERE scope = s.id), s.pruned)
		FROM provision_scopes s`
)

// Resources. Every statement that reads resources returns the columns of
// resourceColumns in that order. A Tx also reads the packed keys, to compare
// with when it writes.
const (
	resourceColumns = `r.position, r.type, r.id, r.version, r.created, r.modified, r.display, r.document, r.source`

	resourceByID = `SELECT ` + resourceColumns + `, '' FROM provision_resources r WHERE r.scope = ? AND r.id = ?`
	resourceInTx = `SELECT ` + resourceColumns + `, r.keys FROM provision_resources r WHERE r.scope = ? AND r.id = ?`

	// The legs that follow a resource in one statement with its memberships.
	// The sign of the first column tells the rows apart.
	groupsLeg = ` UNION ALL SELECT -1, m.kind, m.group_id, 0, '', '', coalesce(g.display, ''), '', m.source, ''
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ?`
	membersLeg = ` UNION ALL SELECT -2, m.kind, m.member_id, 0, '', '', coalesce(u.display, ''), '', m.source, ''
		FROM provision_members m LEFT JOIN provision_resources u ON u.scope = m.scope AND u.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ?`

	storedResourceByID = `SELECT type, position, version, keys FROM provision_resources WHERE scope = ? AND id = ?`

	insertResource = `INSERT INTO provision_resources
		(scope, type, id, version, created, modified, display, keys, document, source)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, id) DO NOTHING RETURNING position`
	updateResource = `UPDATE provision_resources
		SET version = ?, created = ?, modified = ?, display = ?, document = ?, source = ? WHERE position = ?`
	updateResourceAndKeys = `UPDATE provision_resources
		SET version = ?, created = ?, modified = ?, display = ?, document = ?, source = ?, keys = ? WHERE position = ?`
	deleteResource = `DELETE FROM provision_resources WHERE position = ?`
)

// Pages of resources, of one type and of any of a JSON array of types ('[]' is
// all types). The order of one type is that of an index; the others are sorted
// by position before their documents are read.
const (
	oneType  = `r.type = ?`
	anyTypes = `(? = '[]' OR r.type IN (SELECT value FROM json_each(?)))`

	countOne = `SELECT coalesce(sum(count), 0) FROM provision_types r WHERE r.scope = ? AND ` + oneType
	countAny = `SELECT coalesce(sum(count), 0) FROM provision_types r WHERE r.scope = ? AND ` + anyTypes

	pageOne = `SELECT ` + resourceColumns + `, '' FROM provision_resources r WHERE r.scope = ? AND ` + oneType +
		` AND r.position > ? ORDER BY r.position LIMIT CAST(? AS BIGINT) OFFSET ?`
	positionsAny = `SELECT r.position FROM provision_resources r WHERE r.scope = ? AND ` + anyTypes +
		` AND r.position > ? ORDER BY r.position LIMIT CAST(? AS BIGINT) OFFSET ?`

	positionsBefore = `SELECT r.position FROM provision_resources r WHERE r.scope = ? AND ` + anyTypes +
		` AND r.position < ? ORDER BY r.position DESC LIMIT CAST(? AS BIGINT)`

	resourcesAt = `SELECT ` + resourceColumns + `, '' FROM provision_resources r
		WHERE r.position IN (SELECT value FROM json_each(?)) ORDER BY r.position`
)

// Candidates of a filter, found by one term each.
const (
	candidatesByID = `SELECT r.position, r.type FROM provision_resources r WHERE r.scope = ? AND r.id = ?`

	candidatesByKey = `SELECT position, type FROM provision_keys WHERE scope = ? AND attribute = ? AND value = ?`

	candidatesByKeys = `SELECT position, type FROM provision_keys
		WHERE scope = ? AND attribute = ? AND value IN (SELECT value FROM json_each(?))`

	candidatesByGroup = `SELECT r.position, r.type
		FROM provision_members m JOIN provision_resources r ON r.scope = m.scope AND r.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ?`

	candidatesByMember = `SELECT r.position, r.type
		FROM provision_members m JOIN provision_resources r ON r.scope = m.scope AND r.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ?`

	// A lone key term, the most frequent filter, reads its candidates whole.
	resourcesByKey = `SELECT ` + resourceColumns + `, ''
		FROM provision_keys k JOIN provision_resources r ON r.position = k.position
		WHERE k.scope = ? AND k.attribute = ? AND k.value = ? LIMIT CAST(? AS BIGINT)`
)

// Keys.
const (
	// Nothing is inserted when another resource has the value, unique or not.
	insertUniqueKey = `INSERT INTO provision_keys (scope, attribute, value, type, slot, position)
		SELECT ?, ?, ?, ?, 0, ? WHERE NOT EXISTS (
			SELECT 1 FROM provision_keys WHERE scope = ? AND attribute = ? AND value = ? AND type = ? AND position <> ?)
		ON CONFLICT DO NOTHING`
	deleteKey = `DELETE FROM provision_keys
		WHERE scope = ? AND attribute = ? AND value = ? AND type = ? AND slot = ?`
	holderOfKey = `SELECT r.id FROM provision_keys k JOIN provision_resources r ON r.position = k.position
		WHERE k.scope = ? AND k.attribute = ? AND k.value = ? AND k.type = ? AND k.position <> ?
		ORDER BY k.slot LIMIT 1`

	insertKeysHead = `INSERT INTO provision_keys (scope, attribute, value, type, slot, position) VALUES `
	insertKeysRow  = `(?, ?, ?, ?, ?, ?)`
)

// insertKeys holds the statements that insert 1, 2, ... keys.
var insertKeys = func() (texts [8]string) {
	for i := range texts {
		texts[i] = insertKeysHead + insertKeysRow + strings.Repeat(", "+insertKeysRow, i)
	}
	return texts
}()

// Memberships.
const (
	membersPage = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(u.display, '')
		FROM provision_members m LEFT JOIN provision_resources u ON u.scope = m.scope AND u.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ? AND m.member_id > ? ORDER BY m.member_id, m.source LIMIT CAST(? AS BIGINT)`
	groupsOfMember = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ? ORDER BY m.group_id, m.source`

	groupsOfMembers = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		WHERE m.scope = ? AND m.member_id IN (SELECT value FROM json_each(?)) ORDER BY m.member_id, m.group_id, m.source`
	membersOfGroups = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(u.display, '')
		FROM provision_members m LEFT JOIN provision_resources u ON u.scope = m.scope AND u.id = m.member_id
		WHERE m.scope = ? AND m.group_id IN (SELECT value FROM json_each(?)) ORDER BY m.group_id, m.member_id, m.source`

	// There is an index of the memberships of groups alone.
	groupsInGroups = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.member_id
		WHERE m.scope = ? AND m.kind = 'Group' AND m.group_id IN (SELECT value FROM json_each(?))
		ORDER BY m.group_id, m.member_id, m.source`

	reported = ` AND source IN ('scim', 'jit', 'sync')`

	isMember   = `SELECT 1 FROM provision_members WHERE scope = ? AND group_id = ? AND member_id = ?` + reported + ` LIMIT 1`
	hasMembers = `SELECT 1 FROM provision_members WHERE scope = ? AND group_id = ?` + reported + ` LIMIT 1`
	hasGroups  = `SELECT 1 FROM provision_members WHERE scope = ? AND member_id = ?` + reported + ` LIMIT 1`

	insertMember = `INSERT INTO provision_members (scope, group_id, member_id, source, kind)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	deleteMember       = `DELETE FROM provision_members WHERE scope = ? AND group_id = ? AND member_id = ? AND source = ?`
	deleteMemberAll    = `DELETE FROM provision_members WHERE scope = ? AND group_id = ? AND member_id = ?`
	deleteMembersOf    = `DELETE FROM provision_members WHERE scope = ? AND group_id = ?`
	deleteMembershipOf = `DELETE FROM provision_members WHERE scope = ? AND member_id = ?`
)

// Accounts.
const (
	accountByID       = `SELECT data FROM provision_accounts WHERE scope = ? AND id = ?`
	accountByResource = `SELECT data FROM provision_accounts WHERE scope = ? AND resource_id = ?`
	accountsWhere     = `SELECT data FROM provision_accounts WHERE scope = ? AND id > ?`

	// Nothing is written when another account is linked to the resource.
	putAccount = `INSERT INTO provision_accounts
		(scope, id, resource_id, user_name, external_id, email, status, site_admin, data)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (
			SELECT 1 FROM provision_accounts WHERE scope = ? AND resource_id = ? AND id <> ?)
		ON CONFLICT (scope, id) DO UPDATE SET
			resource_id = excluded.resource_id, user_name = excluded.user_name, external_id = excluded.external_id,
			email = excluded.email, status = excluded.status, site_admin = excluded.site_admin, data = excluded.data`
	updateAccount = `UPDATE provision_accounts SET status = ?, data = ? WHERE scope = ? AND id = ?`
)

// What each term of an AccountQuery adds to accountsWhere.
const (
	accountUserName   = ` AND user_name = ?`
	accountExternalID = ` AND external_id = ?`
	accountEmail      = ` AND email = ?`
	accountStatuses   = ` AND status IN (SELECT value FROM json_each(?))`
	accountSiteAdmin  = ` AND site_admin = 1`
	accountUnlinked   = ` AND resource_id IS NULL`
	accountsOrder     = ` ORDER BY id LIMIT CAST(? AS BIGINT)`
)

// Events. The next sequence is one after the newest retained event, or after
// the last that was pruned when none is.
const (
	appendEvent = `INSERT INTO provision_events (scope, sequence, data)
		SELECT s.id, coalesce((SELECT max(e.sequence) FROM provision_events e WHERE e.scope = s.id), s.pruned) + 1, ?
		FROM provision_scopes s WHERE s.id = ? RETURNING sequence`
	eventsAfter = `SELECT sequence, data FROM provision_events WHERE scope = ? AND sequence > ? ORDER BY sequence LIMIT CAST(? AS BIGINT)`
	eventRange  = `SELECT coalesce((SELECT min(sequence) FROM provision_events WHERE scope = s.id), 0),
			coalesce((SELECT max(sequence) FROM provision_events WHERE scope = s.id), 0), s.pruned
		FROM provision_scopes s WHERE s.id = ?`
	replaceEvent = `UPDATE provision_events SET data = ? WHERE scope = ? AND sequence = ?`
	pruneEvents  = `DELETE FROM provision_events WHERE scope = ? AND sequence <= ?`
	prunedUntil  = `UPDATE provision_scopes SET pruned = ? WHERE id = ?`
)

// Records.
const (
	recordByKey = `SELECT key, value, version, coalesce(expires, '') FROM provision_records WHERE scope = ? AND kind = ? AND key = ?`
	recordsPage = `SELECT key, value, version, coalesce(expires, '') FROM provision_records
		WHERE scope = ? AND kind = ? AND key > ? ORDER BY key LIMIT CAST(? AS BIGINT)`
	insertRecord = `INSERT INTO provision_records (scope, kind, key, version, expires, value)
		VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO NOTHING`
	updateRecord = `UPDATE provision_records SET version = version + 1, expires = ?, value = ?
		WHERE scope = ? AND kind = ? AND key = ? AND version = ?`
	deleteRecord        = `DELETE FROM provision_records WHERE scope = ? AND kind = ? AND key = ?`
	deleteRecordVersion = `DELETE FROM provision_records WHERE scope = ? AND kind = ? AND key = ? AND version = ?`
	pruneRecords        = `DELETE FROM provision_records
		WHERE scope = ? AND kind = ? AND expires <= ?`
)
