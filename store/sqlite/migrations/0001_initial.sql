-- One row per scope, with what it counts. Every other table refers to a scope by its
-- number, the first column of every key.
CREATE TABLE provision_scopes (
  scope    INTEGER PRIMARY KEY,
  name     TEXT    NOT NULL UNIQUE,
  position INTEGER NOT NULL, -- of the resource that was made last
  sequence INTEGER NOT NULL, -- of the last event
  pruned   INTEGER NOT NULL  -- events up to this sequence were removed
);

-- How many resources there are, so that a total does not count them.
CREATE TABLE provision_types (
  scope INTEGER NOT NULL,
  type  TEXT    NOT NULL,
  count INTEGER NOT NULL,
  mark  INTEGER NOT NULL, -- another one after each deletion
  PRIMARY KEY (scope, type)
) WITHOUT ROWID;

-- The position is the rowid. The positions of a scope begin at its number times 2^40,
-- so that those of two scopes never meet, and (scope, position) needs no index.
CREATE TABLE provision_resources (
  position INTEGER PRIMARY KEY,
  scope    INTEGER NOT NULL,
  type     TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  created  TEXT    NOT NULL,
  modified TEXT    NOT NULL,
  display  TEXT    NOT NULL,
  keys     TEXT    NOT NULL, -- the rows of provision_keys, packed
  document TEXT    NOT NULL,
  source   TEXT    NOT NULL  -- which way of provisioning owns it
);

CREATE UNIQUE INDEX provision_resources_id ON provision_resources (scope, id);

-- The position follows implicitly: pages are read in the order of this index.
CREATE INDEX provision_resources_type ON provision_resources (scope, type);

-- The slot is 0 for a unique key, so that a second one of the same value
-- clashes, and the position of the resource for any other.
CREATE TABLE provision_keys (
  scope     INTEGER NOT NULL,
  attribute TEXT    NOT NULL,
  value     TEXT    NOT NULL,
  type      TEXT    NOT NULL,
  slot      INTEGER NOT NULL,
  position  INTEGER NOT NULL,
  PRIMARY KEY (scope, attribute, value, type, slot)
) WITHOUT ROWID;

CREATE TABLE provision_members (
  scope     INTEGER NOT NULL,
  group_id  TEXT    NOT NULL,
  member_id TEXT    NOT NULL,
  source    TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  stage     INTEGER, -- by whose number it joins, or by the negative leaves; null: none
  PRIMARY KEY (scope, group_id, member_id, source)
) WITHOUT ROWID;

CREATE INDEX provision_members_member ON provision_members (scope, member_id, group_id, source, kind, stage);

-- Groups in groups, without the users in them: how deep they are nested is looked at
-- when a group becomes a member of a group.
CREATE INDEX provision_members_nested ON provision_members (scope, group_id, member_id, source, stage) WHERE kind = 'Group';

CREATE INDEX provision_members_stage ON provision_members (scope, stage, group_id, member_id) WHERE stage IS NOT NULL;

-- The stages that were shown, and have memberships left that are not settled.
CREATE TABLE provision_stages (
  scope  INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (scope, number)
) WITHOUT ROWID;

-- Everything about an account is in data; the other columns are to find it. An
-- empty text is null there: SQLite prepares a statement again on every use when
-- a partial index compares a column with a constant that the statement compares
-- with a parameter.
CREATE TABLE provision_accounts (
  row         INTEGER PRIMARY KEY,
  scope       INTEGER NOT NULL,
  id          TEXT    NOT NULL,
  resource_id TEXT,
  user_name   TEXT, -- folded
  external_id TEXT,
  email       TEXT, -- folded
  status      TEXT    NOT NULL,
  site_admin  BOOLEAN NOT NULL,
  data        TEXT    NOT NULL
);

CREATE UNIQUE INDEX provision_accounts_id ON provision_accounts (scope, id);
CREATE UNIQUE INDEX provision_accounts_resource ON provision_accounts (scope, resource_id) WHERE resource_id IS NOT NULL;
CREATE INDEX provision_accounts_user_name ON provision_accounts (scope, user_name, id) WHERE user_name IS NOT NULL;
CREATE INDEX provision_accounts_external ON provision_accounts (scope, external_id, id) WHERE external_id IS NOT NULL;
CREATE INDEX provision_accounts_email ON provision_accounts (scope, email, id) WHERE email IS NOT NULL;
CREATE INDEX provision_accounts_admin ON provision_accounts (scope, id) WHERE site_admin;
CREATE INDEX provision_accounts_unlinked ON provision_accounts (scope, id) WHERE resource_id IS NULL;

CREATE TABLE provision_events (
  scope    INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  account  TEXT,             -- that it is about; null: none
  data     TEXT    NOT NULL,
  PRIMARY KEY (scope, sequence)
);

CREATE INDEX provision_events_account ON provision_events (scope, account, sequence) WHERE account IS NOT NULL;

-- What was asked, and how it went. A part is bounded on its own.
CREATE TABLE provision_log (
  scope  INTEGER NOT NULL,
  part   INTEGER NOT NULL,
  number INTEGER NOT NULL,
  keys   TEXT    NOT NULL, -- those of provision_log_keys, with spaces between them
  data   TEXT    NOT NULL,
  PRIMARY KEY (scope, part, number)
);

CREATE TABLE provision_log_keys (
  scope  INTEGER NOT NULL,
  part   INTEGER NOT NULL,
  key    TEXT    NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (scope, part, key, number)
) WITHOUT ROWID;

CREATE TABLE provision_records (
  scope   INTEGER NOT NULL,
  kind    TEXT    NOT NULL,
  key     TEXT    NOT NULL,
  version INTEGER NOT NULL,
  expires TEXT,             -- null: never
  value   BLOB    NOT NULL,
  PRIMARY KEY (scope, kind, key)
);

CREATE INDEX provision_records_expires ON provision_records (scope, kind, expires) WHERE expires IS NOT NULL;

-- One row. A program of a version from oldest on may write the file, so that two
-- versions of it run while it is replaced.
CREATE TABLE provision_schema (
  version INTEGER NOT NULL,
  oldest  INTEGER NOT NULL
);

INSERT INTO provision_schema (version, oldest) VALUES (1, 1);
