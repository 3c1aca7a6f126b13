package runtime

// Batches reports whether RunStreams puts the rows of such streams together.
func Batches(st *Stream) bool { return st.config.batch != nil && !st.config.apart.Load() }
