"""Four eyes: a reviewer marks what others have done as seen."""
