"""OAuth over HTTP: the guard before protected traces, the legs of a flow, and what is fetched for them."""
