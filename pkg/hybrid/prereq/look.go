package prereq

import (
	"context"
	"errors"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// flaw is an object that a check finds fault with, with the commands that fix it. The zero flaw is
// none.
type flaw struct {
	object   string
	commands []string
}

// judge says what is wrong with one object.
type judge[T any] func(ctx context.Context, in Input, v T) (flaw, error)

// look returns the Run of a check that judges the objects of a fact one by one. one and many say
// what is wrong with the objects that follow: "%s server is offline", "%s servers are offline".
func look[T any](q *fact.Query[[]T], one, many string, judge judge[T]) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		side := in.Forest
		if q.At() == fact.AtTenant {
			side = in.Tenant
		}
		list, err := q.In(ctx, side)
		if err != nil {
			return check.Unknown(err)
		}
		return lookAt(ctx, in, list, one, many, judge)
	}
}

// lookAt judges objects one by one. What could not be judged is unknown, unless another object has
// a fault.
func lookAt[T any](ctx context.Context, in Input, list []T, one, many string, judge judge[T]) check.Result {
	return judged(len(list), one, many, func(i int) (flaw, error) { return judge(ctx, in, list[i]) })
}

func judged(n int, one, many string, judge func(i int) (flaw, error)) check.Result {
	var objects, commands []string
	var blind []error
	for i := range n {
		f, err := judge(i)
		switch {
		case err != nil:
			blind = append(blind, err)
		case f.object != "":
			objects, commands = append(objects, f.object), append(commands, f.commands...)
		}
	}
	switch {
	case len(objects) > 0:
		return check.Failed("%s: %s", msg.Count(len(objects), one, many), someOf(objects)).
			With("objects", objects).FixWith(commands...)
	case len(blind) > 0:
		return check.Unknown(errors.Join(blind...))
	}
	return check.Pass("%s looked at", msg.Count(n, "%s object was", "%s objects were"))
}

// always makes a judge of a function that always can tell.
func always[T any](f func(in Input, v T) flaw) judge[T] {
	return func(_ context.Context, in Input, v T) (flaw, error) { return f(in, v), nil }
}

// wanted makes a check not applicable where no feature of the answers needs what it judges.
func wanted(needs func(in Input) bool, run func(context.Context, Input) check.Result) func(context.Context,
	Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		if !needs(in) {
			return check.NotApplicable("no feature of the answers needs it")
		}
		return run(ctx, in)
	}
}
