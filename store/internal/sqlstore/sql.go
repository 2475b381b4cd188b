package sqlstore

import "strings"

// Every statement binds the scope: it is the first column of every key, so that a
// database may keep each scope elsewhere. Each condition and each join names it, and
// each insertion begins with it. Package documentation says what else they keep to.
//
// A limit is cast: SQLite looks at a bare parameter there to plan the statement,
// and so prepares it again whenever the parameter is bound.

// The exceptions, all of them: what a store.Watcher asks of every scope at once. A
// store uses the one that has its names of scopes.
const (
	// LastEvents is for a store whose scope is a name.
	LastEvents = `SELECT scope, sequence FROM provision_scopes`

	// LastEventsByName is for one whose scope is a number beside the name.
	LastEventsByName = `SELECT name, sequence FROM provision_scopes`
)

// The row of a scope, and its counts.
const (
	selectState = `SELECT position, sequence, pruned FROM provision_scopes WHERE scope = ?`
	updateState = `UPDATE provision_scopes SET position = ?, sequence = ?, pruned = ? WHERE scope = ?`

	// The second one is for a change by which something was deleted.
	addCount = `INSERT INTO provision_types AS t (scope, type, count, mark) VALUES (?, ?, ?, ?)
		ON CONFLICT (scope, type) DO UPDATE SET count = t.count + excluded.count`
	addCountAndMark = addCount + `, mark = excluded.mark`
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
		WHERE m.scope = ? AND m.member_id = ?` + shown
	membersLeg = ` UNION ALL SELECT -2, m.kind, m.member_id, 0, '', '', coalesce(u.display, ''), '', m.source, ''
		FROM provision_members m LEFT JOIN provision_resources u ON u.scope = m.scope AND u.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ?` + shown

	typesOfResources = `SELECT r.id, r.type FROM provision_resources r WHERE r.scope = ? AND r.id = ANY (?)`

	storedResourceByID = `SELECT type, position, version, display, keys FROM provision_resources WHERE scope = ? AND id = ?`

	insertResource = `INSERT INTO provision_resources
		(scope, position, type, id, version, created, modified, display, keys, document, source)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	updateDocument = `UPDATE provision_resources
		SET version = ?, created = ?, modified = ?, document = ?, source = ? WHERE scope = ? AND position = ?`
	updateResource = `UPDATE provision_resources
		SET version = ?, created = ?, modified = ?, display = ?, document = ?, source = ? WHERE scope = ? AND position = ?`
	updateResourceAndKeys = `UPDATE provision_resources
		SET version = ?, created = ?, modified = ?, display = ?, document = ?, source = ?, keys = ? WHERE scope = ? AND position = ?`
	updateKeys     = `UPDATE provision_resources SET keys = ? WHERE scope = ? AND position = ?`
	deleteResource = `DELETE FROM provision_resources WHERE scope = ? AND position = ?`
)

// Pages of resources, of one type, of any of a list of types, and of all. The order
// of one type is that of an index; the others are sorted by position before their
// documents are read.
const (
	oneType  = ` AND r.type = ?`
	anyTypes = ` AND r.type = ANY (?)`

	countAll = `SELECT r.count, r.mark FROM provision_types r WHERE r.scope = ?`
	countOne = countAll + oneType
	countAny = countAll + anyTypes

	pageOne = `SELECT ` + resourceColumns + `, '' FROM provision_resources r WHERE r.scope = ?` + oneType +
		` AND r.position > ? ORDER BY r.position LIMIT CAST(? AS BIGINT) OFFSET ?`

	positionsHead      = `SELECT r.position FROM provision_resources r WHERE r.scope = ?`
	positionsAfter     = ` AND r.position > ? ORDER BY r.position LIMIT CAST(? AS BIGINT) OFFSET ?`
	positionsBefore    = ` AND r.position < ? ORDER BY r.position DESC LIMIT CAST(? AS BIGINT)`
	positionsAfterAny  = positionsHead + anyTypes + positionsAfter
	positionsAfterAll  = positionsHead + positionsAfter
	positionsBeforeAny = positionsHead + anyTypes + positionsBefore
	positionsBeforeAll = positionsHead + positionsBefore

	resourcesAt = `SELECT ` + resourceColumns + `, '' FROM provision_resources r
		WHERE r.scope = ? AND r.position = ANY (?) ORDER BY r.position`
)

