package sqlite

// OpenWith is Open with other migrations.
var OpenWith = open
