package brief

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"lstm_1", "lstm_1"},
		{strings.Repeat("a", Most), strings.Repeat("a", Most)},
		{strings.Repeat("a", Most) + "b", strings.Repeat("a", 150) + "..." + strings.Repeat("a", 49) + "b"},
		{strings.Repeat("é", Most), strings.Repeat("é", 75) + "..." + strings.Repeat("é", 25)},
		{"a" + strings.Repeat("é", Most), "a" + strings.Repeat("é", 74) + "..." + strings.Repeat("é", 25)},
	} {
		if got := Name(c.in); got != c.want {
			t.Errorf("Name(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := Name(strings.Repeat("\x80", 1000)); len(got) > Most+8 {
		t.Errorf("of bytes that are no text, %d are left", len(got))
	}
}

func TestWord(t *testing.T) {
	for in, want := range map[string]string{"LSTM": "LSTM", "größe": "größe", "a\x1b[2J\r\nb\u009b\u202e\xff": "a?[2J??b???", "\ufffd": "?"} {
		if got := Word(in); got != want || !utf8.ValidString(got) {
			t.Errorf("Word(%q) = %q, want %q", in, got, want)
		}
	}
}
