-- Which way of provisioning owns a resource; empty for those stored before.
ALTER TABLE provision_resources ADD COLUMN source TEXT NOT NULL DEFAULT '';

UPDATE provision_schema SET version = 2;