// Candidates of a filter, found by one term each.
const (
	candidatesByID = `SELECT r.position, r.type FROM provision_resources r WHERE r.scope = ? AND r.id = ?`

	candidatesByKey = `SELECT position, type FROM provision_keys WHERE scope = ? AND attribute = ? AND value = ?`

	candidatesByKeys = `SELECT position, type FROM provision_keys
		WHERE scope = ? AND attribute = ? AND value = ANY (?)`

	candidatesByGroup = `SELECT r.position, r.type
		FROM provision_members m JOIN provision_resources r ON r.scope = m.scope AND r.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ? AND m.source IN ` + reportedSources + shown

	candidatesByMember = `SELECT r.position, r.type
		FROM provision_members m JOIN provision_resources r ON r.scope = m.scope AND r.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ? AND m.source IN ` + reportedSources + shown

	// A lone key term, the most frequent filter, reads its candidates whole.
	resourcesByKey = `SELECT ` + resourceColumns + `, ''
		FROM provision_keys k JOIN provision_resources r ON r.scope = k.scope AND r.position = k.position
		WHERE k.scope = ? AND k.attribute = ? AND k.value = ? LIMIT CAST(? AS BIGINT)`

	resourcesByKeys = `SELECT ` + resourceColumns + `, ''
		FROM provision_keys k JOIN provision_resources r ON r.scope = k.scope AND r.position = k.position
		WHERE k.scope = ? AND k.attribute = ? AND k.value = ANY (?) LIMIT CAST(? AS BIGINT)`
)

// Keys.
const (
	// What keeps a resource from being written: the one that has its id, and for each
	// value that is to be unique one of those that hold it. Legs of one statement.
	holderOfID  = `SELECT '', '', r.id FROM provision_resources r WHERE r.scope = ? AND r.id = ?`
	holderOfKey = `SELECT h.attribute, h.value, h.id FROM (SELECT k.attribute, k.value, r.id
		FROM provision_keys k JOIN provision_resources r ON r.scope = k.scope AND r.position = k.position
		WHERE k.scope = ? AND k.attribute = ? AND k.value = ? AND k.type = ? AND k.position <> ?
		ORDER BY k.slot LIMIT 1) AS h`

	deleteKey = `DELETE FROM provision_keys
		WHERE scope = ? AND attribute = ? AND value = ? AND type = ? AND slot = ?`

	insertKeysHead = `INSERT INTO provision_keys (scope, attribute, value, type, slot, position) VALUES `
	insertKeysRow  = `(?, ?, ?, ?, ?, ?)`
	insertKeysTail = ` ON CONFLICT DO NOTHING`
)

// keysAtOnce is how many keys one statement asks for or inserts.
const keysAtOnce = 8

// insertKeys holds the statements that insert 1, 2, ... keys.
var insertKeys = func() (texts [keysAtOnce]string) {
	for i := range texts {
		texts[i] = insertKeysHead + insertKeysRow + strings.Repeat(", "+insertKeysRow, i) + insertKeysTail
	}
	return texts
}()

// holders holds the statements that ask for the holders of 0, 1, ... keys, without and
// with the one of an id.
var holders = func() (texts [2][keysAtOnce + 1]string) {
	const union = ` UNION ALL `
	for n := range keysAtOnce + 1 {
		if n > 0 {
			texts[0][n] = holderOfKey + strings.Repeat(union+holderOfKey, n-1)
		}
		texts[1][n] = holderOfID + strings.Repeat(union+holderOfKey, n)
	}
	return texts
}()

// shown leaves out the memberships that nobody sees: those that join with a stage
// which was not shown yet, and those that leave with one which was. Most belong to no
// stage, and cost a look at a column.
const shown = ` AND (stage IS NULL OR (stage > 0) = EXISTS (
		SELECT 1 FROM provision_stages s WHERE s.scope = ? AND s.number = abs(stage)))`

// Stages of memberships: the number of a stage for those that join with it, and its
// negative for those that leave.
const (
	// The kind is that of the resource: who does not exist joins nothing.
	stageJoining = `INSERT INTO provision_members (scope, group_id, member_id, source, kind, stage)
		SELECT r.scope, CAST(? AS TEXT), r.id, CAST(? AS TEXT), r.type, CAST(? AS BIGINT)
		FROM provision_resources r WHERE r.scope = ? AND r.id = ANY (?) ON CONFLICT DO NOTHING`
	stageLeaving = `UPDATE provision_members SET stage = ?
		WHERE scope = ? AND group_id = ? AND source = ? AND member_id = ANY (?) AND stage IS NULL`

	showStage  = `INSERT INTO provision_stages (scope, number) VALUES (?, ?) ON CONFLICT DO NOTHING`
	endStage   = `DELETE FROM provision_stages WHERE scope = ? AND number = ?`
	stageShown = `SELECT 1 FROM provision_stages WHERE scope = ? AND number = ?`

	membersStaged = `SELECT m.group_id, m.member_id FROM provision_members m
		WHERE m.scope = ? AND m.stage = ? ORDER BY m.group_id, m.member_id LIMIT CAST(? AS BIGINT)`
	settleStaged = `UPDATE provision_members SET stage = NULL
		WHERE scope = ? AND group_id = ? AND member_id = ANY (?) AND stage = ?`
	deleteStaged = `DELETE FROM provision_members
		WHERE scope = ? AND group_id = ? AND member_id = ANY (?) AND stage = ?`
)

