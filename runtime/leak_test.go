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
	return r.arena.used - free - int64(len(r.arena.block))
}

// Programs counts the programs that a session has made for shapes: those that
// run, and the keys that stay with the general one.
func Programs(s *Session) (running, refused int) {
	if list := s.variants.list.Load(); list != nil {
		for _, v := range *list {
			if v.prog != nil {
				running++
			} else {
				refused++
			}
		}
	}
	return running, refused
}

// Made counts the programs that a session has ever made for shapes.
func Made(s *Session) int { return s.variants.made }

// Steps gives the steps of the general program and of the latest other one.
func Steps(s *Session) (general, latest int) {
	general = len(s.prog.steps)
	if list := s.variants.list.Load(); list != nil {
		if v := (*list)[len(*list)-1]; v.prog != nil {
			latest = len(v.prog.steps)
		}
	}
	return general, latest
}
