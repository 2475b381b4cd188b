-- One row per scope. Whoever updates a scope holds the lock of its row, counts
-- positions and events from it, and writes it back once.
CREATE TABLE IF NOT EXISTS provision_scopes (
  scope    text COLLATE "C" NOT NULL PRIMARY KEY,
  position bigint NOT NULL DEFAULT 0, -- of the resource inserted last
  sequence bigint NOT NULL DEFAULT 0, -- of the event appended last
  pruned   bigint NOT NULL DEFAULT 0  -- events up to this sequence were removed
) WITH (fillfactor = 50);

-- The last transaction that each process committed in a scope. It tells what became
-- of a COMMIT whose answer was lost.
CREATE TABLE IF NOT EXISTS provision_commits (
  scope   text COLLATE "C" NOT NULL,
  process text COLLATE "C" NOT NULL,
  number  bigint NOT NULL,
  written timestamptz NOT NULL,
  PRIMARY KEY (scope, process)
) WITH (fillfactor = 50);

-- How many resources there are, so that a total does not count them.
CREATE TABLE IF NOT EXISTS provision_types (
  scope text COLLATE "C" NOT NULL,
  type  text COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  mark  bigint NOT NULL, -- another one after each deletion
  PRIMARY KEY (scope, type)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS provision_resources (
  scope    text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  type     text COLLATE "C" NOT NULL,
  id       text COLLATE "C" NOT NULL,
  version  bigint NOT NULL,
  created  text COLLATE "C" NOT NULL,
  modified text COLLATE "C" NOT NULL,
  display  text COLLATE "C" NOT NULL,
  source   text COLLATE "C" NOT NULL, -- which way of provisioning owns it
  keys     text COLLATE "C" NOT NULL, -- the rows of provision_keys, packed
  document text COLLATE "C" NOT NULL,
  PRIMARY KEY (scope, position)
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX IF NOT EXISTS provision_resources_id ON provision_resources (scope, id);

CREATE INDEX IF NOT EXISTS provision_resources_type ON provision_resources (scope, type, position);

-- The slot is 0 for a unique key, so that a second one of the same value clashes,
-- and the position of the resource for any other.
CREATE TABLE IF NOT EXISTS provision_keys (
  scope     text COLLATE "C" NOT NULL,
  attribute text COLLATE "C" NOT NULL,
  value     text COLLATE "C" NOT NULL,
  type      text COLLATE "C" NOT NULL,
  slot      bigint NOT NULL,
  position  bigint NOT NULL,
  PRIMARY KEY (scope, attribute, value, type, slot)
);

CREATE TABLE IF NOT EXISTS provision_members (
  scope     text COLLATE "C" NOT NULL,
  group_id  text COLLATE "C" NOT NULL,
  member_id text COLLATE "C" NOT NULL,
  source    text COLLATE "C" NOT NULL,
  kind      text COLLATE "C" NOT NULL,
  stage     bigint, -- by whose number it joins, or by the negative leaves; null: none
  PRIMARY KEY (scope, group_id, member_id, source)
);

CREATE INDEX IF NOT EXISTS provision_members_member ON provision_members (scope, member_id, group_id, source, kind, stage);

-- Groups in groups, without the users in them.
CREATE INDEX IF NOT EXISTS provision_members_nested ON provision_members (scope, group_id, member_id, source, stage)
  WHERE kind = 'Group';

CREATE INDEX IF NOT EXISTS provision_members_stage ON provision_members (scope, stage, group_id, member_id)
  WHERE stage IS NOT NULL;

-- The stages that were shown, and have memberships left that are not settled.
CREATE TABLE IF NOT EXISTS provision_stages (
  scope  text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (scope, number)
);

-- Everything about an account is in data; the other columns are to find it. An
-- empty text is null there.
CREATE TABLE IF NOT EXISTS provision_accounts (
  scope       text COLLATE "C" NOT NULL,
  id          text COLLATE "C" NOT NULL,
  resource_id text COLLATE "C",
  user_name   text COLLATE "C", -- folded
  external_id text COLLATE "C",
  email       text COLLATE "C", -- folded
  status      text COLLATE "C" NOT NULL,
  site_admin  boolean NOT NULL,
  data        text COLLATE "C" NOT NULL,
  PRIMARY KEY (scope, id)
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX IF NOT EXISTS provision_accounts_resource ON provision_accounts (scope, resource_id)
  WHERE resource_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS provision_accounts_user_name ON provision_accounts (scope, user_name, id)
  WHERE user_name IS NOT NULL;

CREATE INDEX IF NOT EXISTS provision_accounts_external ON provision_accounts (scope, external_id, id)
  WHERE external_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS provision_accounts_email ON provision_accounts (scope, email, id)
  WHERE email IS NOT NULL;

CREATE INDEX IF NOT EXISTS provision_accounts_admin ON provision_accounts (scope, id) WHERE site_admin;

CREATE INDEX IF NOT EXISTS provision_accounts_unlinked ON provision_accounts (scope, id) WHERE resource_id IS NULL;

CREATE TABLE IF NOT EXISTS provision_events (
  scope    text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  account  text COLLATE "C", -- that it is about; null: none
  data     text COLLATE "C" NOT NULL,
  PRIMARY KEY (scope, sequence)
);

CREATE INDEX IF NOT EXISTS provision_events_account ON provision_events (scope, account, sequence)
  WHERE account IS NOT NULL;

-- What was asked, and how it went. A part is bounded on its own.
CREATE TABLE IF NOT EXISTS provision_log (
  scope  text COLLATE "C" NOT NULL,
  part   bigint NOT NULL,
  number bigint NOT NULL,
  keys   text COLLATE "C" NOT NULL, -- those of provision_log_keys, with spaces between them
  data   text COLLATE "C" NOT NULL,
  PRIMARY KEY (scope, part, number)
);

CREATE TABLE IF NOT EXISTS provision_log_keys (
  scope  text COLLATE "C" NOT NULL,
  part   bigint NOT NULL,
  key    text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (scope, part, key, number)
);

CREATE TABLE IF NOT EXISTS provision_records (
  scope   text COLLATE "C" NOT NULL,
  kind    text COLLATE "C" NOT NULL,
  key     text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  expires text COLLATE "C", -- null: never
  value   bytea NOT NULL,
  PRIMARY KEY (scope, kind, key)
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS provision_records_expires ON provision_records (scope, kind, expires)
  WHERE expires IS NOT NULL;

-- One row. A program of a version from oldest on may write the tables, so that two
-- versions of it run while it is replaced.
CREATE TABLE IF NOT EXISTS provision_schema (
  version bigint NOT NULL,
  oldest  bigint NOT NULL
);

INSERT INTO provision_schema (version, oldest) SELECT 1, 1 WHERE NOT EXISTS (SELECT 1 FROM provision_schema);
