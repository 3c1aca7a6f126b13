package main

import (
	"encoding/json"
	"io"
)

// schemaVersion counts the changes of the JSON that the commands write which a
// reader of the older form would not understand.
const schemaVersion = 1

// header begins every JSON object that a command writes.
type header struct {
	SchemaVersion int    `json:"schema_version"`
	Command       string `json:"command"`
}

func headerOf(command string) header { return header{schemaVersion, command} }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(v)
}
