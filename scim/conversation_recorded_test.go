package scim_test

import (
	"slices"
	"testing"
)

// TestConversationsAreComplete asserts that no recorded request was dropped.
func TestConversationsAreComplete(t *testing.T) {
	replayed := map[string][]string{}
	for _, name := range conversationNames(t) {
		conv := readConversation(t, name)
		for _, step := range conv.Steps {
			if step.Source != "" {
				replayed[conv.IDP] = append(replayed[conv.IDP], step.Step)
			}
		}
	}
	for idp, steps := range recordedSteps() {
		for _, step := range steps {
			if !slices.Contains(replayed[idp], step) {
				t.Errorf("%s: the recorded request %q is not replayed", idp, step)
			}
		}
	}
}

// recordedSteps lists the requests that were recorded or documented, by identity
// provider: each must be a step of a conversation.
func recordedSteps() map[string][]string {
	return map[string][]string{
		"okta": {
			"test-connection", "test-connection-groups", "spec-list", "match-user", "match-user-caps",
			"create-user", "create-user-enterprise", "create-spec-content-type", "create-duplicate", "get-user",
			"update-user-put", "deactivate-put", "deactivate-patch", "reactivate-patch", "password-sync-patch",
			"import-page", "match-group", "create-group", "group-push-put", "rename-group-patch",
			"group-members-delta", "group-members-replace", "group-members-replace-pathless", "delete-group",
			"unauthorized", "unknown-id",
		},
		"entra": {
			"test-connection-user", "test-connection-group", "schema-discovery", "match-user-username",
			"match-user-externalid", "match-user-email-valuepath", "create-user", "create-user-nulls-and-flat-ext",
			"create-user-validator", "get-user", "update-user-legacy-multi", "update-user-flag-multi",
			"add-attr-valuepath-missing", "replace-attr-valuepath-missing", "roles-primary-string-filter",
			"roles-json-in-string", "manager-add-string", "manager-add-array-bare-path", "manager-object",
			"manager-remove-empty", "manager-remove", "disable-legacy", "disable-flag", "reactivate-legacy",
			"rename-user", "delete-user", "match-group", "create-group", "get-group", "member-check",
			"rename-group", "group-externalid", "add-members", "remove-members-legacy", "remove-members-flag",
			"replace-members-validator", "add-then-remove-same", "delete-group",
		},
		"jumpcloud": {
			"activate-test", "create-user", "update-user-put-full", "update-user-put-minimal", "update-user-patch",
			"create-group", "rename-group", "add-member", "remove-member", "delete-test-user", "delete-group",
		},
		"google": {
			"probe", "schemas", "create-user", "suspend", "delete-user",
		},
	}
}