// Memberships.
const (
	membersPage = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(u.display, '')
		FROM provision_members m LEFT JOIN provision_resources u ON u.scope = m.scope AND u.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ? AND m.member_id > ?` + shown + `
		ORDER BY m.member_id, m.source LIMIT CAST(? AS BIGINT)`
	unnamedPage = `SELECT m.member_id, m.source, m.kind FROM provision_members m
		WHERE m.scope = ? AND m.group_id = ? AND m.member_id > ?` + shown + `
		ORDER BY m.member_id, m.source LIMIT CAST(? AS BIGINT)`
	groupsOfMember = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ?` + shown + ` ORDER BY m.group_id, m.source`

	groupsOfMembers = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ANY (?)` + shown + ` ORDER BY m.member_id, m.group_id, m.source`
	membersOfGroups = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(u.display, '')
		FROM provision_members m LEFT JOIN provision_resources u ON u.scope = m.scope AND u.id = m.member_id
		WHERE m.scope = ? AND m.group_id = ANY (?)` + shown + ` ORDER BY m.group_id, m.member_id, m.source`

	// What is directly above some members, and above that.
	membershipColumns = `m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')`
	membersAbove      = `WITH RECURSIVE above (id) AS (
		SELECT m.group_id FROM provision_members m WHERE m.scope = ? AND m.member_id = ANY (?)` + shown + `
		UNION SELECT m.group_id FROM above a JOIN provision_members m ON m.scope = ? AND m.member_id = a.id` + shown + `)
		SELECT ` + membershipColumns + ` FROM provision_members m
		LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		WHERE m.scope = ? AND m.member_id = ANY (?)` + shown + `
		UNION ALL SELECT ` + membershipColumns + ` FROM above a JOIN provision_members m ON m.scope = ? AND m.member_id = a.id` + shown + `
		LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id`

	// The memberships of the first resources that have a key.
	groupsOfKey = `SELECT ` + membershipColumns + ` FROM (SELECT DISTINCT r.id
		FROM provision_keys k JOIN provision_resources r ON r.scope = k.scope AND r.position = k.position
		WHERE k.scope = ? AND k.attribute = ? AND k.value = ? LIMIT CAST(? AS BIGINT)) AS f
		JOIN provision_members m ON m.scope = ? AND m.member_id = f.id` + shown + `
		LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.group_id
		ORDER BY m.member_id, m.group_id, m.source`

	// There is an index of the memberships of groups alone.
	groupsInGroups = `SELECT m.group_id, m.member_id, m.source, m.kind, coalesce(g.display, '')
		FROM provision_members m LEFT JOIN provision_resources g ON g.scope = m.scope AND g.id = m.member_id
		WHERE m.scope = ? AND m.kind = 'Group' AND m.group_id = ANY (?)` + shown + `
		ORDER BY m.group_id, m.member_id, m.source`

	reportedSources = `('scim', 'jit', 'sync')`
	reported        = ` AND source IN ` + reportedSources

	isMember   = `SELECT 1 FROM provision_members WHERE scope = ? AND group_id = ? AND member_id = ?` + reported + shown + ` LIMIT 1`
	hasMembers = `SELECT 1 FROM provision_members WHERE scope = ? AND group_id = ?` + reported + shown + ` LIMIT 1`
	hasGroups  = `SELECT 1 FROM provision_members WHERE scope = ? AND member_id = ?` + reported + shown + ` LIMIT 1`

	// A row that nobody sees becomes one that all see.
	insertMember = `INSERT INTO provision_members AS t (scope, group_id, member_id, source, kind)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (scope, group_id, member_id, source) DO UPDATE SET stage = NULL
		WHERE t.stage IS NOT NULL AND (t.stage < 0) = EXISTS (
			SELECT 1 FROM provision_stages s WHERE s.scope = ? AND s.number = abs(t.stage))`
	deleteMember       = `DELETE FROM provision_members WHERE scope = ? AND group_id = ? AND member_id = ? AND source = ?` + shown
	deleteMemberAll    = `DELETE FROM provision_members WHERE scope = ? AND group_id = ? AND member_id = ?` + shown
	deleteMembersOf    = `DELETE FROM provision_members WHERE scope = ? AND group_id = ?`
	deleteMembershipOf = `DELETE FROM provision_members WHERE scope = ? AND member_id = ?`
)

