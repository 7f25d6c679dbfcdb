package desired

import "github.com/hybridge-cli/hybridge/pkg/hybrid/fact"

// What facts tell about builds and routes.
type (
	Build = fact.Build
	Route = fact.Route
)

// The routes, and how a build is fit for one.
const (
	RouteEWS   = fact.RouteEWS
	RouteGraph = fact.RouteGraph
	Unfit      = fact.Unfit
	Untold     = fact.Untold
	Fit        = fact.Fit
)

// Fitness of a build for a route.
type Fitness = fact.Fitness
