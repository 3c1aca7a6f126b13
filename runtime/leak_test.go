package runtime

func init() { poison = true }

// LiveBuffers gives the buffers that are in use in a run that is at rest, -1
// when there is none.
func LiveBuffers(s *Session) int {
	r := s.pool.get()
	if r == nil {
		return -1
	}
	defer s.pool.put(r)
	return r.arena.live
}

// UsedBytes gives what a run that is at rest counts against its budget, -1
// when there is none.
func UsedBytes(s *Session) int64 {
	r := s.pool.get()
	if r == nil {
		return -1
	}
	defer s.pool.put(r)
	free := int64(0)
	for _, list := range r.arena.free {
		for _, b := range list {
			free += int64(len(b.data))
		}
	}
	return r.arena.used - free
}
