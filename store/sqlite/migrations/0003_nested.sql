-- Groups in groups, without the users in them: how deep they are nested is looked
-- at when a group becomes a member of a group.
CREATE INDEX provision_members_nested ON provision_members (scope, group_id, member_id, source) WHERE kind = 'Group';

UPDATE provision_schema SET version = 3;
