package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
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
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeUnprintable(b.Bytes()))
	return err
}

// escapeUnprintable escapes what JSON allows in strings and a terminal may
// follow: control characters beyond ASCII, marks of direction, and their like.
func escapeUnprintable(text []byte) []byte {
	steers := func(r rune) bool { return r >= 0x7f && !strconv.IsPrint(r) }
	if bytes.IndexFunc(text, steers) < 0 {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if steers(r) {
			for _, u := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, u)
			}
		} else {
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}
