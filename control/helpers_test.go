package control_test

import (
	"context"
	"math/rand/v2"
)

type ctx = context.Context

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
