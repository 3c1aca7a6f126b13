// Package brief shortens what files name, for messages: a name may be as long
// as a limit allows, and a message may tell many.
package brief

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Most is the length of the longest name that is told in full.
const Most = 200

// Name gives a name, or of a long one the beginning and the end.
func Name(s string) string {
	if len(s) <= Most {
		return s
	}
	head, tail := Most*3/4, len(s)-Most/4
	for i := 0; i < utf8.UTFMax && !utf8.RuneStart(s[head]); i++ { // not within a character
		head--
	}
	for i := 0; i < utf8.UTFMax && !utf8.RuneStart(s[tail]); i++ {
		tail++
	}
	return s[:head] + "..." + s[tail:]
}

// Args shortens the strings among the arguments of a message.
func Args(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok && len(s) > Most {
			args[i] = Name(s)
		}
	}
	return args
}

// Word gives a name that stands in a message without quotes: shortened, and with
// a question mark for each character that would break the line or steer a
// terminal.
func Word(s string) string {
	return Name(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s))
}
