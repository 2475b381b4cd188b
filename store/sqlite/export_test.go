package sqlite

// OpenWith is Open with other migrations.
var OpenWith = open

// OpenOn is OpenWith on a disk with so much room.
var OpenOn = openOn
