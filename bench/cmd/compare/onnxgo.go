package main

import (
	"github.com/recur-ml/recur/bench"
)

func (q *request) measureOnnxGo(r *report, rows []*bench.Row) error { return nil }
