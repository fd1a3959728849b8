"""The operator's side of the VTN: a JSON API in the standard's own terms."""
