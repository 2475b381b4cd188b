package store

import (
	"strconv"
	"time"
)

// ownField is a field of [Resource] that a path reads instead of the document.
type ownField uint8

const (
	ownNone ownField = iota
	ownID
	ownType
	ownVersion
	ownCreated
	ownModified
)

// ownOf returns the field that a path of a resource names, or ownNone.
func ownOf(keys []string) ownField {
	switch {
	case len(keys) == 1 && keys[0] == "id":
		return ownID
	case len(keys) == 2 && keys[0] == "meta":
		return ownOfMeta(keys[1:])
	}
	return ownNone
}

// ownOfMeta is ownOf for a path inside the attribute meta.
func ownOfMeta(keys []string) ownField {
	if len(keys) != 1 {
		return ownNone
	}
	switch keys[0] {
	case "resourceType":
		return ownType
	case "version":
		return ownVersion
	case "created":
		return ownCreated
	case "lastModified":
		return ownModified
	}
	return ownNone
}

// own reads a field of the resource itself: a text, or an instant.
func (r *Resource) own(field ownField) (text string, instant time.Time) {
	switch field {
	case ownID:
		return r.ID, time.Time{}
	case ownType:
		return r.Type, time.Time{}
	case ownVersion:
		return `W/"` + strconv.FormatInt(r.Version, 10) + `"`, time.Time{}
	case ownCreated:
		return "", r.Created
	case ownModified:
		return "", r.Modified
	}
	return "", time.Time{}
}