// Accounts.
const (
	accountByID       = `SELECT data FROM provision_accounts WHERE scope = ? AND id = ?`
	accountByResource = `SELECT data FROM provision_accounts WHERE scope = ? AND resource_id = ?`
	accountsWhere     = `SELECT data FROM provision_accounts WHERE scope = ? AND id > ?`

	// Nothing is written when another account is linked to the resource, or, where that
	// was asked before, the index of links refuses it.
	putAccount = `INSERT` + intoAccounts + ` SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (
			SELECT 1 FROM provision_accounts WHERE scope = ? AND resource_id = ? AND id <> ?)` + orReplace
	putAsked     = `INSERT` + intoAccounts + ` VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)` + orReplace
	intoAccounts = ` INTO provision_accounts
		(scope, id, resource_id, user_name, external_id, email, status, site_admin, data)`
	orReplace = `
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
	accountStatuses   = ` AND status = ANY (?)`
	accountSiteAdmin  = ` AND site_admin`
	accountUnlinked   = ` AND resource_id IS NULL`
	accountsOrder     = ` ORDER BY id LIMIT CAST(? AS BIGINT)`
)

// Events.
const (
	appendEvent  = `INSERT INTO provision_events (scope, sequence, account, data) VALUES (?, ?, ?, ?)`
	latestEvents = `SELECT sequence, data FROM provision_events WHERE scope = ? AND sequence < ? ORDER BY sequence DESC LIMIT CAST(? AS BIGINT)`
	latestOf     = `SELECT sequence, data FROM provision_events WHERE scope = ? AND account = ? AND sequence < ? ORDER BY sequence DESC LIMIT CAST(? AS BIGINT)`
	eventsAfter  = `SELECT sequence, data FROM provision_events WHERE scope = ? AND sequence > ? ORDER BY sequence LIMIT CAST(? AS BIGINT)`
	replaceEvent = `UPDATE provision_events SET data = ? WHERE scope = ? AND sequence = ?`
	pruneEvents  = `DELETE FROM provision_events WHERE scope = ? AND sequence <= ?`
)

// The request log. The keys of an entry are also in its row, so that they go with it.
const (
	logNumbers = `SELECT number FROM provision_log WHERE scope = ? AND part = ? AND number = ANY (?)`
	appendLog  = `INSERT INTO provision_log (scope, part, number, keys, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	replaceLog = `UPDATE provision_log SET keys = ?, data = ? WHERE scope = ? AND part = ? AND number = ?`
	deleteLog  = `DELETE FROM provision_log WHERE scope = ? AND part = ? AND number = ANY (?)`

	insertLogKey = `INSERT INTO provision_log_keys (scope, part, key, number) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	deleteLogKey = `DELETE FROM provision_log_keys WHERE scope = ? AND part = ? AND key = ? AND number = ANY (?)`

	logPage = `SELECT number, keys, data FROM provision_log
		WHERE scope = ? AND part = ? AND number >= ? AND number < ? ORDER BY number DESC LIMIT CAST(? AS BIGINT)`
	logPageByKey = `SELECT l.number, l.keys, l.data
		FROM provision_log_keys k JOIN provision_log l ON l.scope = k.scope AND l.part = k.part AND l.number = k.number
		WHERE k.scope = ? AND k.part = ? AND k.key = ? AND k.number >= ? AND k.number < ?
		ORDER BY k.number DESC LIMIT CAST(? AS BIGINT)`

	// What goes, and what stays.
	logAbove  = `SELECT number, keys FROM provision_log WHERE scope = ? AND part = ? AND number >= ? ORDER BY number DESC LIMIT CAST(? AS BIGINT)`
	logBelow  = `SELECT number, keys FROM provision_log WHERE scope = ? AND part = ? AND number < ? ORDER BY number LIMIT CAST(? AS BIGINT)`
	logOldest = `SELECT number FROM provision_log WHERE scope = ? AND part = ? AND number < ?
		ORDER BY number DESC LIMIT CAST(1 AS BIGINT) OFFSET ?`
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
