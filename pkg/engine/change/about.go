package change

import "context"

type aboutKey struct{}

// About marks a reading as made for the sake of one resource, by its name. A place that is slow to
// read may show the others of the kind as it read them before.
func About(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, aboutKey{}, name)
}

// IsAbout is the name that About gave; empty when a reading is about all resources.
func IsAbout(ctx context.Context) string {
	name, _ := ctx.Value(aboutKey{}).(string)
	return name
}
